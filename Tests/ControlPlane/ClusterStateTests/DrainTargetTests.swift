import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Where replicas of a worker that is to be empty go when the worker that was chosen for them cannot have them.
struct DrainTargetTests {
    enum Trouble: CaseIterable, Sendable {
        case silent
        case stopping
        case shortOfMemory
    }

    private let workers = (1...5).map { ClusterScript.worker(UInt64($0)) }

    /// Shards on the first two workers, of which the second is about to be drained.
    private func world(shards count: UInt64 = 1, workers workerCount: Int = 4) -> OperationWorld {
        let records = (1...count).map { number in
            ClusterScript.replicated(number, on: [workers[0], workers[1]], minimum: 1)
        }
        return OperationWorld(seed: 1, workers: workerCount, records: records)
    }

    private func targets(_ world: OperationWorld) -> [NodeID] {
        world.metadata.openOperations.flatMap(\.steps).compactMap(\.change.newcomer)
    }

    private func updates(_ view: ClusterView) -> [OperationPlanner.Update] {
        OperationPlanner.updates(view, limits: .init(), now: Timestamp(milliseconds: 9))
    }

    @Test(arguments: Trouble.allCases)
    func whatHasYetToBeginGoesElsewhereWhenItsWorkerCannotHaveIt(trouble: Trouble) throws {
        var world = world()
        try world.mustBegin(.drain(workers[1]))
        let target = try #require(targets(world).first)
        let other = try #require(workers[2...3].first { $0 != target })
        var view = world.view
        switch trouble {
        case .silent: view.liveWorkers.remove(target)
        case .stopping: view.observations[target]!.isStopping = true
        case .shortOfMemory: view.observations[target]!.memory.isShort = true
        }
        let step = try #require(updates(view).first?.new.steps.first)
        #expect(step.change == .move(from: workers[1], to: other) && step.state == .running)
        // Where nobody else has room it stays its own; of one that stops the copy begins when it is back.
        view.observations[other]!.freeDiskByteCount = 0
        #expect(updates(view).allSatisfy { $0.new.steps.first?.change == .move(from: workers[1], to: target) })
        if trouble != .stopping { #expect(updates(view).isEmpty) }
    }

    @Test func aDrainEndsWithoutTheWorkerThatWasChosen() throws {
        var world = world()
        try world.mustBegin(.drain(workers[1]))
        let target = try #require(targets(world).first)
        let other = try #require(workers[2...3].first { $0 != target })
        world.live.remove(target)
        try world.settle(rounds: 100)
        #expect(world.metadata.openOperations.isEmpty)
        #expect(world.metadata.placements[0].group.members == [workers[0], other])
    }

    /// Most workers that are silent are so for a moment.
    @Test func whatCouldNotBeginElsewhereWaitsForItsWorker() throws {
        var world = world(shards: 2)
        try world.mustBegin(.drain(workers[1]))
        let chosen = targets(world)
        #expect(Set(chosen) == Set(workers[2...3]))
        world.live.remove(chosen[1])
        // The first takes the primary's turn.
        let steps = try #require(updates(world.view).first?.new.steps)
        #expect(steps.map(\.change.newcomer) == chosen)
        #expect(steps.map(\.state) == [.running, .waiting])
        try world.settle(rounds: 100)
        #expect(world.metadata.openOperations.isEmpty)
        #expect(world.replicaCount(on: chosen[0]) == 2)
    }

    /// Both would go to one worker, and the shard have one copy less.
    @Test func nothingGoesToWhereAnotherReplicaOfItsShardIsToGo() throws {
        var world = world(workers: 5)
        world.freeDisk[workers[4]] = 0
        try world.mustBegin(.drain(workers[0]))
        let target = try #require(targets(world).first)
        try world.mustBegin(.drain(workers[1]))
        #expect(Set(targets(world)) == Set(workers[2...3]))
        world.live.remove(target)
        #expect(!updates(world.view).contains { $0.old.drainedWorker == workers[0] })
    }

    /// Each drain counts what the other brings, and equal counts fall to the same worker.
    @Test func twoDrainsSendNoTwoReplicasOfAShardToOneWorker() throws {
        var world = world(shards: 2)
        for worker in workers[...1] { try world.mustBegin(.drain(worker)) }
        let moves = world.metadata.openOperations.flatMap(\.steps)
        for placement in world.metadata.placements {
            let targets = moves.filter { $0.shard == placement.shard }.compactMap(\.change.newcomer)
            #expect(targets.count == 2 && Set(targets) == Set(workers[2...3]), "\(targets)")
        }
        for _ in 0..<200 {
            try world.coordinate()
            try world.work()
            #expect(world.metadata.placements.allSatisfy { $0.group.inSync.count >= 2 })
        }
        #expect(world.metadata.openOperations.isEmpty)
    }

    /// It came there with another step, or in the place of a lost one.
    @Test func nothingLeavesForAWorkerThatHasAReplicaWhichTheShardNeeds() throws {
        var world = world()
        let id = OperationID(high: 3, low: 1)
        let shard = world.metadata.placements[0].shard
        world.metadata.standings[workers[1]] = .draining
        world.metadata.operations[id] = Operation(
            id: id,
            kind: .drain(workers[1]),
            created: Timestamp(milliseconds: 1),
            steps: [.init(shard: shard, change: .move(from: workers[1], to: workers[0]))]
        )
        for _ in 0..<100 {
            try world.coordinate()
            try world.work()
            #expect(world.metadata.placements[0].group.inSync.count >= 2)
        }
        #expect(world.metadata.operations[id]?.state == .done)
        #expect(world.metadata.operations[id]?.steps.map(\.state) == [.undone, .done])
        #expect(world.replicaCount(on: workers[1]) == 0)
    }

    /// It may be held up for long, and the worker that it would go to is the only one there is.
    @Test func aDrainDoesNotWaitForAStepOfAPausedOperation() throws {
        var world = world(workers: 3)
        let id = OperationID(high: 3, low: 1)
        let shard = world.metadata.placements[0].shard
        world.metadata.operations[id] = Operation(
            id: id,
            kind: .rebalance,
            state: .paused,
            created: Timestamp(milliseconds: 1),
            steps: [.init(shard: shard, change: .move(from: workers[0], to: workers[2]))]
        )
        try world.mustBegin(.drain(workers[1]))
        try world.settle(rounds: 100)
        #expect(world.metadata.openOperations.map(\.id) == [id])
        #expect(world.metadata.placements[0].group.inSync == [workers[0], workers[2]])
    }

    /// Its memory or its disk is short once the copy has begun: it would hold its turn, and its source's, for ever.
    @Test(arguments: [false, true]) func whatIsUnderWayInVainGoesElsewhere(isDisk: Bool) throws {
        var world = world()
        world.writeChance = 0
        world.spareDiskByteCount = 1
        try world.mustBegin(.drain(workers[1]))
        let target = try #require(targets(world).first)
        let other = try #require(workers[2...3].first { $0 != target })
        for _ in 0..<3 { try world.coordinate() }
        let shard = world.metadata.placements[0].shard
        #expect(world.metadata.placements[0].group.learners == [target] && world.replicas[target]?[shard] == 0)
        if isDisk { world.freeDisk[target] = 0 } else { world.short = [target] }
        var ledger = OperationLedger()
        for second in 0..<120 {
            let updates = world.advance(by: &ledger, now: .seconds(second))
            let isBegun = world.metadata.placements[0].group.learners == [target]
            #expect(second > 60 || isBegun && updates.isEmpty == (second < 60), "after \(second) s")
            try world.coordinate()
            try world.work()
        }
        #expect(world.metadata.openOperations.isEmpty)
        #expect(world.metadata.placements[0].group.members == [workers[0], other])
    }
}
