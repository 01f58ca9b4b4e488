/// When a request is made again that failed for a passing reason, and for how long.
package struct RetryPolicy: Hashable, Sendable {
    /// So many are made whatever time they take.
    package var leastAttempts: Int
    /// Since the first began: no other begins after that.
    package var time: Duration
    package var firstPause: Duration
    package var longestPause: Duration

    package init(leastAttempts: Int = 4, time: Duration, firstPause: Duration, longestPause: Duration) {
        self.leastAttempts = leastAttempts
        self.time = time
        self.firstPause = firstPause
        self.longestPause = longestPause
    }

    /// A store throttles for a while, and is restarted now and then: what takes hours does not end for that.
    package static let patient = RetryPolicy(
        time: .seconds(60),
        firstPause: .milliseconds(200),
        longestPause: .seconds(8)
    )
    /// For who says that the store is away, and comes again by itself.
    package static let brief = RetryPolicy(
        leastAttempts: 2,
        time: .seconds(3),
        firstPause: .milliseconds(200),
        longestPause: .seconds(2)
    )

    /// The pause behind an attempt that failed; nil when no other is to follow.
    ///
    /// - Parameters:
    ///   - attempt: its number, from 1.
    ///   - elapsed: since the first began.
    ///   - isKnown: whether the store has ever answered. One that has not may be another than was meant.
    ///   - share: what of the pause is left, 0.5…1: those that failed together do not come again together.
    package func pause(
        after attempt: Int,
        elapsed: Duration,
        isKnown: Bool = true,
        share: Double = .random(in: 0.5...1)
    ) -> Duration? {
        var pause = firstPause
        for _ in 1..<max(attempt, 1) where pause < longestPause { pause = pause * 2 }
        pause = min(pause, longestPause) * share
        let isInTime = isKnown && elapsed + pause <= time
        return attempt < leastAttempts || isInTime ? pause : nil
    }
}
