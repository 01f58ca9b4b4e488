import ClusterModel
package import ClusterState
package import WireProtocol

extension OperationPlan {
    /// What an operation that has not begun would do, and take.
    ///
    /// A step that comes after another of its shard waits for that one, as it will when the operation has begun. What
    /// it would wait for if its turn was now is told before that: a disk that is full ought to be seen in time. So is
    /// one that those before it will have filled: see ``OperationRoom``.
    package init(
        of operation: Operation,
        in view: ClusterView,
        _ ledger: OperationLedger,
        limits: OperationPlanner.Limits
    ) {
        let rates = OperationEstimate.Rates(ledger)
        let estimate = OperationEstimate(of: operation.steps, in: view, rates: rates, limits: limits)
        let occupancy = Occupancy(view, limits: limits)
        let hindrances = occupancy.hindrances(of: operation, in: view)
        let room = OperationRoom(of: operation.steps, in: view)
        self.init(
            steps: operation.steps.indices.map { index in
                let (step, hindrance) = (operation.steps[index], hindrances[index])
                var description = ClusterController.description(of: step, in: view)
                description.totalByteCount = estimate.byteCounts[step.shard] ?? 0
                let own = hindrance == .earlierStep ? occupancy.hindrance(step, of: operation, in: view) : nil
                var reasons = [own, hindrance].compactMap(\.self)
                if let lack = room.hindrances[index], !reasons.contains(where: \.isLackOfRoom) {
                    reasons.insert(lack, at: 0)
                }
                let sentences = reasons.map { OperationText.sentence($0, in: view) }
                description.waitsFor = sentences.isEmpty ? nil : sentences.joined(separator: " ")
                return description
            },
            loads: estimate.loads.sorted { $0.key < $1.key }.map { worker, load in
                OperationPlan.Load(
                    worker: worker,
                    incomingByteCount: load.incomingByteCount,
                    outgoingByteCount: load.outgoingByteCount,
                    peakDiskByteCount: load.peakDiskByteCount,
                    freeDiskByteCount: view.observations[worker]?.freeDiskByteCount ?? 0,
                    memoryByteCount: load.memoryByteCount
                )
            },
            estimatedSeconds: estimate.seconds,
            assumedBytesPerSecond: estimate.sendingRate ?? (estimate.isMade ? rates.making : rates.sending),
            remarks: OperationText.remarks(on: room, in: view) + OperationText.remarks(on: estimate, ledger),
            fingerprint: operation.fingerprint(in: view.metadata)
        )
    }
}
