import ClusterModel
import ClusterState
import FaceModel
import VectorMath

/// People: what they ask for, and what they think better of.
extension World {
    /// An operator begins something, changes their mind, or moves a primary without its consent.
    mutating func operate() throws(Violation) {
        guard isFaulty else { return }
        planFault(.operate, settings.operationInterval)
        if let operation = random.pick(metadata.openOperations), random.chance(0.3) {
            switch random.below(4) {
            case 0, 1: _ = cancel(operation.id)
            case 2 where operation.state == .running: setState(.paused, of: operation.id)
            default: if operation.state == .paused { setState(.running, of: operation.id) }
            }
            return
        }
        guard let placement = random.pick(placements) else { return }
        if random.chance(0.15) {
            if let successor = random.pick(placement.group.inSync),
                let next = placement.group.failingOver(to: successor), !placement.group.isFrozen
            {
                try force(placement.shard, next)
            }
            return
        }
        if settings.hasCodebooks, random.chance(0.3) {
            _ = begin(.train(Self.collection, leastFaceCount: Self.trainingPolicy.minimumFaceCount))
        } else if let request = draw(placement) {
            _ = begin(request)
        }
    }

    /// A group that is put in place by force, if it is still made from what there is.
    mutating func force(_ shard: ShardID, _ group: ReplicaGroup) throws(Violation) {
        guard let known = metadata.placement(of: shard)?.group, known.version + 1 == group.version,
            known.isFrozen == group.isFrozen
        else { return }
        try change(shard, to: group)
        changeRecords { _ in }
    }

    private mutating func draw(_ placement: ShardPlacement) -> OperationRequest? {
        let shard = placement.shard
        let others = workers.map(\.name).filter { !placement.group.members.contains($0) }
        let drained = metadata.standings.keys.sorted()
        switch random.below(10) {
        case 0, 1, 2:
            guard let from = random.pick(placement.group.members), let to = random.pick(others) else { return nil }
            return .move(shard, from: from, to: to)
        case 3: return random.pick(placement.group.inSync).map { .lead(shard, $0) }
        case 4:
            guard drained.isEmpty else { return .recommission(drained[0]) }
            guard let worker = random.pick(workers.map(\.name)) else { return nil }
            return random.chance(0.5) ? .drain(worker) : .decommission(worker)
        // A copy less where one is damaged may be the good one, before anybody knows.
        case 5 where settings.damageInterval != nil: return .rebalance
        case 5:
            let factor = random.chance(0.5) ? settings.replicationFactor : 5 - settings.replicationFactor
            let minimum = min(settings.minimumInSync, factor)
            return .copies(Self.collection, CopyCount(replicationFactor: factor, minimumInSync: minimum))
        case 6, 7: return placements.count < 4 ? .split(Self.collection, [shard.index]) : nil
        case 8: return neighbour(of: placement).map { .merge(Self.collection, [.init(shard.index, $0.index)]) }
        default: return .rebalance
        }
    }

    /// The shard behind another one on the ring, or before the last.
    func neighbour(of placement: ShardPlacement) -> ShardID? {
        let ring = placements.sorted { $0.range.first < $1.range.first }
        guard ring.count > 1, let index = ring.firstIndex(where: { $0.shard == placement.shard }) else { return nil }
        return ring[index + 1 < ring.count ? index + 1 : index - 1].shard
    }

    /// Begins what is asked for; nil when it is refused, or no coordinator is there to ask.
    mutating func begin(_ request: OperationRequest) -> OperationID? {
        guard let controller = controllers.firstIndex(where: { $0.isAwake(now) && $0.holdsLease }),
            var view = controllers[controller].view(now: now)
        else { return nil }
        view.metadata = metadata
        let id = newOperationID()
        let time = wallTime(of: controller)
        do throws(OperationRefusal) {
            var operation = try request.operation(id, in: view, now: time)
            if settings.fault == .numbersGivenTwice { operation.number(from: record.nextShardIndex) }
            note("operation \(id.low) begins: \(operation.steps.map { "\($0.shard.index) \(Self.text($0.change))" })")
            counts.operations += 1
            changeRecords { metadata in
                metadata.operations[id] = operation
                switch request {
                case .drain(let worker), .decommission(let worker): metadata.standings[worker] = .draining
                case .recommission(let worker): metadata.recommission(worker)
                case .copies(let collection, let count): metadata.recount(collection, count)
                case .move, .lead, .rebalance, .split, .merge, .train: break
                }
            }
            return id
        } catch {
            return nil
        }
    }

