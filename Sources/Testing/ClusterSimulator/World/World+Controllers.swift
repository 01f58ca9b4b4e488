import ClusterModel
import ClusterState
import VectorMath

/// A coordinator as far as replicas are concerned: hears the workers and changes the group's record.
struct SimulatedController: Sendable {
    var lastHeard: [NodeID: Duration] = [:]
    var applied: [NodeID: UInt64] = [:]
}

extension World {
    private static var silenceLimit: Duration { .seconds(1) }
    private static var replacementTime: Duration { .seconds(6) }

    mutating func heartbeat(_ worker: NodeID, _ life: Int, _ controller: Int, asked: Duration, applied: UInt64) {
        controllers[controller].lastHeard[worker] = now
        controllers[controller].applied[worker] = applied
        transmit(
            .heartbeatReply(worker, life: life, group, asked: asked),
            from: Self.name(ofController: controller),
            to: worker
        )
    }

    mutating func controllerTick(_ index: Int) {
        plan(.controllerTick(index), after: random.duration(.milliseconds(200), .milliseconds(300)))
        let controller = controllers[index]
        let known = controller.lastHeard.keys.sorted()
        let live = Set(known.filter { now - controller.lastHeard[$0]! <= Self.silenceLimit })
        // One that was never heard of is gone after a while too.
        let gone = Set(group.members.filter { now - (controller.lastHeard[$0] ?? .zero) > Self.replacementTime })
        var plan = FailoverPlanner.plan(
            group,
            live: live,
            gone: gone,
            candidates: live.sorted(),
            replicationFactor: settings.replicationFactor,
            applied: { controller.applied[$0] ?? 0 }
        )
        if settings.fault == .electOutsideInSync, !live.contains(group.primary),
            let other = group.learners.first(where: live.contains)
        {
            plan = ReplicaGroup(
                epoch: Epoch(group.epoch.number + 1),
                version: group.version + 1,
                primary: other,
                inSync: group.inSync + [other],
                learners: group.learners.filter { $0 != other },
                minimumInSync: group.minimumInSync
            )
        }
        if settings.fault == .shrinkBelowMinimum, let failover = plan, failover.epoch != group.epoch {
            plan = ReplicaGroup(
                epoch: failover.epoch,
                version: failover.version,
                primary: failover.primary,
                inSync: failover.inSync.filter { $0 != group.primary },
                learners: Set(failover.learners + [group.primary]).sorted(),
                minimumInSync: failover.minimumInSync
            )
        }
        guard let plan else { return }
        self.plan(.controllerChange(plan), after: random.duration(.zero, .milliseconds(isFaulty ? 50 : 5)))
    }

    /// Puts a record in place of the one that it was made from.
    mutating func change(to next: ReplicaGroup) throws(Violation) {
        guard next.version == group.version + 1 || settings.fault == .noCompareAndSwap else { return }
        if next.epoch != group.epoch { counts.epochs += 1 }
        note(
            "the group is \(next.primary.low) of \(next.inSync.map(\.low)), learners \(next.learners.map(\.low)), "
                + "epoch \(next.epoch.number), version \(next.version)"
        )
        let isSmaller = next.inSync.count < group.inSync.count
        group = next
        if isSmaller, group.inSync.count < group.minimumInSync {
            try fail(.minimum, "\(group.inSync.count) in sync of at least \(group.minimumInSync)")
        }
    }

    mutating func propose(_ worker: NodeID, _ life: Int, _ proposal: GroupProposal) throws(Violation) {
        if let next = group.applying(proposal) { try change(to: next) }
        transmit(
            .proposalReply(worker, life: life, group),
            from: Self.name(ofController: 0),
            to: worker
        )
    }

    /// An operator moves the primary.
    mutating func handover() {
        guard isFaulty else { return }
        planFault(.handover, settings.handoverInterval)
        if let successor = random.pick(group.inSync), let next = group.failingOver(to: successor) {
            plan(.controllerChange(next), after: random.duration(.zero, .milliseconds(20)))
        }
    }
}
