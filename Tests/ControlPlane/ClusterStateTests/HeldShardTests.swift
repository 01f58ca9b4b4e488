import ClusterModel
import ClusterState
import Testing

/// What an operation holds up, because it is paused or waits, keeps no lost copy from being made again.
struct HeldShardTests {
    private let workers = (1...6).map { ClusterScript.worker(UInt64($0)) }

    /// Two copies of each of two shards, on the first two workers.
    private func world() -> OperationWorld {
        let records = (1...2).map { ClusterScript.replicated($0, on: [workers[0], workers[1]]) }
        return OperationWorld(seed: 1, workers: 6, records: records)
    }

    private func pause(_ world: inout OperationWorld) throws {
        let id = try #require(world.metadata.openOperations.first?.id)
        world.metadata.operations[id]!.state = .paused
    }

    private func lose(_ worker: Int, _ world: inout OperationWorld) {
        world.live.remove(workers[worker])
        world.gone.insert(workers[worker])
    }

    @Test func whatIsLostOfAShardWhoseMoveIsPausedIsMadeAgain() throws {
        var world = world()
        let shard = world.metadata.placements[0].shard
        try world.mustBegin(.move(shard, from: workers[0], to: workers[5]))
        for _ in 0..<3 { try world.coordinate() }
        #expect(world.metadata.placement(of: shard)?.group.learners == [workers[5]])
        try pause(&world)
        for _ in 0..<3 { try world.coordinate() }
        #expect(world.metadata.placement(of: shard)?.group.members.count == 3)
        lose(1, &world)
        for _ in 0..<5 { try world.coordinate() }
        // The copy that is held up is none, and one is enough.
        let group = try #require(world.metadata.placement(of: shard)?.group)
        let newcomers = Set(group.learners).subtracting([workers[5]])
        #expect(newcomers.count == 1 && newcomers.isDisjoint(with: world.gone), "\(group)")
        let id = try #require(world.metadata.openOperations.first?.id)
        world.metadata.operations[id]!.state = .running
        try world.settle()
        #expect(world.metadata.openOperations.isEmpty)
        let last = try #require(world.metadata.placement(of: shard)?.group)
        #expect(last.inSync.count == 2 && last.learners.isEmpty && Set(last.members).isDisjoint(with: world.gone))
        #expect(last.isInSync(workers[5]) && !last.isInSync(workers[0]))
    }

    @Test func aPausedSplitKeepsNoWorkerFromOthers() throws {
        var world = world()
        let (split, other) = (world.metadata.placements[0].shard, world.metadata.placements[1].shard)
        try world.mustBegin(.split(split.collection, [split.index]))
        for _ in 0..<3 { try world.coordinate() }
        let step = Operation.Step(shard: other, change: .move(from: workers[0], to: workers[5]))
        let busy = Occupancy(world.view, limits: world.limits).hindrance(step, in: world.view)
        guard case .workerIsBusy = busy else {
            Issue.record("the split keeps its workers busy: \(String(describing: busy))")
            return
        }
        try pause(&world)
        let occupancy = Occupancy(world.view, limits: world.limits)
        #expect(occupancy.hindrance(step, in: world.view) == nil)
        let same = Operation.Step(shard: split, change: .move(from: workers[0], to: workers[5]))
        #expect(occupancy.hindrance(same, in: world.view) == .shardIsBusy)

        lose(1, &world)
        try world.settle(rounds: 60)
        for shard in [split, other] {
            let group = try #require(world.metadata.placement(of: shard)?.group)
            #expect(group.inSync.count { !world.gone.contains($0) } == 2, "\(shard): \(group)")
        }
    }

    @Test func whatIsLostIsMadeAgainWhileMoreCopiesWait() throws {
        var world = world()
        for id in world.metadata.collections.keys.sorted() {
            try world.mustBegin(.copies(id, CopyCount(replicationFactor: 3, minimumInSync: 2)))
        }
        // Nobody has room for the copies that are asked for.
        for worker in workers { world.freeDisk[worker] = 0 }
        for _ in 0..<5 { try world.coordinate() }
        #expect(world.metadata.placements.allSatisfy { $0.group.members.count == 2 })
        lose(1, &world)
        for _ in 0..<5 { try world.coordinate() }
        #expect(ReconcilePlanner.shardsWithoutRoom(in: world.view).count == 2, "it is told of")
        let steps = world.metadata.openOperations.flatMap(\.steps).compactMap(\.change.newcomer)
        for worker in workers where !steps.contains(worker) { world.freeDisk[worker] = 1 << 40 }
        try world.settle(rounds: 60)
        for placement in world.metadata.placements {
            #expect(placement.group.inSync.count { !world.gone.contains($0) } == 2, "\(placement.group)")
        }
    }
}
