import FoundationEssentials

/// What the bytes of etcd's answers say: functions of bytes, without a connection.
///
/// Whoever sends them, they are read or refused as `malformed`. The bytes themselves are in no error: they may hold
/// what was stored.
package enum EtcdAnswer {
    /// At most so many entries of a range, in order of key; never none when more follow, so that reading on ends.
    package static func page(_ bytes: [UInt8], of range: EtcdRange, limit: Int) throws(EtcdError) -> EtcdPage {
        let page = try page(bytes)
        guard page.entries.count <= limit, !page.hasMore || !page.entries.isEmpty else {
            throw .malformed(reason: "a page of \(page.entries.count) entries, where at most \(limit) were asked for")
        }
        var least = range.first
        for entry in page.entries {
            guard !entry.key.lexicographicallyPrecedes(least), entry.key.lexicographicallyPrecedes(range.end) else {
                throw .malformed(reason: "other keys than those asked for, or in another order")
            }
            // The least key that is greater.
            least = entry.key + [0]
        }
        return page
    }

    private static func page(_ bytes: [UInt8]) throws(EtcdError) -> EtcdPage {
        let reply: RangeReply = try decode(bytes)
        let revision = try revision(reply.header?.revision, of: "a range")
        return EtcdPage(entries: try entries(reply), revision: revision, hasMore: reply.more ?? false)
    }

    /// One key; nil when it is not there.
    package static func entry(_ bytes: [UInt8], of key: [UInt8]) throws(EtcdError) -> EtcdEntry? {
        let entries = try page(bytes).entries
        return try only(entries, of: key)
    }

    /// A transaction of these conditions and changes.
    package static func outcome(
        _ bytes: [UInt8],
        of conditions: [EtcdCondition],
        _ changes: [EtcdChange]
    ) throws(EtcdError) -> EtcdOutcome {
        let reply: TransactionReply = try decode(bytes)
        let revision = try revision(reply.header?.revision, of: "a transaction")
        let responses = reply.responses ?? []
        // The gateway passes over fields that it does not know: what it took for the request shows in the answer.
        guard reply.succeeded == true else {
            guard responses.count == conditions.count, !conditions.isEmpty else {
                throw .malformed(reason: "a failed transaction answers \(responses.count) operations of its own")
            }
            var entries: [EtcdEntry?] = []
            for (response, condition) in zip(responses, conditions) {
                guard let range = response.range else { throw .malformed(reason: "a transaction's answer is no range") }
                entries.append(try only(try self.entries(range), of: condition.key))
            }
            return .failed(entries)
        }
        let isWhole = zip(responses, changes).allSatisfy { response, change in
            switch change {
            case .put: response.put != nil
            case .delete: response.deleteRange != nil
            }
        }
        guard responses.count == changes.count, isWhole else {
            throw .malformed(reason: "a transaction of \(changes.count) changes answers \(responses.count) operations")
        }
        return .succeeded(revision: revision)
    }

    /// The id of a lease that was granted.
    package static func grantedLease(_ bytes: [UInt8]) throws(EtcdError) -> Int64 {
        let reply: LeaseReply = try decode(bytes)
        guard let id = reply.id?.value, id != 0, let granted = reply.seconds?.value, granted > 0 else {
            throw .malformed(reason: "a lease without an id")
        }
        return id
    }

    /// Whether a lease that was to be kept alive is there.
    package static func isAlive(_ bytes: [UInt8], lease id: Int64) throws(EtcdError) -> Bool {
        let reply: Streamed<LeaseReply> = try decode(bytes)
        if let error = reply.error { throw .unavailable(reason: error.message ?? "a lease was not kept alive") }
        guard let lease = reply.result, lease.id?.value == id else {
            throw .malformed(reason: "another lease than the one asked for")
        }
        return (lease.seconds?.value ?? 0) > 0
    }

    /// Whatever answers the end of a lease.
    package static func endOfLease(_ bytes: [UInt8]) throws(EtcdError) {
        let _: LeaseRevokeReply = try decode(bytes)
    }

    /// The token of a user, never empty.
    package static func token(_ bytes: [UInt8]) throws(EtcdError) -> String {
        let reply: AuthenticateReply = try decode(bytes)
        guard let token = reply.token, !token.isEmpty else {
            throw .malformed(reason: "an authentication without a token")
        }
        return token
    }

    /// One line of a watch: the revision that it tells, nil when it tells none.
    ///
    /// - Throws: why the watch has ended; `compacted` when the revision asked for is history.
    package static func watched(_ line: [UInt8], at endpoint: String) throws(EtcdError) -> Int64? {
        let streamed: Streamed<WatchReply> = try decode(line)
        if let error = streamed.error {
            throw .unavailable(reason: "\(endpoint): \(error.message ?? "the watch failed")")
        }
        guard let reply = streamed.result else { throw .malformed(reason: "a line of a watch has no result") }
        if let compacted = reply.compactRevision {
            throw .compacted(revision: try revision(compacted, of: "the end of a watch"))
        }
        if reply.canceled == true {
            throw .unavailable(reason: "\(endpoint): \(reply.cancelReason ?? "watch cancelled")")
        }
        guard let revision = reply.header?.revision else { return nil }
        return try self.revision(revision, of: "a line of a watch")
    }

    /// What an answer with another HTTP status than 200 says.
    package static func failure(_ bytes: [UInt8], status: UInt, at endpoint: String) -> EtcdError {
        guard let failure: Failure = try? decode(bytes), let code = failure.code else {
            return .outcomeUnknown(reason: "\(endpoint) answers with HTTP status \(status)" + line(bytes))
        }
        let message = failure.message ?? "no reason given"
        if GatewayCode.harmless.contains(where: message.hasPrefix) {
            return .unavailable(reason: "\(endpoint): \(message)")
        }
        if GatewayCode.outdatedToken.contains(where: message.hasPrefix) {
            return .refused(code: GatewayCode.unauthenticated, message: message)
        }
        if code == GatewayCode.outOfRange, message.contains("compacted") { return .compacted(revision: 0) }
        return GatewayCode.unsettled.contains(code)
            ? .outcomeUnknown(reason: "\(endpoint): \(message)") : .refused(code: code, message: message)
    }

    // MARK: Parts

    /// Unknown fields are passed over; a value of another type than promised is an error.
    private static func decode<T: Decodable>(_ bytes: [UInt8]) throws(EtcdError) -> T {
        do {
            return try JSONDecoder().decode(T.self, from: Data(bytes))
        } catch {
            throw .malformed(reason: "no \(T.self) in \(bytes.count) bytes")
        }
    }

    /// A revision that can be one, and is not the last.
    private static func revision(_ text: Int64Text?, of what: String) throws(EtcdError) -> Int64 {
        guard let revision = text?.value, (0..<Int64.max).contains(revision) else {
            throw .malformed(reason: "\(what) without a revision")
        }
        return revision
    }

    private static func entries(_ reply: RangeReply) throws(EtcdError) -> [EtcdEntry] {
        var entries: [EtcdEntry] = []
        for entry in reply.entries ?? [] {
            guard let key = entry.key else { throw .malformed(reason: "an entry without a key") }
            let revision = try revision(entry.modRevision, of: "an entry")
            entries.append(EtcdEntry(key: Array(key), value: Array(entry.value ?? Data()), modRevision: revision))
        }
        return entries
    }

    private static func only(_ entries: [EtcdEntry], of key: [UInt8]) throws(EtcdError) -> EtcdEntry? {
        guard entries.count <= 1, entries.allSatisfy({ $0.key == key }) else {
            throw .malformed(reason: "another key than the one asked for")
        }
        return entries.first
    }

    /// The beginning of what is no JSON but may be of use to a person, such as etcd's refusal of a certificate.
    private static func line(_ bytes: [UInt8]) -> String {
        let line = String(decoding: bytes, as: UTF8.self).prefix(200).prefix { !$0.isNewline }
        return line.isEmpty || line.contains("<") ? "" : ": \(line)"
    }
}
