/// How long a router tries.
package struct RouterOptions: Hashable, Sendable {
    /// Deadline of a request whose caller names none.
    package var defaultDeadline: Duration
    /// How long a shard is tried again whose worker cannot be reached or does not know it, from the first failure on;
    /// never beyond the deadline.
    package var absenceGrace: Duration
    /// Likewise for a write of a shard that has other replicas, one of which may take over.
    package var failoverGrace: Duration
    /// Time between two looks at whether a shard got another primary while the one before is asked.
    package var moveCheckInterval: Duration
    /// Least time before a second replica is asked for a read, and how many times the shard's recent median otherwise.
    package var leastHedgeDelay: Duration
    package var hedgeFactor: Double
    /// Reads for which two replicas may be asked: as a share of all in the long run, and so many at once.
    package var hedgeShare: Double
    package var hedgeReserve: Int
    /// How long a replica that failed, or was overtaken by another, is asked after the others.
    package var avoidance: Duration
    /// Pause before the second attempt; doubled by each further one.
    package var firstPause: Duration
    package var longestPause: Duration
    /// Time kept back from the shards for merging and answering, as a share of what is left, and its most.
    package var answerShare: Double
    package var longestAnswerTime: Duration
    /// Retries of what workers refused for overload: for each shard that is asked in the long run, and so many at once.
    package var overloadRetryShare: Double
    package var overloadRetryReserve: Int
    /// Calls of one request that are under way at one worker at once, somewhat fewer than a worker takes on one
    /// connection (`limits.max_streams`). Those that wait for others of a worker that hangs are late, too.
    package var shardsUnderWay: Int
    /// Calls that may be under way at once: reads of each collection, writes of each shard. Writes that wait for a
    /// replica cost next to nothing: few of them are always taken.
    package var readsUnderWay: ConcurrencyLimit.Bounds
    package var writesUnderWay: ConcurrencyLimit.Bounds
    /// Bytes of clients' requests and of what is expected to answer them, of shards' answers beyond that as they come,
    /// then of the answers until they are written to the clients' sockets; of reads, writes and the reads of backups
    /// each; half of it for one collection.
    package var bytesUnderWay: Int
    /// A frame's most: answers end there.
    package var frameByteLimit: Int

    package init(
        defaultDeadline: Duration = .seconds(10),
        absenceGrace: Duration = .seconds(1),
        failoverGrace: Duration = .seconds(6),
        moveCheckInterval: Duration = .milliseconds(100),
        leastHedgeDelay: Duration = .milliseconds(20),
        hedgeFactor: Double = 3,
        hedgeShare: Double = 0.05,
        hedgeReserve: Int = 64,
        avoidance: Duration = .seconds(1),
        firstPause: Duration = .milliseconds(2),
        longestPause: Duration = .milliseconds(100),
        answerShare: Double = 0.05,
        longestAnswerTime: Duration = .milliseconds(20),
        overloadRetryShare: Double = 0.1,
        overloadRetryReserve: Int = 32,
        shardsUnderWay: Int = 240,
        readsUnderWay: ConcurrencyLimit.Bounds = ConcurrencyLimit.Bounds(),
        writesUnderWay: ConcurrencyLimit.Bounds = ConcurrencyLimit.Bounds(least: 64),
        bytesUnderWay: Int = 256 << 20,
        frameByteLimit: Int = 16 << 20
    ) {
        self.defaultDeadline = defaultDeadline
        self.absenceGrace = absenceGrace
        self.failoverGrace = failoverGrace
        self.moveCheckInterval = moveCheckInterval
        self.leastHedgeDelay = leastHedgeDelay
        self.hedgeFactor = hedgeFactor
        self.hedgeShare = hedgeShare
        self.hedgeReserve = hedgeReserve
        self.avoidance = avoidance
        self.firstPause = firstPause
        self.longestPause = longestPause
        self.answerShare = answerShare
        self.longestAnswerTime = longestAnswerTime
        self.overloadRetryShare = overloadRetryShare
        self.overloadRetryReserve = overloadRetryReserve
        self.shardsUnderWay = shardsUnderWay
        self.readsUnderWay = readsUnderWay
        self.writesUnderWay = writesUnderWay
        self.bytesUnderWay = bytesUnderWay
        self.frameByteLimit = frameByteLimit
    }

    /// What the shards have of the time that a caller gives.
    package func shardTime(of time: Duration) -> Duration { time - min(time * answerShare, longestAnswerTime) }

    package var reads: ReadChoice.Limits {
        .init(
            leastHedgeDelay: leastHedgeDelay,
            hedgeFactor: hedgeFactor,
            hedgeShare: hedgeShare,
            hedgeReserve: Double(hedgeReserve),
            avoidance: avoidance
        )
    }
}
