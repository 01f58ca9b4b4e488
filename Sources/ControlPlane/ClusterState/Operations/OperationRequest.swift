package import ClusterModel
package import FaceModel

/// What operators ask for.
package enum OperationRequest: Hashable, Sendable {
    /// - Parameter to: the worker that gets the replica; nil for the one that suits best.
    case move(ShardID, from: NodeID, to: NodeID?)
    case lead(ShardID, NodeID)
    case drain(NodeID)
    case decommission(NodeID)
    /// The worker may be given replicas again; a drain of it that is under way is cancelled.
    case recommission(NodeID)
    case copies(CollectionID, CopyCount)
    case rebalance
    /// Each of the shards becomes two.
    case split(CollectionID, [UInt32])
    /// Each pair of neighbours becomes one shard.
    case merge(CollectionID, [ShardPair])
    /// The collection gets its next codebook, unless it has fewer faces than this.
    case train(CollectionID, leastFaceCount: UInt64)

    /// Two shards of a collection, in any order.
    package struct ShardPair: Hashable, Sendable {
        package var first: UInt32
        package var second: UInt32

        package init(_ first: UInt32, _ second: UInt32) {
            self.first = first
            self.second = second
        }
    }
}

/// Which rule an operation would break.
package struct OperationRefusal: Error, Hashable, CustomStringConvertible {
    /// A sentence.
    package let description: String

    init(_ description: String) { self.description = description }
}

extension OperationRequest {
    /// The operation that does what is asked for.
    ///
    /// - Throws: when it breaks a rule; nothing is to be recorded then.
    package func operation(
        _ id: OperationID,
        in view: ClusterView,
        now: Timestamp
    ) throws(OperationRefusal) -> Operation {
        var operation = Operation(id: id, kind: .change, created: now)
        switch self {
        case .move(let shard, let from, let to): operation.steps = [try Self.move(shard, from: from, to: to, in: view)]
        case .lead(let shard, let worker): operation.steps = [try Self.lead(shard, worker, in: view)]
        case .drain(let worker):
            operation.kind = .drain(worker)
            operation.formerStanding = view.metadata.standing(of: worker)
            operation.steps = try Self.drain(worker, in: view)
        case .decommission(let worker):
            operation.kind = .decommission(worker)
            operation.formerStanding = view.metadata.standing(of: worker)
            operation.steps = try Self.drain(worker, in: view)
        case .recommission(let worker):
            guard view.metadata.workers[worker] != nil else { throw Self.unknown(worker) }
            guard view.metadata.standing(of: worker) != .active else {
                throw OperationRefusal("\(Self.name(worker, view)) is neither being drained nor decommissioned.")
            }
            operation.kind = .recommission(worker)
            operation.state = .done
            operation.ended = now
        case .split(let collection, let shards):
            operation.steps = try Self.split(shards, of: collection, in: view)
        case .merge(let collection, let pairs):
            operation.steps = try Self.merge(pairs, of: collection, in: view)
        case .copies(let collection, let count): try Self.recount(collection, count, in: view, into: &operation)
        case .train(let collection, let count):
            operation.kind = .rollout(try Self.rollout(of: collection, leastFaceCount: count, in: view))
        case .rebalance:
            operation.kind = .rebalance
            operation.steps = RebalancePlanner.steps(in: view)
            guard !operation.steps.isEmpty else {
                throw OperationRefusal(
                    "Nothing has to move: no replica could be moved that would level the workers by a tenth in bytes, "
                        + "or by a quarter in what searches compare"
                        + (view.metadata.pins.isEmpty ? "." : "; pinned replicas stay.")
                )
            }
        }
        let (count, limit) = (operation.steps.count, Operation.newStepLimit)
        guard count <= limit else {
            throw OperationRefusal(
                "It would have \(count) steps, and an operation has \(limit) at most: move some of these replicas by "
                    + "themselves first."
            )
        }
        return operation
    }

    private static func move(
        _ shard: ShardID,
        from: NodeID,
        to: NodeID?,
        in view: ClusterView
    ) throws(OperationRefusal) -> Operation.Step {
        let group = try freeGroup(of: shard, in: view)
        guard group.members.contains(from) else {
            throw OperationRefusal("Shard \(shard.index) has no replica on the \(view.metadata.name(of: from)).")
        }
        try PinPlanner.check(.move(from: from, to: to ?? from), of: shard, in: view)
        if let to {
            guard view.metadata.workers[to] != nil else { throw unknown(to) }
            guard !group.members.contains(to) else {
                throw OperationRefusal("\(name(to, view)) holds a replica of shard \(shard.index) already.")
            }
            try checkTarget(to, in: view)
            return Operation.Step(shard: shard, change: .move(from: from, to: to))
        }
        let size = view.metadata.placement(of: shard).map { ReplicaSize(of: $0, in: view) } ?? ReplicaSize()
        guard let best = PlacementLoad(view).target(beside: group.members, taking: size) else {
            throw OperationRefusal(
                "Every worker that may be given replicas holds one of shard \(shard.index) already."
            )
        }
        return Operation.Step(shard: shard, change: .move(from: from, to: best))
    }

