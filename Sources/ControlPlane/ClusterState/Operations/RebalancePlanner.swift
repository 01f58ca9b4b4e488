package import ClusterModel

/// Which replicas and primaries to move so that all workers have about as much, in bytes and in what searches compare.
package enum RebalancePlanner {
    /// Moves replicas from the worker with the most bytes to the one with the least, as long as that makes the larger
    /// of the two smaller by a tenth of the mean. Then has replicas change places, or moves them, where that levels
    /// what searches compare by a quarter of the mean and leaves bytes about as level; then passes primaries on until
    /// no worker has two more than another that could take one.
    ///
    /// The fewest bytes are moved by moving first what closes a gap best; a replica is moved once at most.
    ///
    /// What is pinned stays, and a primary goes back to where it is pinned. A replica goes only to a worker with room
    /// for it beside others that are to come there. Where the primary, which sends it, has no room for the copy that it
    /// makes first, one that has is made the primary before the move; without one the replica stays.
    ///
    /// Shards that other operations are about count where their replicas will be, and stay out of it.
    ///
    /// - Parameters:
    ///   - resting: shards that stay as they are, though their bytes count.
    ///   - goesBySettledRates: what was not watched for long counts, and does not move on account of it.
    package static func steps(
        in view: ClusterView,
        leaving resting: Set<ShardID> = [],
        goesBySettledRates: Bool = false
    ) -> [Operation.Step] {
        let underWay = view.metadata.openOperations.flatMap(\.steps).filter { !$0.state.hasEnded }
        let busy = Set(underWay.flatMap(\.shards))
        let workers = view.placementWorkers.sorted()
        guard workers.count > 1 else { return [] }
        var placements = view.metadata.placements.filter {
            busy.contains($0.shard) || $0.group.learners.isEmpty && view.isHosted($0)
        }
        let sizes = Dictionary(
            uniqueKeysWithValues: placements.map { ($0.shard, max(ReplicaSize(of: $0, in: view).diskByteCount, 1)) }
        )
        for step in underWay {
            guard let index = placements.firstIndex(where: { $0.shard == step.shard }) else { continue }
            placements[index].group = placements[index].group.ending(step)
        }
        var load = Dictionary(uniqueKeysWithValues: workers.map { ($0, UInt64(0)) })
        var room = WorkerRoom(view)
        for placement in placements {
            for member in placement.group.members where load[member] != nil {
                load[member]! += sizes[placement.shard]!
            }
        }
        let least = max(load.values.reduce(0, +) / UInt64(workers.count) / 10, 1)
        var steps: [Operation.Step] = []
        let resting = resting.union(busy)
        var moved = resting
        let pins = view.metadata.pins
        func take(_ move: Operation.Step) {
            moved.insert(move.shard)
            guard case .move(let from, let to) = move.change else { return }
            load[from]! -= sizes[move.shard]!
            load[to]! += sizes[move.shard]!
            let index = placements.firstIndex { $0.shard == move.shard }!
            if let sender = sender(of: placements[index], to: to, room, in: view), sender != placements[index].primary {
                steps.append(Operation.Step(shard: move.shard, change: .lead(sender)))
                placements[index].group.primary = sender
            }
            room.reserve(ReplicaSize(of: placements[index], in: view), on: to)
            steps.append(move)
            placements[index].group = placements[index].group.replacing(from, by: to)
        }
        func nextMove() -> Operation.Step? {
            let rest = placements.filter { !moved.contains($0.shard) }
            return bestMove(rest, sizes, load, room, gaining: least, in: view)
        }
        while let move = nextMove() { take(move) }
        let unsettled = goesBySettledRates ? Set(view.searchRates.filter { !$0.value.isSettled }.keys) : []
        func nextExchange() -> [Operation.Step]? {
            ReplicaExchange(placements, sizes, load, room, in: view).next(leaving: moved.union(unsettled))
        }
        while let moves = nextExchange() { moves.forEach(take) }
        return limited(steps + leads(placements, leaving: resting, pins, workers: workers, in: view))
    }

    /// As many of the steps, from the first, as an operation may begin with: the rest come with the next one. A move
    /// does not lose the lead right before it, nor that its move.
    package static func limited(_ steps: [Operation.Step]) -> [Operation.Step] {
        let limit = Operation.newStepLimit
        guard steps.count > limit else { return steps }
        if case .lead = steps[limit - 1].change, case .move = steps[limit].change,
            steps[limit - 1].shard == steps[limit].shard
        {
            return Array(steps[..<(limit - 1)])
        }
        return Array(steps[..<limit])
    }

    /// The move between the fullest and the emptiest worker that could make one which levels them most.
    private static func bestMove(
        _ placements: [ShardPlacement],
        _ sizes: [ShardID: UInt64],
        _ load: [NodeID: UInt64],
        _ room: WorkerRoom,
        gaining least: UInt64,
        in view: ClusterView
    ) -> Operation.Step? {
        let order = load.keys.sorted { (load[$0]!, $0) < (load[$1]!, $1) }
        for from in order.reversed() {
            // Half of the difference is the most that can be gained.
            for to in order where load[to]! < load[from]! && load[from]! - load[to]! >= 2 * least {
                let gap = load[from]! - load[to]!
                let movable = placements.filter {
                    $0.group.members.contains(from) && !$0.group.members.contains(to) && sizes[$0.shard]! < gap
                        && view.metadata.pins[$0.shard]?.forbids(.move(from: from, to: to)) != true
                        && sender(of: $0, to: to, room, in: view) != nil
                }
                // What is closest to half the gap leaves the least of it.
                let best = movable.min { left, right in
                    let (l, r) = (distance(sizes[left.shard]!, gap / 2), distance(sizes[right.shard]!, gap / 2))
                    return (l, left.shard) < (r, right.shard)
                }
                guard let best, min(sizes[best.shard]!, gap - sizes[best.shard]!) >= least else { continue }
                return Operation.Step(shard: best.shard, change: .move(from: from, to: to))
            }
        }
        return nil
    }

    /// The member that can send a replica to the worker, for which it makes a copy on its own disk: the primary rather
    /// than one that is to be made the primary first; nil when the worker has no room for it, or no sender has.
    static func sender(
        of placement: ShardPlacement,
        to worker: NodeID,
        _ room: WorkerRoom,
        in view: ClusterView
    ) -> NodeID? {
        let size = ReplicaSize(of: placement, in: view)
        guard room.shortage(for: size, on: worker) == nil else { return nil }
        return room.sender(of: placement, in: view) { member in
            view.metadata.standing(of: member) == .active
                && view.metadata.pins[placement.shard]?.forbids(.lead(member)) != true
        }
    }

    /// - Parameter view: tells whose disk hangs: nobody is made the primary there.
    private static func leads(
        _ placements: [ShardPlacement],
        leaving resting: Set<ShardID>,
        _ pins: [ShardID: ShardPin],
        workers: [NodeID],
        in view: ClusterView
    ) -> [Operation.Step] {
        var counts = Dictionary(uniqueKeysWithValues: workers.map { ($0, 0) })
        for placement in placements where counts[placement.primary] != nil { counts[placement.primary]! += 1 }
        var steps: [Operation.Step] = []
        for placement in placements where !resting.contains(placement.shard) {
            guard let from = counts[placement.primary] else { continue }
            if let pinned = pins[placement.shard]?.primary {
                guard pinned != placement.primary, counts[pinned] != nil, placement.group.isInSync(pinned),
                    !view.isStuck(placement.shard, on: pinned)
                else { continue }
                counts[placement.primary]! -= 1
                counts[pinned]! += 1
                steps.append(Operation.Step(shard: placement.shard, change: .lead(pinned)))
                continue
            }
            let others = placement.group.inSync.filter {
                counts[$0] != nil && $0 != placement.primary && !view.isStuck(placement.shard, on: $0)
            }
            guard let to = others.min(by: { (counts[$0]!, $0) < (counts[$1]!, $1) }), from - counts[to]! >= 2 else {
                continue
            }
            counts[placement.primary]! -= 1
            counts[to]! += 1
            steps.append(Operation.Step(shard: placement.shard, change: .lead(to)))
        }
        return steps
    }

    private static func distance(_ left: UInt64, _ right: UInt64) -> UInt64 { max(left, right) - min(left, right) }
}

