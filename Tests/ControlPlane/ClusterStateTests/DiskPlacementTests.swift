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

    /// All that is to come counts, not each replica alone; the refusal says what is missing, and where.
    @Test func aDrainForWhichRoomIsMissingIsRefusedWithTheRule() throws {
        var world = world(3)
        for worker in workers.dropFirst(2) { world.freeDisk[worker] = worker == workers[4] ? 2 << 20 : 0 }
        for request in [OperationRequest.drain(workers[1]), .decommission(workers[1])] {
            let refusal = try #require(world.refusal(of: request))
            #expect(refusal.hasPrefix("Room is missing (rule 'disk'): "), "\(refusal)")
            #expect(refusal.contains("shard 0 of collection 'collection-"), "\(refusal)")
            let address = try #require(world.metadata.workers[workers[4]])
            let lack = "the worker at \(address) needs 3 MiB of free disk with what is reserved, and has 2"
            #expect(refusal.contains(lack) && refusal.contains("takes 1 MiB of disk"), "\(refusal)")
        }
        world.freeDisk[workers[4]] = 3 << 20
        try world.mustBegin(.drain(workers[1]))
        try world.settle(rounds: 100)
        #expect(world.replicaCount(on: workers[1]) == 0)
    }

    /// What is needed is rounded up and what there is down, so that the one is never shown as no more than the other.
    @Test func theRefusalOfADrainShowsThatMoreIsNeededThanThereIs() throws {
        var world = world(1)
        world.spareDiskByteCount = 1 << 19
        for worker in workers.dropFirst(2) { world.freeDisk[worker] = 5 << 18 }
        let refusal = try #require(world.refusal(of: .drain(workers[1])))
        #expect(refusal.contains("needs 2 MiB of free disk with what is reserved, and has 1"), "\(refusal)")
    }

    /// One alone is too large, and the others fit beside each other.
    @Test func aReplicaWithoutRoomTakesNoneFromTheOthersOfADrain() throws {
        let world = world(3)
        var view = world.view
        for worker in workers {
            view.observations[worker]!.freeDiskByteCount = worker == workers[2] ? 2 << 20 : 0
        }
        let large = world.metadata.placements[0].shard
        for worker in workers[...1] { view.observations[worker]!.replicas[large]!.diskByteCount = 5 << 20 }
        let refusal = #expect(throws: OperationRefusal.self) {
            try OperationRequest.drain(workers[1])
                .operation(OperationID(high: 0, low: 1), in: view, now: Timestamp(milliseconds: 1))
        }
        let text = try #require(refusal?.description)
        let address = try #require(view.metadata.workers[workers[2]])
        #expect(text.contains("the worker at \(address) needs 5 MiB of free disk"), "\(text)")
        #expect(!text.contains("more replica"), "\(text)")
    }

    /// What is lost with it has to come somewhere all the same, and nobody is to be kept from saying so.
    @Test func aDeadWorkerIsDecommissionedWithoutRoom() throws {
        var world = world(1)
        for worker in workers.dropFirst(2) { world.freeDisk[worker] = 0 }
        #expect(world.refusal(of: .decommission(workers[1])) != nil)
        world.live.remove(workers[1])
        #expect(world.refusal(of: .decommission(workers[1])) == nil)
    }

    /// In their order the small ones would take what the large one needs.
    @Test func whereRoomIsScarceTheLargestReplicasChooseFirst() throws {
        let world = world(3)
        var view = world.view
        for worker in workers {
            view.observations[worker]!.freeDiskByteCount = workers[2...3].contains(worker) ? 2 << 20 : 0
        }
        let shards = world.metadata.placements.map(\.shard)
        for worker in workers[...1] { view.observations[worker]!.replicas[shards[2]]!.diskByteCount = 2 << 20 }
        let id = OperationID(high: 0, low: 1)
        let operation = try OperationRequest.drain(workers[1])
            .operation(id, in: view, now: Timestamp(milliseconds: 1))
        #expect(operation.steps.map(\.shard) == shards)
        let targets = operation.steps.compactMap(\.change.newcomer)
        #expect(targets[0] == targets[1] && targets[2] != targets[0], "\(targets)")
        #expect(OperationRoom(of: operation.steps, in: view).lacks.isEmpty)
    }

    /// Of 3, 2 and 2 MiB for rooms of 4 and 3: whoever goes where there are fewest leaves one of them without.
    @Test func whereRoomIsScarcerStillEachGoesWhereTheLeastSuffices() throws {
        let world = world(3)
        var view = world.view
        for worker in workers { view.observations[worker]!.freeDiskByteCount = 0 }
        view.observations[workers[2]]!.freeDiskByteCount = 4 << 20
        view.observations[workers[3]]!.freeDiskByteCount = 3 << 20
        let shards = world.metadata.placements.map(\.shard)
        for worker in workers[...1] {
            for (shard, size) in zip(shards, [2, 2, 3] as [UInt64]) {
                view.observations[worker]!.replicas[shard]!.diskByteCount = size << 20
            }
        }
        let operation = try OperationRequest.drain(workers[1])
            .operation(OperationID(high: 0, low: 1), in: view, now: Timestamp(milliseconds: 1))
        #expect(operation.steps.map(\.shard) == shards)
        #expect(operation.steps.compactMap(\.change.newcomer) == [workers[2], workers[2], workers[3]])
        #expect(OperationRoom(of: operation.steps, in: view).lacks.isEmpty)
    }

    /// The room goes when it has begun; the worker that then gets some is not the one that was chosen.
    @Test func aDrainThatWaitsForRoomGoesWhereThereIsSome() throws {
        var world = world(1)
        try world.mustBegin(.drain(workers[1]))
        for worker in workers.dropFirst(2) { world.freeDisk[worker] = 0 }
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
