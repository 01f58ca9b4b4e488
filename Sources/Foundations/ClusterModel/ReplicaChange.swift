/// A change of one shard's replicas, made by steps that each put another record of its group in place, or of the shard
/// itself. Searches and writes go on during all of them, but for the moment in which shards take another's place:
/// writes wait then.
///
/// Reads need a replica in sync, and none of the steps takes the last one away; a replica leaves only after another has
/// every acknowledged write.
package enum ReplicaChange: Hashable, Sendable {
    /// The replica on one worker makes way for one on another.
    case move(from: NodeID, to: NodeID)
    case add(NodeID)
    case remove(NodeID)
    /// A replica in sync becomes the primary.
    case lead(NodeID)
    /// Two shards take the place of the one: faces whose places on the ring are below `at` go to `lower`.
    case split(at: UInt64, lower: UInt32, upper: UInt32)
    /// The shard and its neighbour `with`, which is behind it on the ring, become the shard `into`.
    case merge(with: UInt32, into: UInt32)

    /// What to do next about a change.
    package enum Next: Hashable, Sendable {
        case regroup(ReplicaGroup)
        case wait(Reason)
        case done
    }

    package enum Reason: Hashable, Sendable {
        /// The replica on the worker does not have everything yet.
        case catchingUp(NodeID)
        /// Without the replica on the worker too few would be in sync.
        case tooFewInSync(NodeID)
        /// Without the replica on the worker too few would be there, while the worker `away` is not heard of.
        case tooFewThere(NodeID, away: NodeID)
        /// No other live replica in sync can be the primary.
        case noSuccessor(NodeID)
        /// The worker's replica is not in sync, or the worker not live.
        case notReady(NodeID)
        /// The replica that is to leave has not said yet that it knows.
        case unaware(NodeID)
        /// The worker has a replica of the shard from before, which is to be removed first.
        case former(NodeID)
        /// The shards that are to take this one's place are being made on the worker.
        case preparing(NodeID)
        /// The archive has not yet everything of the shards that go.
        case archiving
        /// No write is ordered any more, and what was is being finished.
        case draining
        /// Writes waited too long for the shards that are to take this one's place, and go on for a while.
        case resting
    }

    /// The worker that gets a replica.
    package var newcomer: NodeID? {
        switch self {
        case .move(_, let to), .add(let to): to
        case .remove, .lead, .split, .merge: nil
        }
    }

    /// The worker that gets a replica, or a primary.
    package var beneficiary: NodeID? { if case .lead(let worker) = self { worker } else { newcomer } }

    /// The worker that loses its replica.
    package var leaver: NodeID? {
        switch self {
        case .move(let from, _), .remove(let from): from
        case .add, .lead, .split, .merge: nil
        }
    }

    /// The other shard that it is a change of.
    package var partner: UInt32? { if case .merge(let other, _) = self { other } else { nil } }

    /// Shards that take the place of others by it.
    package var successors: [UInt32] {
        switch self {
        case .split(_, let lower, let upper): [lower, upper]
        case .merge(_, let successor): [successor]
        case .move, .add, .remove, .lead: []
        }
    }

    /// Whether it can only be brought to its end: the replica that leaves does not count any more, and that which comes
    /// does. One that fell out of sync by itself, before another was there, is none that has left.
    package func isPastCommitPoint(in group: ReplicaGroup) -> Bool {
        guard let leaver, !group.isInSync(leaver) else { return false }
        return newcomer.map { group.isInSync($0) || !group.members.contains(leaver) } ?? true
    }

    /// - Parameters:
    ///   - ready: members that may become the primary, the best first.
    ///   - unaware: live members that do not go by this record yet.
    package func next(_ group: ReplicaGroup, ready: [NodeID], unaware: Set<NodeID> = []) -> Next {
        switch self {
        case .add(let worker): return Self.joining(worker, group)
        case .remove(let worker): return Self.leaving(worker, group, successors: ready, unaware)
        case .move(let from, let to):
            // Past the point where the new one counted, it stays there whatever becomes of it.
            guard group.members.contains(from) else { return .done }
            // One that is dead, or has fallen behind, makes way no sooner: the shard would lack a copy meanwhile.
            if case let next = Self.joining(to, group), next != .done { return next }
            return Self.leaving(from, group, successors: ready.contains(to) ? [to] : ready, unaware)
        case .lead(let worker):
            if group.primary == worker { return .done }
            guard ready.contains(worker), let next = group.handingOver(to: worker) else {
                return .wait(.notReady(worker))
            }
            return .regroup(next)
        case .split, .merge: preconditionFailure("what becomes of shards does not follow from one group")
        }
    }

    /// As ``next(_:ready:unaware:)``, the other way: back to how it was, or, past the commit point, to its end.
    package func undoing(
        _ group: ReplicaGroup,
        formerPrimary: NodeID?,
        ready: [NodeID],
        unaware: Set<NodeID> = []
    ) -> Next {
        guard !isPastCommitPoint(in: group) else { return next(group, ready: ready, unaware: unaware) }
        // The replica that has to leave is not made the primary again.
        if let formerPrimary, formerPrimary != group.primary, formerPrimary != newcomer, ready.contains(formerPrimary),
            let next = group.handingOver(to: formerPrimary)
        {
            return .regroup(next)
        }
        guard let newcomer else { return .done }
        // It was made the only one when all others were lost.
        if group.members == [newcomer] { return .done }
        return Self.leaving(newcomer, group, successors: ready, unaware)
    }

    private static func joining(_ worker: NodeID, _ group: ReplicaGroup) -> Next {
        if group.isInSync(worker) { return .done }
        if group.learners.contains(worker) { return .wait(.catchingUp(worker)) }
        return .regroup(group.adding(learner: worker))
    }

    private static func leaving(
        _ worker: NodeID,
        _ group: ReplicaGroup,
        successors: [NodeID],
        _ unaware: Set<NodeID>
    ) -> Next {
        if group.learners.contains(worker) {
            // While none of the others is there, what it holds may be all that is left.
            guard !successors.isEmpty else { return .wait(.notReady(group.primary)) }
            // While it is a member the primary hears from it that it answers no reads any more, and need not wait for
            // the end of its lease.
            return unaware.contains(worker) ? .wait(.unaware(worker)) : .regroup(group.removing(learner: worker))
        }
        guard group.isInSync(worker) else { return .done }
        if group.primary == worker {
            guard let successor = successors.first(where: { $0 != worker }),
                let next = group.handingOver(to: successor)
            else { return .wait(.noSuccessor(worker)) }
            return .regroup(next)
        }
        return group.demoting(worker).map { .regroup($0) } ?? .wait(.tooFewInSync(worker))
    }
}
