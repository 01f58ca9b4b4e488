/// Where threads come from whose refusal is no end of anything: whoever wanted one is turned away.
package struct ThreadSource: Sendable {
    /// Asked before each, by its name: tests say no where a system would.
    package var mayStart: @Sendable (_ name: String) -> Bool

    package init(mayStart: @escaping @Sendable (_ name: String) -> Bool = { _ in true }) {
        self.mayStart = mayStart
    }

    /// - Throws: when there is no thread now; then `body` is not run.
    package func start(
        name: String,
        priority: WorkerThread.Priority = .normal,
        _ body: @escaping @Sendable () -> Void
    ) throws(ThreadRefusal) -> WorkerThread {
        guard mayStart(name) else { throw ThreadRefusal() }
        return try WorkerThread(ifAllowed: name, priority: priority, body)
    }

    /// A thread for work that is named later.
    ///
    /// - Throws: when there is no thread now.
    package func reserve(name: String, priority: WorkerThread.Priority) throws(ThreadRefusal) -> ReservedThread {
        guard mayStart(name) else { throw ThreadRefusal() }
        return try ReservedThread(name: name, priority: priority)
    }
}