    private static func lead(
        _ shard: ShardID,
        _ worker: NodeID,
        in view: ClusterView
    ) throws(OperationRefusal) -> Operation.Step {
        let group = try freeGroup(of: shard, in: view)
        guard group.isInSync(worker) else {
            throw OperationRefusal("\(name(worker, view)) has no replica of shard \(shard.index) that is in sync.")
        }
        guard group.primary != worker else {
            throw OperationRefusal("\(name(worker, view)) has the primary of shard \(shard.index) already.")
        }
        try PinPlanner.check(.lead(worker), of: shard, in: view)
        return Operation.Step(shard: shard, change: .lead(worker))
    }

    private static func freeGroup(of shard: ShardID, in view: ClusterView) throws(OperationRefusal) -> ReplicaGroup {
        guard let group = view.metadata.placement(of: shard)?.group else {
            throw OperationRefusal("There is no shard \(shard.index).")
        }
        for operation in view.metadata.openOperations
        where operation.steps.contains(where: { $0.shards.contains(shard) && !$0.state.hasEnded }) {
            throw OperationRefusal("Operation \(operation.id) has a step open for shard \(shard.index).")
        }
        return group
    }

    private static func drain(_ worker: NodeID, in view: ClusterView) throws(OperationRefusal) -> [Operation.Step] {
        guard view.metadata.workers[worker] != nil else { throw unknown(worker) }
        if let other = view.metadata.openOperations.first(where: { $0.drainedWorker == worker }) {
            throw OperationRefusal("Operation \(other.id) is draining the \(view.metadata.name(of: worker)).")
        }
        try PinPlanner.checkDrain(of: worker, in: view)
        // Others that are being drained have to have somewhere to go as well.
        let leaving = Set(view.metadata.openOperations.compactMap(\.drainedWorker))
        let together = leaving.union([worker])
        for placement in view.metadata.placements
        where DrainPlanner.strandedCount(of: placement, leaving: together, in: view)
            > DrainPlanner.strandedCount(of: placement, leaving: leaving, in: view)
        {
            let name = view.metadata.collections[placement.shard.collection]?.collection.name ?? "?"
            let count = placement.group.members.count
            let others = placement.group.members.filter { $0 != worker && leaving.contains($0) }
            throw OperationRefusal(
                "Shard \(placement.shard.index) of collection '\(name)' has \(count) "
                    + "\(count == 1 ? "replica" : "replicas"), and of the other workers that may be given replicas "
                    + "each has one, or there is none"
                    + (others.isEmpty ? "" : ", or it is needed for that of a worker that is being drained")
                    + ": add a worker, or have fewer copies."
            )
        }
        var view = view
        view.metadata.standings[worker] = .draining
        // What has left already is waited for: the drain ends when these shards have all of their copies.
        let left = DrainPlanner.formerReplicas(on: worker, in: view).map {
            Operation.Step(shard: $0.shard, change: .remove(worker), state: .done)
        }
        let departure = DrainPlanner.departure(from: worker, in: view)
        // What is lost with a worker that is not heard of has to come somewhere whether it is drained or not.
        if view.liveWorkers.contains(worker), let refusal = departure.refusal(in: view) { throw refusal }
        return left + departure.steps
    }

