import Glibc
import Synchronization

/// A thread of the process's own, for work that blocks or computes for long.
///
/// - Precondition: ``join()`` is called once, from another thread, or ``detach()`` once.
@safe package final class WorkerThread: @unchecked Sendable {
    // Unchecked: the handle is written once, before the object is handed out.
    private let handle: pthread_t

    /// How the scheduler should treat the thread.
    package enum Priority: Sendable {
        case normal
        /// For writes, which yield to searches and still get a quarter of a processor that is contended: nice 5.
        case writing
        /// Yields to searches and writes: nice 15.
        case background

        /// On Linux of a thread; without the right to it none is ever lowered again.
        fileprivate var nice: Int32 {
            switch self {
            case .normal: 0
            case .writing: 5
            case .background: 15
            }
        }
    }

    /// Starts a thread that runs `body` once.
    ///
    /// - Parameter name: at most 15 bytes, as shown by `top -H`.
    package init(name: String, priority: Priority = .normal, _ body: @escaping @Sendable () -> Void) {
        precondition(name.utf8.count <= 15, "the kernel keeps 15 bytes of a thread's name")
        let box = unsafe Unmanaged.passRetained(
            Body {
                Self.nameCurrentThread(name)
                // On Linux a nice value belongs to a thread, and 0 is the calling one. It never gets more than the
                // process was given.
                let process = __priority_which_t(PRIO_PROCESS.rawValue)
                if priority.nice > getpriority(process, 0) { _ = setpriority(process, 0, priority.nice) }
                body()
            }
        )
        var handle = pthread_t()
        let failure = unsafe pthread_create(
            &handle,
            nil,
            { argument in
                unsafe Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            },
            box.toOpaque()
        )
        precondition(failure == 0, "the system refused a thread (error \(failure)); raise the limit on processes")
        self.handle = handle
    }

    /// Waits for the thread's end.
    package func join() {
        pthread_join(handle, nil)
    }

    /// Runs blocking work on a thread made for it, and waits for its result without blocking the task.
    ///
    /// Cancellation does not shorten the wait.
    package static func run<R: Sendable>(
        name: String,
        priority: Priority = .normal,
        _ body: @escaping @Sendable () -> R
    ) async -> R {
        let relay = relay
        return await withCheckedContinuation { continuation in
            let thread = WorkerThread(name: name, priority: priority) {
                let result = body()
                let isQueued = relay.submit(.init(run: { continuation.resume(returning: result) }, abandon: {}))
                precondition(isQueued, "it has no limit, and is never stopped")
            }
            thread.detach()
        }
    }

    /// The same, for work that may never end: nil once the task is cancelled. The thread goes on by itself then, and
    /// nobody hears what came of it.
    package static func runUntilCancelled<R: Sendable>(
        name: String,
        priority: Priority = .normal,
        _ body: @escaping @Sendable () -> R
    ) async -> R? {
        let (wait, relay) = (Wait<R>(), relay)
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<R?, Never>) in
                wait.begin(continuation)
                let thread = WorkerThread(name: name, priority: priority) {
                    let result = body()
                    let isQueued = relay.submit(.init(run: { wait.end(result) }, abandon: {}))
                    precondition(isQueued, "it has no limit, and is never stopped")
                }
                thread.detach()
            }
        } onCancel: {
            wait.end(nil)
        }
    }

    /// Wakes tasks for threads that yield: what the pool of tasks starts a thread for runs as whoever woke the task
    /// does, and would yield as well. Made by the first task that waits for a thread.
    private static let relay = BoundedExecutor(name: "relay", threadCount: 1, queueLimit: .max)

    /// Lets the thread clean up after itself, instead of ``join()``.
    package func detach() {
        pthread_detach(handle)
    }

    /// Only for people: without `/proc` the thread keeps the process's name.
    private static func nameCurrentThread(_ name: String) {
        let file = unsafe open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        let bytes = Array(name.utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe write(file, $0.baseAddress, $0.count) }
        close(file)
    }

    /// A task that waits for a thread, until the one ends or the other is cancelled, whichever comes first.
    private final class Wait<R: Sendable>: Sendable {
        private enum State {
            /// Can move to: `waiting`, `ended`.
            case unbegun
            /// Can move to: `ended`.
            case waiting(CheckedContinuation<R?, Never>)
            case ended
        }

        private let state = Mutex(State.unbegun)

        func begin(_ continuation: CheckedContinuation<R?, Never>) {
            let isOver = state.withLock { state in
                guard case .unbegun = state else { return true }
                state = .waiting(continuation)
                return false
            }
            if isOver { continuation.resume(returning: nil) }
        }

        func end(_ result: R?) {
            let continuation = state.withLock { state -> CheckedContinuation<R?, Never>? in
                defer { state = .ended }
                guard case .waiting(let continuation) = state else { return nil }
                return continuation
            }
            continuation?.resume(returning: result)
        }
    }

    private final class Body {
        let run: () -> Void

        init(_ run: @escaping () -> Void) {
            self.run = run
        }
    }
}
