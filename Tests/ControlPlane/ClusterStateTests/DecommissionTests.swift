import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Workers that are to go when they are dead already.
struct DecommissionTests {
    private let workers = (1...6).map { ClusterScript.worker(UInt64($0)) }

    private func world(_ seed: UInt64 = 1, copies: Int = 2, minimum: Int? = nil) -> OperationWorld {
        let records = (1...4 as ClosedRange<UInt64>).map { number -> CollectionRecord in
            let members = (0..<copies).map { workers[(Int(number) + $0) % 4] }
            return ClusterScript.replicated(number, on: members, minimum: minimum ?? min(copies, 2))
        }
        return OperationWorld(seed: seed, workers: 6, records: records)
    }

    /// Whatever the automatic policy has done for it before.
    @Test func aDecommissionOfADeadWorkerEndsWhenItsShardsAreWhole() throws {
        var waitedCount = 0
        for delay in 0..<40 {
            var world = world(UInt64(delay) &+ 5, minimum: 1)
            let held = world.metadata.placements.filter { $0.group.members.contains(workers[1]) }.map(\.shard)
            world.live.remove(workers[1])
            world.gone.insert(workers[1])
            for _ in 0..<delay / 4 {
                try world.coordinate()
                try world.work()
            }
            func isWhole(_ shard: ShardID) -> Bool {
                let group = world.metadata.placement(of: shard)!.group
                return group.inSync.count >= 2 && !group.members.contains(workers[1])
            }
            let hasLeft = held.contains { shard in
                !world.metadata.placement(of: shard)!.group.members.contains(workers[1]) && !isWhole(shard)
            }
            try world.mustBegin(.decommission(workers[1]))
            let id = try #require(world.metadata.operations.keys.first)
            for _ in 0..<200 {
                try world.coordinate()
                guard world.metadata.operations[id]!.state != .done else {
                    #expect(held.allSatisfy(isWhole), "after \(delay) rounds")
                    break
                }
                if hasLeft { waitedCount += 1 }
                try world.work()
            }
            #expect(world.metadata.operations[id]!.state == .done)
            try world.settle()
            #expect(world.metadata.placements.allSatisfy { $0.group.members.count == 2 })
        }
        #expect(waitedCount > 0)
    }

    /// After a restart nothing is known of a worker that is away.
    @Test func aDecommissionWaitsForEveryShardThatLacksACopyWhenItIsNotKnownWhatTheWorkerHad() throws {
        var world = world(minimum: 1)
        world.live.remove(workers[1])
        world.gone.insert(workers[1])
        for _ in 0..<20 {
            try world.coordinate()
            try world.work()
            world.live.remove(workers[1])
        }
        var view = world.view
        let shard = world.metadata.placements[0].shard
        let collection = shard.collection
        let index = try #require(view.metadata.collections[collection]!.placements.firstIndex { $0.shard == shard })
        let group = view.metadata.placement(of: shard)!.group
        view.metadata.collections[collection]!.placements[index].group = ReplicaGroup(
            epoch: group.epoch,
            version: group.version,
            primary: group.primary,
            inSync: [group.primary],
            learners: [workers[5]],
            minimumInSync: 1
        )
        for isKnown in [true, false] {
            view.observations[workers[1]] = isKnown ? WorkerObservation() : nil
            let operation = try OperationRequest.decommission(workers[1]).operation(
                OperationID(high: 0, low: 1),
                in: view,
                now: Timestamp(milliseconds: 1)
            )
            #expect(operation.steps.map(\.shard) == (isKnown ? [] : [shard]))
            #expect(operation.steps.allSatisfy { $0.state == .done })
            let remainder = OperationPlanner.remainder(of: operation, in: view)
            #expect(remainder == (isKnown ? nil : .copies(shard, inSyncCount: 1, wantedCount: 2)))
        }
    }

    /// What had been drained before stays so, and what was in use is in use again.
    @Test func aDrainThatIsTakenBackGivesBackWhatWasBefore() throws {
        var world = world()
        let worker = workers[4]
        for former in [nil, .draining, .decommissioned] as [WorkerStanding?] {
            for request in [OperationRequest.drain(worker), .decommission(worker)] {
                world.metadata.standings[worker] = former
                try world.mustBegin(request)
                let operation = try #require(world.metadata.openOperations.first)
                #expect(operation.formerStanding == former ?? .active)
                #expect(world.metadata.standings[worker] == .draining)
                let isCancelled = world.cancel(operation.id)
                #expect(isCancelled && world.metadata.standings[worker] == former)
                try world.settle(rounds: 2)
                #expect(world.metadata.operations[operation.id]?.state == .cancelled)
                #expect(world.metadata.standings[worker] == former)
            }
        }
    }

