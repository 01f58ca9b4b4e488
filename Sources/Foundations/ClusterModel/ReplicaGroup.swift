/// The replicas of one shard as the metadata store has them; changed by compare-and-swap on ``version`` only.
///
/// - SeeAlso: Lin et al., "PacificA: replication in log-based distributed storage systems" (2008); the in-sync set is
///   that of Kafka (KIP-966).
package struct ReplicaGroup: Hashable, Sendable {
    /// Raised with every change of the primary; fences the replicas' messages.
    package var epoch: Epoch
    /// Raised with every change of the record.
    package var version: UInt64
    /// The replica that orders writes; one of ``inSync``.
    package var primary: NodeID
    /// Replicas that have every acknowledged write: a write is acknowledged when all of them have applied it, so each
    /// may answer searches and may become the primary. Ascending.
    package private(set) var inSync: [NodeID]
    /// Replicas that follow the log and count for nothing until they have caught up. Ascending.
    package private(set) var learners: [NodeID]
    /// Least number of replicas in sync: below it nothing is written.
    package var minimumInSync: Int
    /// No write is ordered: other shards are about to take this one's place. Reads go on.
    package var isFrozen: Bool

    /// Most members that a group may have, learners that replace others included.
    package static let memberLimit = 255

    package init(
        epoch: Epoch,
        version: UInt64,
        primary: NodeID,
        inSync: [NodeID],
        learners: [NodeID] = [],
        minimumInSync: Int,
        isFrozen: Bool = false
    ) {
        precondition(inSync.contains(primary), "the primary is in sync")
        precondition(minimumInSync >= 1, "a write needs a replica")
        self.epoch = epoch
        self.version = version
        self.primary = primary
        self.inSync = inSync.sorted()
        self.learners = learners.sorted()
        self.minimumInSync = minimumInSync
        self.isFrozen = isFrozen
    }

    package var members: [NodeID] { (inSync + learners).sorted() }

    package func isInSync(_ node: NodeID) -> Bool { inSync.contains(node) }

    /// The group after a change that a primary asked for; nil when the change is of an older version or breaks the
    /// group's rules.
    package func applying(_ proposal: GroupProposal) -> ReplicaGroup? {
        guard proposal.version == version else { return nil }
        var next = self
        switch proposal.change {
        case .takeOver(let node):
            guard isInSync(node) else { return nil }
            next.primary = node
            next.epoch = Epoch(epoch.number + 1)
        case .remove(let node):
            guard node != primary, proposal.epoch == epoch else { return nil }
            if isInSync(node) { return demoting(node) }
        case .add(let node):
            guard proposal.epoch == epoch, learners.contains(node) else { return nil }
            next.learners.removeAll { $0 == node }
            next.inSync = (inSync + [node]).sorted()
        }
        next.version += 1
        return next
    }

    /// The group with another primary, because this one is gone: it leaves the in-sync set if enough remain without it.
    ///
    /// - Returns: nil unless `successor` is another member that is in sync.
    package func failingOver(to successor: NodeID) -> ReplicaGroup? {
        guard var next = handingOver(to: successor) else { return nil }
        if inSync.count > minimumInSync {
            next.inSync.removeAll { $0 == primary }
            next.learners = (learners + [primary]).sorted()
        }
        return next
    }

    /// The group with another primary, while this one is there: it stays in sync.
    ///
    /// - Returns: nil unless `successor` is another member that is in sync.
    package func handingOver(to successor: NodeID) -> ReplicaGroup? {
        guard successor != primary, isInSync(successor) else { return nil }
        var next = self
        next.epoch = Epoch(epoch.number + 1)
        next.version += 1
        next.primary = successor
        return next
    }

    /// The group with another least number of replicas in sync.
    package func requiring(_ minimumInSync: Int) -> ReplicaGroup {
        precondition(minimumInSync >= 1, "a write needs a replica")
        var next = self
        next.version += 1
        next.minimumInSync = minimumInSync
        return next
    }

    /// The group that orders writes, or none.
    package func freezing(_ isFrozen: Bool) -> ReplicaGroup {
        var next = self
        next.version += 1
        next.isFrozen = isFrozen
        return next
    }

    /// The group with one more replica, which begins with nothing.
    package func adding(learner: NodeID) -> ReplicaGroup {
        precondition(!members.contains(learner), "a worker holds one replica of a shard")
        var next = self
        next.version += 1
        next.learners = (learners + [learner]).sorted()
        return next
    }

    /// The group with a replica counting for nothing that was in sync; nil when too few would remain.
    package func demoting(_ node: NodeID) -> ReplicaGroup? {
        guard node != primary, isInSync(node), inSync.count > minimumInSync else { return nil }
        var next = self
        next.version += 1
        next.inSync.removeAll { $0 == node }
        next.learners = (learners + [node]).sorted()
        return next
    }

    /// The group after a replica was found not to hold what it should: it is none of them any more, even if too few
    /// remain, so that writes then wait for another. When its worker has removed it, it may begin anew with nothing.
    ///
    /// - Parameter successor: primary in its place, in sync and another; nil when it is not the primary.
    /// - Returns: nil when no other is in sync.
    package func expelling(_ node: NodeID, successor: NodeID?) -> ReplicaGroup? {
        guard isInSync(node) else { return learners.contains(node) ? removing(learner: node) : nil }
        var next = self
        if node == primary {
            guard let successor, successor != node, isInSync(successor) else { return nil }
            next.primary = successor
            next.epoch = Epoch(epoch.number + 1)
        }
        guard next.inSync.count > 1 else { return nil }
        next.version += 1
        next.inSync.removeAll { $0 == node }
        return next
    }

    /// The group without a replica that counts for nothing.
    package func removing(learner: NodeID) -> ReplicaGroup {
        precondition(learners.contains(learner), "only learners may leave at once")
        var next = self
        next.version += 1
        next.learners.removeAll { $0 == learner }
        return next
    }
}

/// A change of its group that a replica asks the metadata store for.
package struct GroupProposal: Hashable, Sendable {
    package enum Change: Hashable, Sendable {
        /// The node becomes the primary of the next epoch.
        case takeOver(NodeID)
        /// The node leaves the in-sync set, if it is there; it stays a learner. Raises the version in either case.
        case remove(NodeID)
        /// The learner has caught up and joins the in-sync set.
        case add(NodeID)
    }

    /// The version that the change is made to.
    package var version: UInt64
    /// The epoch of the asking primary.
    package var epoch: Epoch
    package var change: Change

    package init(version: UInt64, epoch: Epoch, change: Change) {
        self.version = version
        self.epoch = epoch
        self.change = change
    }
}
