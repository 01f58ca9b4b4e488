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
}
