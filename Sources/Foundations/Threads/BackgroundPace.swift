internal import Synchronization

/// Keeps a long computation to its share of one processor: it rests between steps, in proportion to the processor time
/// that they took.
package struct BackgroundPace: Sendable {
    /// Longest sleep between two looks at whether to stop.
    private static let longestSleep = Duration.milliseconds(50)

    private let share: DividedProcessorShare
    private var restedAt = ThreadTime.now

    /// - Parameter processorShare: of one processor, above 0 and at most 1.
    package init(processorShare: Double) {
        self.init(of: DividedProcessorShare(processorShare))
    }

    /// - Parameter share: that others have part in while they work.
    package init(of share: DividedProcessorShare) {
        self.share = share
    }

    /// Rests for what the thread has computed since the last rest, and less when it should stop.
    ///
    /// - Returns: whether it should stop.
    package mutating func rest(unless shouldStop: () -> Bool) -> Bool {
        var remaining = (ThreadTime.now - restedAt) * (1 / share.each - 1)
        while remaining > .zero, !shouldStop() {
            let sleep = min(remaining, Self.longestSleep)
            ThreadTime.sleep(for: sleep)
            remaining -= sleep
        }
        restedAt = ThreadTime.now
        return shouldStop()
    }
}

/// A share of one processor that is divided evenly among those who work. None waits for what others have done.
package final class DividedProcessorShare: Sendable {
    private let whole: Double
    private let workerCount = Atomic(0)

    /// - Parameter processorShare: above 0 and at most 1.
    package init(_ processorShare: Double) {
        precondition(processorShare > 0 && processorShare <= 1, "a share of one processor")
        whole = processorShare
    }

    /// What each of them has.
    package var each: Double { whole / Double(max(1, workerCount.load(ordering: .relaxed))) }

    /// Counts as one who works while the body runs.
    package func working<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        workerCount.add(1, ordering: .relaxed)
        defer { workerCount.subtract(1, ordering: .relaxed) }
        return try body()
    }
}

/// Keeps work of several threads together to one share of one processor.
package final class SharedBackgroundPace: Sendable {
    /// Share of one processor, above 0 and at most 1.
    package let processorShare: Double
    /// The moment up to which what was done has used the share up.
    private let usedUntil = Mutex<ContinuousClock.Instant?>(nil)
    /// What was done without a rest costs others no more than this.
    private static let longestDebt = Duration.seconds(30)

    package init(processorShare: Double) {
        precondition(processorShare > 0 && processorShare <= 1, "a share of one processor")
        self.processorShare = processorShare
    }

    /// How long a thread should rest that ends a step now: the longer, the more the others have done.
    ///
    /// - Parameter step: processor time of the step, or its length.
    package func rest(after step: Duration, now: ContinuousClock.Instant) -> Duration {
        usedUntil.withLock { used in
            let began = now - step
            let cost = step * (1 / processorShare)
            let end = min(max(used ?? began, began) + cost, now + max(cost, Self.longestDebt))
            used = end
            return max(.zero, end - now)
        }
    }
}
