/// The bound of every queue of a worker, and of what it does on event loops. When a queue is full the request is
/// answered `overloaded` with a time to wait.
package struct WorkerLimits: Sendable {
    /// Searches and reads that wait for a thread.
    package var searchQueueCount = 512
    /// Bytes of probes and ids that wait with them.
    package var searchQueueBytes = 256 << 20
    /// A search that is estimated to take no longer than this is answered on its connection's event loop: handing it to
    /// a search thread and back costs two wake-ups, a third to half as much again.
    package var loopSearchTime = Duration.microseconds(100)
    /// Where the estimate was wrong, the search leaves the loop after this and begins again on a search thread.
    package var longestLoopSearch = Duration.milliseconds(1)
    /// Control requests that wait.
    package var controlQueueCount = 1024
    /// Rows that wait on one replica's write lane.
    package var writeQueueRowCount = 65_536
    /// Bytes that wait on one replica's write lane.
    package var writeQueueBytes = 256 << 20
    /// Rows of one commit; a larger batch is a commit of its own.
    package var commitRowCount = 8192
    /// Bytes of one commit.
    package var commitBytes = 64 << 20
    /// Bytes of log entries that wait for other replicas: less than the log keeps in memory to send them from.
    package var unacknowledgedBytes = 24 << 20
    /// Bytes of log entries, as they are in the file, that a replica keeps for others that may need them, and while one
    /// that catches up does.
    package var logBytes = 64 << 20
    package var wantedLogBytes = 1 << 30
    /// Codebook bytes that may be staged at once, over all replicas.
    package var stagedCodebookBytes = 256 << 20
    /// Bytes of the sample that one training may gather.
    package var trainingSampleBytes = 1 << 30
    /// Trainings that wait for the one under way.
    package var trainingQueueCount = 64

    package init() {}
}
