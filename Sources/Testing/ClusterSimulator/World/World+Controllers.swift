import ClusterModel
import ClusterState
import VectorMath

/// A coordinator as far as replicas are concerned: hears the workers and changes the group's record.
struct SimulatedController: Sendable {
    var lastHeard: [NodeID: Duration] = [:]
    var applied: [NodeID: UInt64] = [:]
}

/// A change of where the replicas are.
struct SimulatedOperation: Sendable {
    var change: ReplicaChange
    var formerPrimary: NodeID
    var isUndoing = false
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
        var plan = FailoverPlanner.failover(group, live: live, applied: { controller.applied[$0] ?? 0 })
        if plan == nil { plan = operate(live: live, gone: gone) }
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

    /// The next record on account of the operation, or else on account of who is gone.
    private mutating func operate(live: Set<NodeID>, gone: Set<NodeID>) -> ReplicaGroup? {
        var gone = gone
        if var current = operation {
            // Who is not heard of any more does not come.
            if let beneficiary = current.change.beneficiary, gone.contains(beneficiary) || !live.contains(beneficiary) {
                current.isUndoing = current.isUndoing || !group.isInSync(beneficiary) || gone.contains(beneficiary)
            }
            let ready = group.inSync.filter(live.contains)
            let next =
                current.isUndoing
                ? current.change.undoing(group, formerPrimary: current.formerPrimary, ready: ready)
                : current.change.next(group, ready: ready)
            operation = next == .done ? nil : current
            switch next {
            case .regroup(let group): return group
            case .wait(let reason):
                if case .tooFewInSync(let leaver) = reason { gone.insert(leaver) }
                return FailoverPlanner.addition(
                    to: group,
                    gone: gone,
                    candidates: live.sorted(),
                    replicationFactor: settings.replicationFactor
                )
            case .done: break
            }
        }
        return FailoverPlanner.restoration(
            group,
            gone: gone,
            candidates: live.sorted(),
            replicationFactor: settings.replicationFactor
        )
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
        let newcomer = next.inSync.first { !group.isInSync($0) }
        group = next
        if settings.upheavalInterval != nil, isFaulty, let newcomer, random.chance(0.5) { try upheave(to: newcomer) }
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

    /// An operator moves the primary, with or without its consent, or a replica, or changes their mind.
    mutating func handover() {
        guard isFaulty else { return }
        planFault(.handover, settings.handoverInterval)
        if operation != nil {
            if random.chance(0.3) { operation?.isUndoing = true }
            return
        }
        let others = workers.map(\.name).filter { !group.members.contains($0) }
        if random.chance(0.5), let from = random.pick(group.members), let to = random.pick(others) {
            operation = SimulatedOperation(change: .move(from: from, to: to), formerPrimary: group.primary)
            note("an operator moves the replica of \(from.low) to \(to.low)")
            return
        }
        if random.chance(0.3), let to = random.pick(group.inSync) {
            operation = SimulatedOperation(change: .lead(to), formerPrimary: group.primary)
            return
        }
        if let successor = random.pick(group.inSync), let next = group.failingOver(to: successor) {
            plan(.controllerChange(next), after: random.duration(.zero, .milliseconds(20)))
        }
    }
}
