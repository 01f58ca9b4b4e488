package import ClusterModel

/// Which rule decides whether a worker holds a replica of a shard.
package enum PlacementExplanation: Hashable, Sendable {
    case primary(since: Epoch)
    case inSync
    /// It does not have everything yet.
    case learner
    /// It leaves with the next steps of an operation.
    case leaving(OperationID)
    /// It gets one with the next steps of an operation.
    case coming(OperationID)
    case decommissioned
    case draining
    case notLive
    case stopping
    case tooLittleDisk(needed: UInt64, free: UInt64)
    case tooLittleMemory(needed: UInt64, free: UInt64)
    case shortOfMemory(held: UInt64, limit: UInt64)
    /// The shard has as many replicas as it should, on workers that were chosen.
    case notNeeded(replicaCount: Int)

    package static func explain(
        _ placement: ShardPlacement,
        on worker: NodeID,
        in view: ClusterView
    ) -> PlacementExplanation {
        let group = placement.group
        let step = view.metadata.openOperations.lazy.flatMap { operation in
            operation.steps.filter { $0.shard == placement.shard && !$0.state.hasEnded }.map { (operation.id, $0) }
        }.first
        if let (id, step) = step {
            if step.change.leaver == worker, group.members.contains(worker) { return .leaving(id) }
            if step.change.newcomer == worker, !group.isInSync(worker) { return .coming(id) }
        }
        if group.primary == worker { return .primary(since: group.epoch) }
        if group.isInSync(worker) { return .inSync }
        if group.members.contains(worker) { return .learner }
        switch view.metadata.standing(of: worker) {
        case .decommissioned: return .decommissioned
        case .draining: return .draining
        case .active: break
        }
        guard view.liveWorkers.contains(worker) else { return .notLive }
        if view.isStopping(worker) { return .stopping }
        if view.isShortOfMemory(worker), let memory = view.observations[worker]?.memory {
            return .shortOfMemory(held: memory.heldByteCount, limit: memory.limitByteCount)
        }
        return switch WorkerRoom(view).shortage(for: ReplicaSize(of: placement, in: view), on: worker) {
        case .disk(let needed, let free): .tooLittleDisk(needed: needed, free: free)
        case .memory(let needed, let free): .tooLittleMemory(needed: needed, free: free)
        case nil: .notNeeded(replicaCount: group.members.count)
        }
    }

    package var hasReplica: Bool {
        switch self {
        case .primary, .inSync, .learner, .leaving: true
        case .coming, .decommissioned, .draining, .notLive, .stopping, .tooLittleDisk, .tooLittleMemory, .shortOfMemory,
            .notNeeded:
            false
        }
    }
}
