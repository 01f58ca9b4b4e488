package import ClusterModel
package import FaceModel

/// Shards that take the place of others: the halves of one that is split, or the whole of two that are merged.
///
/// 1. Every worker that has the others' replicas in sync makes the new shards beside them, from its own copies, and
///    follows what is written.
/// 2. When all of them have come that far, the groups are *frozen*: no write is ordered any more.
/// 3. A primary that has applied everything it ordered says where it has ended; every worker says through which
///    sequences it has everything, durably. Where logs are archived, the archive comes to have the old ones whole: that
///    is waited for, for an hour at most.
/// 4. When those agree, one commit puts the new shards in the others' place. It is conditional on the groups' versions,
///    which every thaw and every change of a primary raises, so that nothing can have been written meanwhile.
///
/// Before the commit everything can be taken back by thawing the groups and removing what was made; after it nothing.
package struct Succession: Hashable, Sendable {
    /// A shard to be made on workers.
    package struct Preparation: Hashable, Sendable {
        package var shard: ShardID
        package var range: HashRange
        /// Shards whose replicas it is made from.
        package var sources: [ShardID]
    }

    package var collection: CollectionID { sources[0].shard.collection }
    /// Shards that go, neighbours, in order of range, as they were when the new ones were ready.
    package var sources: [ShardPlacement]
    /// Shards that come, in order of range.
    package var successors: [ShardPlacement]

    /// What a step does; nil when a shard that it is a change of is gone, or it is no change of shards.
    package init?(_ step: Operation.Step, in metadata: ClusterMetadata) {
        let sources = step.shards.compactMap(metadata.placement)
        guard sources.count == step.shards.count else { return nil }
        self.sources = sources
        let shard = { ShardID(collection: step.shard.collection, index: $0) }
        let first = sources[0]
        switch step.change {
        case .split(let cut, let lower, let upper):
            guard first.range.first < cut, cut <= first.range.last else { return nil }
            successors = [
                ShardPlacement(
                    shard: shard(lower),
                    range: HashRange(first: first.range.first, last: cut - 1),
                    group: Self.group(sources, primary: first.primary)
                ),
                ShardPlacement(
                    shard: shard(upper),
                    range: HashRange(first: cut, last: first.range.last),
                    // Two primaries on two workers, where there are two.
                    group: Self.group(
                        sources,
                        primary: first.group.inSync.first { $0 != first.primary } ?? first.primary
                    )
                ),
            ]
        case .merge(_, let successor):
            guard first.range.last < .max, first.range.last + 1 == sources[1].range.first else { return nil }
            successors = [
                ShardPlacement(
                    shard: shard(successor),
                    range: HashRange(first: first.range.first, last: sources[1].range.last),
                    group: Self.group(sources, primary: first.primary)
                )
            ]
        case .move, .add, .remove, .lead: return nil
        }
    }

    private static func group(_ sources: [ShardPlacement], primary: NodeID) -> ReplicaGroup {
        let inSync = sources[0].group.inSync
        let learners = Set(sources.flatMap(\.group.members)).subtracting(inSync)
        return ReplicaGroup(
            epoch: Epoch((sources.map(\.epoch.number).max() ?? 0) + 1),
            version: 1,
            primary: primary,
            inSync: inSync,
            learners: learners.sorted(),
            minimumInSync: sources.map(\.group.minimumInSync).max() ?? 1
        )
    }

    /// Whether the same workers have all of the shards that go.
    package var isTogether: Bool { apart == nil }

    /// A worker that has one of the shards that go in sync, and another not.
    private var apart: NodeID? {
        let inSync = sources.map(\.group.inSync)
        return inSync.joined().filter { worker in !inSync.allSatisfy { $0.contains(worker) } }.min()
    }

    package var preparations: [Preparation] {
        successors.map { Preparation(shard: $0.shard, range: $0.range, sources: sources.map(\.shard)) }
    }

    // MARK: What to do next

    /// What to do about one of the shards that go.
    func next(for shard: ShardID, in view: ClusterView) -> ReplicaChange.Next {
        guard let source = sources.first(where: { $0.shard == shard }) else { return .done }
        let group = source.group
        // They wait together: one after the other they would never be frozen at the same time.
        guard view.restingShards.isDisjoint(with: sources.map(\.shard)) else {
            return group.isFrozen ? .regroup(group.freezing(false)) : .wait(.resting)
        }
        if let apart {
            // It comes back, or the step is taken back; writes do not wait for that.
            return group.isFrozen ? .regroup(group.freezing(false)) : .wait(.notReady(apart))
        }
        for worker in group.inSync {
            guard view.liveWorkers.contains(worker) else { return .wait(.notReady(worker)) }
            for successor in successors {
                switch view.successor(successor.shard, on: worker)?.state {
                case .following, .sealed: continue
                case .copying, .failed, nil:
                    // What has to begin anew takes long.
                    return group.isFrozen ? .regroup(group.freezing(false)) : .wait(.preparing(worker))
                }
            }
        }
        guard group.isFrozen else {
            // The rest of the logs is archived while writes wait: it has to be little.
            if let archive = awaitedArchive(in: view), !sources.allSatisfy({ archive.isNear($0.shard) }) {
                return .wait(.archiving)
            }
            return .regroup(group.freezing(true))
        }
        guard let ends = ends(in: view) else { return .wait(.draining) }
        return .wait(isArchived(ends, in: view) ? .draining : .archiving)
    }

    /// Where the logs of the shards that go have ended; nil unless the new shards may take their place.
    func readyEnds(in view: ClusterView) -> [ShardID: UInt64]? {
        guard isTogether, let ends = ends(in: view), isArchived(ends, in: view) else { return nil }
        let isReady = sources[0].group.inSync.allSatisfy { worker in
            successors.allSatisfy { view.successor($0.shard, on: worker)?.state == .sealed(ends) }
        }
        return isReady ? ends : nil
    }

    /// Where the logs of the shards that go have ended; nil while writes are ordered, or wait to be finished.
    package func ends(in view: ClusterView) -> [ShardID: UInt64]? {
        var ends: [ShardID: UInt64] = [:]
        for source in sources {
            let group = source.group
            guard group.isFrozen, view.liveWorkers.contains(group.primary),
                let primary = view.replica(of: source.shard, on: group.primary), primary.role == .primary,
                primary.epoch == group.epoch, let end = primary.end, end.groupVersion == group.version
            else { return nil }
            ends[source.shard] = end.sequence
        }
        return ends
    }

    /// Shards that are about to go, whose logs the archive has to have to their ends before they do; and those among
    /// them whose logs have ended.
    package static func awaitingArchive(in view: ClusterView) -> (shards: Set<ShardID>, ended: Set<ShardID>) {
        var (shards, ended): (Set<ShardID>, Set<ShardID>) = ([], [])
        for operation in view.metadata.openOperations where operation.state == .running {
            for step in operation.steps where step.state == .running {
                guard let succession = Succession(step, in: view.metadata), succession.isMade(in: view),
                    succession.awaitedArchive(in: view) != nil
                else { continue }
                shards.formUnion(succession.sources.map(\.shard))
                ended.formUnion(succession.ends(in: view)?.keys.map(\.self) ?? [])
            }
        }
        return (shards, ended)
    }

    /// Whether nothing is left but the moment in which the new shards take the others' place.
    private func isMade(in view: ClusterView) -> Bool {
        isTogether
            && sources[0].group.inSync.allSatisfy { worker in
                view.liveWorkers.contains(worker)
                    && successors.allSatisfy { view.successor($0.shard, on: worker)?.state.hasEveryRow ?? false }
            }
    }

    /// Nil where none is waited for: the logs of a collection that is being restored are not archived.
    private func awaitedArchive(in view: ClusterView) -> ArchiveObservation? {
        view.metadata.collections[collection]?.restoration == nil ? view.archive : nil
    }

    /// Whether the archive has the logs that end there, where it is waited for.
    private func isArchived(_ ends: [ShardID: UInt64], in view: ClusterView) -> Bool {
        guard let archive = awaitedArchive(in: view) else { return true }
        return ends.allSatisfy { archive.has($0.key, through: $0.value) }
    }

    // MARK: The commit

    /// Puts the new shards into the record; false when the others are not any more as they were, or another shard has,
    /// or had, the number of a new one.
    package func apply(to record: inout CollectionRecord) -> Bool {
        guard sources.allSatisfy({ record.placement(of: $0.shard) == $0 }),
            !successors.contains(where: { record.hasHad($0.shard.index) })
        else { return false }
        let leaving = Set(sources.map(\.shard))
        record.placements = (record.placements.filter { !leaving.contains($0.shard) } + successors)
            .sorted { $0.shard < $1.shard }
        record.retirements += sources.map {
            ShardRetirement(index: $0.shard.index, epoch: $0.epoch, range: $0.range)
        }
        let shardCount = record.placements.count
        record.reconfigure { $0.shardCount = shardCount }
        return true
    }
}

