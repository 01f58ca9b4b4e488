import ClusterModel
import ClusterState
import VectorMath

/// A shard that a controller has begun to mend.
struct RepairCall: Hashable, Sendable {
    var controller: Int
    var life: Int
    var number: Int
    var repair: RepairLedger.Repair
}

/// Replicas whose bytes prove wrong, and controllers that have them make way for copies without being asked.
///
/// Only some runs have any of it: see ``SimulationCourse/Aim/damage``.
extension World {
    /// Longest time after which a controller looks for another shard to mend, whatever came of the last.
    private static var longestRepair: Duration { .seconds(6) }

    // MARK: At workers

    /// A replica is found damaged, and leaves service until it is removed. Never more than the promises bear.
    mutating func damage() throws(Violation) {
        guard isFaulty else { return }
        planFault(.damage, settings.damageInterval)
        guard let placement = random.pick(placements), let name = random.pick(placement.group.members),
            let index = index(of: name), workers[index].isUp, let replica = workers[index].replica(of: placement.shard),
            workers[index].replicas[replica].machine != nil, mayBeDamaged(name, placement)
        else { return }
        counts.damages += 1
        damageCounts[name, default: 0] += 1
        note("\(name.low)/\(placement.shard.index) is damaged")
        try close(index, replica)
        workers[index].replicas[replica].isClosed = false
        workers[index].replicas[replica].isDamaged = true
    }

    private func isDamaged(_ shard: ShardID, on worker: NodeID) -> Bool {
        guard let index = index(of: worker), let replica = workers[index].replica(of: shard) else { return false }
        return workers[index].replicas[replica].isDamaged
    }

    /// Whether another in sync is left that is good, and no other than that can come to count alone; and a controller
    /// would mend one more of the worker.
    private func mayBeDamaged(_ name: NodeID, _ placement: ShardPlacement) -> Bool {
        let group = placement.group
        let damagedCount = group.members.count { isDamaged(placement.shard, on: $0) }
        return damagedCount + 1 < group.minimumInSync && group.inSync.contains { $0 != name }
            && damageCounts[name, default: 0] < RepairLedger.limit
    }

    // MARK: At controllers

    /// Begins to mend the shard whose turn it is.
    mutating func repair(_ controller: Int, in view: ClusterView) {
        let clock = clock(of: controller)
        controllers[controller].repairs.observe(view, now: clock)
        guard controllers[controller].repairUnderWay == nil,
            let repair = controllers[controller].repairs.due(in: view, now: clock)
        else { return }
        controllers[controller].repairCount += 1
        let call = RepairCall(
            controller: controller,
            life: controllers[controller].life,
            number: controllers[controller].repairCount,
            repair: repair
        )
        controllers[controller].repairUnderWay = call.number
        plan(.repairRead(call), after: random.duration(.milliseconds(10), .milliseconds(1500)))
        plan(.repairOver(call), after: Self.longestRepair)
    }

    /// Every replica of the shard has been read that could be.
    mutating func repairRead(_ call: RepairCall) {
        guard lives(call.controller, call.life), let view = controllers[call.controller].view(now: now),
            let group = view.metadata.placement(of: call.repair.shard)?.group
        else { return }
        let shard = call.repair.shard
        let damaged = call.repair.workers.sorted().filter { isDamaged(shard, on: $0) && isThere($0) }
        let good = group.inSync.filter { isThere($0) && isOpen(shard, on: $0) && view.isServing(shard, on: $0) }
        guard !damaged.isEmpty, !good.isEmpty else { return repairOver(call) }
        ask(.expel(call, damaged: damaged, good: good), call.controller)
    }

    private func isThere(_ worker: NodeID) -> Bool {
        index(of: worker).map { workers[$0].isUp && workers[$0].pauseEnd <= now } ?? false
    }

    private func isOpen(_ shard: ShardID, on worker: NodeID) -> Bool {
        guard let index = index(of: worker), let replica = workers[index].replica(of: shard) else { return false }
        return workers[index].replicas[replica].isServing
    }

    /// - Parameter replaced: workers whose replicas have left the group.
    mutating func repairOver(_ call: RepairCall, replaced: Set<NodeID> = []) {
        guard lives(call.controller, call.life), controllers[call.controller].repairUnderWay == call.number else {
            return
        }
        controllers[call.controller].repairUnderWay = nil
        controllers[call.controller].repairs.ended(call.repair, replaced: replaced, now: clock(of: call.controller))
    }

    // MARK: At the store

    /// Takes damaged replicas out of their group, as it is by now.
    ///
    /// - Returns: those that have left it.
    mutating func expel(
        _ damaged: [NodeID],
        of shard: ShardID,
        good: [NodeID]
    ) throws(Violation) -> Set<NodeID> {
        var replaced: Set<NodeID> = []
        for worker in damaged {
            guard let group = metadata.placement(of: shard)?.group, group.members.contains(worker),
                let successor = good.first(where: { group.isInSync($0) }),
                let next = group.expelling(worker, successor: successor)
            else { continue }
            note("\(worker.low)/\(shard.index) makes way")
            counts.repairs += 1
            try change(shard, to: next, isExpulsion: true)
            replaced.insert(worker)
        }
        return replaced
    }
}
