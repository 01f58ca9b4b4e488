import NIOCore
import Synchronization

/// Lets event loops do short pieces of work themselves, where handing it to another thread and back would cost more.
///
/// A loop has one turn at a time and rests after it for as long as it took: its connections keep half of its time, and
/// what comes in a burst goes to the search threads, which work in parallel. Workers of one process may share loops,
/// and then share their turns.
final class LoopTurns: Sendable {
    private static let loops = Mutex<[ObjectIdentifier: LoopTurnStateMachine]>([:])
    private let finished = Atomic<Int>(0)

    /// Turns taken through this object that have ended.
    var count: Int { finished.load(ordering: .relaxed) }

    /// Takes the loop's turn; false when it is not to be had. Who has taken it calls ``finish(on:took:)``.
    func take(on eventLoop: any EventLoop) -> Bool {
        Self.loops.withLock { $0[ObjectIdentifier(eventLoop), default: .init()].take(now: .now) }
    }

    func finish(on eventLoop: any EventLoop, took time: Duration) {
        Self.loops.withLock { $0[ObjectIdentifier(eventLoop), default: .init()].finish(took: time, now: .now) }
        finished.add(1, ordering: .relaxed)
    }
}

/// One loop's turns: pure, no clock.
package struct LoopTurnStateMachine: Sendable {
    private enum State {
        /// Can move to: `taken`.
        case free
        /// Can move to: `taken`, once the rest is over.
        case resting(until: ContinuousClock.Instant)
        /// Can move to: `resting`.
        case taken
    }

    private var state = State.free

    package init() {}

    /// Whether the turn was to be had; it then is taken.
    package mutating func take(now: ContinuousClock.Instant) -> Bool {
        switch state {
        case .taken: return false
        case .resting(let end) where now < end: return false
        case .free, .resting: break
        }
        state = .taken
        return true
    }

    package mutating func finish(took time: Duration, now: ContinuousClock.Instant) {
        state = .resting(until: now + time)
    }
}
