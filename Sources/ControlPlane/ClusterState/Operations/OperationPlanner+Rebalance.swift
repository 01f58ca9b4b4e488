import ClusterModel
import FaceModel

/// When steps come to nothing for want of room, or of who sends them: while those of a rebalance wait, nothing else is
/// levelled, and no shard split, and what is under way in vain keeps others from its workers. The next rebalance plans
/// anew, by what there is then, and so does a drain.
extension OperationPlanner {
    /// Whether a move waits of which the sender, which was to be made the primary right before it, has not become that:
    /// the primary has no room for the copy that it would make.
    static func isWithoutSender(_ index: Int, of operation: Operation) -> Bool {
        let step = operation.steps[index]
        guard operation.kind == .rebalance || operation.drainedWorker != nil, step.state == .waiting,
            case .move = step.change, index > 0
        else { return false }
        let former = operation.steps[index - 1]
        guard case .lead = former.change else { return false }
        return former.shard == step.shard && former.state == .undone
    }

    /// Why a step under way of which nothing moves is to be taken back, as a sentence: nothing has come to its worker,
    /// which has no room for it any more, or its sender has no disk for the copy that it makes first. Nil of one that
    /// goes on, and of what was asked for by name: who did may take it back.
    static func shortage(
        of step: Operation.Step,
        of operation: Operation,
        _ placement: ShardPlacement,
        in view: ClusterView
    ) -> String? {
        if case .change = operation.kind { return nil }
        let group = placement.group
        guard let worker = step.change.newcomer, !group.isInSync(worker),
            view.isEmpty(Newcomer(shard: step.shard, worker: worker, source: group.primary))
        else { return nil }
        if view.isShortOfMemory(worker) { return memoryShortage(of: worker, for: step) }
        // What is to come is reserved already, and a copy that is made takes no more of its sender's disk.
        let (room, size) = (WorkerRoom(view), ReplicaSize(of: placement, in: view))
        let copies = view.replica(of: step.shard, on: group.primary)?.copies ?? []
        let isMade = copies.contains { $0.worker == worker && $0.totalByteCount > 0 }
        var needs = [(node: worker, byteCount: UInt64(0))]
        if !isMade { needs.append((node: group.primary, byteCount: size.diskByteCount)) }
        let full = needs.first {
            room.diskShortage(for: $0.byteCount, on: $0.node) != nil
        }
        return full.map { "Worker \($0.node) had too little disk for a copy of shard \(step.shard.index)." }
    }

    /// Ends what waits for room in a rebalance that stands still, or for a worker that may get nothing: once a move has
    /// ended, the disk of what it left and of what was made to be sent takes a while to be free, but not that long.
    static func endWithoutRoom(_ operation: inout Operation, in view: ClusterView, beside busy: Occupancy) {
        guard operation.kind == .rebalance, !operation.steps.contains(where: \.state.isUnderWay) else { return }
        for index in operation.steps.indices where !operation.steps[index].state.hasEnded {
            let step = operation.steps[index]
            switch busy.hindrance(step, in: view) {
            case .tooLittleDisk(let worker, _, _):
                operation.add(note: "Worker \(worker) had too little disk for shard \(step.shard.index) to move.")
            case .tooLittleMemory(let worker, _, _):
                operation.add(note: "Worker \(worker) had too little memory for shard \(step.shard.index) to move.")
            case .shortOfMemory(let worker):
                operation.add(note: memoryShortage(of: worker, for: step))
            case .leftover(let worker):
                operation.add(
                    note: "Worker \(worker) still had what is left of an earlier replica of shard \(step.shard.index)."
                )
            default: continue
            }
            operation.steps[index].state = .undone
        }
    }

    private static func memoryShortage(of worker: NodeID, for step: Operation.Step) -> String {
        "Worker \(worker) held as much memory as it may when shard \(step.shard.index) was to come."
    }
}
