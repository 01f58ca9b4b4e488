import ClusterModel
import WireProtocol

extension MienClient {
    /// What an operation would do, and what would hold it up now; nothing is changed.
    ///
    /// - Throws: `invalidRequest` with the rule that the operation would break, `notFound`.
    public func plan(_ request: OperationRequest) async throws(MienClientError) -> OperationPlanInfo {
        OperationPlanInfo(try await caller.call(PlanOperation(order: try request.order)))
    }

    /// Begins an operation; it goes on after the answer, and whatever becomes of this client. Where one that does just
    /// this is under way, or paused, it is that one, and none is begun.
    ///
    /// - Parameter plan: identity of a plan of the same request: what would do anything else by now is not begun.
    /// - Throws: as ``plan(_:)``; nothing was begun then. `invalidRequest` when the plan would be another now;
    ///   `incompatibleVersion` where all coordinators are of an earlier version, which would not look at it.
    public func begin(
        _ request: OperationRequest,
        planned plan: String? = nil
    ) async throws(MienClientError) -> OperationInfo {
        var fingerprint: UInt64 = 0
        if let plan {
            guard let number = OperationPlanInfo.fingerprint(plan) else {
                throw .withoutEffect(
                    .invalidRequest,
                    "'\(plan.prefix(64))' is no plan's identity: 'mien plan' shows it."
                )
            }
            fingerprint = number
        }
        // Sent again under one id, it is begun once.
        return OperationInfo(
            try await caller.call(
                BeginOperation(id: .random(), order: try request.order, fingerprint: fingerprint)
            )
        )
    }

    /// Operations that are open and the last that ended, the oldest first.
    public func operations() async throws(MienClientError) -> [OperationInfo] {
        try await operationOverview().operations
    }

    /// Operations, and the replicas that no operation brings.
    public func operationOverview() async throws(MienClientError) -> OperationOverview {
        OperationOverview(try await caller.call(ListOperations()))
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
        let request = ExplainShard(collection: collection, shardIndex: try ShardNumber.wire(shard))
        return Self.reasons(try await caller.call(request))
    }

    /// Makes replicas of a shard stay where they are: nothing that is not asked for by name moves them, and what is
    /// asked for is refused. A worker that is gone for good is replaced all the same.
    ///
    /// - Parameters:
    ///   - workers: identities of those whose replicas stay, in place of what was pinned before; none for all that have
    ///     one.
    ///   - primary: the one of them that is to have the primary; nil for any.
    /// - Returns: as ``explain(_:shard:)``.
    /// - Throws: `invalidRequest` with the rule that the pin would break, `notFound`.
    @discardableResult
    public func pin(
        _ collection: String,
        shard: Int,
        to workers: [String] = [],
        primary: String? = nil
    ) async throws(MienClientError) -> [PlacementReason] {
        var pin = PinShard.Pin()
        for worker in workers { pin.workers.append(try Self.worker(worker)) }
        if let primary { pin.primary = try Self.worker(primary) }
        let request = PinShard(collection: collection, shardIndex: try ShardNumber.wire(shard), pin: pin)
        return Self.reasons(try await caller.call(request))
    }

    /// Lets all replicas of a shard go that were pinned.
    @discardableResult
    public func unpin(_ collection: String, shard: Int) async throws(MienClientError) -> [PlacementReason] {
        let request = PinShard(collection: collection, shardIndex: try ShardNumber.wire(shard), pin: nil)
        return Self.reasons(try await caller.call(request))
    }

    /// Gives up what was agreed on of a shard after the record that the metadata store holds, which was put back to an
    /// earlier state: the replica that has most leads, and the others catch up with it. Unless all are there, answers
    /// say from then on that faces were given up.
    ///
    /// - Parameters:
    ///   - isPlan: only tell what would come of it.
    ///   - confirmed: what came of it when that was asked for, and nothing else is to; nil for whatever does.
    /// - Throws: `unavailable` when no replica is there, a coordinator has just begun, or something else would come of
    ///   it than was confirmed; `notFound`, `invalidRequest` for a shard that is not there; `incompatibleVersion`
    ///   where all coordinators are of an earlier version, which would not look at what was confirmed.
    public func acceptRecord(
        of collection: String,
        shard: Int,
        isPlan: Bool,
        confirmed: RecordAcceptance? = nil
    ) async throws(MienClientError) -> RecordAcceptance {
        var request = AcceptRecord(collection: collection, shardIndex: try ShardNumber.wire(shard), isPlan: isPlan)
        if let confirmed, let primary = confirmed.replicas.first(where: \.isPrimary) {
            request.confirmed = AcceptRecord.Confirmation(
                storedVersion: confirmed.storedVersion,
                primary: try Self.worker(primary.workerID),
                sequence: primary.sequence ?? 0
            )
        }
        return RecordAcceptance(try await caller.call(request), shardIndex: shard)
    }

