import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Replicas come to workers with memory for what searches read of them, beside what they read there and what is on its
/// way. Those of the world have 100 faces of 128 bytes.
struct MemoryRoomTests {
    private static let size: UInt64 = 12_800
    private let workers = (1...5).map { ClusterScript.worker(UInt64($0)) }

    private func world(_ count: UInt64 = 4) -> OperationWorld {
        let records = (1...count).map { number in
            ClusterScript.replicated(number, on: [workers[0], workers[1]], minimum: 1)
        }
        var world = OperationWorld(seed: 1, workers: 5, records: records)
        world.writeChance = 0
        return world
    }

    /// What has come is read by searches: it does not fit a second time, although the system could still take it back.
    @Test func aDrainGoesWhereThereIsMemory() throws {
        var world = world()
        world.memory = [workers[2]: 0, workers[3]: 2 * Self.size, workers[4]: 2 * Self.size + 1]
        try world.mustBegin(.drain(workers[1]))
        try world.settle(rounds: 100)
        #expect(world.metadata.openOperations.isEmpty)
        #expect(world.replicaCount(on: workers[2]) == 0)
        #expect(world.replicaCount(on: workers[3]) == 2 && world.replicaCount(on: workers[4]) == 2)
    }

    @Test func aStepWaitsForMemoryAndGoesWhereThereIsSome() throws {
        var world = world(1)
        try world.mustBegin(.drain(workers[1]))
        for worker in workers.dropFirst(2) { world.memory[worker] = Self.size - 1 }
        try world.settle(rounds: 20)
        let operation = try #require(world.metadata.openOperations.first)
        let step = operation.steps[0]
        let target = try #require(step.change.newcomer)
        #expect(step.state == .waiting)
        #expect(
            Occupancy(world.view, limits: world.limits).hindrance(step, of: operation, in: world.view)
                == .tooLittleMemory(target, needed: Self.size, free: Self.size - 1)
        )
        #expect(
            PlacementExplanation.explain(world.metadata.placements[0], on: workers[4], in: world.view)
                == (target == workers[4] ? .coming(operation.id) : .tooLittleMemory(needed: 12_800, free: 12_799))
        )
        let other = try #require(workers.dropFirst(2).first { $0 != target })
        world.memory[other] = Self.size
        try world.settle(rounds: 100)
        #expect(world.metadata.openOperations.isEmpty)
        #expect(world.metadata.placements[0].group.inSync == [workers[0], other])
    }

    @Test func aDrainForWhichMemoryIsMissingIsRefusedWithTheRule() {
        var world = world()
        world.memory = [workers[2]: 0, workers[3]: 2 * Self.size, workers[4]: 2 * Self.size - 1]
        let refusal = world.refusal(of: .drain(workers[1]))
        #expect(refusal?.hasPrefix("Room is missing (rule 'memory'): ") == true, "\(refusal ?? "")")
        world.memory[workers[4]] = 2 * Self.size
        #expect(world.refusal(of: .drain(workers[1])) == nil)
    }

    /// Two at once would fit one by one.
    @Test func whatIsUnderWayIsReserved() throws {
        var world = world(2)
        world.limits = OperationPlanner.Limits(copiesPerWorker: 2)
        for worker in workers.dropFirst(2) { world.memory[worker] = worker == workers[2] ? 3 * Self.size / 2 : 0 }
        for placement in world.metadata.placements {
            try world.mustBegin(.move(placement.shard, from: workers[1], to: workers[2]))
        }
        try world.settle(rounds: 50)
        #expect(world.replicaCount(on: workers[2]) == 1)
        let operation = try #require(world.metadata.openOperations.first)
        #expect(
            Occupancy(world.view, limits: world.limits).hindrance(operation.steps[0], of: operation, in: world.view)
                == .tooLittleMemory(workers[2], needed: Self.size, free: Self.size / 2)
        )
    }

    /// The halves take the place of the whole, whose codes nobody reads any more then.
    @Test func aSplitWaitsForMemory() throws {
        var world = world(1)
        world.memory[workers[1]] = Self.size - 1
        try world.mustBegin(.split(world.metadata.placements[0].shard.collection, [0]))
        try world.settle(rounds: 20)
        let operation = try #require(world.metadata.openOperations.first)
        #expect(
            Occupancy(world.view, limits: world.limits).hindrance(operation.steps[0], of: operation, in: world.view)
                == .tooLittleMemoryInPlace(workers[1], needed: Self.size, free: Self.size - 1)
        )
        world.memory[workers[1]] = Self.size
        try world.settle(rounds: 100)
        #expect(world.metadata.openOperations.isEmpty && world.metadata.placements.count == 2)
    }

    /// A worker that has just started has mapped nothing yet; it will.
    @Test func whatAWorkerIsAboutToOpenCounts() throws {
        var world = world(2)
        for worker in workers.dropFirst() { world.memory[worker] = 2 * Self.size }
        let shard = world.metadata.placements[0].shard
        try world.mustBegin(.move(shard, from: workers[1], to: workers[2]))
        try world.settle(rounds: 100)
        var view = world.view
        view.observations[workers[0]]!.availableMemoryByteCount = 2 * Self.size
        for worker in workers { view.observations[worker]!.mapped = MappedMemory() }
        func hindrance(_ worker: NodeID) throws -> OperationPlanner.Hindrance? {
            let id = OperationID(high: 1, low: 1)
            let request = OperationRequest.move(world.metadata.placements[1].shard, from: workers[1], to: worker)
            let operation = try request.operation(id, in: view, now: Timestamp(milliseconds: 1))
            return Occupancy(view, limits: world.limits).hindrance(operation.steps[0], of: operation, in: view)
        }
        try #expect(hindrance(workers[2]) == nil)
        view.observations[workers[2]]!.availableMemoryByteCount = 2 * Self.size - 1
        try #expect(
            hindrance(workers[2]) == .tooLittleMemory(workers[2], needed: Self.size, free: Self.size - 1)
        )
        view.reservesMemory = false
        try #expect(hindrance(workers[2]) == nil)
    }

    /// Where nobody has the memory, a copy that searches read from disk is better than none.
    @Test func whatIsLostIsMadeAnewWithoutMemoryIfNeedBe() throws {
        var world = world(2)
        world.memory = [workers[2]: 0, workers[3]: 0, workers[4]: Self.size]
        world.live.remove(workers[1])
        world.gone.insert(workers[1])
        try world.settle(rounds: 100)
        #expect(world.metadata.placements.allSatisfy { $0.group.inSync.count == 2 })
        #expect(world.replicaCount(on: workers[4]) == 1)
    }
}
