import Dispatch
import Synchronization

/// Holds up a thread that comes to it, once it is set, until it is released. Whoever sets it has to release it.
final class Hold: Sendable {
    private struct State {
        var isSet = false
        var isReached = false
    }

    private let state = Mutex(State())
    private let released = DispatchSemaphore(value: 0)

    /// The next thread that comes is held up.
    func set() { state.withLock { $0.isSet = true } }

    /// Whether a thread has been held up.
    var isReached: Bool { state.withLock(\.isReached) }

    func pass() {
        let isHeld = state.withLock { state in
            defer { state.isSet = false }
            if state.isSet { state.isReached = true }
            return state.isSet
        }
        if isHeld { released.wait() }
    }

    /// Lets the thread go on; nobody is held up any more. May be called again.
    func release() {
        let isReached = state.withLock { state in
            state.isSet = false
            return state.isReached
        }
        if isReached { released.signal() }
    }
}
