/// A thread that was started before it is known what it runs: where the system refuses it, nothing has been done yet.
///
/// It ends when this goes away, unless it was given something to run.
package final class ReservedThread: Sendable {
    private enum Order: Sendable {
        /// Can move to: `work`, `end`.
        case nothing
        case work(@Sendable () -> Void)
        case end
    }

    private let order: Monitor<Order>
    private let thread: WorkerThread

    init(name: String, priority: WorkerThread.Priority) throws(ThreadRefusal) {
        let order = Monitor(Order.nothing)
        self.order = order
        thread = try WorkerThread(ifAllowed: name, priority: priority) {
            let work = order.wait { order -> (@Sendable () -> Void)?? in
                switch order {
                case .nothing: nil
                case .work(let work): .some(work)
                case .end: .some(nil)
                }
            }
            work?()
        }
    }

    deinit {
        let isUnused = order.withLock(waking: .all) { order in
            guard case .nothing = order else { return false }
            order = .end
            return true
        }
        if isUnused { thread.detach() }
    }

    /// Has it run `body`: once.
    ///
    /// - Returns: the thread, which is joined or detached by the caller.
    package func begin(_ body: @escaping @Sendable () -> Void) -> WorkerThread {
        order.withLock(waking: .all) { order in
            guard case .nothing = order else { preconditionFailure("a reserved thread runs one thing") }
            order = .work(body)
        }
        return thread
    }
}
