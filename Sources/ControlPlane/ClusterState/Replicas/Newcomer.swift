package import ClusterModel

/// A replica that comes in the place of a lost one, and of which there is nothing yet, or a copy on its way: no step of
/// an operation brings it.
package struct Newcomer: Hashable, Sendable {
    package var shard: ShardID
    package var worker: NodeID
    /// The primary, which sends what it lacks.
    package var source: NodeID
}

extension ClusterView {
    /// Those whose worker is live, in order of their shards. What a replica that is there lacks comes from the log.
    package var newcomers: [Newcomer] {
        var brought: Set<Newcomer> = []
        for step in metadata.openOperations.flatMap(\.steps) where step.state.isUnderWay {
            guard let worker = step.change.newcomer, let source = metadata.placement(of: step.shard)?.primary else {
                continue
            }
            brought.insert(Newcomer(shard: step.shard, worker: worker, source: source))
        }
        return metadata.placements.flatMap { placement in
            placement.group.learners.filter { liveWorkers.contains($0) && lacksEverything(placement, on: $0) }.map {
                Newcomer(shard: placement.shard, worker: $0, source: placement.primary)
            }
        }.filter { !brought.contains($0) }.sorted { ($0.shard, $0.worker) < ($1.shard, $1.worker) }
    }

    private func lacksEverything(_ placement: ShardPlacement, on learner: NodeID) -> Bool {
        let copies = replica(of: placement.shard, on: placement.primary)?.copies ?? []
        if copies.contains(where: { $0.worker == learner }) { return true }
        guard let replica = replica(of: placement.shard, on: learner) else { return true }
        switch replica.state {
        case .opening: return true
        case .serving: return replica.sequence == 0 && self.replica(of: placement)?.sequence ?? 0 > 0
        case .failed: return false
        }
    }
}
