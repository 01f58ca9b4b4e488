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
        return try EtcdAnswer.page(try await call("kv/range", request, .read), of: range, limit: limit)
    }

    package func entry(_ key: [UInt8]) async throws(EtcdError) -> EtcdEntry? {
        try EtcdAnswer.entry(try await call("kv/range", RangeRequest(key: Data(key)), .read), of: key)
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
        return try EtcdAnswer.outcome(try await call("kv/txn", request, .change), of: conditions, changes)
    }

    // MARK: Leases

    /// A lease that ends when it is not kept alive for so many seconds; etcd may make them more.
    package func grantLease(seconds: Int64) async throws(EtcdError) -> Int64 {
        let request = LeaseGrantRequest(seconds: Int64Text(seconds))
        // One that is granted and not heard of ends by itself.
        return try EtcdAnswer.grantedLease(try await call("lease/grant", request, .read))
    }

    /// - Returns: false when there is no such lease any more.
    package func keepLeaseAlive(_ id: Int64) async throws(EtcdError) -> Bool {
        let reply = try await call("lease/keepalive", LeaseRequest(id: Int64Text(id)), .read)
        return try EtcdAnswer.isAlive(reply, lease: id)
    }

    /// Ends a lease and removes its keys; one that has ended is no error.
    package func revokeLease(_ id: Int64) async throws(EtcdError) {
        do throws(EtcdError) {
            try EtcdAnswer.endOfLease(try await call("lease/revoke", LeaseRequest(id: Int64Text(id)), .read))
        } catch .refused(GatewayCode.notFound, _) {
            // Not found.
        }
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
