package import ClusterModel

/// A replica that does not count yet, and that no step of an operation brings: it takes the place of a lost one, or
/// comes back itself.
package struct Newcomer: Hashable, Sendable {
    package var shard: ShardID
    package var worker: NodeID
    /// The primary, which sends what it lacks.
    package var source: NodeID

    /// What an operation would call it.
    package var step: Operation.Step { Operation.Step(shard: shard, change: .add(worker), state: .running) }
}

extension ClusterView {
    /// Those whose worker is live, in order of their shards.
    package var newcomers: [Newcomer] {
        var brought: Set<Newcomer> = []
        for step in metadata.openOperations.flatMap(\.steps) where step.state.isUnderWay {
            guard let worker = step.change.newcomer, let source = metadata.placement(of: step.shard)?.primary else {
                continue
            }
            brought.insert(Newcomer(shard: step.shard, worker: worker, source: source))
        }
        return metadata.placements.flatMap { placement in
            placement.group.learners.filter(liveWorkers.contains).map {
                Newcomer(shard: placement.shard, worker: $0, source: placement.primary)
            }
        }.filter { !brought.contains($0) }.sorted { ($0.shard, $0.worker) < ($1.shard, $1.worker) }
    }

    package var newcomersByKey: [OperationLedger.Key: Newcomer] {
        Dictionary(newcomers.map { (OperationLedger.Key($0), $0) }) { first, _ in first }
    }

    /// Those of which there is nothing yet, or a copy on its way. What others lack comes from the log.
    package var copiedNewcomers: [Newcomer] { newcomers.filter(isCopied) }

    /// Whether nothing of it is there, for certain: of one that is being opened nobody knows what it holds.
    func isEmpty(_ newcomer: Newcomer) -> Bool {
        guard let replica = replica(of: newcomer.shard, on: newcomer.worker) else { return true }
        return replica.state == .serving && replica.sequence == 0
    }

    private func isCopied(_ newcomer: Newcomer) -> Bool {
        let copies = replica(of: newcomer.shard, on: newcomer.source)?.copies ?? []
        if copies.contains(where: { $0.worker == newcomer.worker }) { return true }
        guard let replica = replica(of: newcomer.shard, on: newcomer.worker) else { return true }
        switch replica.state {
        case .opening: return true
        case .serving:
            let placement = metadata.placement(of: newcomer.shard)
            return replica.sequence == 0 && placement.flatMap { self.replica(of: $0)?.sequence } ?? 0 > 0
        case .failed: return false
        }
    }
}