    private static func recount(
        _ collection: CollectionID,
        _ count: CopyCount,
        in view: ClusterView,
        into operation: inout Operation
    ) throws(OperationRefusal) {
        guard let record = view.metadata.collections[collection] else {
            throw OperationRefusal("The collection was deleted meanwhile.")
        }
        guard record.restoration == nil else {
            throw OperationRefusal(
                "Collection '\(record.collection.name)' is being restored; ask again when it serves."
            )
        }
        var configuration = record.collection.configuration
        let former = CopyCount(
            replicationFactor: configuration.replicationFactor,
            minimumInSync: configuration.minimumInSync
        )
        guard former != count else {
            throw OperationRefusal("Collection '\(configuration.name)' has that number of copies already.")
        }
        configuration.replicationFactor = count.replicationFactor
        configuration.minimumInSync = count.minimumInSync
        if let problem = configuration.problem { throw OperationRefusal("The \(problem).") }
        guard count.replicationFactor <= view.placementWorkers.count else {
            throw OperationRefusal(
                "\(count.replicationFactor) copies need as many workers that may be given replicas, and there are "
                    + "\(view.placementWorkers.count)."
            )
        }
        if let other = view.metadata.openOperations.first(where: { operation in
            operation.steps.contains { $0.shard.collection == collection && !$0.state.hasEnded }
        }) {
            throw OperationRefusal("Operation \(other.id) has steps open for collection '\(configuration.name)'.")
        }
        operation.kind = .copies(collection, former: former)
        var load = PlacementLoad(view)
        var byteCounts = Self.byteCounts(view)
        for placement in record.placements {
            var members = placement.group.members
            let size = ReplicaSize(of: placement, in: view)
            while members.count < count.replicationFactor,
                let next = load.target(beside: members, taking: size)
            {
                load.add(next, to: members, taking: size)
                members.append(next)
                operation.steps.append(Operation.Step(shard: placement.shard, change: .add(next)))
            }
            // A learner rather than one in sync, one that is silent rather than one that is live, then the one whose
            // worker has most; never the primary.
            let mayLeave = placement.group.members.filter {
                $0 != placement.primary && !view.metadata.isPinned(placement.shard, on: $0)
            }
            let leavers = mayLeave.sorted { left, right in
                let (l, r) = (placement.group.isInSync(left), placement.group.isInSync(right))
                if l != r { return !l }
                let (leftLives, rightLives) = (view.liveWorkers.contains(left), view.liveWorkers.contains(right))
                if leftLives != rightLives { return !leftLives }
                return (byteCounts[right] ?? 0, left) < (byteCounts[left] ?? 0, right)
            }
            let leaverCount = max(placement.group.members.count - count.replicationFactor, 0)
            if leavers.count < leaverCount,
                let pinned = view.metadata.pins[placement.shard]?.workers.first(
                    where: { $0 != placement.primary }
                )
            {
                try PinPlanner.check(.remove(pinned), of: placement.shard, in: view)
            }
            for leaver in leavers.prefix(leaverCount) {
                byteCounts[leaver]? -= max(size.diskByteCount, 1)
                operation.steps.append(Operation.Step(shard: placement.shard, change: .remove(leaver)))
            }
        }
    }

    /// What each worker's replicas take on disk; an empty one counts as well.
    private static func byteCounts(_ view: ClusterView) -> [NodeID: UInt64] {
        var counts: [NodeID: UInt64] = [:]
        for placement in view.metadata.placements {
            let byteCount = max(ReplicaSize(of: placement, in: view).diskByteCount, 1)
            for member in placement.group.members { counts[member, default: 0] += byteCount }
        }
        return counts
    }

    private static func record(
        of collection: CollectionID,
        in view: ClusterView
    ) throws(OperationRefusal) -> CollectionRecord {
        guard let record = view.metadata.collections[collection] else {
            throw OperationRefusal("The collection was deleted meanwhile.")
        }
        guard record.isEstablished, record.restoration == nil else {
            throw OperationRefusal(
                "Collection '\(record.collection.name)' is not whole yet: it is being made, or restored."
            )
        }
        return record
    }

    /// The lowest index that no shard of the collection has had, or is about to have.
    static func nextIndex(of record: CollectionRecord, in view: ClusterView) -> UInt32 {
        let awaited = view.metadata.operations.values.flatMap(\.steps)
            .filter { $0.shard.collection == record.collection.id }.flatMap(\.change.successors)
        return max(record.nextShardIndex, awaited.max().map { $0 + 1 } ?? 0)
    }

    private static func split(
        _ shards: [UInt32],
        of collection: CollectionID,
        in view: ClusterView
    ) throws(OperationRefusal) -> [Operation.Step] {
        let record = try record(of: collection, in: view)
        guard Set(shards).count == shards.count, !shards.isEmpty else {
            throw OperationRefusal("Name each shard that is to be split, once.")
        }
        let count = record.placements.count + shards.count
        guard CollectionConfiguration.shardCountRange.contains(count) else {
            throw OperationRefusal(
                "A collection has at most \(CollectionConfiguration.shardCountRange.upperBound) shards, and this would "
                    + "make \(count)."
            )
        }
        var next = nextIndex(of: record, in: view)
        var steps: [Operation.Step] = []
        for index in shards {
            let shard = ShardID(collection: collection, index: index)
            _ = try freeGroup(of: shard, in: view)
            guard let range = record.placement(of: shard)?.range, range.last > range.first else {
                throw OperationRefusal("Shard \(index) has only one place on the ring.")
            }
            let cut = range.first + (range.last - range.first) / 2 + 1
            let change = ReplicaChange.split(at: cut, lower: next, upper: next + 1)
            try PinPlanner.check(change, of: shard, in: view)
            steps.append(Operation.Step(shard: shard, change: change))
            next += 2
        }
        return steps
    }

