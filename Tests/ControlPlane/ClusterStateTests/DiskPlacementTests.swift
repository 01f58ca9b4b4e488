import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Replicas come to workers whose disks have room for them, beside what stays free and what is on its way. Those of the
/// world are of 1 MiB.
struct DiskPlacementTests {
    private let workers = (1...6).map { ClusterScript.worker(UInt64($0)) }

    private func world(_ count: UInt64 = 4) -> OperationWorld {
        let records = (1...count).map { number in
            ClusterScript.replicated(number, on: [workers[0], workers[1]], minimum: 1)
        }
        return OperationWorld(seed: 1, workers: 6, records: records)
    }

    @Test func whatIsMissingIsMadeAnewWhereThereIsRoom() throws {
        var world = world()
        world.spareDiskByteCount = 10 << 20
        world.freeDisk = [workers[2]: 10 << 20, workers[3]: 12 << 20, workers[4]: 5 << 20]
        world.live.remove(workers[1])
        world.gone.insert(workers[1])
        try world.settle(rounds: 100)
        #expect(world.replicaCount(on: workers[2]) == 0 && world.replicaCount(on: workers[4]) == 0)
        #expect(world.metadata.placements.allSatisfy { $0.group.inSync.count == 2 })
        // Replicas that have come are part of what is free no more, which the world's figures do not know.
        #expect(world.replicaCount(on: workers[3]) + world.replicaCount(on: workers[5]) == 4)
    }

    /// Learners take their room before they have come.
    @Test func whatIsOnItsWayCounts() throws {
        var world = world(6)
        world.freeDisk = [workers[2]: 2 << 20, workers[3]: 2 << 20, workers[4]: 0, workers[5]: 0]
        world.live.remove(workers[1])
        world.gone.insert(workers[1])
        let view = world.view
        let plan = ReconcilePlanner.plan(view, limits: .init(copiesPerWorker: 6))
        let regroupings = plan.actions.flatMap { action -> [ReconcileAction.Regrouping] in
            if case .regroup(_, let regroupings) = action { regroupings } else { [] }
        }
        let newcomers = regroupings.flatMap(\.group.learners).filter { $0 != workers[1] }
        #expect(newcomers.count { $0 == workers[2] } == 2 && newcomers.count { $0 == workers[3] } == 2)
        #expect(newcomers.count == 4)
        let problems = ReconcilePlanner.plan(view).problems
        let shards = world.metadata.placements.suffix(2).map(\.shard)
        #expect(problems == shards.map { .noRoom($0, byteCount: 1 << 20) })
        #expect(ReconcilePlanner.shardsWithoutRoom(in: view) == Set(shards))
        #expect(problems[0].description.contains("1 MiB"))
        #expect(problems[0].topic == .noRoom(shards[0], byteCount: 0))
    }

    /// What is on the disk is not free already: only the rest is reserved.
    @Test func whatIsMadeOfOtherShardsCountsOnce() throws {
        let records = [
            ClusterScript.replicated(1, on: [workers[0], workers[1]]),
            ClusterScript.replicated(2, on: [workers[2], workers[3]]),
        ]
        var world = OperationWorld(seed: 1, workers: 6, records: records)
        try world.mustBegin(.split(records[0].collection.id, [0]))
        for _ in 0..<3 { try world.coordinate() }
        var view = world.view
        let made = try #require(view.observations[workers[0]]?.successors.keys.sorted())
        #expect(made.count == 2)
        let move = Operation.Step(
            shard: records[1].placements[0].shard,
            change: .move(from: workers[3], to: workers[0])
        )
        func hindrance(_ free: UInt64) -> OperationPlanner.Hindrance? {
            view.observations[workers[0]]!.freeDiskByteCount = free
            return Occupancy(view, limits: .init(copiesPerWorker: 2)).hindrance(move, in: view)
        }
        let half = UInt64(1) << 19
        #expect(hindrance(4 * half - 1) == .tooLittleDisk(workers[0], needed: 4 * half, free: 4 * half - 1))
        for shard in made { view.observations[workers[0]]!.successors[shard]!.diskByteCount = half / 2 }
        #expect(hindrance(3 * half) == nil)
        #expect(hindrance(3 * half - 1) == .tooLittleDisk(workers[0], needed: 3 * half, free: 3 * half - 1))
        // They may come to more than what they are made of.
        for shard in made { view.observations[workers[0]]!.successors[shard]!.diskByteCount = 5 * half }
        #expect(hindrance(2 * half) == nil)
    }

