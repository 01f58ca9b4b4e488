import ClusterModel
import Synchronization

/// How many readings of whole replicas are under way at each worker because somebody asks this coordinator for them:
/// few, since each takes long, and orders for the same worker go by the same connection.
final class ReadingTurns: Sendable {
    /// Of one worker: as many as it does at once.
    static let limit = 2

    private let counts = Mutex<[NodeID: Int]>([:])

    /// Takes a turn at each of the workers, or at none.
    ///
    /// - Returns: a worker that has no more to give; nil when they are taken.
    func take(at workers: [NodeID]) -> NodeID? {
        counts.withLock { counts in
            if let full = workers.first(where: { counts[$0, default: 0] >= Self.limit }) { return full }
            for worker in workers { counts[worker, default: 0] += 1 }
            return nil
        }
    }

    func giveBack(at workers: [NodeID]) {
        counts.withLock { counts in
            for worker in workers {
                let left = counts[worker, default: 0] - 1
                counts[worker] = left > 0 ? left : nil
            }
        }
    }
}
