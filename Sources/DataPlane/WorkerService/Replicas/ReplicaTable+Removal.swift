import ClusterModel
import Logging
import Synchronization
import Threads
import WireProtocol

/// Replicas that are to go, and what is to be known of before they do.
extension ReplicaTable {
    /// The replicas have heard of every group that a coordinator told this worker to be a member of.
    ///
    /// - Parameters:
    ///   - shards: those of the groups.
    ///   - time: of ``ReplicationClock``: so it was then at the earliest.
    func told(_ shards: Set<ShardID>, asOf time: Duration) {
        guard time >= began else { return }
        memberships.withLock { known in
            if known.map({ $0.time <= time }) ?? true { known = (shards, time) }
        }
        isTold.set()
    }

    /// Makes the replica not exist, files and all. Idempotent.
    ///
    /// - Throws: `staleEpoch` when it is held under a higher one, or counts by a later group than the one that it was
    ///   none of, or by any where the order does not tell which, or knows more than the records that the order comes
    ///   of; `unavailable` as long as this worker cannot know of a later group.
    func drop(_ request: DropReplica) throws(WireStatus) {
        let shard = request.shard
        let held = replicas.withLock { $0[shard] }
        // What is made in its folder is no replica of it yet, and abandoned rather.
        guard held != nil || prepared.withLock({ $0[shard] == nil }) else { return }
        if let held {
            let ground = try check(request, against: held)
            logger.debug("replica is to be dropped", metadata: metadata(shard, ["epoch": "\(request.epoch.number)"]))
            if let ground { try held.beginRemoval(by: ground) }
            held.stop()
            if let since = held.figures.remnantsSince { noteRemains(in: folder.replicaPath(shard), since: since) }
        }
        // Whoever asks meanwhile is told that it is there as long as its files are.
        do throws(WorkerError) {
            try DurableFile.remove(Replica.recordPath(in: folder.replicaPath(shard)))
            try removeFiles(in: folder.replicaPath(shard))
        } catch {
            // One that is gone for good is told of until the disk lets it go; another may be wanted here again.
            if request.groupVersion != 0 { replicas.withLock { $0[shard] = nil } }
            logger.error(
                "files of a replica that was dropped cannot be removed",
                metadata: metadata(shard, ["path": "\(folder.replicaPath(shard))", "reason": "\(error)"])
            )
            throw Refusal.folder(error)
        }
        if held != nil {
            replicas.withLock { $0[shard] = nil }
            logger.info("replica dropped", metadata: metadata(shard, ["epoch": "\(request.epoch.number)"]))
            options.reportChanged()
        }
    }

    /// An order may come long after it was given: whoever gave it was stopped, or the connection slow. By then the
    /// worker may be a member again, and the replica another, in the same epoch.
    ///
    /// - Returns: what is to be looked at again when it begins; nil for a shard that is gone for good.
    private func check(
        _ request: DropReplica,
        against replica: Replica
    ) throws(WireStatus) -> Replica.RemovalGround? {
        // What it is told of is the replica's before this is so.
        let isTold = isTold.isSet
        let (shard, epoch) = (request.shard, replica.epoch)
        guard request.epoch >= epoch else { throw Refusal.staleEpoch(shard, sent: request.epoch, held: epoch) }
        // It may have gone by more than its disk tells. What goes for good goes by the newest epoch there is.
        if request.groupVersion != 0, let promised = replica.promisedEpoch, promised > request.epoch {
            throw Refusal.earlierRecords(shard, sent: request.epoch, promised: promised)
        }
        guard let version = request.groupVersion else {
            // From an earlier build, whose orders are checked by what the records say now.
            guard let known = memberships.withLock({ $0 }) else { throw Refusal.membershipNotHeard(shard) }
            guard !known.shards.contains(shard) else { throw Refusal.isMember(shard) }
            let ground = Replica.RemovalGround.records(time: known.time)
            try replica.checkRemoval(by: ground)
            return ground
        }
        guard version > 0 else { return nil }
        let ground = Replica.RemovalGround.version(version)
        try replica.checkRemoval(by: ground)
        // What it is none of nobody tells it.
        guard isTold else { throw Refusal.groupsNotHeard(shard) }
        return ground
    }
}
