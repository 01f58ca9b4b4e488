/// Why a copy for another worker has not come about.
package struct CopyFailure: Sendable {
    /// Another attempt would end in the same way: a disk fails, say.
    package var isForGood: Bool
    /// How long the other worker asked to be left alone; zero when it did not.
    package var pause: Duration

    package init(isForGood: Bool, pause: Duration) {
        self.isForGood = isForGood
        self.pause = pause
    }
}

/// Until when no copy is begun for a replica.
///
/// A copy costs both disks all of the partition. One that fails for good is tried again, since people may mend what was
/// wrong, but after pauses that double.
package struct CopyRest: Sendable {
    private static let firstPause = Duration.seconds(5)
    private static let longestPause = Duration.seconds(10 * 60)

    package let end: ContinuousClock.Instant
    /// The next one of a failure for good.
    private let nextPause: Duration

    /// - Parameter former: after the failure before, when no copy has come about since.
    package init(after failure: CopyFailure, _ former: CopyRest?, now: ContinuousClock.Instant) {
        let pause = former?.nextPause ?? Self.firstPause
        end = now + (failure.isForGood ? max(failure.pause, pause) : failure.pause)
        nextPause = failure.isForGood ? min(pause * 2, Self.longestPause) : pause
    }
}
