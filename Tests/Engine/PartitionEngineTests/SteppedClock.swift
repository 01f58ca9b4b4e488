import PartitionEngine
import Synchronization

/// A steady clock that goes on when it is told to.
final class SteppedClock: Sendable {
    private let passed = Mutex(Duration.zero)
    private let start = ContinuousClock.now

    var now: ContinuousClock.Instant { start + passed.withLock { $0 } }

    func pass(_ time: Duration) { passed.withLock { $0 += time } }
}
