package import ClusterModel
package import NIOCore
import Synchronization

/// Since when which workers have not been reached, whoever asked them.
///
/// A request that takes an answer without a shard need not wait for a worker that others have waited for already.
package final class UnreachableWorkers: Sendable {
    private let since = Mutex<[NodeID: NIODeadline]>([:])
    /// Spares the lock while all are reached.
    private let count = Atomic(0)

    package init() {}

    package func noteFailure(of worker: NodeID, at time: NIODeadline) {
        since.withLock { since in
            if since[worker] == nil { since[worker] = time }
            count.store(since.count, ordering: .relaxed)
        }
    }

    package func noteAnswer(of worker: NodeID) {
        guard count.load(ordering: .relaxed) > 0 else { return }
        since.withLock { since in
            since[worker] = nil
            count.store(since.count, ordering: .relaxed)
        }
    }

    /// When the first attempt since its last answer failed; nil for a worker that answers.
    package func firstFailure(of worker: NodeID) -> NIODeadline? {
        guard count.load(ordering: .relaxed) > 0 else { return nil }
        return since.withLock { $0[worker] }
    }
}
