import WireProtocol

/// Asking a shard's replicas again after all of them have failed: how long after that, and until when.
package struct ReadRetry: Sendable {
    package enum Decision: Hashable, Sendable {
        case fail(ShardFailure)
        /// - Parameter needsNewerMap: a worker knows a newer one.
        case again(after: Duration, needsNewerMap: Bool)
    }

    /// A worker that does not have the replica yet has it soon: the shard has just come into force.
    private static let longestHostingPause = Duration.milliseconds(10)

    private let options: RouterOptions
    private var pause: Duration
    /// Counted from the first failure on: a call that took long, since a node stood still, leaves the time to ask
    /// again.
    private var graceEnd: Duration?

    package init(options: RouterOptions) {
        self.options = options
        pause = options.firstPause
    }

    /// - Parameters:
    ///   - failures: of the replicas, one at least.
    ///   - deadline: time that is left until the shard has to have answered.
    ///   - now: since any fixed moment, the same one for every call.
    ///   - absence: for how long none of them has been reached, whoever asked, if the answer can do without the shard.
    package mutating func next(
        after failures: [ShardFailure],
        deadline: Duration,
        now: Duration,
        absence: Duration?
    ) -> Decision {
        let failure = ShardFailure.ofAll(failures)
        let status = failure.status
        let remaining: Duration
        switch status.code {
        case .overloaded, .notYet: remaining = deadline
        case .unavailable, .staleEpoch, .unknownReplica:
            if failures.allSatisfy({ $0.address == nil || $0.presence?.isKnownAbsent == true }) {
                return .fail(failure)
            }
            let graceEnd = graceEnd ?? now + options.absenceGrace
            self.graceEnd = graceEnd
            let grace = graceEnd - now
            remaining = min(deadline, grace, absence.map { options.absenceGrace - $0 } ?? grace)
        default: return .fail(failure)
        }
        let wait = max(pause, .milliseconds(Int64(status.retryAfterMilliseconds)))
        guard wait < remaining else { return .fail(failure) }
        pause = min(pause * 2, Self.longestPause(after: status, options))
        return .again(
            after: wait,
            needsNewerMap: failures.contains { $0.status.code.retry == .refreshAndRetry }
        )
    }

    static func longestPause(after status: WireStatus, _ options: RouterOptions) -> Duration {
        status.code == .unknownReplica ? min(options.longestPause, longestHostingPause) : options.longestPause
    }
}
