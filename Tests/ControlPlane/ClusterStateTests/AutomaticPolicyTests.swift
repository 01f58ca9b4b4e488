import ClusterModel
import ClusterState
import FaceModel
import Testing

/// What begins without being asked leaves alone what people have done, and what they took back.
struct AutomaticPolicyTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }

    // MARK: Splits

    /// Halves of 100 faces each become one of 200.
    @Test func whatPeopleMergedIsNotSplitAgain() throws {
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]])
        var world = OperationWorld(seed: 1, workers: 4, records: [record])
        world.writeChance = 0
        let id = record.collection.id
        try world.mustBegin(.split(id, [0]))
        try world.settle()
        #expect(world.metadata.placements.count == 2)
        #expect(GrowthPlanner.split(above: 150, in: world.view) == nil, "none is that large")
        try world.mustBegin(.merge(id, [.init(1, 2)]))
        try world.settle()
        let merged = try #require(world.metadata.placements.first)
        #expect(world.metadata.placements.count == 1 && world.metadata.openOperations.isEmpty)
        #expect(world.view.replica(of: merged)?.faceCount == 200)
        #expect(GrowthPlanner.split(above: 150, in: world.view) == nil)
        // Nobody remembers.
        world.metadata.operations = [:]
        #expect(GrowthPlanner.split(above: 150, in: world.view) == .split(id, [merged.shard.index]))
    }

    @Test func aMergeAboveTheLimitIsToldOf() throws {
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]])
        var world = OperationWorld(seed: 1, workers: 4, records: [record])
        world.writeChance = 0
        let id = record.collection.id
        try world.mustBegin(.split(id, [0]))
        let split = try #require(world.metadata.openOperations.first).steps
        #expect(GrowthPlanner.largeMerges(of: split, above: 50, in: world.view).isEmpty)
        try world.settle()
        try world.mustBegin(.merge(id, [.init(2, 1)]))
        let merge = try #require(world.metadata.openOperations.first).steps
        let large = GrowthPlanner.largeMerges(of: merge, above: 199, in: world.view)
        #expect(large.map(\.faceCount) == [200])
        #expect(large.map { $0.shards.map(\.index) } == [[1, 2]])
        #expect(GrowthPlanner.largeMerges(of: merge, above: 200, in: world.view).isEmpty)
        #expect(GrowthPlanner.largeMerges(of: merge, above: 0, in: world.view).isEmpty)
    }

    // MARK: Rebalances

    private func unevenWorld() -> OperationWorld {
        let records = (1...12).map { ClusterScript.replicated($0, on: [workers[0]], minimum: 1) }
        return OperationWorld(seed: 3, workers: 4, records: records)
    }

    /// What would begin after a minute in which nothing changes.
    private func steps(in view: ClusterView) -> [Operation.Step] {
        var ledger = BalanceLedger(patience: .seconds(60))
        _ = ledger.steps(in: view, now: .zero)
        return ledger.steps(in: view, now: .seconds(60))
    }

    /// As somebody cancelled it before any of it was done.
    private func cancelled(
        _ steps: [Operation.Step],
        _ number: UInt64,
        in world: OperationWorld
    ) throws -> ClusterState.Operation {
        let id = OperationID(high: 2, low: number)
        var operation = Operation(id: id, kind: .rebalance, created: Timestamp(milliseconds: 1), steps: steps)
        let isCancelled = operation.cancel(world.metadata.placement)
        try #require(isCancelled)
        operation.state = .cancelled
        operation.ended = Timestamp(milliseconds: 2)
        return operation
    }

    @Test func aRebalanceThatWasCancelledDoesNotBeginAgain() throws {
        var world = unevenWorld()
        var left: Set<ShardID> = []
        for number in 1...12 as ClosedRange<UInt64> {
            let planned = steps(in: world.view)
            #expect(left.isDisjoint(with: planned.map(\.shard)), "round \(number)")
            if planned.isEmpty { break }
            left.formUnion(planned.map(\.shard))
            let operation = try cancelled(planned, number, in: world)
            world.metadata.operations[operation.id] = operation
        }
        #expect(!left.isEmpty && steps(in: world.view).isEmpty)
        #expect(!RebalancePlanner.steps(in: world.view).isEmpty, "who asks for it has it")
        // Nobody remembers.
        world.metadata.operations = [:]
        #expect(steps(in: world.view) == RebalancePlanner.steps(in: world.view))
    }

    /// Its worker was drained meanwhile: that took the move back, and nobody else.
    @Test func whatCouldNotGoWhereItWasToGoGoesElsewhere() throws {
        var world = unevenWorld()
        let shard = world.metadata.placements[0].shard
        let move = Operation.Step(shard: shard, change: .move(from: workers[0], to: workers[3]))
        let operation = try cancelled([move], 1, in: world)
        world.metadata.operations[operation.id] = operation
        #expect(!steps(in: world.view).contains { $0.shard == shard })
        world.metadata.standings[workers[3]] = .draining
        let planned = steps(in: world.view)
        #expect(planned.contains { $0.shard == shard } && !planned.contains { $0.change.newcomer == workers[3] })
    }
}
