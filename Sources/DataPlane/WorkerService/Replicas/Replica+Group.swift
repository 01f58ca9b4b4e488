import ClusterModel
import Logging
import PartitionEngine
import ShardReplication
import Threads
import WireProtocol

/// What a replica remembers of its group beyond a restart, so that a metadata store that was put back to an earlier
/// state is known by it.
extension Replica {
    /// Of the newest group that it goes by, or went by before a restart; 0 when none is known.
    var knownVersion: UInt64 { monitor.withLock(\.knownVersion) }

    /// The epoch below which nothing is acknowledged here, as the partition has it; nil while that cannot be read.
    /// Reads the partition: not for event loops.
    var promisedEpoch: Epoch? {
        try? read(.local) { (partition, _) throws(PartitionError) in Epoch(try partition.logExtent().promisedEpoch) }
    }

    /// What it has promised, where that is more than it goes by; nil for one whose writes go through no log.
    var laterPromise: WorkerReport.PromisedEpoch? {
        monitor.withLock { state in
            guard let promised = state.replication?.machine.promised, promised > state.heldEpoch else { return nil }
            return WorkerReport.PromisedEpoch(shard: self.shard, epoch: promised)
        }
    }

    /// Writes down by which version of its group it goes, on the lane. A disk that does not take it now may later: all
    /// that it is for is to be known after a restart.
    func noteGroup(_ version: UInt64) {
        do throws(WorkerError) {
            try changeRecord { $0.groupVersion = max($0.groupVersion, version) }
        } catch {
            logger.warning("the version of a replica's group cannot be remembered", metadata: logMetadata(error))
            let next = ContinuousClock.now + .seconds(10)
            monitor.withLock { $0.nextGroupNote = next }
        }
    }
}

extension Replica.State {
    var knownVersion: UInt64 { max(group?.version ?? 0, record.groupVersion) }

    /// What the record should say of the group's version and does not.
    func groupToNote(now: ContinuousClock.Instant) -> UInt64? {
        guard let group, group.version > record.groupVersion, nextGroupNote.map({ $0 <= now }) ?? true else {
            return nil
        }
        return group.version
    }
}
