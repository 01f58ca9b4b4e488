/// A fixed number of threads that run synchronous work from one bounded queue, in order of arrival.
///
/// When the queue is full the work is turned away at once: waiting longer would only spend the caller's deadline.
package final class BoundedExecutor: Sendable {
    /// Work in hand: run by a thread, or given up when the executor stops before its turn.
    package struct Job: Sendable {
        /// What the job keeps in memory while it waits.
        package let byteCount: Int
        package let run: @Sendable () -> Void
        package let abandon: @Sendable () -> Void

        package init(
            byteCount: Int = 0,
            run: @escaping @Sendable () -> Void,
            abandon: @escaping @Sendable () -> Void
        ) {
            self.byteCount = byteCount
            self.run = run
            self.abandon = abandon
        }
    }

    private struct State {
        var queue = JobQueue<Job>()
        var queuedByteCount = 0
        /// What a thread does once the queue is empty.
        var spare: Job?
        /// Threads that run a job.
        var busyCount = 0
        var isStopped = false
    }

    /// What a thread does next; nothing to run ends it.
    private struct Turn {
        var job: Job?
        /// What came to nothing by it.
        var dropped: Job?
    }

    package let threadCount: Int
    package let queueLimit: Int
    package let queueByteLimit: Int
    private let monitor = Monitor(State())
    private let threads: Monitor<[WorkerThread]>

    /// - Parameters:
    ///   - name: at most 12 bytes; the thread's number is added.
    ///   - queueLimit: jobs that may wait; those being run do not count.
    ///   - queueByteLimit: bytes they may keep in memory; a job alone larger waits only in an empty queue.
    package init(
        name: String,
        threadCount: Int,
        queueLimit: Int,
        queueByteLimit: Int = .max,
        priority: WorkerThread.Priority = .normal
    ) {
        precondition(threadCount > 0 && queueLimit > 0)
        self.threadCount = threadCount
        self.queueLimit = queueLimit
        self.queueByteLimit = queueByteLimit
        let monitor = monitor
        threads = Monitor(
            (0..<threadCount).map { index in
                WorkerThread(name: "\(name)-\(index)", priority: priority) {
                    while true {
                        let turn = monitor.wait(Self.next)
                        turn.dropped?.abandon()
                        guard let job = turn.job else { break }
                        job.run()
                        monitor.withLock { $0.busyCount -= 1 }
                    }
                }
            }
        )
    }

    /// The job whose turn it is; nil while there is nothing to do.
    private static func next(_ state: inout State) -> Turn? {
        if let job = state.queue.popFirst() {
            state.queuedByteCount -= job.byteCount
            state.busyCount += 1
            return Turn(job: job, dropped: state.spare.take())
        }
        if let spare = state.spare.take() {
            state.busyCount += 1
            return Turn(job: spare)
        }
        return state.isStopped ? Turn() : nil
    }

    /// How much there is to do at one moment.
    package struct Load: Hashable, Sendable {
        package var waitingCount: Int
        package var waitingByteCount: Int
        package var busyThreadCount: Int
    }

    package var load: Load {
        monitor.withLock { state in
            Load(
                waitingCount: state.queue.count,
                waitingByteCount: state.queuedByteCount,
                busyThreadCount: state.busyCount
            )
        }
    }

    /// Queues a job; false when the queue is full or the executor has stopped, and then neither closure is called.
    package func submit(_ job: Job) -> Bool {
        monitor.withLock(waking: .one) { state in
            guard !state.isStopped, state.queue.count < queueLimit,
                state.queue.isEmpty || state.queuedByteCount + job.byteCount <= queueByteLimit
            else { return false }
            state.queue.append(job)
            state.queuedByteCount += job.byteCount
            return true
        }
    }

    /// Has a thread that is idle run `body` soon; false, and `body` is not run, when none is. Work that a thread of the
    /// pool could as well do itself is offered to the others this way. A stop may drop it.
    package func runIfIdle(_ body: @escaping @Sendable () -> Void) -> Bool {
        monitor.withLock(waking: .one) { state in
            guard !state.isStopped, state.busyCount + state.queue.count < threadCount else { return false }
            state.queue.append(Job(run: body, abandon: {}))
            return true
        }
    }

    /// Has a thread run `job` as soon as it has nothing else to do, though it be the caller's own when that is done.
    /// False, and neither closure is called, when jobs wait, another one is kept for that moment, or the executor has
    /// stopped. A job that is queued before that moment comes first, and then this one is abandoned.
    package func runWhenIdle(_ job: Job) -> Bool {
        monitor.withLock(waking: .one) { state in
            guard !state.isStopped, state.queue.isEmpty, state.spare == nil else { return false }
            state.spare = job
            return true
        }
    }

    /// Runs `body` on one of the threads, for Swift tasks; waits beyond the queue's bound, as there are few of them.
    /// Nil when the executor stops first. Cancellation does not shorten the wait.
    package func run<R: Sendable>(_ body: @escaping @Sendable () -> R) async -> R? {
        await withCheckedContinuation { (continuation: CheckedContinuation<R?, Never>) in
            let isQueued = monitor.withLock(waking: .one) { state in
                guard !state.isStopped else { return false }
                state.queue.append(
                    Job(
                        run: { continuation.resume(returning: body()) },
                        abandon: { continuation.resume(returning: nil) }
                    )
                )
                return true
            }
            if !isQueued { continuation.resume(returning: nil) }
        }
    }

    /// Lets the jobs under way finish, abandons the ones that wait, and ends the threads. Blocks; safe to call again.
    package func stop() {
        let abandoned = monitor.withLock(waking: .all) { state in
            state.isStopped = true
            state.queuedByteCount = 0
            return state.queue.removeAll() + [state.spare.take()].compactMap(\.self)
        }
        for job in abandoned { job.abandon() }
        let ending = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in ending { thread.join() }
    }
}