    /// Goes on without what was lost with every replica of a shard that was in sync: the replica that has most of what
    /// there is leads, or an empty shard takes the place. Answers say from then on that faces were given up.
    ///
    /// - Parameters:
    ///   - isPlan: only tell what would come of it.
    ///   - confirmed: what came of it when that was asked for: nothing that gives up more is to, and what was done
    ///     already is answered as done; nil for whatever comes of it, be it an empty shard.
    /// - Throws: `invalidRequest` when nothing is lost, and for a shard that is not there; `notFound`; `unavailable`
    ///   when something else would come of it than was confirmed; `incompatibleVersion` where all coordinators are of
    ///   an earlier version, which would not look at that.
    public func recoverShard(
        of collection: String,
        shard: Int,
        isPlan: Bool,
        confirmed: ShardRecovery? = nil
    ) async throws(MienClientError) -> ShardRecovery {
        var request = RecoverShard(collection: collection, shardIndex: try ShardNumber.wire(shard), isPlan: isPlan)
        if let confirmed {
            guard let epoch = confirmed.epoch else {
                throw .withoutEffect(
                    .incompatibleVersion,
                    "The coordinator that told what would come of it is of an earlier version, and would not "
                        + "look at what was confirmed; bring it up to date first."
                )
            }
            request.confirmed = RecoverShard.Confirmation(epoch: epoch, primary: nil, sequence: 0)
            if !confirmed.isEmpty, let leader = confirmed.replicas.first(where: \.isPrimary) {
                request.confirmed?.primary = try Self.worker(leader.workerID)
                request.confirmed?.sequence = leader.sequence ?? 0
            }
        }
        var recovery = ShardRecovery(try await caller.call(request), of: shard)
        // Of what was done before nobody has kept whose they were.
        if recovery.lostWorkerIDs.isEmpty, let confirmed {
            recovery.lostWorkerIDs = confirmed.lostWorkerIDs
            recovery.awayWorkerIDs = confirmed.awayWorkerIDs
        }
        return recovery
    }

    /// When faces of a collection were given up, as far as they are not back.
    public func losses(of collection: String) async throws(MienClientError) -> [AcceptedLoss] {
        let list = try await caller.call(ReadLosses(collection: collection))
        return list.losses.map { AcceptedLoss($0) }
    }

    /// The faces of these losses are back: answers do not tell of them any more.
    ///
    /// - Parameter losses: as ``losses(of:)`` told them; one that came since stays.
    /// - Returns: those that are left.
    /// - Throws: also `incompatibleVersion` where all coordinators are of an earlier version, which would forget all.
    public func settle(
        _ losses: [AcceptedLoss],
        of collection: String
    ) async throws(MienClientError) -> [AcceptedLoss] {
        let request = ReadLosses(collection: collection, isSettling: true, settled: losses.map(\.loss))
        return try await caller.call(request).losses.map { AcceptedLoss($0) }
    }

    private static func worker(_ id: String) throws(MienClientError) -> NodeID {
        guard let worker = NodeID(id) else {
            throw .withoutEffect(.notFound, "'\(id.prefix(64))' is no worker's identity.")
        }
        return worker
    }

    private static func reasons(_ explanation: ShardExplanation) -> [PlacementReason] {
        explanation.verdicts.map {
            PlacementReason(
                workerID: $0.worker.description,
                hasReplica: $0.hasReplica,
                isPinned: $0.isPinned,
                rule: $0.rule,
                reason: $0.reason
            )
        }
    }

    private func change(
        _ id: String,
        _ verb: ChangeOperation.Verb
    ) async throws(MienClientError) -> OperationInfo {
        guard let id = OperationID(id) else {
            throw .withoutEffect(.notFound, "'\(id.prefix(64))' is no operation's identity.")
        }
        return OperationInfo(try await caller.call(ChangeOperation(id: id, verb: verb)))
    }
}
