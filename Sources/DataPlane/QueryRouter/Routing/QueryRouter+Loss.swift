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
        if [context.map, newest].contains(where: { $0.lossy[context.collection.id] != nil }) { return true }
        return epochs.contains { answer in
            newest.placement(of: answer.shard).map { answer.epoch.isDecreed(since: $0.epoch) } ?? false
        }
    }

    /// When faces that a backup may lack were given up: the latest of those that have not come back. Nil without any;
    /// now where shards tell of a decree that this coordinator has not heard of.
    func latestLoss(_ epochs: [(shard: ShardID, epoch: Epoch)], _ context: Context) -> Timestamp? {
        let known = [context.map, source.current].compactMap { $0.lossy[context.collection.id] }.max()
        if let known { return known }
        return hasLoss(epochs, context) ? Timestamp.wallClock : nil
    }
}