    /// The second is the one that the first worker's replicas would have gone to.
    @Test(arguments: 0..<16)
    func ofTwoWorkersThatAreDrainedTheOneGetsNothingOfTheOther(delay: Int) throws {
        var world = world(UInt64(delay) &+ 1)
        let (first, second) = (workers[1], workers[4])
        let heldCount = world.replicaCount(on: first)
        #expect(heldCount > 1 && world.replicaCount(on: second) == 0)
        try world.mustBegin(.decommission(first))
        let id = try #require(world.metadata.operations.keys.first)
        for _ in 0..<delay {
            try world.coordinate()
            try world.work()
        }
        let shards = Set(
            world.metadata.operations[id]!.steps.filter { $0.change.newcomer == second }.map(\.shard)
        )
        let arrived = shards.filter { world.metadata.placement(of: $0)!.group.isInSync(second) }
        #expect(delay > 0 || arrived.isEmpty)
        try world.mustBegin(.decommission(second))
        try world.settle()
        let operations = Array(world.metadata.operations.values)
        #expect(operations.count == 2 && operations.allSatisfy { $0.state == .done })
        let done = operations.flatMap(\.steps).filter { $0.state == .done }
        #expect(Set(done.filter { $0.change.newcomer == second }.map(\.shard)).isSubset(of: arrived))
        // What had not arrived goes where it can stay, at once.
        #expect(done.count <= heldCount + arrived.count, "\(operations.map(\.steps))")
        for worker in [first, second] {
            #expect(world.replicas[worker]?.isEmpty ?? true)
            #expect(world.metadata.standings[worker] == .decommissioned)
        }
        #expect(world.metadata.placements.allSatisfy { $0.group.inSync.count == 2 })
    }

    /// Of four workers three have a copy each, so that one may go: whichever is asked for first.
    @Test(arguments: [[0, 3], [3, 0], [0, 1]], [0, 1, 2, 6])
    func aSecondDrainThatWouldLeaveTheFirstNowhereToGoIsRefused(order: [Int], delay: Int) throws {
        let record = ClusterScript.replicated(1, on: Array(workers[..<3]), minimum: 2)
        var world = OperationWorld(seed: UInt64(delay), workers: 4, records: [record])
        try world.mustBegin(.decommission(workers[order[0]]))
        for _ in 0..<delay {
            try world.coordinate()
            try world.work()
        }
        let hasBegun = world.begin(.decommission(workers[order[1]]))
        #expect(!hasBegun)
        try world.settle()
        #expect(world.metadata.operations.values.map(\.state) == [.done])
        #expect(world.metadata.placements.allSatisfy { $0.group.inSync.count == 3 })
    }

    /// The worker that it comes from has died; but what has not begun to come is not what the shard has left.
    @Test func whatHasNotComeToAWorkerThatIsDrainedDoesNotCome() throws {
        var world = world()
        world.writeChance = 0
        let shard = try #require(world.metadata.placements.first { $0.group.members.contains(workers[1]) }).shard
        try world.mustBegin(.move(shard, from: workers[1], to: workers[4]))
        let id = try #require(world.metadata.operations.keys.first)
        let begun = OperationPlanner.updates(world.view, limits: world.limits, now: Timestamp(milliseconds: 9))
        for update in begun { world.advance(update) }
        #expect(world.metadata.operations[id]!.steps.map(\.state) == [.running])
        world.live.remove(workers[1])
        try world.mustBegin(.drain(workers[4]))
        for _ in 0..<20 {
            try world.coordinate()
            #expect(world.metadata.placement(of: shard)!.group.members.contains(workers[4]) == false)
        }
        #expect(world.metadata.openOperations.isEmpty)
        #expect(world.metadata.operations[id]!.state == .cancelled)
        #expect(world.metadata.operations[id]!.note?.contains("not to be given any replicas") == true)
    }

    /// The worker that a copy goes to is to be drained, and the one that it comes from has died.
    @Test func whatAShardCannotDoWithoutIsNotTakenBack() throws {
        var world = world()
        world.writeChance = 0
        let shard = try #require(world.metadata.placements.first { $0.group.members.contains(workers[1]) }).shard
        try world.mustBegin(.move(shard, from: workers[1], to: workers[4]))
        let id = try #require(world.metadata.operations.keys.first)
        while !world.metadata.placement(of: shard)!.group.learners.contains(workers[4]) { try world.coordinate() }
        for isServing in [false, true] {
            var other = world
            if !isServing { other.live.remove(workers[1]) }
            try other.mustBegin(.drain(workers[4]))
            try other.coordinate()
            #expect(other.metadata.operations[id]!.steps[0].state == (isServing ? .undoing : .running))
            try other.settle()
            #expect(other.metadata.operations[id]!.state == (isServing ? .cancelled : .done))
            #expect(isServing == (other.metadata.operations[id]!.note != nil))
            #expect(other.metadata.placement(of: shard)!.group.isInSync(workers[4]) == false)
        }
    }
}