extension Operation.Step {
    /// Whether the worker that a replica is to move to has one in sync already.
    func isReached(_ group: ReplicaGroup) -> Bool {
        guard case .move(_, let target) = change else { return false }
        return group.isInSync(target)
    }

    /// The worker that a replica is to move from, where it has none any more.
    func absentSender(_ group: ReplicaGroup) -> NodeID? {
        guard case .move(let worker, _) = change, !group.members.contains(worker) else { return nil }
        return worker
    }

    /// Whether another shard has, or had, the number of one that is to come, while those that are to go are there:
    /// before numbers were kept apart, two steps could be given the same. The other was first.
    func isForestalled(in metadata: ClusterMetadata) -> Bool {
        guard !change.successors.isEmpty, let record = metadata.collections[shard.collection],
            shards.allSatisfy({ record.index(of: $0) != nil })
        else { return false }
        return change.successors.contains(where: record.hasHad)
    }

    /// The shards that it is a change of.
    package var shards: [ShardID] {
        [shard] + (change.partner.map { [ShardID(collection: shard.collection, index: $0)] } ?? [])
    }
}

extension CollectionRecord {
    /// Whether all that has taken a shard's place is there.
    func isReplaced(_ retirement: ShardRetirement, in view: ClusterView) -> Bool {
        placements.allSatisfy { placement in
            let overlaps =
                placement.range.first <= retirement.range.last && retirement.range.first <= placement.range.last
            return !overlaps || view.isWhole(placement)
        }
    }
}
