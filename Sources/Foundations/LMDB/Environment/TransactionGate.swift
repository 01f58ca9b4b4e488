import Glibc
import Synchronization

/// Counts the transactions in progress, so that closing can wait for the last one and let no new one in.
@safe
struct TransactionGate: ~Copyable, @unchecked Sendable {
    // Sendable: the count is atomic and the semaphore is made to be shared between threads.
    private static let closing = 1 << 62

    private let state = Atomic<Int>(0)
    private let drained: UnsafeMutablePointer<sem_t>

    init() {
        unsafe drained = .allocate(capacity: 1)
        let result = unsafe sem_init(drained, 0, 0)
        precondition(result == 0, "a semaphore of value 0 can always be made")
    }

    deinit {
        unsafe sem_destroy(drained)
        unsafe drained.deallocate()
    }

    /// Lets a transaction in; `false` once closing has begun.
    func enter() -> Bool {
        if state.add(1, ordering: .acquiringAndReleasing).newValue < Self.closing { return true }
        leave()
        return false
    }

    func leave() {
        if state.subtract(1, ordering: .acquiringAndReleasing).newValue == Self.closing {
            unsafe sem_post(drained)
        }
    }

    /// Shuts the gate and waits for the transactions inside; `false`, at once, if it was shut before.
    func close() -> Bool {
        let before = state.bitwiseOr(Self.closing, ordering: .acquiringAndReleasing).oldValue
        guard before < Self.closing else { return false }
        if before > 0 {
            while unsafe sem_wait(drained) != 0 {}
        }
        return true
    }
}
