import ClusterModel
import ShardReplication

/// Counts what processes were at when they ended.
extension World {
    /// A replica asks the metadata store for a change of its group.
    mutating func noteProposal(_ proposal: GroupProposal, _ index: Int, _ replica: Int) {
        switch proposal.change {
        case .add, .remove: workers[index].replicas[replica].proposedVersion = proposal.version
        case .takeOver: break
        }
    }

    /// A worker's process is about to end.
    mutating func noteCrash(of index: Int) {
        let name = workers[index].name
        for replica in workers[index].replicas {
            for point in crashPoints(of: replica, on: name) { counts.crashPoints[point, default: 0] += 1 }
        }
    }

    /// Processes of several workers have ended in one instant.
    ///
    /// - Parameter count: of those that were there before.
    mutating func noteCrash(ofSome count: Int) {
        if count > 1, !workers.contains(where: \.isUp) { counts.crashPoints[.all, default: 0] += 1 }
    }

    private func crashPoints(of replica: SimulatedReplica, on name: NodeID) -> [CrashPoint] {
        var points: [CrashPoint] = isCopied(replica, on: name) ? [.copying] : []
        guard let machine = replica.machine else { return points }
        switch machine.role {
        case .primary:
            if machine.last.sequence > machine.durableLast { points.append(.ordering) }
            if machine.durableLast > machine.committed { points.append(.replicating) }
            if machine.committed > machine.applied { points.append(.committing) }
            if !replica.writes.isEmpty, machine.applied >= machine.last.sequence { points.append(.acknowledging) }
            if let version = replica.proposedVersion, version == replica.group?.version { points.append(.proposing) }
        case .activating: points.append(.activating)
        case .follower:
            if let step = replica.step, !step.append.isEmpty { points.append(.following) }
            if machine.durableLast > machine.committed { points.append(.replying) }
        }
        if replica.disk.promised > replica.disk.last.epoch { points.append(.promising) }
        if machine.last.sequence < replica.disk.last.sequence || replica.step?.truncateAfter != nil {
            points.append(.truncating)
        }
        return points
    }

    private func isCopied(_ replica: SimulatedReplica, on name: NodeID) -> Bool {
        if replica.incoming != nil || replica.copies.values.contains(where: { $0.end > now }) { return true }
        return workers.contains { worker in
            guard let other = worker.replica(of: replica.shard), let copy = worker.replicas[other].copies[name] else {
                return false
            }
            return copy.end > now
        }
    }
}
