import ClusterModel
package import ClusterState
package import WireProtocol

extension OperationDescription {
    /// Tells how far the copying of an open operation has come, of all of its steps together: what is done counts as
    /// large as it is now, and what is left takes the time that a plan of it would name, at the rate of the last
    /// copies.
    ///
    /// - Parameter operation: whose steps, in order, are those of the description.
    package mutating func addCopying(
        of operation: Operation,
        in view: ClusterView,
        _ ledger: OperationLedger,
        limits: OperationPlanner.Limits
    ) {
        guard operation.rollout == nil, !operation.state.hasEnded else { return }
        var left: UInt64 = 0
        var open: [Operation.Step] = []
        for (step, told) in zip(operation.steps, steps) {
            switch step.state {
            case .done:
                guard step.change.newcomer != nil, let placement = view.metadata.placement(of: step.shard) else {
                    continue
                }
                let byteCount = ReplicaSize(of: placement, in: view).diskByteCount
                copiedByteCount += byteCount
                totalByteCount += byteCount
            case .waiting, .running:
                open.append(step)
                copiedByteCount += min(told.sentByteCount, told.totalByteCount)
                totalByteCount += told.totalByteCount
                left += told.totalByteCount - min(told.sentByteCount, told.totalByteCount)
            case .undoing, .undone: continue
            }
        }
        guard operation.state == .running, left > 0 else { return }
        let estimate = OperationEstimate(of: open, in: view, rates: .init(ledger), limits: limits)
        let whole = estimate.byteCounts.values.reduce(0, +)
        guard whole > 0 else { return }
        remainingMilliseconds = UInt64(1000 * estimate.seconds * min(1, Double(left) / Double(whole)))
    }
}
