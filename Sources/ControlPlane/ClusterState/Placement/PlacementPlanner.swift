package import ClusterModel
package import FaceModel

/// Chooses workers for the shards of a new collection.
package enum PlacementPlanner {
    /// Places the shards one by one on the worker with the fewest shards, equal ones by id.
    ///
    /// - Parameters:
    ///   - workers: the workers that may be chosen; order and repetition do not matter.
    ///   - existing: placements of all other collections, which count as load.
    ///   - epoch: the epoch that brings the placements into force.
    /// - Returns: one placement per shard, in order of index; nil when there is no worker.
    package static func place(
        _ collection: Collection,
        on workers: [NodeID],
        existing: [ShardPlacement],
        epoch: Epoch
    ) -> [ShardPlacement]? {
        guard !workers.isEmpty else { return nil }
        var shardCounts = Dictionary(workers.map { ($0, 0) }, uniquingKeysWith: { first, _ in first })
        for placement in existing {
            if let count = shardCounts[placement.primary] { shardCounts[placement.primary] = count + 1 }
        }
        return HashRange.divisions(collection.configuration.shardCount).enumerated().map { index, range in
            let chosen = shardCounts.min { ($0.value, $0.key) < ($1.value, $1.key) }!.key
            shardCounts[chosen]! += 1
            return ShardPlacement(
                shard: ShardID(collection: collection.id, index: UInt32(index)),
                range: range,
                primary: chosen,
                epoch: epoch
            )
        }
    }
}
