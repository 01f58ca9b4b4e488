import FoundationEssentials

extension EtcdClient {
    /// Entries of a range in order of key, at most `limit`.
    ///
    /// - Parameter revision: as of which; nil for now, which sees every change that was acknowledged before.
    package func entries(
        in range: EtcdRange,
        limit: Int,
        asOf revision: Int64? = nil
    ) async throws(EtcdError) -> EtcdPage {
        let request = RangeRequest(
            key: Data(range.first),
            rangeEnd: Data(range.end),
            limit: Int64Text(Int64(limit)),
            revision: revision.map(Int64Text.init)
        )
        return try Self.page(try await call("kv/range", request, .read))
    }

    package func entry(_ key: [UInt8]) async throws(EtcdError) -> EtcdEntry? {
        let reply: RangeReply = try await call("kv/range", RangeRequest(key: Data(key)), .read)
        let page = try Self.page(reply)
        guard page.entries.allSatisfy({ $0.key == key }), page.entries.count <= 1 else {
            throw .malformed(reason: "another key than the one asked for")
        }
        return page.entries.first
    }

    /// Applies all changes when all conditions hold, else none.
    ///
    /// - Throws: `outcomeUnknown` when the changes may have been made.
    package func commit(
        _ conditions: [EtcdCondition],
        _ changes: [EtcdChange]
    ) async throws(EtcdError) -> EtcdOutcome {
        let request = TransactionRequest(
            compare: conditions.map(CompareRequest.init),
            success: changes.map(OperationRequest.init),
            failure: conditions.map { OperationRequest(range: RangeRequest(key: Data($0.key), keysOnly: true)) }
        )
        let reply: TransactionReply = try await call("kv/txn", request, .change)
        let revision = try Self.revision(reply.header?.revision, of: "a transaction")
        let responses = reply.responses ?? []
        // The gateway passes over fields that it does not know: what it took for the request shows in the answer.
        guard reply.succeeded == true else {
            guard responses.count == conditions.count, !conditions.isEmpty else {
                throw .malformed(reason: "a failed transaction answers \(responses.count) operations of its own")
            }
            var entries: [EtcdEntry?] = []
            for response in responses {
                guard let range = response.range else { throw .malformed(reason: "a transaction's answer is no range") }
                entries.append(try Self.entries(range).first)
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

    // MARK: Leases

    /// A lease that ends when it is not kept alive for so many seconds; etcd may make them more.
    package func grantLease(seconds: Int64) async throws(EtcdError) -> Int64 {
        let request = LeaseGrantRequest(seconds: Int64Text(seconds))
        // One that is granted and not heard of ends by itself.
        let reply: LeaseReply = try await call("lease/grant", request, .read)
        guard let id = reply.id?.value, id != 0, let granted = reply.seconds?.value, granted > 0 else {
            throw .malformed(reason: "a lease without an id")
        }
        return id
    }

    /// - Returns: false when there is no such lease any more.
    package func keepLeaseAlive(_ id: Int64) async throws(EtcdError) -> Bool {
        let reply: Streamed<LeaseReply> = try await call("lease/keepalive", LeaseRequest(id: Int64Text(id)), .read)
        if let error = reply.error { throw .unavailable(reason: error.message ?? "a lease was not kept alive") }
        guard let lease = reply.result, lease.id?.value == id else {
            throw .malformed(reason: "another lease than the one asked for")
        }
        return (lease.seconds?.value ?? 0) > 0
    }

    /// Ends a lease and removes its keys; one that has ended is no error.
    package func revokeLease(_ id: Int64) async throws(EtcdError) {
        do throws(EtcdError) {
            let _: LeaseRevokeReply = try await call("lease/revoke", LeaseRequest(id: Int64Text(id)), .read)
        } catch .refused(5, _) {
            // Not found.
        }
    }

    private static func page(_ reply: RangeReply) throws(EtcdError) -> EtcdPage {
        let revision = try revision(reply.header?.revision, of: "a range")
        return EtcdPage(entries: try entries(reply), revision: revision, hasMore: reply.more ?? false)
    }

    /// A revision that can be one, and is not the last.
    static func revision(_ text: Int64Text?, of what: String) throws(EtcdError) -> Int64 {
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
}

extension CompareRequest {
    init(_ condition: EtcdCondition) {
        switch condition {
        case .absent(let key): self.init(key: Data(key), target: "CREATE", createRevision: Int64Text(0))
        case .unchanged(let key, let revision):
            self.init(key: Data(key), target: "MOD", modRevision: Int64Text(revision))
        }
    }
}

extension OperationRequest {
    init(_ change: EtcdChange) {
        switch change {
        case .put(let key, let value, let lease):
            self.init(put: PutRequest(key: Data(key), value: Data(value), lease: lease.map(Int64Text.init)))
        case .delete(let key): self.init(deleteRange: DeleteRangeRequest(key: Data(key)))
        }
    }
}
