/// Keeps a long computation to its share of one processor: it rests between steps, in proportion to the processor time
/// that they took.
package struct BackgroundPace: Sendable {
    /// Longest sleep between two looks at whether to stop.
    private static let longestSleep = Duration.milliseconds(50)

    /// Share of one processor, above 0 and at most 1.
    package let processorShare: Double
    private var restedAt = ThreadTime.now

    package init(processorShare: Double) {
        precondition(processorShare > 0 && processorShare <= 1, "a share of one processor")
        self.processorShare = processorShare
    }

    /// How long to rest after a step that took this much processor time.
    package static func rest(after step: Duration, processorShare: Double) -> Duration {
        step * (1 / processorShare - 1)
    }

    /// Rests for what the thread has computed since the last rest, and less when it should stop.
    ///
    /// - Returns: whether it should stop.
    package mutating func rest(unless shouldStop: () -> Bool) -> Bool {
        var remaining = Self.rest(after: ThreadTime.now - restedAt, processorShare: processorShare)
        while remaining > .zero, !shouldStop() {
            let sleep = min(remaining, Self.longestSleep)
            ThreadTime.sleep(for: sleep)
            remaining -= sleep
        }
        restedAt = ThreadTime.now
        return shouldStop()
    }
}
