import ClusterModel
import WireProtocol

/// Refusals of snapshots for backups, of which a worker keeps only so many and only for so long.
extension Refusal {
    private static let idleMinutes = SnapshotShelf.idleTime.components.seconds / 60
    private static let shortIdleMinutes = SnapshotShelf.shortIdleTime.components.seconds / 60
    private static let snapshotEnd =
        "one goes when its backup releases it, or \(shortIdleMinutes) minutes after it was last asked for"

    static func tooManySnapshots(of shard: ShardID, limit: Int) -> WireStatus {
        WireStatus(
            code: .overloaded,
            message: "\(limit) snapshots of \(name(shard)) are there, which is the limit; \(snapshotEnd)",
            retryAfterMilliseconds: 100
        )
    }

    static func tooManySnapshots(limit: Int) -> WireStatus {
        WireStatus(
            code: .overloaded,
            message: "this worker keeps \(limit) snapshots for backups, which is its limit; \(snapshotEnd)",
            retryAfterMilliseconds: 100
        )
    }

    static func unknownSnapshot(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .notFound,
            message: """
                this worker has no such snapshot of \(name(shard)): it was started anew, or nobody asked for it for \
                \(idleMinutes) minutes, or for \(shortIdleMinutes) where there was no room for others; begin the \
                backup again
                """
        )
    }

    /// - Parameter longest: time for which one is kept, however often it is asked for.
    static func snapshotTooOld(_ shard: ShardID, longest: Duration) -> WireStatus {
        WireStatus(
            code: .notFound,
            message: """
                this worker removed its snapshot of \(name(shard)), which has what was deleted since, after half of \
                worker.erasure_period, \(longest.components.seconds) s: a backup that reads for longer needs a higher \
                --rate, a faster place, or a longer period
                """
        )
    }

    static func noRoomForSnapshot(_ shard: ShardID, byteCount: UInt64, freeByteCount: UInt64) -> WireStatus {
        WireStatus(
            code: .storageFull,
            message: """
                a snapshot of \(name(shard)) takes \(byteCount >> 20) MiB beside the reserve, and the worker's disk \
                has \(freeByteCount >> 20) MiB free
                """
        )
    }
}
