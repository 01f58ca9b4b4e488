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

    /// Pause before a thread that was refused is asked for again.
    private static let refusalPause = Duration.milliseconds(100)
    /// How often one is asked for that nothing can go on without.
    private static let attemptLimit = 100

    /// Starts a thread that runs `body` once. Where the system has none to give it waits for one, ten seconds at most:
    /// threads of this process end, too.
    ///
    /// - Parameter name: at most 15 bytes, as shown by `top -H`.
    package init(name: String, priority: Priority = .normal, _ body: @escaping @Sendable () -> Void) {
        handle = Self.startWaiting(name, priority, body)
    }

    /// The same, for work that can be turned away.
    ///
    /// - Throws: when the system has no thread to give now; then `body` is not run.
    package init(
        ifAllowed name: String,
        priority: Priority = .normal,
        _ body: @escaping @Sendable () -> Void
    ) throws(ThreadRefusal) {
        handle = try Self.start(name, priority, body)
    }

    private static func startWaiting(
        _ name: String,
        _ priority: Priority,
        _ body: @escaping @Sendable () -> Void
    ) -> pthread_t {
        var attemptCount = 1
        while true {
            do throws(ThreadRefusal) {
                return try start(name, priority, body)
            } catch {
                precondition(attemptCount < attemptLimit, "\(error)")
                attemptCount += 1
                ThreadTime.sleep(for: refusalPause)
            }
        }
    }

    private static func start(
        _ name: String,
        _ priority: Priority,
        _ body: @escaping @Sendable () -> Void
    ) throws(ThreadRefusal) -> pthread_t {
        precondition(name.utf8.count <= 15, "the kernel keeps 15 bytes of a thread's name")
        let box = unsafe Unmanaged.passRetained(
            Body {
                nameCurrentThread(name)
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
        guard failure == 0 else {
            unsafe box.release()
            throw ThreadRefusal(code: failure)
        }
        return handle
    }

    /// Waits for the thread's end.
    package func join() {
        pthread_join(handle, nil)
    }

    /// Runs blocking work on a thread made for it, and waits for its result without blocking the task. Where the system
    /// has no thread to give the work waits for one.
    ///
    /// Cancellation does not shorten the wait.
    package static func run<R: Sendable>(
        name: String,
        priority: Priority = .normal,
        _ body: @escaping @Sendable () -> R
    ) async -> R {
        let wait = Wait<R>()
        _ = await begin(name: name, priority: priority, endingIn: wait, body)
        guard let result = await withCheckedContinuation({ wait.begin($0) }) else {
            preconditionFailure("it ends with a result, and by nothing else")
        }
        return result
    }

    /// The same, for work that may never end: nil once the task is cancelled. The thread goes on by itself then, and
    /// nobody hears what came of it.
    package static func runUntilCancelled<R: Sendable>(
        name: String,
        priority: Priority = .normal,
        _ body: @escaping @Sendable () -> R
    ) async -> R? {
        let wait = Wait<R>()
        return await withTaskCancellationHandler {
            guard await begin(name: name, priority: priority, endingIn: wait, givesUp: true, body) else { return nil }
            return await withCheckedContinuation { wait.begin($0) }
        } onCancel: {
            wait.end(nil)
        }
    }

    /// Starts a thread as soon as there is one.
    ///
    /// - Parameter givesUp: whether it waits for one only as long as the task is not cancelled.
    /// - Returns: false when `body` is not run.
    private static func begin<R: Sendable>(
        name: String,
        priority: Priority,
        endingIn wait: Wait<R>,
        givesUp: Bool = false,
        _ body: @escaping @Sendable () -> R
    ) async -> Bool {
        let relay = relay
        while true {
            do throws(ThreadRefusal) {
                let thread = try WorkerThread(ifAllowed: name, priority: priority) {
                    let result = body()
                    let isQueued = relay.submit(.init(run: { wait.end(result) }, abandon: {}))
                    precondition(isQueued, "it has no limit, and is never stopped")
                }
                thread.detach()
                return true
            } catch {
                if givesUp, Task.isCancelled { return false }
                // In a task of its own, which nobody cancels: it would not sleep in one that was.
                _ = await Task { try? await Task.sleep(for: refusalPause) }.value
            }
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
            case ended(R?)
        }

        private let state = Mutex(State.unbegun)

        func begin(_ continuation: CheckedContinuation<R?, Never>) {
            let end = state.withLock { state -> R?? in
                if case .ended(let result) = state { return .some(result) }
                state = .waiting(continuation)
                return nil
            }
            if let end { continuation.resume(returning: end) }
        }

        /// Only the first end counts.
        func end(_ result: R?) {
            let continuation = state.withLock { state -> CheckedContinuation<R?, Never>? in
                switch state {
                case .ended: return nil
                case .unbegun:
                    state = .ended(result)
                    return nil
                case .waiting(let continuation):
                    state = .ended(nil)
                    return continuation
                }
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
