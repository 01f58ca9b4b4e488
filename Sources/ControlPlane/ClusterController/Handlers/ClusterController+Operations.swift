import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol

/// Operations: what they would do, their beginning, their changes, and where they are.
extension ClusterController {
    func plan(_ request: PlanOperation) throws(WireStatus) -> OperationPlan {
        let view = currentView
        let operation = try operation(.random(), for: request.order, in: view)
        let ledger = state.withLock(\.operations)
        var plan = OperationPlan(of: operation, in: view, ledger, limits: options.operations)
        plan.remarks = Array((plan.remarks + remarks(on: operation, in: view)).prefix(OperationPlan.remarkLimit))
        return plan
    }

    /// Records the operation; the controller carries it out from then on, whichever coordinator that is.
    ///
    /// - Returns: the operation that does just this, where one is under way.
    func begin(_ request: BeginOperation) async throws(WireStatus) -> OperationDescription {
        var earlier: OperationID?
        // What another coordinator has seen the end of is not under way.
        if request.fingerprint == 0, underWay(request.order, in: currentView) != nil { await refresh() }
        try await commit(isFirst: true) { records throws(WireStatus) in
            earlier = nil
            // A commit whose end was not heard of may have made it.
            if let known = records.metadata.operations[request.id] {
                guard request.order.mayHaveBegun(known, in: records.metadata) else {
                    throw WireStatus(
                        .invalidRequest,
                        "Operation \(request.id) was begun by another order; give this one an id of its own."
                    )
                }
                return nil
            }
            var view = self.currentView
            view.metadata = records.metadata
            // What was planned is begun as it was planned, or not at all.
            if request.fingerprint == 0 {
                earlier = self.underWay(request.order, in: view)
                guard earlier == nil else { return nil }
            }
            let operation = try self.operation(request.id, for: request.order, in: view)
            let fingerprint = operation.fingerprint(in: records.metadata)
            guard request.fingerprint == 0 || request.fingerprint == fingerprint else {
                throw WireStatus(
                    .invalidRequest,
                    "The cluster has changed since that plan: it would be another now. 'mien plan' with the same words "
                        + "tells which."
                )
            }
            return self.beginning(of: operation, for: request.order, in: records)
        }
        if let earlier { return try describe(earlier) }
        let description = try describe(request.id)
        logger.notice(
            "operation begun",
            metadata: [
                "operation": "\(request.id)", "kind": "\(description.kind)", "steps": "\(description.steps.count)",
            ]
        )
        changes.raise()
        return description
    }

    func change(_ request: ChangeOperation) async throws(WireStatus) -> OperationDescription {
        try await commit(isFirst: true) { records throws(WireStatus) in
            guard let old = records.metadata.operations[request.id] else { throw Self.unknown(request.id) }
            var operation = old
            switch (request.verb, operation.state) {
            case (.pause, .running): operation.state = .paused
            case (.resume, .paused): operation.state = .running
            case (.pause, .paused), (.resume, .running), (.cancel, .cancelling), (.cancel, .cancelled): return nil
            case (.cancel, .running), (.cancel, .paused):
                if let rollout = operation.rollout, rollout.isPastCommitPoint(in: records.metadata) {
                    throw WireStatus(
                        .invalidRequest,
                        "\(OperationText.pastCommitPoint)codebook \(rollout.generation) is the collection's, and "
                            + "operation \(request.id) ends by itself when every row is coded by it."
                    )
                }
                guard operation.cancel(records.metadata.placement) else {
                    throw WireStatus(
                        .invalidRequest,
                        OperationText.refusalToCancel(operation, in: records.metadata)
                    )
                }
            case (_, .done), (_, .cancelled):
                throw WireStatus(.invalidRequest, "Operation \(request.id) has ended.")
            case (.pause, .cancelling), (.resume, .cancelling):
                throw WireStatus(.invalidRequest, "Operation \(request.id) is being cancelled.")
            }
            var conditions = [records.unchanged(ClusterRecords.operationKey(request.id))]
            var changes = [ClusterRecords.put(operation)]
            if request.verb == .cancel {
                Self.takeBack(operation, in: records, &conditions, &changes)
                conditions += Self.groupsUnchanged(of: [old], in: records, beside: conditions)
            }
            return (conditions, changes)
        }
        logger.notice(
            "operation changed",
            metadata: ["operation": "\(request.id)", "verb": "\(request.verb)"]
        )
        changes.raise()
        return try describe(request.id)
    }

