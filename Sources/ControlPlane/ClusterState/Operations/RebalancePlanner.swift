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
    /// What is pinned stays, and a primary goes back to where it is pinned.
    ///
    /// - Parameters:
    ///   - resting: shards that stay as they are, though their bytes count.
    ///   - goesBySettledRates: what was not watched for long counts, and does not move on account of it.
    package static func steps(
        in view: ClusterView,
        leaving resting: Set<ShardID> = [],
        goesBySettledRates: Bool = false
    ) -> [Operation.Step] {
        let busy = Set(view.metadata.openOperations.flatMap(\.steps).filter { !$0.state.hasEnded }.flatMap(\.shards))
        let workers = view.placementWorkers.sorted()
        guard workers.count > 1 else { return [] }
        var placements = view.metadata.placements.filter {
            !busy.contains($0.shard) && $0.group.learners.isEmpty && view.isHosted($0)
        }
        let sizes = Dictionary(
            uniqueKeysWithValues: placements.map { ($0.shard, max(ReplicaSize(of: $0, in: view).diskByteCount, 1)) }
        )
        var load = Dictionary(uniqueKeysWithValues: workers.map { ($0, UInt64(0)) })
        for placement in placements {
            for member in placement.group.members where load[member] != nil {
                load[member]! += sizes[placement.shard]!
            }
        }
        let least = max(load.values.reduce(0, +) / UInt64(workers.count) / 10, 1)
        var steps: [Operation.Step] = []
        var moved = resting
        let pins = view.metadata.pins
        func take(_ move: Operation.Step) {
            moved.insert(move.shard)
            guard case .move(let from, let to) = move.change else { return }
            load[from]! -= sizes[move.shard]!
            load[to]! += sizes[move.shard]!
            steps.append(move)
            let index = placements.firstIndex { $0.shard == move.shard }!
            placements[index].group = placements[index].group.replacing(from, by: to)
        }
        while let move = bestMove(placements.filter { !moved.contains($0.shard) }, sizes, load, pins, gaining: least) {
            take(move)
        }
        let unsettled = goesBySettledRates ? Set(view.searchRates.filter { !$0.value.isSettled }.keys) : []
        while let moves = ReplicaExchange(placements, sizes, load, in: view).next(leaving: moved.union(unsettled)) {
            moves.forEach(take)
        }
        return steps + leads(placements, leaving: resting, pins, workers: workers)
    }

    /// The move between the fullest and the emptiest worker that could make one which levels them most.
    private static func bestMove(
        _ placements: [ShardPlacement],
        _ sizes: [ShardID: UInt64],
        _ load: [NodeID: UInt64],
        _ pins: [ShardID: ShardPin],
        gaining least: UInt64
    ) -> Operation.Step? {
        let order = load.keys.sorted { (load[$0]!, $0) < (load[$1]!, $1) }
        for from in order.reversed() {
            // Half of the difference is the most that can be gained.
            for to in order where load[to]! < load[from]! && load[from]! - load[to]! >= 2 * least {
                let gap = load[from]! - load[to]!
                let movable = placements.filter {
                    $0.group.members.contains(from) && !$0.group.members.contains(to) && sizes[$0.shard]! < gap
                        && pins[$0.shard]?.forbids(.move(from: from, to: to)) != true
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

    private static func leads(
        _ placements: [ShardPlacement],
        leaving resting: Set<ShardID>,
        _ pins: [ShardID: ShardPin],
        workers: [NodeID]
    ) -> [Operation.Step] {
        var counts = Dictionary(uniqueKeysWithValues: workers.map { ($0, 0) })
        for placement in placements where counts[placement.primary] != nil { counts[placement.primary]! += 1 }
        var steps: [Operation.Step] = []
        for placement in placements where !resting.contains(placement.shard) {
            guard let from = counts[placement.primary] else { continue }
            if let pinned = pins[placement.shard]?.primary {
                guard pinned != placement.primary, counts[pinned] != nil, placement.group.isInSync(pinned) else {
                    continue
                }
                counts[placement.primary]! -= 1
                counts[pinned]! += 1
                steps.append(Operation.Step(shard: placement.shard, change: .lead(pinned)))
                continue
            }
            let others = placement.group.inSync.filter { counts[$0] != nil && $0 != placement.primary }
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
