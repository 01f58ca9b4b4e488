import ClusterModel
import Synchronization

/// Tells the shards of one write how long ago it was first tried under its key.
final class WriteAttempts: Sendable {
    private struct State {
        /// Shards that have been asked.
        var asked: Set<ShardID> = []
        var roundCount = 0
    }

    /// As the write came.
    private let age: Duration
    private let arrival = ContinuousClock.now
    private let state = Mutex(State())

    init(age: Duration) {
        self.age = age
    }

    /// The write is divided over shards, perhaps others than before.
    func beginRound() { state.withLock { $0.roundCount += 1 } }

    /// Time since the first attempt that may have reached a shard, which is asked now; zero when this is the first.
    func age(of shard: ShardID) -> Duration {
        let isFirst = state.withLock { $0.asked.insert(shard).inserted && $0.roundCount == 1 }
        return isFirst && age == .zero ? .zero : age + (.now - arrival)
    }
}