    func operations() -> OperationList {
        let (view, ledger, now) = operationView
        return OperationList(
            operations: view.metadata.operations.values.sorted { ($0.created, $0.id) < ($1.created, $1.id) }.map {
                self.description(of: $0, in: view, ledger, now: now)
            },
            replacements: replacements(in: view, ledger, now: now)
        )
    }

    func explain(_ request: ExplainShard) throws(WireStatus) -> ShardExplanation {
        let view = currentView
        let shard = try Self.shard(request.collection, request.shardIndex, in: view)
        guard let placement = view.metadata.placement(of: shard) else { throw Self.notFound(request.collection) }
        return ShardExplanation(
            verdicts: view.metadata.workers.keys.sorted().map { worker in
                let explanation = PlacementExplanation.explain(placement, on: worker, in: view)
                let pin = view.metadata.pins[shard].flatMap { $0.workers.contains(worker) ? $0 : nil }
                return .init(
                    worker: worker,
                    hasReplica: explanation.hasReplica,
                    isPinned: pin != nil,
                    rule: explanation.rule(isPinned: pin != nil).rawValue,
                    reason: OperationText.sentence(explanation)
                        + (OperationText.silence(of: worker, explanation, in: view).map { " " + $0 } ?? "")
                        + (OperationText.failure(of: placement, on: worker, in: view).map { " " + $0 } ?? "")
                        + (placement.group.learners.contains(worker)
                            ? hitch(of: shard, on: worker, in: view).map { " " + $0 } ?? "" : "")
                        + (OperationText.warmth(of: shard, on: worker, in: view).map { " " + $0 } ?? "")
                        + (pin.map { " " + OperationText.sentence($0, on: worker, explanation) } ?? "")
                )
            }
        )
    }

    /// Puts another record of an operation in place of the one that it was made from.
    func advance(_ update: OperationPlanner.Update) async throws(WireStatus) {
        let id = update.old.id
        var next = update.new
        try await commit(asController: true) { records throws(WireStatus) in
            guard records.metadata.operations[id] == update.old,
                !PinPlanner.forbids(update.begun, in: records.metadata)
            else { return nil }
            next.ended = update.new.ended.map(records.metadata.nextEnd)
            // As it is recorded: nothing is put back any more.
            if next.ended != nil { next.formerStanding = .active }
            var conditions = [records.unchanged(ClusterRecords.operationKey(id))]
            var changes = [ClusterRecords.put(next)]
            // A pin that comes later looks at the steps under way once it is recorded.
            conditions += Self.pinsUnchanged(by: update.begun, in: records)
            guard update.new.state.hasEnded else { return (conditions, changes) }
            if case .decommission(let worker) = update.new.kind, update.new.state == .done,
                let address = records.metadata.workers[worker]
            {
                conditions.append(records.unchanged(ClusterRecords.workerKey(worker)))
                changes.append(ClusterRecords.put(worker, address, .decommissioned))
            }
            let outdated = records.metadata.outdatedOperations(beyond: ClusterRecords.endedOperationLimit)
            changes += outdated.map { .remove(key: ClusterRecords.operationKey($0)) }
            return (conditions, changes)
        }
        guard state.withLock(\.records).metadata.operations[id] == next else { return }
        let ended = update.new.state.hasEnded
        logger.log(
            level: ended ? .notice : .info,
            "operation advanced",
            metadata: [
                "operation": "\(id)", "state": "\(update.new.state)",
                "open": "\(update.new.steps.count { !$0.state.hasEnded })", "steps": "\(update.new.steps.count)",
            ]
        )
    }

    // MARK: Records