    /// A copy lies beside the empty replica whose place it takes when it is whole.
    @Test func whatHasComeOfACopyCountsOnce() throws {
        let records = [
            ClusterScript.replicated(1, on: [workers[0]], learners: [workers[2]]),
            ClusterScript.replicated(2, on: [workers[1]]),
        ]
        var view = OperationWorld(seed: 1, workers: 6, records: records).view
        let shards = records.map { $0.placements[0].shard }
        view.observations[workers[2]]!.replicas[shards[0]]!.diskByteCount = 0
        let move = Operation.Step(shard: shards[1], change: .move(from: workers[1], to: workers[2]))
        func hindrance(_ free: UInt64) -> OperationPlanner.Hindrance? {
            view.observations[workers[2]]!.freeDiskByteCount = free
            return Occupancy(view, limits: .init(copiesPerWorker: 2)).hindrance(move, in: view)
        }
        let half = UInt64(1) << 19
        #expect(hindrance(4 * half - 1) == .tooLittleDisk(workers[2], needed: 4 * half, free: 4 * half - 1))
        view.observations[workers[0]]!.replicas[shards[0]]!.copies = [
            .init(worker: workers[2], sentByteCount: half, totalByteCount: 2 * half)
        ]
        #expect(hindrance(3 * half) == nil)
        #expect(hindrance(3 * half - 1) == .tooLittleDisk(workers[2], needed: 3 * half, free: 3 * half - 1))
    }

    @Test func whereNobodyHasRoomNobodyIsChosenAndTheReasonIsTold() throws {
        var world = world(1)
        let placement = world.metadata.placements[0]
        world.spareDiskByteCount = 5 << 20
        for worker in workers { world.freeDisk[worker] = 5 << 20 }
        world.live.remove(workers[1])
        world.gone.insert(workers[1])
        try world.settle(rounds: 20)
        #expect(world.metadata.placements[0].group.members.allSatisfy { $0 == workers[0] || $0 == workers[1] })
        #expect(
            PlacementExplanation.explain(placement, on: workers[2], in: world.view)
                == .tooLittleDisk(needed: 6 << 20, free: 5 << 20)
        )
        world.freeDisk[workers[3]] = 6 << 20
        try world.settle(rounds: 100)
        #expect(world.metadata.placements[0].group.inSync == [workers[0], workers[3]])
        #expect(ReconcilePlanner.shardsWithoutRoom(in: world.view).isEmpty)
    }

    @Test func aDrainGoesWhereThereIsRoom() throws {
        var world = world(3)
        world.freeDisk = [workers[2]: 0, workers[3]: 1 << 20, workers[5]: 0]
        try world.mustBegin(.drain(workers[1]))
        let operation = try #require(world.metadata.openOperations.first)
        let targets = operation.steps.compactMap(\.change.newcomer)
        #expect(targets.sorted() == [workers[3], workers[4], workers[4]])
        try world.settle(rounds: 100)
        #expect(world.metadata.openOperations.isEmpty)
    }

    /// Nobody had room when it began; the worker that then gets some is not the one that was chosen.
    @Test func aDrainThatWaitsForRoomGoesWhereThereIsSome() throws {
        var world = world(1)
        for worker in workers.dropFirst(2) { world.freeDisk[worker] = 0 }
        try world.mustBegin(.drain(workers[1]))
        try world.settle(rounds: 20)
        let operation = try #require(world.metadata.openOperations.first)
        let step = operation.steps[0]
        let target = try #require(step.change.newcomer)
        #expect(step.state == .waiting)
        #expect(
            Occupancy(world.view, limits: world.limits).hindrance(step, of: operation, in: world.view)
                == .tooLittleDisk(target, needed: 1 << 20, free: 0)
        )
        let other = try #require(workers.dropFirst(2).first { $0 != target })
        world.freeDisk[other] = 1 << 30
        try world.settle(rounds: 100)
        #expect(world.metadata.openOperations.isEmpty)
        #expect(world.metadata.placements[0].group.inSync == [workers[0], other])
    }
}
