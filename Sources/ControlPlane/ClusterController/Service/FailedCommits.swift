/// Commits that a store did not make although nobody else changes it: it cannot write, as on a full disk. Pure.
///
/// Times are durations since any fixed moment, given by the caller.
package struct FailedCommits: Sendable {
    /// Pause before the store is tried without anybody's asking, and between two lines of the log.
    private static let trialPause = Duration.seconds(10)
    private static let tellingPause = Duration.seconds(60)

    /// What the store says, as a sentence; nil while it writes.
    package private(set) var reason: String?
    private var failed = Duration.zero
    private var tried = Duration.zero
    private var told: Duration?

    package init() {}

    /// - Returns: whether the log is to be told.
    package mutating func failed(_ reason: String, now: Duration) -> Bool {
        self.reason = reason
        (failed, tried) = (now, now)
        if let told, now - told < Self.tellingPause { return false }
        told = now
        return true
    }

    /// - Parameter began: when the commit began that was made: one from before the last failure says nothing of the
    ///   store since, however late it is heard of.
    /// - Returns: whether it is news that the store writes.
    package mutating func succeeded(began: Duration) -> Bool {
        guard reason != nil, began >= failed else { return false }
        self = FailedCommits()
        return true
    }

    /// Whether it is time to see whether the store writes again; then it counts as tried.
    package mutating func isToBeTried(now: Duration) -> Bool {
        guard reason != nil, now - tried >= Self.trialPause else { return false }
        tried = now
        return true
    }
}
