import ClusterModel
import FaceModel
import Logging
import PartitionEngine
import Threads
import WireProtocol

/// How a replica stops ordering writes, so that other shards can take its shard's place, and says where it has ended.
extension Replica {
    /// Pause before a record is written that could not be before: what is waited for is room on the disk as a rule.
    static let recordPause = Duration.seconds(1)

    /// Remembers, beyond a restart, by which version of the group no write is ordered; 0 when writes are again. Where
    /// the disk does not take it it is tried again: no write is ordered meanwhile, and no end told.
    func noteFreeze(_ version: UInt64) {
        do throws(WorkerError) {
            try changeRecord { record in
                record.frozenVersion = version
                record.groupVersion = max(record.groupVersion, version)
            }
        } catch {
            logger.warning("that writes wait, or go on, cannot be remembered", metadata: logMetadata(error))
            let next = ContinuousClock.now + Self.recordPause
            return monitor.withLock { $0.nextFreezeNote = next }
        }
        let since = version > 0 ? Timestamp.wallClock : nil
        monitor.withLock { state in
            state.nextFreezeNote = nil
            state.end = nil
            state.frozenSince = since
        }
        logger.info(
            version > 0 ? "writes wait: other shards are to take this one's place" : "writes go on",
            metadata: logMetadata.merging(["version": "\(version)"]) { $1 }
        )
    }

    /// Whether no write is ordered, as far as it has heard.
    var isFrozen: Bool { monitor.withLock(\.isFrozen) }

    /// Whether the metadata store had the group frozen after this replica was opened: so no other shard had taken this
    /// one's place before, whatever state the disk was put back to.
    var isFrozenInThisLife: Bool {
        monitor.withLock { state in
            state.group?.isFrozen ?? false && state.confirmation.map { $0 >= born } ?? false
        }
    }
}

extension Replica.State {
    var isFrozen: Bool { record.frozenVersion > 0 || group?.isFrozen ?? false }

    /// What the record should say and does not.
    func freezeToNote(now: ContinuousClock.Instant) -> UInt64? {
        guard let group, group.version > record.frozenVersion, nextFreezeNote.map({ $0 <= now }) ?? true else {
            return nil
        }
        if group.isFrozen { return group.version }
        return record.frozenVersion > 0 ? 0 : nil
    }

    /// The end, if it is that of the group as it is now.
    var currentEnd: WorkerReport.End? {
        guard let end, end.groupVersion == group?.version else { return nil }
        return end
    }

    /// Notes where it has ended, once nothing that was ordered waits; whether that is news. Called by the lane, which
    /// commits nothing meanwhile.
    mutating func noteEnd() -> Bool {
        guard case .serving(let partition) = phase, let group, group.isFrozen,
            record.frozenVersion == group.version, replication?.isFinished ?? true
        else { return false }
        let end = WorkerReport.End(groupVersion: group.version, sequence: partition.committedSequence)
        guard end != self.end else { return false }
        self.end = end
        return true
    }

    func stoppingStatus(of shard: ShardID) -> WireStatus {
        isSucceeded ? Refusal.succeeded(shard) : Refusal.stopping(shard)
    }
}
