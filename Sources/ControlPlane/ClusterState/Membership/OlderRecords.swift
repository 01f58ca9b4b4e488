package import ClusterModel

/// Shards of which the metadata store holds an older record than their workers go by: it was put back to an earlier
/// state, and knows nothing of what was agreed on since. Nobody steers them until it knows again.
///
/// Workers hear of a group from the store's word alone, so one that goes by a newer version than the store has is
/// right. Of several coordinators one may have read the records a moment before another changed them: people are told
/// of a difference once it has lasted. Nobody acts on such a record meanwhile: what came of that would be another
/// history, under versions that the first one has used.
package struct OlderRecords: Sendable {
    /// How long a difference has to last.
    package let patience: Duration
    private var since: [ShardID: Duration] = [:]
    package private(set) var shards: Set<ShardID> = []
    private var promisedSince: [ShardID: Duration] = [:]
    /// Others, of which a replica has for so long promised a later epoch than the record's: the record went on by
    /// itself since it was put back. It is the newest, and goes on, but that replica obeys nobody by it, and is not
    /// dropped.
    package private(set) var promisedShards: Set<ShardID> = []

    /// Of which a worker goes by a newer record at the moment, for however long.
    package var suspects: Set<ShardID> { Set(since.keys) }

    package init(patience: Duration) {
        self.patience = patience
    }

    package mutating func observe(_ view: ClusterView, now: Duration) {
        var current: [ShardID: Duration] = [:]
        var promised: [ShardID: Duration] = [:]
        for worker in view.liveWorkers {
            for (shard, replica) in view.observations[worker]?.replicas ?? [:] {
                guard let group = view.metadata.placement(of: shard)?.group else { continue }
                if replica.groupVersion > group.version {
                    current[shard] = since[shard] ?? now
                } else if replica.highestEpoch > group.epoch {
                    promised[shard] = promisedSince[shard] ?? now
                }
            }
        }
        since = current
        promisedSince = promised.filter { current[$0.key] == nil }
        promisedShards = Set(promisedSince.filter { now - $0.value >= patience }.keys)
        shards = Set(current.filter { now - $0.value >= patience }.keys)
    }
}
