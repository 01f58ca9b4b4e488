package import ClusterModel

/// How a shard goes on when an operator gives up what was agreed on after the record that the metadata store holds.
///
/// Nobody knows any more which replicas were in sync. Of those that are there the one leads that has applied most:
/// if any of them was in sync, that one has everything that was acknowledged, since what a replica has applied begins
/// with what every other one has. The others catch up before they count.
///
/// One that was away, and has applied more, stays a member: its leader finds out, and gives it a copy. Where a write
/// needs more than the leader, which is alone in sync, replicas take that for the word of an operator, so that the copy
/// need not reach further than what it replaces (`ReplicaStateMachine.mayTake`).
package struct RecordAcceptance: Hashable, Sendable {
    package let shard: ShardID
    /// Version of the record in the store.
    package let storedVersion: UInt64
    /// The highest that a live worker goes by.
    package let knownVersion: UInt64
    /// In place of the one in the store; nil when nobody knows of a newer one.
    package let group: ReplicaGroup?
    /// What the members have applied; those that are not there are left out.
    package let sequences: [NodeID: UInt64]

    /// How far epoch and version are raised above all that is known: further than what happened that nobody tells of.
    package static let leap: UInt64 = 1 << 20

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
        guard knownVersion > storedVersion else {
            group = nil
            return
        }
        guard let leader = there.max(by: { ($0.replica.sequence, $1.worker) < ($1.replica.sequence, $0.worker) })
        else { return nil }
        let epoch = max(stored.epoch, reports.map(\.replica.epoch).max() ?? stored.epoch)
        group = ReplicaGroup(
            epoch: Epoch(epoch.number + Self.leap),
            version: knownVersion + Self.leap,
            primary: leader.worker,
            inSync: [leader.worker],
            learners: Set(stored.members + there.map(\.worker)).subtracting([leader.worker]).sorted(),
            minimumInSync: stored.minimumInSync,
            isFrozen: stored.isFrozen
        )
    }
}
