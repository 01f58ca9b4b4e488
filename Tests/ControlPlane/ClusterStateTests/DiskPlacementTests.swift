import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Replicas come to workers whose disks have room for them, beside what stays free and what is on its way. Those of the
/// world are of 1 MiB, where nothing else is said.
struct DiskPlacementTests {
    private let workers = (1...6).map { ClusterScript.worker(UInt64($0)) }

    private func world(_ count: UInt64 = 4) -> OperationWorld {
        let records = (1...count).map { number in
            ClusterScript.replicated(number, on: [workers[0], workers[1]], minimum: 1)
        }
        return OperationWorld(seed: 1, workers: 6, records: records)
    }

    private func groups(of plan: ReconcilePlanner.Plan) -> [ReplicaGroup] {
        plan.actions.flatMap { action -> [ReplicaGroup] in
            if case .regroup(_, let regroupings) = action { regroupings.map(\.group) } else { [] }
        }
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
        for worker in workers.dropFirst() { world.freeDisk[worker] = 5 << 20 }
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

    /// The primary makes the copy on its own disk before it sends it, and would fill that for nothing.
    @Test func whatIsLostIsSentByOneThatHasRoomForTheCopy() throws {
        let record = ClusterScript.replicated(1, on: Array(workers[...2]), minimum: 1)
        let shard = record.placements[0].shard
        var world = OperationWorld(seed: 1, workers: 6, records: [record])
        world.replicaByteCount = 128 << 20
        for worker in workers[...1] { world.freeDisk[worker] = 0 }
        world.live.remove(workers[2])
        world.gone.insert(workers[2])
        try world.settle(rounds: 20)
        let short = world.metadata.placements[0].group
        #expect(short.primary == workers[0] && Set(short.members).isSubset(of: workers[...2]), "\(short)")
        let problems = ReconcilePlanner.plan(world.view).problems
        #expect(problems == [.noRoomToSend(shard, primary: workers[0], byteCount: 128 << 20)])
        #expect(problems.first?.topic == .noRoomToSend(shard, primary: workers[0], byteCount: 0))
        #expect(problems.first?.description.contains("128 MiB. Its primary on worker \(workers[0])") == true)
        #expect(ReconcilePlanner.shardsWithoutRoom(in: world.view) == [shard])
        world.freeDisk[workers[1]] = nil
        try world.settle(rounds: 100)
        let whole = world.metadata.placements[0].group
        #expect(whole.primary == workers[1] && whole.inSync.count == 3 && whole.learners.isEmpty, "\(whole)")
        #expect(ReconcilePlanner.shardsWithoutRoom(in: world.view).isEmpty)
    }

    /// A primary that copies is short of disk for as long as that: its other shards are not handed to and fro.
    @Test func whoIsShortOfDiskForACopyIsWaitedFor() {
        let records = (1...4).map { number in
            ClusterScript.replicated(
                number,
                on: Array(workers[...2]),
                learners: number == 1 ? [workers[3]] : [],
                minimum: 1
            )
        }
        var world = OperationWorld(seed: 1, workers: 6, records: records)
        world.replicaByteCount = 128 << 20
        let shards = records.map { $0.placements[0].shard }
        world.replicas[workers[3]]![shards[0]] = 0
        world.live.remove(workers[2])
        world.gone.insert(workers[2])
        world.freeDisk[workers[0]] = 0
        let plan = ReconcilePlanner.plan(world.view)
        #expect(groups(of: plan).map(\.primary) == [workers[1]], "one at a time")
        #expect(plan.problems.isEmpty && plan.waiting.map(\.shard) == Array(shards[2...]))
        // Of the other's disk somebody else has the rest.
        world.freeDisk[workers[1]] = 0
        let later = ReconcilePlanner.plan(world.view)
        #expect(groups(of: later).isEmpty)
        #expect(later.problems.isEmpty && later.waiting.map(\.shard) == Array(shards[1...]))
    }

    /// It would begin anew; one that is refused goes on with whoever has the room.
    @Test(arguments: [nil, "The disk is full."] as [String?])
    func nobodyElseIsMadeThePrimaryWhileACopyIsMade(refusal: String?) {
        let record = ClusterScript.replicated(
            1,
            on: Array(workers[...1]),
            learners: [workers[3]],
            copies: 4,
            minimum: 1
        )
        let shard = record.placements[0].shard
        var world = OperationWorld(seed: 1, workers: 6, records: [record])
        world.replicaByteCount = 128 << 20
        world.replicas[workers[3]]![shard] = 0
        world.freeDisk[workers[0]] = 0
        var view = world.view
        view.observations[workers[0]]!.replicas[shard]!.copies = [
            .init(worker: workers[3], sentByteCount: 0, totalByteCount: 0, refusal: refusal)
        ]
        let plan = ReconcilePlanner.plan(view)
        #expect(groups(of: plan).map(\.primary) == (refusal == nil ? [] : [workers[1]]))
        #expect(plan.problems.isEmpty && plan.waiting.map(\.shard) == (refusal == nil ? [shard] : []))
    }

    /// The move waits for the copy, which the primary has no room to send; where the move went there is some.
    @Test func whatIsLostBesideAMoveIsSentByOneThatHasRoomForTheCopy() throws {
        let record = ClusterScript.replicated(1, on: Array(workers[...3]), copies: 3, minimum: 1)
        var world = OperationWorld(seed: 1, workers: 6, records: [record])
        world.replicaByteCount = 128 << 20
        let step = Operation.Step(
            shard: record.placements[0].shard,
            change: .move(from: workers[2], to: workers[3]),
            state: .running,
            formerPrimary: workers[0]
        )
        let id = OperationID(high: 3, low: 1)
        world.metadata.operations[id] = Operation(
            id: id,
            kind: .change,
            created: Timestamp(milliseconds: 1),
            steps: [step]
        )
        world.freeDisk[workers[0]] = 0
        world.live.remove(workers[1])
        world.gone.insert(workers[1])
        try world.settle(rounds: 100)
        #expect(world.metadata.operations[id]?.state == .done)
        let group = world.metadata.placements[0].group
        #expect(group.inSync.count == 3 && group.learners.isEmpty && group.primary == workers[3], "\(group)")
        #expect(Set(group.members).isDisjoint(with: workers[1...2]), "\(group)")
    }

    /// Nothing has to be made of a shard of which the log may have everything.
    @Test func whatTheLogMayBeEnoughForIsSentWithoutRoom() throws {
        let record = ClusterScript.replicated(1, on: Array(workers[...2]), minimum: 1)
        var world = OperationWorld(seed: 1, workers: 6, records: [record])
        world.replicaByteCount = 64 << 20
        for worker in workers[...1] { world.freeDisk[worker] = 0 }
        world.live.remove(workers[2])
        world.gone.insert(workers[2])
        #expect(ReconcilePlanner.shardsWithoutRoom(in: world.view).isEmpty)
        try world.settle(rounds: 100)
        let group = world.metadata.placements[0].group
        #expect(group.inSync.count == 3 && group.learners.isEmpty && group.primary == workers[0], "\(group)")
    }

    /// A full disk is the usual reason to drain a worker; it may fill when the drain has begun.
    @Test(arguments: [false, true]) func aDrainOfAFullWorkerPassesItsPrimariesOnFirst(isLate: Bool) throws {
        var world = world(2)
        if !isLate { world.freeDisk[workers[0]] = 0 }
        try world.mustBegin(.drain(workers[0]))
        world.freeDisk[workers[0]] = 0
        let begun = try #require(world.metadata.openOperations.first)
        let leadCount = begun.steps.count { $0.change == .lead(workers[1]) }
        #expect(leadCount == (isLate ? 0 : 2) && begun.steps.count == leadCount + 2)
        try world.settle(rounds: 100)
        #expect(world.metadata.operations[begun.id]?.state == .done)
        #expect(world.replicaCount(on: workers[0]) == 0)
        #expect(world.metadata.placements.allSatisfy { $0.group.inSync.count == 2 })
    }

    /// Whoever is to send would be short of disk itself while it does, and what waits for it go back.
    @Test(arguments: [false, true]) func aDrainPassesPrimariesOnOneAtATime(isSending: Bool) throws {
        var world = world()
        if isSending {
            let record = ClusterScript.replicated(5, on: [workers[1]], learners: [workers[5]])
            let shard = record.placements[0].shard
            world.metadata.collections[record.collection.id] = record
            world.head[shard] = 100
            world.replicas[workers[1]]![shard] = 100
            world.replicas[workers[5], default: [:]][shard] = 0
        }
        try world.mustBegin(.drain(workers[0]))
        world.freeDisk[workers[0]] = 0
        let updates = OperationPlanner.updates(world.view, limits: world.limits, now: Timestamp(milliseconds: 9))
        #expect(updates.flatMap(\.new.steps).count { $0.state == .undone } == (isSending ? 0 : 1))
    }

    /// Who was to be made the primary falls out: its disk hangs, say.
    @Test func aDrainPassesItsPrimaryToAnotherThanOneThatIsNotReady() throws {
        let record = ClusterScript.replicated(1, on: Array(workers[...2]), minimum: 1)
        var world = OperationWorld(seed: 1, workers: 6, records: [record])
        world.freeDisk[workers[0]] = 0
        try world.mustBegin(.drain(workers[0]))
        try world.coordinate()
        let begun = try #require(world.metadata.openOperations.first)
        #expect(begun.steps.first?.change == .lead(workers[1]) && begun.steps.first?.state == .running)
        world.stuck = [workers[1]]
        var ledger = OperationLedger()
        for second in 0..<160 {
            world.advance(by: &ledger, now: .seconds(second))
            try world.coordinate()
            try world.work()
        }
        #expect(world.metadata.operations[begun.id]?.state == .done)
        let group = world.metadata.placements[0].group
        #expect(group.primary == workers[2] && group.inSync.count == 3 && group.learners.isEmpty, "\(group)")
    }

    /// Who has the room to send is to be emptied as well.
    @Test func aFullWorkerIsDrainedTogetherWithTheOneThatSends() throws {
        var world = world(1)
        world.freeDisk[workers[0]] = 0
        for worker in workers[...1] { try world.mustBegin(.drain(worker)) }
        try world.settle()
        #expect(world.metadata.operations.values.map(\.state) == [.done, .done])
        #expect(world.metadata.placements[0].group.inSync.count == 2)
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
