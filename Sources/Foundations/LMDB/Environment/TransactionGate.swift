import Glibc
import Synchronization
import Threads

/// Counts the transactions in progress, so that closing can wait for the last one and let no new one in, and so that a
/// moment without any can be had.
@safe
struct TransactionGate: ~Copyable, @unchecked Sendable {
    // Sendable: the count is atomic and the semaphore is made to be shared between threads.
    /// What a transaction finds that wants to come in.
    enum Admission {
        case inside
        /// Nobody comes in before the pause is over.
        case paused
        /// Closing has begun.
        case shut
    }

    private static let closing = 1 << 62
    private static let pausing = 1 << 61

    /// The number of transactions inside, and the two bits above.
    private let state = Atomic<Int>(0)
    /// Where those wait that a pause keeps out, and the one that waits for it.
    private let pauses = Monitor(())
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

    /// Lets a transaction in, after a pause if there is one; `false` once closing has begun.
    func enter() -> Bool {
        while true {
            switch tryEnter() {
            case .inside: return true
            case .shut: return false
            case .paused:
                pauses.wait { _ in
                    let value = state.load(ordering: .acquiring)
                    return value & Self.pausing == 0 || value >= Self.closing ? () : nil
                }
            }
        }
    }

    /// Lets a transaction in that does not wait. Only one that is inside leaves.
    func tryEnter() -> Admission {
        let value = state.add(1, ordering: .acquiringAndReleasing).newValue
        if value < Self.pausing { return .inside }
        leave()
        return value >= Self.closing ? .shut : .paused
    }

    func leave() {
        let value = state.subtract(1, ordering: .acquiringAndReleasing).newValue
        if value == Self.closing { unsafe sem_post(drained) }
        if value & ~Self.closing == Self.pausing { pauses.withLock(waking: .all) { _ in } }
    }

    /// Lets no new transaction in and waits for those inside to leave; ``resume()`` must follow when it returns `true`.
    ///
    /// - Returns: `false`, with nothing changed, when they have not left within `patience` or the gate is shut.
    func pause(atMost patience: Duration) -> Bool {
        let before = state.bitwiseOr(Self.pausing, ordering: .acquiringAndReleasing).oldValue
        precondition(before & Self.pausing == 0, "an environment is paused by one thread at a time")
        let isAlone =
            before < Self.closing
            && pauses.wait(atMost: patience) { _ in
                state.load(ordering: .acquiring) & (Self.pausing - 1) == 0 ? true : nil
            } ?? false
        if !isAlone { resume() }
        return isAlone
    }

    func resume() {
        let value = state.bitwiseAnd(~Self.pausing, ordering: .acquiringAndReleasing).newValue
        pauses.withLock(waking: .all) { _ in }
        // Who closes has waited for the end of the pause as for that of a transaction.
        if value == Self.closing { unsafe sem_post(drained) }
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
