import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Steps of operations beside replicas whose disk hangs: what failover takes from them no step gives back.
struct StuckReplicaTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }
    private let id = OperationID(high: 3, low: 1)

    /// One shard with these replicas, the primary's first, and a step of it that is under way.
    private func world(
        _ inSync: [Int],
        learners: [Int] = [],
        copies: Int,
        _ change: ReplicaChange,
        _ state: OperationStepState
    ) -> (world: OperationWorld, shard: ShardID) {
        let record = ClusterScript.replicated(
            1,
            on: inSync.map { workers[$0] },
            learners: learners.map { workers[$0] },
            copies: copies
        )
        let shard = record.placements[0].shard
        var world = OperationWorld(seed: 1, workers: 4, records: [record])
        world.metadata.operations[id] = Operation(
            id: id,
            kind: .change,
            state: state == .undoing ? .cancelling : .running,
            created: Timestamp(milliseconds: 1),
            steps: [.init(shard: shard, change: change, state: state, formerPrimary: workers[0])]
        )
        return (world, shard)
    }

    private func group(of shard: ShardID, in world: OperationWorld) throws -> ReplicaGroup {
        try #require(world.metadata.placement(of: shard)?.group)
    }

    private func next(in world: OperationWorld) throws -> ReplicaChange.Next {
        let operation = try #require(world.metadata.operations[id])
        return OperationPlanner.next(operation.steps[0], of: operation, in: world.view)
    }

    @Test func aStepThatIsTakenBackDoesNotHandBackToADiskThatHangs() throws {
        let move = ReplicaChange.move(from: workers[0], to: workers[3])
        var (world, shard) = world([2, 0], learners: [3], copies: 2, move, .undoing)
        world.stuck = [workers[0]]
        let epoch = try group(of: shard, in: world).epoch
        for _ in 0..<10 { try world.coordinate() }
        let left = try group(of: shard, in: world)
        #expect(left.members == [workers[0], workers[2]] && left.learners.isEmpty, "\(left)")
        #expect(left.primary == workers[2] && left.epoch == epoch)
        #expect(world.metadata.operations[id]?.state == .cancelled)
    }

    /// The disk of the worker that the replica moves to hangs right before the primary is handed over, or right after.
    @Test(arguments: [[0, 1, 2], [1, 0, 2]])
    func aMoveToADiskThatHangsMakesAnotherThePrimary(inSync: [Int]) throws {
        let move = ReplicaChange.move(from: workers[0], to: workers[1])
        var (world, shard) = world(inSync, copies: 2, move, .running)
        world.stuck = [workers[1]]
        let epoch = try group(of: shard, in: world).epoch
        for _ in 0..<10 { try world.coordinate() }
        let left = try group(of: shard, in: world)
        #expect(left.members == [workers[1], workers[2]] && left.primary == workers[2], "\(left)")
        #expect(left.epoch.number <= epoch.number + 2)
        #expect(world.metadata.operations[id]?.state == .done)
    }

    @Test func aMoveOfTheOnlyReplicaWaitsForADiskThatHangs() throws {
        let move = ReplicaChange.move(from: workers[0], to: workers[1])
        var (world, shard) = world([0, 1], copies: 1, move, .running)
        world.stuck = [workers[1]]
        let before = try group(of: shard, in: world)
        for _ in 0..<10 { try world.coordinate() }
        #expect(try group(of: shard, in: world) == before)
        #expect(try next(in: world) == .wait(.noSuccessor(workers[0])))
        world.stuck = []
        for _ in 0..<10 { try world.coordinate() }
        #expect(try group(of: shard, in: world).members == [workers[1]])
        #expect(world.metadata.operations[id]?.state == .done)
    }

    @Test func nobodyIsMadeThePrimaryWhereTheDiskHangs() throws {
        var (world, _) = world([0, 1], copies: 2, .lead(workers[1]), .running)
        world.stuck = [workers[1]]
        #expect(try next(in: world) == .wait(.notReady(workers[1])))
        let records = (1...8).map { ClusterScript.replicated($0, on: [workers[0], workers[1]], minimum: 2) }
        var uneven = OperationWorld(seed: 3, workers: 2, records: records)
        let leads = [ReplicaChange](repeating: .lead(workers[1]), count: 4)
        #expect(RebalancePlanner.steps(in: uneven.view).map(\.change) == leads)
        uneven.stuck = [workers[1]]
        #expect(RebalancePlanner.steps(in: uneven.view).isEmpty)
    }

    /// Whatever it is that hands the primary back and forth.
    @Test(arguments: [OperationStepState.undoing, .running])
    func aPrimaryThatGoesBackAndForthIsNoProgress(state: OperationStepState) throws {
        let isUndone = state == .undoing
        let move = ReplicaChange.move(from: workers[0], to: workers[isUndone ? 3 : 1])
        var (world, shard) = world([0, 1], learners: isUndone ? [3] : [], copies: 1, move, state)
        let step = try #require(world.metadata.operations[id]?.steps.first)
        var ledger = OperationLedger()
        for second in 0...120 {
            let old = try group(of: shard, in: world)
            let other = try #require(old.inSync.first { $0 != old.primary })
            let index = try #require(world.metadata.collections[shard.collection]?.index(of: shard))
            world.metadata.collections[shard.collection]!.placements[index].group =
                try #require(old.handingOver(to: other))
            ledger.observe(world.view, limits: world.limits, now: .seconds(second))
            #expect(ledger.motionless(now: .seconds(second)).isEmpty)
        }
        #expect(ledger.stalled(now: .seconds(120)) == [OperationLedger.Key(step, of: id)])
        #expect(ledger.longestSilence(now: .seconds(120)) == .seconds(120))
    }
}
