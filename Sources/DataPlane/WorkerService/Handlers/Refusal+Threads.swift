import ClusterModel
import Threads
import WireProtocol

/// Refusals for want of threads, and of readings that are in the way of others.
extension Refusal {
    static func tooManyReadings(limit: Int) -> WireStatus {
        WireStatus(
            code: .overloaded,
            message:
                "\(limit) replicas of this worker are being read from end to end; another one is when they have been",
            retryAfterMilliseconds: 1000
        )
    }

    /// Of a reading that has ended so that the file can get more address space.
    static func mapIsShort(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .overloaded,
            message: "\(name(shard)) needs more address space, and gets none while it is read from end to end",
            retryAfterMilliseconds: 2000
        )
    }

    /// Of a replica that would be one too many for the system.
    static func noThread(_ shard: ShardID, _ refusal: ThreadRefusal) -> WireStatus {
        WireStatus(
            code: .limitExceeded,
            message: """
                this worker has no thread for \(name(shard)): \(refusal); or move replicas to other workers
                """
        )
    }

    /// Of a reading, which can wait.
    static func noThread(_ refusal: ThreadRefusal) -> WireStatus {
        WireStatus(
            code: .overloaded,
            message: "this worker has no thread for that now: \(refusal)",
            retryAfterMilliseconds: 1000
        )
    }
}