    private func beginning(
        of operation: Operation,
        for order: OperationOrder,
        in records: ClusterRecords
    ) -> (conditions: [MetadataCondition], changes: [MetadataChange]) {
        var operation = operation
        // There are some that are done once they have begun.
        operation.ended = operation.ended.map(records.metadata.nextEnd)
        var conditions = [records.unchanged(ClusterRecords.operationKey(operation.id))]
        var changes = [ClusterRecords.put(operation)]
        if let (worker, standing) = order.standing, let address = records.metadata.workers[worker] {
            conditions.append(records.unchanged(ClusterRecords.workerKey(worker)))
            changes.append(ClusterRecords.put(worker, address, standing))
            // Shards that are placed at the same moment, by the workers that there were, are placed again.
            if standing != .active {
                conditions.append(records.unchanged(ClusterRecords.epochKey))
                changes.append(ClusterRecords.put(records.metadata.epoch))
            }
        }
        if case .recommission(let worker) = order {
            let drains = records.metadata.openOperations.filter { $0.drainedWorker == worker }
            conditions += Self.groupsUnchanged(of: drains, in: records, beside: conditions)
            for var drain in drains {
                // What has left already stays where it is: nothing else may begin on account of the drain.
                if !drain.cancel(records.metadata.placement) { drain.state = .cancelling }
                conditions.append(records.unchanged(ClusterRecords.operationKey(drain.id)))
                changes.append(ClusterRecords.put(drain))
            }
        }
        if case .copies(_, let count) = order, case .copies(let id, _) = operation.kind {
            Self.recount(id, count, in: records, &conditions, &changes)
        }
        Self.touch(collectionsNumberedBy: operation, in: records, &conditions, &changes)
        if operation.kind == .change { conditions += Self.pinsUnchanged(by: operation.steps, in: records) }
        return (conditions, changes)
    }

    /// Conditions that nobody pins anything of the steps' collections meanwhile: what a pin forbids waits for its end.
    static func pinsUnchanged(
        by steps: [Operation.Step],
        in records: ClusterRecords
    ) -> [MetadataCondition] {
        Set(steps.map(\.shard.collection)).sorted().map { records.unchanged(ClusterRecords.pinKey($0)) }
    }

    /// Conditions that nobody changes the groups by which steps under way are past their commit points, or not: in one
    /// moment with a cancellation no step passes its own. Of steps in too many collections the rest may.
    private static func groupsUnchanged(
        of operations: [Operation],
        in records: ClusterRecords,
        beside others: [MetadataCondition]
    ) -> [MetadataCondition] {
        let steps = operations.flatMap(\.steps).filter { $0.state == .running }
        return Set(steps.map(\.shard.collection)).sorted().prefix(OperationPlanner.beginLimit)
            .map { records.unchanged(ClusterRecords.collectionKey($0)) }.filter { !others.contains($0) }
    }

    /// What a cancelled operation had changed besides groups.
    private static func takeBack(
        _ operation: Operation,
        in records: ClusterRecords,
        _ conditions: inout [MetadataCondition],
        _ changes: inout [MetadataChange]
    ) {
        if let worker = operation.drainedWorker, let address = records.metadata.workers[worker] {
            conditions.append(records.unchanged(ClusterRecords.workerKey(worker)))
            changes.append(ClusterRecords.put(worker, address, operation.formerStanding))
        }
        if case .copies(let id, let former) = operation.kind { recount(id, former, in: records, &conditions, &changes) }
        // Its codebook must not come into the record at the same moment.
        if let rollout = operation.rollout {
            conditions.append(records.unchanged(ClusterRecords.collectionKey(rollout.collection)))
        }
    }

    /// The number of a collection's next codebook, and those of its next shards, follow from its record and from the
    /// operations that there are. Two that take some are never begun at the same moment: each is conditional on the
    /// collection's record, and puts it anew.
    static func touch(
        collectionsNumberedBy operation: Operation,
        in records: ClusterRecords,
        _ conditions: inout [MetadataCondition],
        _ changes: inout [MetadataChange]
    ) {
        let dividing = operation.steps.filter { !$0.change.successors.isEmpty }.map(\.shard.collection)
        for collection in Set(dividing + [operation.rollout?.collection].compactMap(\.self)).sorted() {
            guard let record = records.metadata.collections[collection] else { continue }
            conditions.append(records.unchanged(ClusterRecords.collectionKey(collection)))
            changes.append(ClusterRecords.put(record))
        }
    }

