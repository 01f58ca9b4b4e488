package import ClusterModel
package import FaceModel

/// How a shard goes on when an operator gives up what was agreed on after the record that the metadata store holds.
///
/// Nobody knows any more which replicas were in sync. Of those that are there the one leads that has applied most:
/// if any of them was in sync, that one has everything that was acknowledged, since what a replica has applied begins
/// with what every other one has. The others catch up before they count. An entry of a later epoch counts for more than
/// any number of earlier ones: where a history was given up before, a replica may have kept it
/// (``DecreedLeaderPolicy``).
///
/// One that was away, and has applied more, stays a member: its leader finds out, and gives it a copy. Where a write
/// needs more than the leader, which is alone in sync, replicas take that for the word of an operator, so that the copy
/// need not reach further than what it replaces (`ReplicaStateMachine.mayTake`).
///
/// Unless everybody is there who may have a replica, what only the others have is given up, and the loss is recorded;
/// and so it is where none of those that the record has in sync goes by a newer one: they may have gone on by that of
/// the store while the others were away, and each have acknowledged what the other lacks.
///
/// A record that has gone on since the store was put back may have a later version than any worker knows, and an
/// earlier epoch than a replica has promised, which obeys no primary of this record then. That one alone is given up:
/// the group stays, under a later epoch, and what was acknowledged in the epoch that the record never had counts as
/// lost.
package struct RecordAcceptance: Hashable, Sendable {
    package let shard: ShardID
    /// Version of the record in the store.
    package let storedVersion: UInt64
    /// The highest that a live worker goes by.
    package let knownVersion: UInt64
    /// In place of the one in the store; nil when nobody knows of a newer one, nor has promised a later epoch.
    package let group: ReplicaGroup?
    /// What the members have applied; those that are not there are left out.
    package let sequences: [NodeID: UInt64]
    /// Whether every replica is there and serves: of those that the record names and of those that a worker told of. A
    /// worker that was not heard of since this coordinator began may have one, too. And none has applied more than the
    /// one that leads; and one goes by a newer record that was in sync by that of the store: all that was acknowledged
    /// by that begins what the newer record went on with.
    package let isWhole: Bool

    /// How far epoch and version are raised above all that is known: further than what happened that nobody tells of.
    package static let leap = Epoch.leap

    /// - Returns: nil when no replica is there that could lead.
    package init?(of placement: ShardPlacement, in view: ClusterView) {
        let (shard, stored) = (placement.shard, placement.group)
        let reports = view.liveWorkers.sorted().compactMap { worker in
            view.replica(of: shard, on: worker).map { (worker: worker, replica: $0) }
        }
        self.shard = shard
        storedVersion = stored.version
        knownVersion = reports.map(\.replica.groupVersion).max() ?? 0
        let there = reports.filter { $0.replica.state == .serving }
        sequences = Dictionary(uniqueKeysWithValues: there.map { ($0.worker, $0.replica.sequence) })
        let unheard = view.metadata.workers.keys.filter {
            view.observations[$0] == nil && view.metadata.standing(of: $0) != .decommissioned
        }
        let holders = view.observations.filter { $0.value.replicas[shard] != nil }.keys
        // Whoever promised what the record never had may have acknowledged what its replicas do not have.
        let isAnother =
            knownVersion <= storedVersion && reports.contains { $0.replica.highestEpoch > stored.epoch }
        let areAllThere = unheard.isEmpty && Set(stored.members).union(holders).isSubset(of: there.map(\.worker))
        let epoch = max(stored.epoch, reports.map(\.replica.highestEpoch).max() ?? stored.epoch)
        guard knownVersion > storedVersion else {
            isWhole = !isAnother && areAllThere
            guard epoch > stored.epoch else {
                group = nil
                return
            }
            var raised = stored
            raised.epoch = Epoch(epoch.number + Self.leap)
            raised.version = storedVersion + Self.leap
            group = raised
            return
        }
        guard let leader = DecreedLeaderPolicy.leader(of: there) else { return nil }
        let most = there.map(\.replica.sequence).max()
        let hasMost = there.contains { $0.worker == leader && $0.replica.sequence == most }
        let isContinued = there.contains {
            stored.isInSync($0.worker) && $0.replica.groupVersion > stored.version
        }
        isWhole = areAllThere && hasMost && isContinued
        group = ReplicaGroup(
            epoch: Epoch(epoch.number + Self.leap),
            version: knownVersion + Self.leap,
            primary: leader,
            inSync: [leader],
            learners: Set(stored.members + there.map(\.worker)).subtracting([leader]).sorted(),
            minimumInSync: stored.minimumInSync,
            isFrozen: stored.isFrozen
        )
    }

    /// Whether the group is in the record, or one that was made of it since under the same primary: a commit whose end
    /// was not heard of may have put it there.
    package func wasApplied(to record: CollectionRecord) -> Bool {
        guard let group, let current = record.placement(of: shard)?.group else { return false }
        return current.epoch == group.epoch && current.primary == group.primary && current.version >= group.version
    }

    /// Puts the group into the record; false when there is none, or that of the shard is not any more as it was.
    package func apply(to record: inout CollectionRecord, now: Timestamp) -> Bool {
        guard let group, let index = record.index(of: shard), record.placements[index].group.version == storedVersion
        else { return false }
        record.placements[index].group = group
        if !isWhole { record.losses.append(AcceptedLoss(range: record.placements[index].range, time: now)) }
        return true
    }
}
