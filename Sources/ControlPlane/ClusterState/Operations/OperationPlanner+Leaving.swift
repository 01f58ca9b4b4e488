import ClusterModel
import FaceModel

/// When a replica that is whole, and there, may stop counting: how many are left is more than the group alone tells,
/// since a minimum of one would let the last but one leave while the others are away.
extension OperationPlanner {
    /// What a step comes to by its group, unless that takes a live copy away which the shard cannot do without.
    ///
    /// It waits while fewer replicas in sync would be left that are there than the collection should have, or than
    /// would be left were all there. Nobody is waited for who will not come:
    ///
    /// - In the place of one that is gone another is made (``ReconcilePlanner``), and that is waited for; but not by a
    ///   move for which no worker is left, or none with disk for it.
    /// - One that is away for long where nobody is replaced comes back by an operator's doing, and one that has failed
    ///   when somebody has it made anew.
    /// - One that only has to leave stays in the place of one of all these, which leaves instead: the step is done.
    static func sparing(
        _ next: ReplicaChange.Next,
        of step: Operation.Step,
        _ placement: ShardPlacement,
        in view: ClusterView
    ) -> ReplicaChange.Next {
        let group = placement.group
        guard case .regroup(let later) = next, let leaver = group.inSync.first(where: { !later.isInSync($0) }),
            // One that is away takes no live copy with it.
            view.isServing(placement.shard, on: leaver),
            let record = view.metadata.collections[placement.shard.collection]
        else { return next }
        let factor = record.collection.configuration.replicationFactor
        let others = group.members.filter { $0 != leaver }
        let liveCount = others.count { group.isInSync($0) && view.isServing(placement.shard, on: $0) }
        guard liveCount < min(factor, others.count) else { return next }
        let remaining = others.filter { !view.goneWorkers.contains($0) }
        let awaited = remaining.filter { worker in
            // A step of their own takes those away that are drained.
            let isDrained = !view.liveWorkers.contains(worker) && view.metadata.standing(of: worker) != .active
            return !isDrained && !view.isGivenUp(placement.shard, on: worker)
        }
        let goneCount = others.count - remaining.count
        let givenUpCount = remaining.count - awaited.count
        let isMove = if case .move = step.change { true } else { false }
        if !isMove || step.state == .undoing, awaited.count < others.count, awaited.count < factor { return .done }
        let away = awaited.first { !view.liveWorkers.contains($0) }
        let reason: ReplicaChange.Reason = away.map { .tooFewThere(leaver, away: $0) } ?? .tooFewInSync(leaver)
        guard isMove else { return .wait(reason) }
        let newCount = goneCount > 0 ? substituteCount(for: placement, in: view) : 0
        let lostCount = max(goneCount - newCount, 0) + givenUpCount
        return liveCount < min(factor, others.count - lostCount) ? .wait(reason) : next
    }

    /// Number of workers on which a copy could be made in the place of one that is gone, as ``ReconcilePlanner``
    /// chooses them: with the disk for it beside what is reserved, and nothing left of an earlier one.
    private static func substituteCount(for placement: ShardPlacement, in view: ClusterView) -> Int {
        let size = ReplicaSize(of: placement, in: view)
        let room = WorkerRoom(view)
        return view.placementWorkers.subtracting(placement.group.members).count { worker in
            view.replica(of: placement.shard, on: worker) == nil && view.successor(placement.shard, on: worker) == nil
                && room.diskShortage(for: size.diskByteCount, on: worker) == nil
        }
    }

    /// The change that is taken back: what was added leaves where it is now, if another operation has moved it on
    /// since, or can only bring that to its end, and it is not pinned there. Only as long as there are too many: which
    /// operation came first is told by clocks, which may have been set.
    static func changeTakenBack(
        by step: Operation.Step,
        of operation: Operation,
        _ group: ReplicaGroup,
        in view: ClusterView
    ) -> ReplicaChange {
        let configuration = view.metadata.collections[step.shard.collection]?.collection.configuration
        guard case .add(let newcomer) = step.change, !group.members.contains(newcomer),
            group.members.count > configuration?.replicationFactor ?? .max
        else { return step.change }
        var current = newcomer
        let later = view.metadata.operations.values.filter {
            ($0.created, $0.id) > (operation.created, operation.id)
        }
        for other in later.sorted(by: { ($0.created, $0.id) < ($1.created, $1.id) }) {
            for move in other.steps where move.shard == step.shard {
                let hasMoved = move.state == .done || move.state.isUnderWay && move.change.isPastCommitPoint(in: group)
                if hasMoved, case .move(current, let next) = move.change { current = next }
            }
        }
        let isThere = group.members.contains(current) && !view.metadata.isPinned(step.shard, on: current)
        return isThere ? .add(current) : step.change
    }
}
