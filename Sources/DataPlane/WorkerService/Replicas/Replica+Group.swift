import ClusterModel
import Logging
import PartitionEngine
import ShardReplication
import Synchronization
import Threads
import WireProtocol

/// What a replica remembers of its group beyond a restart, so that a metadata store that was put back to an earlier
/// state is known by it.
extension Replica {
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

    /// Of the last entry that it has applied, as of the last report; nil before one, and where nothing was written.
    var appliedEpoch: WorkerReport.AppliedEpoch? {
        monitor.withLock { state in
            guard let statistics = state.statistics, statistics.sequence > 0 else { return nil }
            return WorkerReport.AppliedEpoch(shard: self.shard, epoch: Epoch(statistics.epoch))
        }
    }

    /// By what a replica is to be removed.
    enum RemovalGround {
        /// The worker is no member of the group of this version.
        case version(UInt64)
        /// It is a member of no group of the shard by the records as they were at this time of ``ReplicationClock``, or
        /// later.
        case records(time: Duration)
    }

    /// Looks whether it goes by a later version of its group than an order to remove it, or remembers one.
    func checkRemoval(by ground: RemovalGround) throws(WireStatus) {
        try monitor.withLock { (state) throws(WireStatus) in
            try state.checkRemoval(of: self.shard, from: self.links.node, by: ground)
        }
    }

    /// Looks again, and tells the lane and the readers to end, without waiting for them: in one step, since groups are
    /// heard of meanwhile, and from then on by none.
    func beginRemoval(by ground: RemovalGround) throws(WireStatus) {
        try monitor.withLock(waking: .all) { (state) throws(WireStatus) in
            try state.checkRemoval(of: self.shard, from: self.links.node, by: ground)
            state.isStopping = true
        }
        isFenced.store(true, ordering: .releasing)
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
    /// Of the newest group that it goes by, or went by before a restart; 0 when none is known.
    var knownVersion: UInt64 { max(group?.version ?? 0, record.groupVersion) }

    /// - Throws: what is later than that by which the replica is to be removed.
    fileprivate func checkRemoval(
        of shard: ShardID,
        from node: NodeID,
        by ground: Replica.RemovalGround
    ) throws(WireStatus) {
        let version: UInt64
        switch ground {
        case .version(let number): version = number
        case .records(let time):
            // Who has left a group is told of no other: that it went by one before then says nothing.
            guard groupTime.map({ $0 < time }) ?? true else { throw Refusal.membershipNotHeard(shard) }
            return
        }
        if let group, group.version > version, group.members.contains(node) {
            throw Refusal.laterGroup(shard, sent: version, held: group.version)
        }
        // What the disk remembers of the time before a restart. Whoever tells a worker of its groups may do so from the
        // same records as whoever gave the order, and those may have been put back to an earlier state.
        guard version >= knownVersion else {
            throw Refusal.earlierRecords(shard, sent: version, held: knownVersion)
        }
    }

    /// What the record should say of the group's version and does not.
    func groupToNote(now: ContinuousClock.Instant) -> UInt64? {
        guard let group, group.version > record.groupVersion, nextGroupNote.map({ $0 <= now }) ?? true else {
            return nil
        }
        return group.version
    }
}
