/// How long a command that looks at the cluster again and again bears looks that fail for a reason that passes: a
/// coordinator that is started anew, or has too much to do.
struct Patience {
    private static let limit = Duration.seconds(300)

    /// Since the first of those that failed one after the other; nil after one that was answered.
    private var failingSince: ContinuousClock.Instant?

    mutating func lookSucceeded() { failingSince = nil }

    /// Warns of the first of those that fail one after the other.
    ///
    /// - Throws: the failure, where it does not pass, or has not for five minutes.
    mutating func lookFailed(
        _ failure: CommandFailure,
        _ console: Console,
        now: ContinuousClock.Instant = .now
    ) throws(CommandFailure) {
        let isTold = failingSince != nil
        let since = failingSince ?? now
        failingSince = since
        guard failure.status == .unavailable, failure.mayPass, !Task.isCancelled, now - since < Self.limit else {
            throw failure
        }
        if !isTold { console.warn("\(failure.message); it is asked again, for five minutes at most") }
    }
}
