import ClusterModel

/// Which shards have outgrown what one should hold.
package enum GrowthPlanner {
    /// The split to begin without being asked: of the collection whose largest shard is furthest above the limit all
    /// shards that are above it; nil most of the time.
    ///
    /// Nothing is begun beside another operation, nor while a shard lacks a replica. What is pinned stays as it is, and
    /// so does a shard whose split ended before its time: somebody took it back.
    ///
    /// - Parameter faceLimit: most faces of a shard; 0 for any number.
    package static func split(above faceLimit: UInt64, in view: ClusterView) -> OperationRequest? {
        guard faceLimit > 0, view.isSettled, !view.metadata.hasOpenMoves,
            view.metadata.placements.allSatisfy({ view.isWhole($0) && $0.group.learners.isEmpty })
        else { return nil }
        let cancelled = view.metadata.operations.values.filter { $0.state == .cancelled }.flatMap(\.steps)
            .filter { !$0.change.successors.isEmpty }.flatMap(\.shards)
        let resting = Set(cancelled).union(view.metadata.pins.keys)
        var large: [ShardID: UInt64] = [:]
        for record in view.metadata.collections.values where record.isEstablished && record.restoration == nil {
            for placement in record.placements where !resting.contains(placement.shard) {
                let faceCount = view.replica(of: placement)?.faceCount ?? 0
                if faceCount > faceLimit { large[placement.shard] = faceCount }
            }
        }
        guard let largest = large.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }) else { return nil }
        let collection = largest.key.collection
        return .split(collection, large.keys.filter { $0.collection == collection }.map(\.index).sorted())
    }
}
