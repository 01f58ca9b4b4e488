package import FaceModel

/// What a node is doing, for people who watch: counts since it started, and figures of its last ten seconds.
package struct NodeActivity: Hashable, Sendable {
    /// Since the process started; two activities and the time between them give rates.
    package var uptimeMilliseconds: UInt64
    package var connectionCount: UInt32
    package var requestsInFlight: UInt32
    /// Searches answered, and how long they took from arrival to answer.
    package var searchCount: UInt64
    package var searchMedianMicroseconds: UInt64
    package var search99thMicroseconds: UInt64
    /// Writes answered.
    package var writeCount: UInt64
    package var write99thMicroseconds: UInt64
    /// Rows of committed writes; a coordinator has none.
    package var writtenFaceCount: UInt64
    /// Requests refused because a queue was full.
    package var overloadCount: UInt64
    /// Searches and reads that wait for a thread now; a coordinator has none.
    package var queuedSearchCount: UInt32
    /// Rows that wait for a commit now; a coordinator has none.
    package var queuedRowCount: UInt64
    /// What searches found of what exact ones do; a coordinator has none.
    package var recall: RecallTally

    package init(
        uptimeMilliseconds: UInt64 = 0,
        connectionCount: UInt32 = 0,
        requestsInFlight: UInt32 = 0,
        searchCount: UInt64 = 0,
        searchMedianMicroseconds: UInt64 = 0,
        search99thMicroseconds: UInt64 = 0,
        writeCount: UInt64 = 0,
        write99thMicroseconds: UInt64 = 0,
        writtenFaceCount: UInt64 = 0,
        overloadCount: UInt64 = 0,
        queuedSearchCount: UInt32 = 0,
        queuedRowCount: UInt64 = 0,
        recall: RecallTally = RecallTally()
    ) {
        self.uptimeMilliseconds = uptimeMilliseconds
        self.connectionCount = connectionCount
        self.requestsInFlight = requestsInFlight
        self.searchCount = searchCount
        self.searchMedianMicroseconds = searchMedianMicroseconds
        self.search99thMicroseconds = search99thMicroseconds
        self.writeCount = writeCount
        self.write99thMicroseconds = write99thMicroseconds
        self.writtenFaceCount = writtenFaceCount
        self.overloadCount = overloadCount
        self.queuedSearchCount = queuedSearchCount
        self.queuedRowCount = queuedRowCount
        self.recall = recall
    }
}
