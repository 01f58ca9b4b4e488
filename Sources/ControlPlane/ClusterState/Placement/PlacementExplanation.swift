package import ClusterModel

/// The rules of placement, of which the first that applies decides.
package enum PlacementRule: String, CaseIterable, Hashable, Sendable {
    /// An operation takes a replica away, or brings one.
    case operation
    /// What is pinned stays.
    case pin
    /// A replica stays until an operation takes it away, or its worker has been away for coordinator.replace_after.
    case stays
    /// A worker that is drained or decommissioned gets no replicas.
    case drained
    /// Only a worker that is heard of, and is not about to stop, gets replicas.
    case live
    /// A worker that holds as much memory as it may gets no replicas.
    case pressure
    /// A replica fits a worker's disk with what is on its way and coordinator.spare_disk.
    case disk
    /// A replica's codes fit a worker's memory with what is on its way, unless coordinator.reserve_memory is none.
    case memory
    /// What a worker has of a shard that it is not to have is removed before a replica of it comes there.
    case former
    /// Where a copy in the place of a lost one came to nothing another comes only if no other worker can have it, for
    /// a while.
    case retry
    /// A shard has as many replicas as its collection has copies; another goes to the worker with the fewest.
    case copies
}

/// Why a worker holds a replica of a shard, or holds none.
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
    /// It holds a replica that is none of the shard's any more, or what was made of the shard for others to follow.
    case holdingFormer
    /// A copy came to nothing there a short time ago.
    case cameToNothing
    /// The shard has as many replicas as it should, on workers that were chosen. Were it to get others, this worker
    /// would be chosen in this turn, the first being 1.
    case notNeeded(replicaCount: Int, turn: Int)

    package static func explain(
        _ placement: ShardPlacement,
        on worker: NodeID,
        in view: ClusterView
    ) -> PlacementExplanation {
        let group = placement.group
        for operation in view.metadata.openOperations {
            for step in operation.steps where step.shard == placement.shard && !step.state.hasEnded {
                let isTakenBack = step.state == .undoing
                let (leaver, newcomer) =
                    isTakenBack
                    ? (step.change.newcomer, step.change.leaver) : (step.change.leaver, step.change.newcomer)
                if leaver == worker, group.members.contains(worker) { return .leaving(operation.id) }
                if newcomer == worker, !group.isInSync(worker) { return .coming(operation.id) }
            }
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
        // In the order in which whoever looks for a place for a replica leaves them out.
        if view.holdsFormer(placement, on: worker) { return .holdingFormer }
        let size = ReplicaSize(of: placement, in: view)
        switch WorkerRoom(view).shortage(for: size, on: worker) {
        case .disk(let needed, let free): return .tooLittleDisk(needed: needed, free: free)
        case .memory(let needed, let free): return .tooLittleMemory(needed: needed, free: free)
        case nil:
            if view.shunnedWorkers[placement.shard]?.contains(worker) ?? false { return .cameToNothing }
            let order = PlacementLoad(view).order(beside: group.members, taking: size).filter { other in
                !view.holdsFormer(placement, on: other)
                    && !(view.shunnedWorkers[placement.shard]?.contains(other) ?? false)
            }
            let turn = order.firstIndex(of: worker).map { $0 + 1 } ?? order.count + 1
            return .notNeeded(replicaCount: group.members.count, turn: turn)
        }
    }

    /// - Parameter isPinned: whether the shard's pin names the worker.
    package func rule(isPinned: Bool) -> PlacementRule {
        switch self {
        case .leaving, .coming: .operation
        case .primary, .inSync, .learner: isPinned ? .pin : .stays
        case .decommissioned, .draining: .drained
        case .notLive, .stopping: .live
        case .shortOfMemory: .pressure
        case .tooLittleDisk: .disk
        case .tooLittleMemory: .memory
        case .holdingFormer: .former
        case .cameToNothing: .retry
        case .notNeeded: .copies
        }
    }

    package var hasReplica: Bool {
        switch self {
        case .primary, .inSync, .learner, .leaving: true
        case .coming, .decommissioned, .draining, .notLive, .stopping, .tooLittleDisk, .tooLittleMemory, .shortOfMemory,
            .holdingFormer, .cameToNothing, .notNeeded:
            false
        }
    }
}

extension ClusterView {
    /// Whether a live worker that is no member of the group has something of the shard, which it removes first.
    func holdsFormer(_ placement: ShardPlacement, on worker: NodeID) -> Bool {
        liveWorkers.contains(worker) && !placement.group.members.contains(worker)
            && (replica(of: placement.shard, on: worker) != nil || successor(placement.shard, on: worker) != nil)
    }
}
