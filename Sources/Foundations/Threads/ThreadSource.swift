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

    /// Threads that are kept for everything but what there may be any number of.
    package static let keptCount = 12

    /// As many idle threads, or fewer where there are not so many.
    package func reserveSpares(_ count: Int) -> [ReservedThread] {
        (0..<count).compactMap { _ in try? reserve(name: "spare", priority: .normal) }
    }

    /// - Throws: when there are not so many more to be had now.
    package func checkLeft(_ count: Int) throws(ThreadRefusal) {
        var spares: [ReservedThread] = []
        for _ in 0..<count { spares.append(try reserve(name: "spare", priority: .normal)) }
        withExtendedLifetime(spares) {}
    }

    /// A thread for work that is named later.
    ///
    /// - Throws: when there is no thread now.
    package func reserve(name: String, priority: WorkerThread.Priority) throws(ThreadRefusal) -> ReservedThread {
        guard mayStart(name) else { throw ThreadRefusal() }
        return try ReservedThread(name: name, priority: priority)
    }
}
