import ClusterModel
import ClusterState
import FaceModel
import Testing

/// A worker that is short of memory keeps what it has and gets nothing more.
struct MemoryPlacementTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }

    private func view() -> ClusterView {
        let records = (1...6 as ClosedRange<UInt64>).map { ClusterScript.replicated($0, on: [workers[0]]) }
        var view = OperationWorld(seed: 1, workers: 4, records: records).view
        view.observations[workers[1]]!.memory = MemoryLedger(
            bound: .controlGroup,
            limitByteCount: 1 << 30,
            heldByteCount: 1000 << 20,
            reserveByteCount: 100 << 20,
            isShort: true
        )
        return view
    }

    @Test func itIsGivenNoReplicas() throws {
        let view = view()
        #expect(view.placementWorkers == [workers[0], workers[2], workers[3]])
        let steps = RebalancePlanner.steps(in: view)
        #expect(!steps.isEmpty && !steps.contains { $0.change.newcomer == workers[1] })
        let shard = view.metadata.placements[0].shard
        let refusal = #expect(throws: OperationRefusal.self) {
            try OperationRequest.move(shard, from: workers[0], to: workers[1])
                .operation(OperationID(high: 1, low: 1), in: view, now: Timestamp(milliseconds: 1))
        }
        let address = try #require(view.metadata.workers[workers[1]])
        let rule = "The worker at \(address) holds as much memory as it may"
        #expect(refusal?.description.hasPrefix(rule) == true, "\(String(describing: refusal))")
    }

    @Test func aStepThatWouldBringItOneWaits() throws {
        let view = view()
        let step = Operation.Step(
            shard: view.metadata.placements[0].shard,
            change: .move(from: workers[0], to: workers[1])
        )
        let operation = Operation(
            id: OperationID(high: 1, low: 1),
            kind: .change,
            created: Timestamp(milliseconds: 1),
            steps: [step]
        )
        let limits = OperationPlanner.Limits()
        #expect(Occupancy(view, limits: limits).hindrance(step, of: operation, in: view) == .shortOfMemory(workers[1]))
    }

    /// However much there is for pages of files, which `worker.memory.limit` is not about.
    @Test func shardsThatWouldBeMadeThereWait() throws {
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]])
        var world = OperationWorld(seed: 1, workers: 4, records: [record])
        try world.mustBegin(.split(record.collection.id, [0]))
        let operation = try #require(world.metadata.openOperations.first)
        var view = world.view
        for worker in workers { view.observations[worker]!.availableMemoryByteCount = 1 << 40 }
        func hindrance() -> OperationPlanner.Hindrance? {
            Occupancy(view, limits: .init()).hindrance(operation.steps[0], of: operation, in: view)
        }
        #expect(hindrance() == nil)
        view.observations[workers[2]]!.memory.isShort = true
        #expect(hindrance() == nil, "it makes none")
        view.observations[workers[1]]!.memory.isShort = true
        #expect(hindrance() == .shortOfMemory(workers[1]))
        let updates = OperationPlanner.updates(view, limits: .init(), now: Timestamp(milliseconds: 2))
        #expect(updates.isEmpty, "no step begins")
    }

    @Test func theReasonIsTold() {
        let view = view()
        let placement = view.metadata.placements[0]
        func reason(_ worker: NodeID) -> PlacementExplanation {
            .explain(placement, on: worker, in: view)
        }
        #expect(reason(workers[1]) == .shortOfMemory(held: 1000 << 20, limit: 1 << 30))
        #expect(reason(workers[2]) == .notNeeded(replicaCount: 1, turn: 1))
        #expect(!reason(workers[1]).hasReplica)
        let rules = workers[1...2].map { reason($0).rule(isPinned: false) }
        #expect(rules == [.pressure, .copies])
    }
}
