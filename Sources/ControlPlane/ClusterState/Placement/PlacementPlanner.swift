package import ClusterModel
package import FaceModel

/// Chooses workers for the shards of a new collection.
package enum PlacementPlanner {
    /// Places the shards one by one. The replicas of one go to different workers, those with the fewest; of equal ones
    /// to the workers that share the fewest shards with those chosen already, so that what a lost worker leaves behind
    /// falls to all others alike; then by id. The primary is the one with the fewest primaries.
    ///
    /// - Parameters:
    ///   - workers: the workers that may be chosen; order and repetition do not matter.
    ///   - existing: placements of all other collections, which count as load.
    ///   - epoch: the epoch that brings the placements into force.
    /// - Returns: one placement per shard, in order of index; nil when there are fewer workers than copies.
    package static func place(
        _ collection: Collection,
        on workers: [NodeID],
        existing: [ShardPlacement],
        epoch: Epoch
    ) -> [ShardPlacement]? {
        let configuration = collection.configuration
        var load = PlacementLoad(workers)
        guard load.workers.count >= configuration.replicationFactor else { return nil }
        for placement in existing { load.add(placement.group) }
        return HashRange.divisions(configuration.shardCount).enumerated().map { index, range in
            var members: [NodeID] = []
            for _ in 0..<configuration.replicationFactor { members.append(load.best(beside: members)!) }
            let group = ReplicaGroup(
                epoch: epoch,
                version: 1,
                primary: load.bestPrimary(of: members),
                inSync: members,
                minimumInSync: configuration.minimumInSync
            )
            load.add(group)
            return ShardPlacement(
                shard: ShardID(collection: collection.id, index: UInt32(index)),
                range: range,
                group: group
            )
        }
    }
}
