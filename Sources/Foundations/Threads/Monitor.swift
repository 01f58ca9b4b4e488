import Glibc

/// State shared by threads that wait for each other's changes: a mutex and a condition around one value.
///
/// Waiting uses the monotonic clock, so that setting the wall clock neither shortens nor lengthens it.
/// Never waited on from an event loop or a Swift task; the short critical sections may be entered from anywhere.
@safe package final class Monitor<State>: @unchecked Sendable {
    // Unchecked: `state` is touched only while `mutex` is held, and leaves only as what a body returns.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var state: State

    package init(_ state: State) {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        self.state = state
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe condition.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        let failure = unsafe pthread_mutex_init(mutex, nil) | pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
        precondition(failure == 0, "a mutex and a condition can always be made")
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Which of the waiting threads look at the state again after a change.
    package enum Waking {
        case none
        /// Any one of them: enough when all wait for the same thing and the change serves one.
        case one
        case all
    }

    /// Reads or changes the state, then wakes waiting threads as told: once the lock is free, or they would wait for it
    /// as soon as they are awake.
    package func withLock<R, E: Error>(waking: Waking = .none, _ body: (inout State) throws(E) -> R) throws(E) -> R {
        unsafe pthread_mutex_lock(mutex)
        defer {
            unsafe pthread_mutex_unlock(mutex)
            switch waking {
            case .none: break
            case .one: unsafe pthread_cond_signal(condition)
            case .all: unsafe pthread_cond_broadcast(condition)
            }
        }
        return try body(&state)
    }

    /// Wakes every waiting thread, for a change that was made before.
    package func wakeAll() {
        unsafe pthread_cond_broadcast(condition)
    }

    /// Waits until `body` returns a value. `body` runs under the lock, again after every wake-up.
    package func wait<R>(_ body: (inout State) -> R?) -> R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            unsafe pthread_cond_wait(condition, mutex)
        }
    }

    /// The same, for at most `timeout`: nil when `body` had returned nothing by then.
    package func wait<R>(atMost timeout: Duration, _ body: (inout State) -> R?) -> R? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        var end = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &end)
        let (seconds, attoseconds) = max(timeout, .zero).components
        let nanoseconds = Int64(end.tv_nsec) + attoseconds / 1_000_000_000
        end.tv_sec += Int(min(seconds, 1 << 32)) + Int(nanoseconds / 1_000_000_000)
        end.tv_nsec = Int(nanoseconds % 1_000_000_000)
        while true {
            if let result = body(&state) { return result }
            if unsafe pthread_cond_timedwait(condition, mutex, &end) == ETIMEDOUT { return body(&state) }
        }
    }
}
