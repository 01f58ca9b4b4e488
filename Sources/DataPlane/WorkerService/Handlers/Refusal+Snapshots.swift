import ClusterModel
import WireProtocol

/// Refusals of snapshots for backups, of which a worker keeps only so many.
extension Refusal {
    static func tooManySnapshots(of shard: ShardID, limit: Int) -> WireStatus {
        WireStatus(
            code: .overloaded,
            message: """
                \(limit) snapshots of \(name(shard)) are there, which is the limit; one goes when its backup releases \
                it, or \(SnapshotShelf.shortIdleTime.components.seconds / 60) minutes after it was last asked for
                """,
            retryAfterMilliseconds: 100
        )
    }

    static func tooManySnapshots(limit: Int) -> WireStatus {
        WireStatus(
            code: .overloaded,
            message: """
                this worker keeps \(limit) snapshots for backups, which is its limit; one goes when its backup \
                releases it, or \(SnapshotShelf.shortIdleTime.components.seconds / 60) minutes after it was last \
                asked for
                """,
            retryAfterMilliseconds: 100
        )
    }
}
