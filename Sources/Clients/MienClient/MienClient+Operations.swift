import ClusterModel
import WireProtocol

extension MienClient {
    /// What an operation would do, and what would hold it up now; nothing is changed.
    ///
    /// - Throws: `invalidRequest` with the rule that the operation would break, `notFound`.
    public func plan(_ request: OperationRequest) async throws(MienClientError) -> OperationPlanInfo {
        OperationPlanInfo(try await caller.call(PlanOperation(order: try request.order)))
    }

    /// Begins an operation; it goes on after the answer, and whatever becomes of this client.
    ///
    /// - Throws: as ``plan(_:)``; nothing was begun then.
    public func begin(_ request: OperationRequest) async throws(MienClientError) -> OperationInfo {
        // Sent again under one id, it is begun once.
        OperationInfo(try await caller.call(BeginOperation(id: .random(), order: try request.order)))
    }

    /// Operations that are open and the last that ended, the oldest first.
    public func operations() async throws(MienClientError) -> [OperationInfo] {
        try await caller.call(ListOperations()).operations.map(OperationInfo.init)
    }

    /// Begins nothing more of an operation, and leaves what is under way as it is.
    ///
    /// - Throws: `notFound`, `invalidRequest` when it has ended.
    @discardableResult
    public func pauseOperation(_ id: String) async throws(MienClientError) -> OperationInfo {
        try await change(id, .pause)
    }

    /// Lets a paused operation go on.
    @discardableResult
    public func resumeOperation(_ id: String) async throws(MienClientError) -> OperationInfo {
        try await change(id, .resume)
    }

    /// Takes an operation back: replicas that have not left stay, those that came for them leave again.
    ///
    /// - Throws: also `invalidRequest` when it is past the point where that is possible.
    @discardableResult
    public func cancelOperation(_ id: String) async throws(MienClientError) -> OperationInfo {
        try await change(id, .cancel)
    }

    /// Why the replicas of a shard are where they are: one reason for each worker.
    public func explain(_ collection: String, shard: Int) async throws(MienClientError) -> [PlacementReason] {
        let request = ExplainShard(collection: collection, shardIndex: UInt32(clamping: shard))
        return try await caller.call(request).verdicts.map {
            PlacementReason(workerID: $0.worker.description, hasReplica: $0.hasReplica, reason: $0.reason)
        }
    }

    private func change(
        _ id: String,
        _ verb: ChangeOperation.Verb
    ) async throws(MienClientError) -> OperationInfo {
        guard let id = OperationID(id) else {
            throw MienClientError(code: .notFound, message: "'\(id.prefix(64))' is no operation's identity.")
        }
        return OperationInfo(try await caller.call(ChangeOperation(id: id, verb: verb)))
    }
}
