/// How long a router tries.
package struct RouterOptions: Hashable, Sendable {
    /// Deadline of a request whose caller names none.
    package var defaultDeadline: Duration
    /// How long a shard is tried again whose worker cannot be reached or does not know it; never beyond the deadline.
    package var absenceGrace: Duration
    /// Pause before the second attempt; doubled by each further one.
    package var firstPause: Duration
    package var longestPause: Duration
    /// Time kept back from the shards for merging and answering, as a share of what is left, and its most.
    package var answerShare: Double
    package var longestAnswerTime: Duration

    package init(
        defaultDeadline: Duration = .seconds(10),
        absenceGrace: Duration = .seconds(1),
        firstPause: Duration = .milliseconds(2),
        longestPause: Duration = .milliseconds(100),
        answerShare: Double = 0.05,
        longestAnswerTime: Duration = .milliseconds(20)
    ) {
        self.defaultDeadline = defaultDeadline
        self.absenceGrace = absenceGrace
        self.firstPause = firstPause
        self.longestPause = longestPause
        self.answerShare = answerShare
        self.longestAnswerTime = longestAnswerTime
    }
}
