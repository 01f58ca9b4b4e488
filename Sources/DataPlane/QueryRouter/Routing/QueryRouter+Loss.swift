import ClusterModel
import FaceModel

extension QueryRouter {
    /// Whether faces were given up that the shards' answers may lack. Once, after all answers.
    ///
    /// They may come from groups that are newer than the map by which the request began, and than all that this
    /// coordinator has heard of, as long as it cannot read the metadata store: their epochs tell of a decree then,
    /// whether faces were missing or not.
    /// - Parameter epochs: of the replicas that answered, each with its shard.
    func hasLoss(_ epochs: [(shard: ShardID, epoch: Epoch)], _ context: Context) -> Bool {
        let newest = source.current
        if [context.map, newest].contains(where: { $0.lossy.contains(context.collection.id) }) { return true }
        return epochs.contains { answer in
            newest.placement(of: answer.shard).map { answer.epoch.isDecreed(since: $0.epoch) } ?? false
        }
    }
}
