import ClusterModel
import FaceModel

/// What a node is doing: counts since it started, and figures of its last ten seconds.
public struct NodeActivityInfo: Hashable, Sendable {
    /// Since the node's process started. Two activities, and the uptime between them, give rates.
    public var uptime: Duration
    public var connectionCount: Int
    public var requestsInFlight: Int
    /// Searches answered; at a worker, shards' parts of searches.
    public var searchCount: UInt64
    /// From arrival to answer, of the last ten seconds; zero when there were none.
    public var medianSearchTime: Duration
    public var search99thTime: Duration
    public var writeCount: UInt64
    public var write99thTime: Duration
    /// Rows of committed writes; a coordinator has none.
    public var writtenFaceCount: UInt64
    /// Requests refused because a queue was full.
    public var overloadCount: UInt64
    /// What waits for a search thread now, and the rows that wait for a commit; a coordinator has none of either.
    public var queuedSearchCount: Int
    public var queuedRowCount: UInt64
    /// What searches find of the matches that exact ones find, and of the mates among them; nil while nothing was
    /// compared.
    public var matchRecall: RecallEstimate?
    public var mateRecall: RecallEstimate?

    init(_ activity: NodeActivity) {
        uptime = .milliseconds(Int64(clamping: activity.uptimeMilliseconds))
        connectionCount = Int(activity.connectionCount)
        requestsInFlight = Int(activity.requestsInFlight)
        searchCount = activity.searchCount
        medianSearchTime = .microseconds(Int64(clamping: activity.searchMedianMicroseconds))
        search99thTime = .microseconds(Int64(clamping: activity.search99thMicroseconds))
        writeCount = activity.writeCount
        write99thTime = .microseconds(Int64(clamping: activity.write99thMicroseconds))
        writtenFaceCount = activity.writtenFaceCount
        overloadCount = activity.overloadCount
        queuedSearchCount = Int(activity.queuedSearchCount)
        queuedRowCount = activity.queuedRowCount
        matchRecall = activity.recall.matchRecall.map(RecallEstimate.init)
        mateRecall = activity.recall.mateRecall.map(RecallEstimate.init)
    }
}

/// A recall as it was measured, with the bounds that hold with 95 % confidence.
public struct RecallEstimate: Hashable, Sendable {
    public var recall: Double
    public var low: Double
    public var high: Double
    /// How many matches or mates were compared, and how many of them were not found.
    public var count: UInt64
    public var missedCount: UInt64

    init(_ found: Proportion) {
        let interval = found.interval()
        (recall, low, high) = (found.rate, interval.lowerBound, interval.upperBound)
        count = UInt64(found.total)
        missedCount = UInt64(found.total - found.count)
    }
}