    private static func recount(
        _ collection: CollectionID,
        _ count: CopyCount,
        in records: ClusterRecords,
        _ conditions: inout [MetadataCondition],
        _ changes: inout [MetadataChange]
    ) {
        guard var record = records.metadata.collections[collection] else { return }
        record.reconfigure {
            $0.replicationFactor = count.replicationFactor
            $0.minimumInSync = count.minimumInSync
        }
        conditions.append(records.unchanged(ClusterRecords.collectionKey(collection)))
        changes.append(ClusterRecords.put(record))
    }

    private func operation(
        _ id: OperationID,
        for order: OperationOrder,
        in view: ClusterView
    ) throws(WireStatus) -> Operation {
        let request = try request(order, in: view)
        do throws(OperationRefusal) {
            return try request.operation(id, in: view, now: .wallClock)
        } catch {
            throw WireStatus(.invalidRequest, error.description)
        }
    }

    /// The operation that is under way and does what is ordered; see ``OperationRequest/operationUnderWay(in:)``.
    private func underWay(_ order: OperationOrder, in view: ClusterView) -> OperationID? {
        let request: OperationRequest? =
            switch order {
            // Some of these shards may be gone by now.
            case .split: order.request(in: view.metadata)
            case .merge(_, let indices) where indices.count.isMultiple(of: 2): order.request(in: view.metadata)
            default: try? self.request(order, in: view)
            }
        return request?.operationUnderWay(in: view.metadata)?.id
    }

    private func request(_ order: OperationOrder, in view: ClusterView) throws(WireStatus) -> OperationRequest {
        switch order {
        case .move(let collection, let index, let from, let to):
            .move(try Self.shard(collection, index, in: view), from: from, to: to)
        case .lead(let collection, let index, let worker): .lead(try Self.shard(collection, index, in: view), worker)
        case .drain(let worker): .drain(worker)
        case .decommission(let worker): .decommission(worker)
        case .recommission(let worker): .recommission(worker)
        case .copies(let collection, let count):
            .copies(try Self.collectionID(collection, in: view), count)
        case .rebalance: .rebalance
        case .split(let collection, let indices):
            .split(try Self.collectionID(collection, in: view), try Self.shards(of: collection, indices, in: view))
        case .merge(let collection, let indices):
            .merge(try Self.collectionID(collection, in: view), try Self.pairs(of: collection, indices, in: view))
        case .train(let collection):
            .train(
                try Self.collectionID(collection, in: view),
                leastFaceCount: options.training.minimumFaceCount
            )
        }
    }

    /// All shards of the collection when none is named.
    private static func shards(
        of name: String,
        _ indices: [UInt32],
        in view: ClusterView
    ) throws(WireStatus) -> [UInt32] {
        for index in indices { _ = try shard(name, index, in: view) }
        guard indices.isEmpty else { return indices }
        return view.metadata.collection(named: name)?.placements.map(\.shard.index) ?? []
    }

    /// One pair after the other as they are named; neighbours from the start of the ring when none is.
    private static func pairs(
        of name: String,
        _ indices: [UInt32],
        in view: ClusterView
    ) throws(WireStatus) -> [OperationRequest.ShardPair] {
        for index in indices { _ = try shard(name, index, in: view) }
        guard indices.count % 2 == 0 else {
            throw WireStatus(.invalidRequest, "Shards are merged in pairs, and \(indices.count) are named.")
        }
        var indices = indices
        if indices.isEmpty, let record = view.metadata.collection(named: name) {
            indices = record.placements.sorted { $0.range.first < $1.range.first }.map(\.shard.index)
            guard indices.count > 1 else {
                throw WireStatus(.invalidRequest, "Collection '\(name)' has one shard: there is nothing to merge.")
            }
        }
        return pairs(indices)
    }

