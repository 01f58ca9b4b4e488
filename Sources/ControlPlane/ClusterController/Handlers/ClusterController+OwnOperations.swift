import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol

/// Operations that nobody asked for: their beginning. Rollouts are in another file.
extension ClusterController {
    /// Records an operation that nobody asked for: workers had been uneven for long.
    func beginBalancing(_ steps: [Operation.Step]) async throws(WireStatus) {
        let operation = Operation(
            id: .random(),
            kind: .rebalance,
            created: .wallClock,
            steps: steps,
            note: "Begun by itself: the workers had been uneven for coordinator.rebalance_after."
        )
        try await beginByItself(operation.id) { _ in operation }
    }

    /// Records an operation that nobody asked for: shards had outgrown what one should hold.
    func beginDividing(_ request: OperationRequest) async throws(WireStatus) {
        let id = OperationID.random()
        try await beginByItself(id) { records throws(WireStatus) in
            // Others may have taken the numbers that the new shards would have had.
            var view = self.currentView
            view.metadata = records.metadata
            do throws(OperationRefusal) {
                var operation = try request.operation(id, in: view, now: .wallClock)
                operation.note = "Begun by itself: a shard held more faces than coordinator.split_above."
                return operation
            } catch {
                throw WireStatus(.invalidRequest, error.description)
            }
        }
    }

    /// - Parameter plan: the operation of that id, from the records as they are.
    private func beginByItself(
        _ id: OperationID,
        _ plan: (ClusterRecords) throws(WireStatus) -> Operation
    ) async throws(WireStatus) {
        try await commit(asController: true) { records throws(WireStatus) in
            // Somebody may have begun one meanwhile, be it this by a commit whose end was not heard of.
            guard !records.metadata.hasOpenMoves, records.metadata.operations[id] == nil else { return nil }
            let operation = try plan(records)
            guard !PinPlanner.forbids(operation.steps, in: records.metadata) else { return nil }
            var conditions = [records.unchanged(ClusterRecords.operationKey(id))]
            var changes = [ClusterRecords.put(operation)]
            Self.touch(collectionsNumberedBy: operation, in: records, &conditions, &changes)
            // A step of a rebalance ends without having begun.
            if operation.kind == .change { conditions += Self.pinsUnchanged(by: operation.steps, in: records) }
            return (conditions, changes)
        }
        guard let operation = state.withLock(\.records).metadata.operations[id] else { return }
        logger.notice(
            "operation begun by itself",
            metadata: [
                "operation": "\(id)", "kind": "\(OperationDescription.Kind(operation.kind))",
                "steps": "\(operation.steps.count)",
            ]
        )
    }
}