extension ReplicaGroup {
    /// As it will be when a step has been made, or taken back.
    fileprivate func ending(_ step: Operation.Step) -> ReplicaGroup {
        let isTakenBack = step.state == .undoing
        let (leaver, newcomer) =
            isTakenBack ? (step.change.newcomer, step.change.leaver) : (step.change.leaver, step.change.newcomer)
        var next = (inSync + learners).filter { $0 != leaver }
        if let newcomer, !next.contains(newcomer) { next.append(newcomer) }
        var leader = primary == leaver ? newcomer ?? next.first ?? primary : primary
        if case .lead(let worker) = step.change, !isTakenBack, next.contains(worker) { leader = worker }
        guard next.contains(leader) else { return self }
        return ReplicaGroup(
            epoch: epoch,
            version: version,
            primary: leader,
            inSync: next,
            minimumInSync: minimumInSync
        )
    }

    /// As it will be when a replica has moved.
    fileprivate func replacing(_ leaver: NodeID, by newcomer: NodeID) -> ReplicaGroup {
        ReplicaGroup(
            epoch: epoch,
            version: version,
            primary: primary == leaver ? newcomer : primary,
            inSync: inSync.map { $0 == leaver ? newcomer : $0 },
            minimumInSync: minimumInSync
        )
    }
}