    /// Each two that follow each other; one that is left over has no other.
    static func pairs(_ indices: [UInt32]) -> [OperationRequest.ShardPair] {
        stride(from: 0, to: indices.count - 1, by: 2).map { .init(indices[$0], indices[$0 + 1]) }
    }

    private static func collectionID(_ name: String, in view: ClusterView) throws(WireStatus) -> CollectionID {
        guard let record = view.metadata.collection(named: name) else { throw notFound(name) }
        return record.collection.id
    }

    static func shard(_ name: String, _ index: UInt32, in view: ClusterView) throws(WireStatus) -> ShardID {
        let shard = ShardID(collection: try collectionID(name, in: view), index: index)
        guard view.metadata.placement(of: shard) != nil else {
            throw WireStatus(.invalidRequest, "Collection '\(name)' has no shard \(index).")
        }
        return shard
    }

    private static func unknown(_ id: OperationID) -> WireStatus {
        WireStatus(.notFound, "There is no operation \(id); 'mien operations' lists those there are.")
    }

    // MARK: Descriptions

    private var operationView: (ClusterView, OperationLedger, Duration) {
        let now = now
        return state.withLock { ($0.view(now: now), $0.operations, now) }
    }

    private func describe(_ id: OperationID) throws(WireStatus) -> OperationDescription {
        let (view, ledger, now) = operationView
        guard let operation = view.metadata.operations[id] else { throw Self.unknown(id) }
        return description(of: operation, in: view, ledger, now: now)
    }

    private func description(
        of operation: Operation,
        in view: ClusterView,
        _ ledger: OperationLedger,
        now: Duration
    ) -> OperationDescription {
        let hindrances = Occupancy(view, limits: options.operations).hindrances(of: operation, in: view)
        var description = OperationDescription(
            id: operation.id,
            kind: .init(operation.kind),
            state: operation.state,
            created: operation.created,
            ended: operation.ended,
            note: operation.note,
            steps: zip(operation.steps, hindrances).map { step, hindrance in
                var description = Self.description(of: step, in: view)
                description.waitsFor = waitsFor(step, of: operation, in: view, hindrance)
                guard step.state.isUnderWay else { return description }
                let key = OperationLedger.Key(step, of: operation.id)
                return Self.adding(ledger.progress(of: key), to: description, now: now)
            }
        )
        description.addCopying(of: operation, in: view, ledger, limits: options.operations)
        if operation.steps.allSatisfy(\.state.hasEnded), description.note == nil {
            let remainder = OperationPlanner.remainder(of: operation, in: view)
            description.note = remainder.map { OperationText.sentence($0, in: view) }
        }
        if let since = ledger.standstill(of: operation.id) {
            description.standstillMilliseconds = Self.milliseconds(now - since)
        }
        switch operation.kind {
        case .drain(let worker), .decommission(let worker), .recommission(let worker): description.worker = worker
        case .copies(let collection, _):
            description.collection = view.metadata.collections[collection]?.collection.name
        case .rollout(let rollout):
            description.collection = view.metadata.collections[rollout.collection]?.collection.name
            description.rollout = self.description(of: rollout, operation, in: view, ledger, now: now)
            guard !operation.state.hasEnded else { break }
            let trainings = state.withLock(\.trainings)
            description.failedTrainingCount = UInt32(trainings.memory(of: rollout.collection).failureCount)
        case .change, .rebalance: break
        }
        return description
    }

    /// What a step that has not ended waits for, as a sentence; nil when it waits for nothing.
    private func waitsFor(
        _ step: Operation.Step,
        of operation: Operation,
        in view: ClusterView,
        _ hindrance: OperationPlanner.Hindrance?
    ) -> String? {
        switch step.state {
        case .done, .undone: return nil
        case .waiting: return hindrance.map { OperationText.sentence($0, in: view) }
        case .running, .undoing:
            if operation.state == .paused { return OperationText.sentence(.paused, in: view) }
            guard case .wait(let reason) = OperationPlanner.next(step, of: operation, in: view) else { return nil }
            let sentence = OperationText.sentence(reason, in: view)
            let hitch: String? =
                switch reason {
                case .catchingUp(let worker): hitch(of: step.shard, on: worker, in: view)
                case .preparing(let worker):
                    OperationText.hitch(of: step, on: worker, in: view) { lastFailure(about: $0, on: worker) }
                case .resting: OperationText.hitch(ofArchiving: step, in: view)
                case .tooFewInSync, .tooFewThere, .noSuccessor, .unaware, .former, .archiving, .draining, .notReady:
                    nil
                }
            return hitch.map { "\(sentence) \($0)" } ?? sentence
        }
    }

