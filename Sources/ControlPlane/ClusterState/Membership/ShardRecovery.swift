package import ClusterModel
package import FaceModel

/// How a shard goes on of which no replica in sync is left, when an operator gives up what only those had.
///
/// Where a replica is there that was not in sync, the one that has applied most leads, as in ``RecordAcceptance``: what
/// it has begins what was acknowledged. Otherwise an empty shard takes the place on the ring. Either way the loss is
/// recorded, and answers say so until somebody says that the faces are back.
package struct ShardRecovery: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        /// In place of the shard's group.
        case group(ReplicaGroup)
        /// In place of the shard.
        case emptyShard(ShardPlacement)
    }

    /// As the metadata store has it.
    package let old: ShardPlacement
    package let outcome: Outcome
    /// What the replicas that are there have applied.
    package let sequences: [NodeID: UInt64]
    /// Members that had every acknowledged write, and those that were behind and have failed: what they have is given
    /// up.
    package let lost: [NodeID]
    /// Members that were behind by the record, and are silent: one that led when it fell silent may have more than
    /// whoever led after it.
    package let away: [NodeID]

    /// Why nobody's silence counts in the first seconds of a coordinator, for people.
    package static let unsettledReason =
        "This coordinator has just begun, and may not have heard of every worker; ask again in some seconds."

    /// - Throws: when something is left that would be lost, or that has to be done before; a sentence for people.
    package init(of shard: ShardID, in view: ClusterView) throws(OperationRefusal) {
        guard let record = view.metadata.collections[shard.collection], let placement = record.placement(of: shard)
        else { throw OperationRefusal("There is no shard \(shard).") }
        try Self.check(placement, of: record, in: view)
        let there = view.liveWorkers.sorted().filter { view.isServing(shard, on: $0) }.compactMap { worker in
            view.replica(of: shard, on: worker).map { (worker: worker, replica: $0) }
        }
        let holders = there.map(\.worker)
        old = placement
        sequences = Dictionary(uniqueKeysWithValues: there.map { ($0.worker, $0.replica.sequence) })
        let learners = placement.group.learners
        away = learners.filter { !view.liveWorkers.contains($0) }
        let failed = learners.filter { learner in
            view.liveWorkers.contains(learner) && view.replica(of: shard, on: learner)?.state == .failed
        }
        lost = placement.group.inSync + failed
        outcome =
            if let leader = DecreedLeaderPolicy.leader(of: there) {
                .group(Self.group(of: placement, ledBy: leader, among: holders, in: view))
            } else {
                .emptyShard(try Self.emptyShard(for: placement, of: record, in: view))
            }
    }

    /// Puts what comes of it into the record; false when the shard is not any more as it was.
    package func apply(to record: inout CollectionRecord, now: Timestamp) -> Bool {
        guard let index = record.index(of: old.shard), record.placements[index] == old else { return false }
        var loss = AcceptedLoss(range: old.range, time: now)
        switch outcome {
        case .group(let group): record.placements[index].group = group
        case .emptyShard(let placement):
            loss.beginning = placement.shard.index
            record.placements.remove(at: index)
            record.placements = (record.placements + [placement]).sorted { $0.shard < $1.shard }
            record.retirements.append(ShardRetirement(index: old.shard.index, epoch: old.epoch, range: old.range))
        }
        record.losses.append(loss)
        return true
    }

    /// Whether the record has what came of it at that time, whatever was made of it since: a commit whose end was not
    /// heard of may have made it.
    package func wasApplied(to record: CollectionRecord, now: Timestamp) -> Bool {
        record.losses.contains { $0.range == old.range && $0.time == now }
    }

    /// The shard that goes on, as another or under a later epoch, if what only lost replicas of one had was given up
    /// since it was of an epoch; nil otherwise.
    package static func successor(
        of shard: ShardID,
        since epoch: Epoch,
        in record: CollectionRecord
    ) -> ShardPlacement? {
        if let placement = record.placement(of: shard) {
            return placement.epoch.isDecreed(since: epoch) ? placement : nil
        }
        guard let retirement = record.retirement(of: shard), retirement.epoch >= epoch,
            record.losses.contains(where: { $0.range == retirement.range })
        else { return nil }
        return record.placements.first { $0.range.contains(retirement.range.first) }
    }

    /// Whether a worker's replica leads that has applied so much.
    package func isLed(by worker: NodeID, through sequence: UInt64) -> Bool {
        guard case .group(let group) = outcome, group.primary == worker else { return false }
        return sequences[worker].map { $0 >= sequence } ?? false
    }

    private static func check(
        _ placement: ShardPlacement,
        of record: CollectionRecord,
        in view: ClusterView
    ) throws(OperationRefusal) {
        let shard = placement.shard
        guard view.isSettled else {
            throw OperationRefusal(Self.unsettledReason)
        }
        guard !view.suspectShards.contains(shard) else {
            throw OperationRefusal(
                "Workers go by a newer record of shard \(shard) than the metadata store holds: 'mien metadata accept "
                    + "COLLECTION' is for that."
            )
        }
        guard record.isEstablished, record.restoration == nil, !record.isBeginning(shard) else {
            throw OperationRefusal(
                "Shard \(shard) is not whole yet: it is being made, or restored."
            )
        }
        for member in placement.group.inSync where view.liveWorkers.contains(member) {
            switch view.replica(of: shard, on: member)?.state {
            case .serving, .opening:
                // It may be because faces were given up that it is.
                let isGivenUp = record.losses.contains { $0.range == placement.range }
                throw OperationRefusal(
                    "The \(view.metadata.name(of: member)) has a replica of shard \(shard) that is in sync: nothing of "
                        + "it is lost"
                        + (isGivenUp ? " that was not given up before; 'mien collection losses' tells when." : ".")
                )
            case .failed, nil: continue
            }
        }
        for member in placement.group.learners where view.liveWorkers.contains(member) {
            guard view.replica(of: shard, on: member)?.state == .opening else { continue }
            throw OperationRefusal(
                "The \(view.metadata.name(of: member)) opens its replica of shard \(shard), which may have what is "
                    + "lost; ask again when that is done."
            )
        }
        for operation in view.metadata.openOperations {
            let isOfIt = operation.steps.contains { step in
                !step.state.hasEnded && step.shards.contains(shard) && !Self.onlyTakesAway(step, placement.group)
            }
            if isOfIt {
                throw OperationRefusal(
                    "Operation \(operation.id) is about to change shard \(shard): 'mien operation cancel' it first."
                )
            }
        }
    }

    /// Whether a step only has a replica leave, which waits until one is in sync that has more.
    private static func onlyTakesAway(_ step: Operation.Step, _ group: ReplicaGroup) -> Bool {
        guard step.change.successors.isEmpty else { return false }
        return step.state == .undoing || step.state == .running && step.change.isPastCommitPoint(in: group)
    }

    /// What comes back of the other members has more than the leader and is no part of it any more. By the epoch a
    /// coordinator that reads no records meanwhile knows that faces were given up.
    private static func group(
        of placement: ShardPlacement,
        ledBy leader: NodeID,
        among holders: [NodeID],
        in view: ClusterView
    ) -> ReplicaGroup {
        let reports = holders.compactMap { view.replica(of: placement.shard, on: $0) }
        let epoch = reports.map(\.highestEpoch).reduce(placement.epoch, max)
        let version = reports.map(\.groupVersion).reduce(placement.group.version, max)
        return ReplicaGroup(
            epoch: Epoch(epoch.number + Epoch.leap),
            version: version + 1,
            primary: leader,
            inSync: [leader],
            learners: holders.filter { $0 != leader },
            minimumInSync: placement.group.minimumInSync
        )
    }

    private static func emptyShard(
        for placement: ShardPlacement,
        of record: CollectionRecord,
        in view: ClusterView
    ) throws(OperationRefusal) -> ShardPlacement {
        guard view.metadata.pins[placement.shard] == nil else {
            throw OperationRefusal(
                "Shard \(placement.shard) is pinned, and another takes its place: 'mien shard unpin' it first."
            )
        }
        let configuration = record.collection.configuration
        var load = PlacementLoad(view)
        var members: [NodeID] = []
        while members.count < configuration.replicationFactor, let next = load.best(beside: members) {
            load.add(next, to: members)
            members.append(next)
        }
        guard members.count >= configuration.minimumInSync else {
            throw OperationRefusal(
                "An empty shard needs \(configuration.minimumInSync) workers that may be given replicas, and there "
                    + "\(members.count == 1 ? "is 1" : "are \(members.count)"); start more."
            )
        }
        return ShardPlacement(
            shard: ShardID(
                collection: placement.shard.collection,
                index: OperationRequest.nextIndex(of: record, in: view)
            ),
            range: placement.range,
            group: ReplicaGroup(
                epoch: Epoch(placement.epoch.number + 1),
                version: 1,
                primary: load.bestPrimary(of: members),
                inSync: members,
                minimumInSync: configuration.minimumInSync
            )
        )
    }
}