    mutating func newOperationID() -> OperationID {
        defer { nextOperation += 1 }
        return OperationID(high: 0, low: nextOperation)
    }

    /// Takes an operation back; false when that is no longer possible.
    mutating func cancel(_ id: OperationID) -> Bool {
        guard var operation = metadata.operations[id],
            !(operation.rollout?.isPastCommitPoint(in: metadata) ?? false), operation.cancel(metadata.placement)
        else { return false }
        note("operation \(id.low) is cancelled")
        changeRecords { metadata in
            metadata.operations[id] = operation
            metadata.takeBackStanding(of: operation)
            if case .copies(let collection, let former) = operation.kind { metadata.recount(collection, former) }
        }
        return true
    }

    mutating func resume(_ id: OperationID) {
        if metadata.operations[id]?.state == .paused { setState(.running, of: id) }
    }

    mutating func setState(_ state: OperationState, of id: OperationID) {
        note("operation \(id.low) is made \(state)")
        changeRecords { $0.operations[id]?.state = state }
    }

    /// Nobody holds anything up any more, and there are workers enough for everything: beside one that a replica is to
    /// leave as well.
    mutating func resumeEverything() {
        for operation in metadata.openOperations where operation.state == .paused {
            setState(.running, of: operation.id)
        }
        if !metadata.pins.isEmpty { changeRecords { $0.pins.removeAll() } }
        let names = workers.map(\.name)
        let steps = metadata.openOperations.flatMap(\.steps).filter { !$0.state.hasEnded }
        let leavers = Set(steps.compactMap { $0.state == .undoing ? $0.change.newcomer : $0.change.leaver })
        while names.count(where: { metadata.standing(of: $0) == .active && !leavers.contains($0) })
            < record.collection.configuration.replicationFactor,
            let worker = names.first(where: { metadata.standing(of: $0) != .active })
        {
            note("\(worker.low) is recommissioned")
            changeRecords { $0.recommission(worker) }
        }
    }

    static func text(_ change: ReplicaChange) -> String {
        switch change {
        case .move(let from, let to): "moves from \(from.low) to \(to.low)"
        case .add(let worker): "joins \(worker.low)"
        case .remove(let worker): "leaves \(worker.low)"
        case .lead(let worker): "is led by \(worker.low)"
        case .split(_, let lower, let upper): "becomes \(lower) and \(upper)"
        case .merge(let other, let successor): "and \(other) become \(successor)"
        }
    }
}

extension Operation {
    /// Numbers the shards that are to come as if no other operation's were.
    fileprivate mutating func number(from first: UInt32) {
        var next = first
        for index in steps.indices {
            switch steps[index].change {
            case .split(let cut, _, _):
                steps[index].change = .split(at: cut, lower: next, upper: next + 1)
                next += 2
            case .merge(let other, _):
                steps[index].change = .merge(with: other, into: next)
                next += 1
            case .move, .add, .remove, .lead: break
            }
        }
    }
}

extension ClusterMetadata {
    fileprivate mutating func recommission(_ worker: NodeID) {
        standings[worker] = nil
        for var drain in openOperations where drain.drainedWorker == worker {
            if !drain.cancel(placement) { drain.state = .cancelling }
            operations[drain.id] = drain
        }
    }

    fileprivate mutating func recount(_ collection: CollectionID, _ count: CopyCount) {
        collections[collection]?.reconfigure {
            $0.replicationFactor = count.replicationFactor
            $0.minimumInSync = count.minimumInSync
        }
    }
}