    /// Why a replica that is meant for a worker does not come there, as a sentence; nil when nothing is known to be in
    /// the way.
    func hitch(of shard: ShardID, on worker: NodeID, in view: ClusterView) -> String? {
        if let hitch = OperationText.hitch(of: shard, on: worker, in: view) { return hitch }
        return lastFailure(about: shard, on: worker).map { "It is not hosted there: \($0)" }
    }

    /// Why a worker did not do what it was last asked for about a shard; nil when it did.
    private func lastFailure(about shard: ShardID, on worker: NodeID) -> String? {
        state.withLock { $0.actions.lastFailure(of: .replica(shard, worker)) }
    }

    /// Operations, and steps of them, that have not got on for too long, with what they wait for.
    func stalledOperations(
        in view: ClusterView,
        _ ledger: OperationLedger,
        now: Duration
    ) -> [ReconcileProblem] {
        let (steps, operations) = (ledger.stalled(now: now), ledger.stalledOperations(now: now))
        guard !steps.isEmpty || !operations.isEmpty else { return [] }
        let occupancy = Occupancy(view, limits: options.operations)
        let newcomers = view.newcomersByKey
        return steps.compactMap { key -> ReconcileProblem? in
            guard let id = key.operation else {
                return newcomers[key].map {
                    .stalledNewcomer($0.shard, worker: $0.worker, reason: waitsFor($0, in: view))
                }
            }
            guard let operation = view.metadata.operations[id], let step = operation.steps.first(where: key.isOf) else {
                return nil
            }
            let reason = waitsFor(step, of: operation, in: view, nil)
            return .stalledStep(id, key.shard, reason: reason ?? "Its next change of the group is not made.")
        }
            + operations.compactMap { id -> ReconcileProblem? in
                guard let operation = view.metadata.operations[id] else { return nil }
                let hindrance = occupancy.hindrances(of: operation, in: view).lazy.compactMap { $0 }.first
                let remainder = OperationPlanner.remainder(of: operation, in: view)
                let reason =
                    hindrance.map { OperationText.sentence($0, in: view) }
                    ?? remainder.map { OperationText.sentence($0, in: view) }
                return .stalledOperation(id, reason: reason ?? "Its end is not recorded.")
            }
    }

    static func description(of step: Operation.Step, in view: ClusterView) -> OperationDescription.Step {
        let placement = view.metadata.placement(of: step.shard)
        let isCopied = (step.change.newcomer != nil || !step.change.successors.isEmpty) && !step.state.hasEnded
        return OperationDescription.Step(
            collection: view.metadata.collections[step.shard.collection]?.collection.name ?? "",
            shardIndex: step.shard.index,
            change: step.change,
            state: step.state,
            totalByteCount: isCopied ? placement.map { ReplicaSize(of: $0, in: view).diskByteCount } ?? 0 : 0
        )
    }
}

extension OperationOrder {
    /// What a worker may be used for as soon as it was given.
    fileprivate var standing: (NodeID, WorkerStanding)? {
        switch self {
        case .drain(let worker), .decommission(let worker): (worker, .draining)
        case .recommission(let worker): (worker, .active)
        case .move, .lead, .copies, .rebalance, .split, .merge, .train: nil
        }
    }
}

extension OperationDescription.Kind {
    init(_ kind: Operation.Kind) {
        self =
            switch kind {
            case .change: .change
            case .drain: .drain
            case .decommission: .decommission
            case .recommission: .recommission
            case .copies: .copies
            case .rebalance: .rebalance
            case .rollout: .rollout
            }
    }
}
