internal import Synchronization

/// Keeps a long computation to its share of one processor: it rests between steps, in proportion to the processor time
/// that they took.
package struct BackgroundPace: Sendable {
    /// Longest sleep between two looks at whether to stop.
    private static let longestSleep = Duration.milliseconds(50)

    private let pace: SharedBackgroundPace
    private var restedAt = ThreadTime.now

    /// - Parameter processorShare: of one processor, above 0 and at most 1.
    package init(processorShare: Double) {
        self.init(sharing: SharedBackgroundPace(processorShare: processorShare))
    }

    /// - Parameter pace: of others that work meanwhile, too.
    package init(sharing pace: SharedBackgroundPace) {
        self.pace = pace
    }

    /// Rests for what the thread has computed since the last rest, and less when it should stop.
    ///
    /// - Returns: whether it should stop.
    package mutating func rest(unless shouldStop: () -> Bool) -> Bool {
        let now = ContinuousClock.now
        let end = now + pace.rest(after: ThreadTime.now - restedAt, now: now)
        while case let left = end - ContinuousClock.now, left > .zero, !shouldStop() {
            ThreadTime.sleep(for: min(left, Self.longestSleep))
        }
        restedAt = ThreadTime.now
        return shouldStop()
    }
}

/// Keeps work of several threads together to one share of one processor.
package final class SharedBackgroundPace: Sendable {
    /// Share of one processor, above 0 and at most 1.
    package let processorShare: Double
    /// The moment up to which what was done has used the share up.
    private let usedUntil = Mutex<ContinuousClock.Instant?>(nil)

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
            let end = max(used ?? began, began) + step * (1 / processorShare)
            used = end
            return max(.zero, end - now)
        }
    }
}
