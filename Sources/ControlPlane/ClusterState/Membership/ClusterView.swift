package import ClusterModel

/// The agreed and the reported side by side: what planners decide from.
package struct ClusterView: Sendable {
    package var metadata: ClusterMetadata
    package var observations: [NodeID: WorkerObservation]
    /// Workers heard of within the silence limit.
    package var liveWorkers: Set<NodeID>
    /// Workers not heard of for so long that their replicas are to be made anew elsewhere.
    package var goneWorkers: Set<NodeID>
    /// Workers not heard of for so long that nobody waits for them any more: those that are gone, or, where nobody is
    /// replaced, would be.
    package var absentWorkers: Set<NodeID> = []
    /// Whether a silence means something: nobody has been listened to for long enough before.
    package var isSettled: Bool
    /// See ``OlderRecords``: people are told of them.
    package var olderShards: Set<ShardID> = []
    /// These, and those that may be: their groups are not changed, and workers are told nothing of them.
    package var suspectShards: Set<ShardID> = []
    /// Workers on which a copy in the place of a lost one has come to nothing lately, by shard; see
    /// ``OperationLedger/shunnedWorkers(now:)``.
    package var shunnedWorkers: [ShardID: Set<NodeID>] = [:]
    /// Shards that are not to be frozen now: writes have just waited for long.
    package var restingShards: Set<ShardID>
    /// How far the archive has the logs of shards that are about to go; nil where logs are not archived.
    package var archive: ArchiveObservation?
    /// Of shards that were watched.
    package var searchRates: [ShardID: SearchRate] = [:]
    /// Disk that stays free on every worker, whatever comes to it.
    package var spareDiskByteCount: UInt64 = 0
    /// Whether replicas come only to workers with memory for what searches read of them.
    package var reservesMemory = true

    package init(
        metadata: ClusterMetadata,
        observations: [NodeID: WorkerObservation],
        liveWorkers: Set<NodeID>,
        goneWorkers: Set<NodeID> = [],
        isSettled: Bool = true,
        restingShards: Set<ShardID> = []
    ) {
        self.metadata = metadata
        self.observations = observations
        self.liveWorkers = liveWorkers
        self.goneWorkers = goneWorkers
        self.isSettled = isSettled
        self.restingShards = restingShards
    }

    /// Rows that searches compare on each worker in a second: those of a shard are shared by its replicas in sync.
    package var comparedRowRates: [NodeID: Double] {
        var rates: [NodeID: Double] = [:]
        for placement in metadata.placements {
            guard let rate = searchRates[placement.shard]?.rowsPerSecond else { continue }
            let members = placement.group.inSync
            for member in members { rates[member, default: 0] += rate / Double(members.count) }
        }
        return rates
    }

    /// Workers that may be given replicas.
    package var placementWorkers: Set<NodeID> {
        liveWorkers.filter { metadata.standing(of: $0) == .active && !isStopping($0) && !isShortOfMemory($0) }
    }

    /// Whether the worker has said that it is about to stop.
    package func isStopping(_ worker: NodeID) -> Bool { observations[worker]?.isStopping ?? false }

    /// Whether the worker turns enrolments and copies away, since it holds as much memory as it may.
    package func isShortOfMemory(_ worker: NodeID) -> Bool { observations[worker]?.memory.isShort ?? false }

    /// Whether the replica on the worker has waited for its disk for long, and waits still.
    package func isStuck(_ shard: ShardID, on worker: NodeID) -> Bool {
        replica(of: shard, on: worker)?.isStuck ?? false
    }

    /// Whether the worker is live, its replica open, and its disk takes what is written.
    package func takesWrites(_ shard: ShardID, on worker: NodeID) -> Bool {
        isServing(shard, on: worker) && !isStuck(shard, on: worker)
    }

    /// Members that may become the primary, or stay it: the furthest first. None of them is one from which
    /// ``FailoverPlanner`` would take it away again.
    package func readyMembers(of placement: ShardPlacement) -> [NodeID] {
        let shard = placement.shard
        return placement.group.inSync.filter { takesWrites(shard, on: $0) && !isStopping($0) }
            .map { ($0, replica(of: placement.shard, on: $0)?.sequence ?? 0) }
            .sorted { $0.1 != $1.1 ? $0.1 > $1.1 : $0.0 < $1.0 }
            .map(\.0)
    }

    /// A replica as its worker last reported it, be the worker live or not.
    package func replica(of shard: ShardID, on worker: NodeID) -> ReplicaObservation? {
        observations[worker]?.replicas[shard]
    }

    package func successor(_ shard: ShardID, on worker: NodeID) -> SuccessorObservation? {
        observations[worker]?.successors[shard]
    }

    /// The replica that speaks for a placement: the primary's as last reported, or, while that one is silent or does
    /// not serve, the furthest of the others in sync that do.
    package func replica(of placement: ShardPlacement) -> ReplicaObservation? {
        let group = placement.group
        let own = replica(of: placement.shard, on: group.primary)
        if group.inSync.count == 1 || isServing(placement.shard, on: group.primary) { return own }
        let others = group.inSync.filter { $0 != group.primary && isServing(placement.shard, on: $0) }
            .compactMap { replica(of: placement.shard, on: $0) }
        return others.max { $0.sequence < $1.sequence } ?? own
    }

    /// Faces of a collection, by the replicas that speak for its shards.
    package func faceCount(of record: CollectionRecord) -> UInt64 {
        record.placements.reduce(0) { $0 + (replica(of: $1)?.faceCount ?? 0) }
    }

    /// Whether the worker is live and its replica open.
    package func isServing(_ shard: ShardID, on worker: NodeID) -> Bool {
        liveWorkers.contains(worker) && replica(of: shard, on: worker)?.state == .serving
    }

    /// Whether what a member holds is no copy to wait for: it has failed, or its worker is away for good, as it seems.
    func isGivenUp(_ shard: ShardID, on worker: NodeID) -> Bool {
        liveWorkers.contains(worker)
            ? replica(of: shard, on: worker)?.state == .failed : absentWorkers.contains(worker)
    }

    /// Whether the placement's primary is live and orders writes under the agreed epoch.
    package func isHosted(_ placement: ShardPlacement) -> Bool {
        guard isHosted(placement, on: placement.primary), let replica = replica(of: placement) else { return false }
        return placement.group.members.count == 1 || replica.role == .primary
    }

    /// Whether the member is live and holds its replica under the agreed epoch.
    package func isHosted(_ placement: ShardPlacement, on member: NodeID) -> Bool {
        guard isServing(placement.shard, on: member), let replica = replica(of: placement.shard, on: member)
        else { return false }
        return replica.epoch >= placement.epoch
    }

    /// Whether the member holds its replica under the agreed epoch with what the log says up to a sequence.
    func isHosted(_ placement: ShardPlacement, on member: NodeID, upTo sequence: UInt64) -> Bool {
        guard isHosted(placement, on: member), let replica = replica(of: placement.shard, on: member)
        else { return false }
        return replica.sequence >= sequence
    }

    /// Whether the worker is live and has no replica.
    func lacks(_ shard: ShardID, on worker: NodeID) -> Bool {
        liveWorkers.contains(worker) && replica(of: shard, on: worker) == nil
    }

    /// The member that is asked for a sample of the shard: one that answers reads, the primary rather than another.
    package func reader(of placement: ShardPlacement) -> NodeID? {
        if isHosted(placement) { return placement.primary }
        return placement.group.inSync.first { member in
            isServing(placement.shard, on: member) && replica(of: placement.shard, on: member)?.role == .secondary
        }
    }

    /// Whether the shard takes writes and every replica in sync is there to have them.
    package func isWhole(_ placement: ShardPlacement) -> Bool {
        isHosted(placement) && placement.group.inSync.allSatisfy { isServing(placement.shard, on: $0) }
    }

    /// Whether two replicas in sync held something else behind the same entry of their log.
    package func isDifferent(_ placement: ShardPlacement) -> Bool {
        let checkpoints = placement.group.inSync.compactMap { replica(of: placement.shard, on: $0)?.checkpoint }
        return Dictionary(grouping: checkpoints, by: \.sequence).values.contains { Set($0.map(\.digest)).count > 1 }
    }

    /// Writes that the slowest replica that is there is behind the furthest.
    package func lag(of placement: ShardPlacement) -> UInt64 {
        let sequences = placement.group.members.filter { isServing(placement.shard, on: $0) }
            .compactMap { replica(of: placement.shard, on: $0)?.sequence }
        return (sequences.max() ?? 0) - (sequences.min() ?? 0)
    }

    /// The live worker does not know a replica whose faces were acknowledged in its name.
    ///
    /// A learner counts for nothing: an empty replica may take its place. A shard that took others' place and is not
    /// whole on the worker counts as no replica: its disk went back to before it was.
    func hasLost(_ placement: ShardPlacement, on member: NodeID, of record: CollectionRecord) -> Bool {
        !record.mayBegin(placement, on: member) && liveWorkers.contains(member)
            && replica(of: placement.shard, on: member) == nil
            && successor(placement.shard, on: member)?.state.isSealed != true
    }
}
