import ClusterModel
import FaceModel

/// When steps of a rebalance come to nothing: while they wait, nothing else is levelled, and no shard split. The next
/// one plans anew, by what there is then.
extension OperationPlanner {
    /// Whether a move waits of which the sender, which was to be made the primary right before it, has not become that:
    /// the primary has no room for the copy that it would make.
    static func isWithoutSender(_ index: Int, of operation: Operation) -> Bool {
        let step = operation.steps[index]
        guard operation.kind == .rebalance, step.state == .waiting, case .move = step.change, index > 0 else {
            return false
        }
        let former = operation.steps[index - 1]
        guard case .lead = former.change else { return false }
        return former.shard == step.shard && former.state == .undone
    }

    /// Ends what waits for room in a rebalance that stands still: once a move has ended, the disk of what it left and
    /// of what was made to be sent takes a while to be free, but not that long.
    static func endWithoutRoom(_ operation: inout Operation, in view: ClusterView, beside busy: Occupancy) {
        guard operation.kind == .rebalance, !operation.steps.contains(where: \.state.isUnderWay) else { return }
        for index in operation.steps.indices where !operation.steps[index].state.hasEnded {
            let step = operation.steps[index]
            switch busy.hindrance(step, in: view) {
            case .tooLittleDisk(let worker, _, _):
                operation.add(note: "Worker \(worker) had too little disk for shard \(step.shard.index) to move.")
            case .tooLittleMemory(let worker, _, _):
                operation.add(note: "Worker \(worker) had too little memory for shard \(step.shard.index) to move.")
            default: continue
            }
            operation.steps[index].state = .undone
        }
    }
}
