package import ClusterModel

/// Decides what a shard's replicas should be, from who is there: another primary, a new learner, or a learner less.
///
/// Each decision is one compare-and-swap of the group's record; who joins the in-sync set is the primary's affair.
package enum FailoverPlanner {
    /// Another primary when this one is gone, about to stop or stuck, and nobody in sync who is about to stop.
    ///
    /// - Parameters:
    ///   - live: workers heard of within the silence limit.
    ///   - stopping: those that have said that they are about to stop.
    ///   - stuck: those whose disk makes the shard wait: they are live and order nothing. Of the others in sync the
    ///     primary takes care by itself.
    ///   - applied: sequence that a replica last reported; the one that is furthest takes over soonest.
    /// - Returns: the record to put in place of `group`; nil when it is as it should be.
    package static func failover(
        _ group: ReplicaGroup,
        live: Set<NodeID>,
        stopping: Set<NodeID> = [],
        stuck: Set<NodeID> = [],
        applied: (NodeID) -> UInt64 = { _ in 0 }
    ) -> ReplicaGroup? {
        let isLive = live.contains(group.primary)
        let leaving = stopping.union(stuck)
        if !isLive || leaving.contains(group.primary) {
            let successors = group.inSync.filter {
                $0 != group.primary && live.contains($0) && (!isLive || !leaving.contains($0))
            }
            // The first of equals, so that the same view gives the same answer.
            if let successor = successors.max(by: { (applied($0), $1) < (applied($1), $0) }) {
                return isLive ? group.handingOver(to: successor) : group.failingOver(to: successor)
            }
        }
        // Writes would wait for it until its silence is noticed.
        let leaver = group.inSync.first { $0 != group.primary && stopping.contains($0) && live.contains($0) }
        return isLive ? leaver.flatMap(group.demoting) : nil
    }

    /// A learner in place of a replica that is gone, and a replica less where there are too many.
    ///
    /// - Parameters:
    ///   - gone: workers not heard of for so long that they are to be replaced.
    ///   - candidates: live workers that may take a replica, best first.
    ///   - pinned: workers whose replicas stay, as long as they are not gone.
    ///   - givenUp: those whose replicas are no copies to rely on: they have failed, or are away for long. They leave
    ///     before others, and nobody leaves on account of them.
    ///   - replicationFactor: number of replicas that the group should have.
    /// - Returns: the record to put in place of `group`; nil when it is as it should be.
    package static func restoration(
        _ group: ReplicaGroup,
        gone: Set<NodeID>,
        candidates: [NodeID],
        pinned: Set<NodeID> = [],
        givenUp: Set<NodeID> = [],
        replicationFactor: Int
    ) -> ReplicaGroup? {
        if let next = addition(to: group, gone: gone, candidates: candidates, replicationFactor: replicationFactor) {
            return next
        }
        guard group.members.count > replicationFactor, group.inSync.contains(where: { !gone.contains($0) }) else {
            return nil
        }
        // Somebody was replaced. A learner leaves at once; a replica in sync becomes one first.
        if let leaver = group.learners.first(where: gone.contains) { return group.removing(learner: leaver) }
        let wholeCount = group.inSync.count { !gone.contains($0) && !givenUp.contains($0) }
        guard wholeCount >= replicationFactor else { return nil }
        func last(of workers: [NodeID]) -> NodeID? {
            let free = workers.filter { !pinned.contains($0) }
            return free.last(where: givenUp.contains) ?? free.last
        }
        if let leaver = last(of: group.learners) { return group.removing(learner: leaver) }
        // One that came back to where it is pinned has to have everything before another leaves.
        guard group.learners.isEmpty else { return nil }
        let leavers = group.inSync.filter { $0 != group.primary }
        guard let leaver = leavers.first(where: gone.contains) ?? last(of: leavers),
            gone.contains(leaver) || givenUp.contains(leaver) || wholeCount > replicationFactor
        else { return nil }
        return group.demoting(leaver)
    }

    /// As ``restoration(_:gone:candidates:replicationFactor:)``, and nobody leaves.
    package static func addition(
        to group: ReplicaGroup,
        gone: Set<NodeID>,
        candidates: [NodeID],
        replicationFactor: Int
    ) -> ReplicaGroup? {
        guard group.members.count(where: { !gone.contains($0) }) < replicationFactor else { return nil }
        return candidates.first { !group.members.contains($0) }.map { group.adding(learner: $0) }
    }
}
