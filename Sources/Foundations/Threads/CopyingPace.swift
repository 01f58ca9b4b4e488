/// How much of the machine the making of a copy takes from others.
package struct CopyingPace: Sendable {
    /// Of the thread that reads the pages; the calling thread writes the file.
    package var priority: WorkerThread.Priority
    /// Of the file; nil for as many as the disk takes.
    package var bytesPerSecond: Int?

    package init(priority: WorkerThread.Priority = .normal, bytesPerSecond: Int? = nil) {
        self.priority = priority
        self.bytesPerSecond = bytesPerSecond
    }

    /// Rests on the calling thread, once so many bytes have been copied.
    package func rest(after byteCount: Int, since begin: ContinuousClock.Instant) {
        guard let bytesPerSecond else { return }
        let due = begin + .seconds(Double(byteCount) / Double(bytesPerSecond))
        let rest = due - .now
        if rest > .milliseconds(1) { ThreadTime.sleep(for: rest) }
    }
}