    private static func merge(
        _ pairs: [ShardPair],
        of collection: CollectionID,
        in view: ClusterView
    ) throws(OperationRefusal) -> [Operation.Step] {
        let record = try record(of: collection, in: view)
        let all = pairs.flatMap { [$0.first, $0.second] }
        guard Set(all).count == all.count, !pairs.isEmpty else {
            throw OperationRefusal("Name two shards for each that they are to become, each shard once.")
        }
        var next = nextIndex(of: record, in: view)
        var steps: [Operation.Step] = []
        for pair in pairs {
            var placements: [ShardPlacement] = []
            for index in [pair.first, pair.second] {
                let shard = ShardID(collection: collection, index: index)
                let group = try freeGroup(of: shard, in: view)
                guard group.learners.isEmpty else {
                    throw OperationRefusal("A replica of shard \(index) is catching up; try again when it has.")
                }
                placements.append(record.placement(of: shard)!)
            }
            placements.sort { $0.range.first < $1.range.first }
            let (lower, upper) = (placements[0], placements[1])
            guard lower.range.last < .max, lower.range.last + 1 == upper.range.first else {
                throw OperationRefusal(
                    "Shards \(lower.shard.index) and \(upper.shard.index) are no neighbours on the ring; "
                        + "'mien collection describe' lists the shards in the order in which they are."
                )
            }
            guard lower.group.inSync.count == upper.group.inSync.count else {
                throw OperationRefusal(
                    "Shards \(lower.shard.index) and \(upper.shard.index) have different numbers of replicas in sync; "
                        + "try again when they have the same."
                )
            }
            // The replicas of the one go where the other's are.
            let arrivals = lower.group.inSync.filter { !upper.group.inSync.contains($0) }
            let departures = upper.group.inSync.filter { !lower.group.inSync.contains($0) }
            for (from, to) in zip(departures, arrivals) {
                try checkTarget(to, in: view)
                steps.append(Operation.Step(shard: upper.shard, change: .move(from: from, to: to)))
            }
            let change = ReplicaChange.merge(with: upper.shard.index, into: next)
            for placement in placements { try PinPlanner.check(change, of: placement.shard, in: view) }
            steps.append(Operation.Step(shard: lower.shard, change: change))
            next += 1
        }
        return steps
    }

    private static func rollout(
        of collection: CollectionID,
        leastFaceCount: UInt64,
        in view: ClusterView
    ) throws(OperationRefusal) -> CodebookRollout {
        guard let record = view.metadata.collections[collection] else {
            throw OperationRefusal("The collection was deleted meanwhile.")
        }
        let name = record.collection.name
        if let (operation, rollout) = view.metadata.openRollout(of: collection) {
            throw OperationRefusal(
                "Operation \(operation.id) is bringing codebook \(rollout.generation) into collection '\(name)'."
            )
        }
        guard record.restoration == nil else {
            throw OperationRefusal("Collection '\(name)' is being restored; ask again when it serves.")
        }
        let faceCount = view.faceCount(of: record)
        guard faceCount >= max(leastFaceCount, 1) else {
            throw OperationRefusal(
                "Collection '\(name)' has \(faceCount) faces as its workers last reported, and below "
                    + "\(max(leastFaceCount, 1)) (coordinator.training.min_faces) every embedding is compared anyway."
            )
        }
        return CodebookRollout(collection: collection, generation: record.nextGeneration, cause: .request)
    }

    /// - Throws: the rule by which the worker may not be given replicas, and what to do about it; see
    ///   ``ClusterView/placementWorkers``.
    private static func checkTarget(_ worker: NodeID, in view: ClusterView) throws(OperationRefusal) {
        switch view.metadata.standing(of: worker) {
        case .active: break
        case .draining:
            throw OperationRefusal(
                "\(name(worker, view)) is being drained, or has been, and gets no replicas: 'mien recommission' it "
                    + "first."
            )
        case .decommissioned:
            throw OperationRefusal(
                "\(name(worker, view)) is decommissioned and gets no replicas: 'mien recommission' it first."
            )
        }
        guard view.liveWorkers.contains(worker) else {
            throw OperationRefusal("\(name(worker, view)) is not heard of: start it, and ask again.")
        }
        guard !view.isStopping(worker) else {
            throw OperationRefusal("\(name(worker, view)) is about to stop: ask again when it is back.")
        }
        guard !view.isShortOfMemory(worker) else {
            throw OperationRefusal(
                "\(name(worker, view)) holds as much memory as it may, and gets no replicas: 'mien status' tells what "
                    + "for. Ask again when it holds less, or give it more."
            )
        }
    }

    /// As a sentence begins with it.
    private static func name(_ worker: NodeID, _ view: ClusterView) -> String {
        "The \(view.metadata.name(of: worker))"
    }

    private static func unknown(_ worker: NodeID) -> OperationRefusal {
        OperationRefusal("No worker \(worker) ever joined this cluster; 'mien status' lists those that did.")
    }
}
