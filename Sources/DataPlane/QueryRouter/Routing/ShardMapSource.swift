package import ClusterModel

/// Where a router gets its picture of the cluster from. Called on event loops: nothing but ``refresh()`` may wait.
package protocol ShardMapSource: Sendable {
    /// The newest shard map known here.
    var current: ShardMap { get }

    /// Looks for a newer shard map, after somebody has said that they know one.
    ///
    /// - Returns: whether ``current`` is since surely at least as new as what there was when this was called.
    @discardableResult
    func refresh() async -> Bool

    func presence(of worker: NodeID) -> WorkerPresence

    /// Faces of a shard as last reported; nil when unknown.
    func faceCount(of shard: ShardID) -> UInt64?

    /// Share, 0…1, of what searches of a replica read that is in memory, as last reported; 1 when it is not known.
    func warmth(of shard: ShardID, on worker: NodeID) -> Double
}

extension ShardMapSource {
    package func warmth(of shard: ShardID, on worker: NodeID) -> Double { 1 }
}

/// What heartbeats tell of a worker. Explains absences and shortens waiting; a worker that answers counts as there.
package struct WorkerPresence: Hashable, Sendable {
    package var isLive: Bool
    /// Time since it was last heard of; nil when it has not been since this coordinator started.
    package var silence: Duration?

    package init(isLive: Bool, silence: Duration?) {
        self.isLive = isLive
        self.silence = silence
    }

    /// Whether it has been heard of, and then fallen silent.
    package var isKnownAbsent: Bool { !isLive && silence != nil }
}
