import ClusterModel
import ClusterState
import FaceModel
import Testing

struct OperationPlannerTests {
    private let workers = (1...6).map { ClusterScript.worker(UInt64($0)) }

    private func world(_ seed: UInt64 = 1, copies: Int = 2, minimum: Int? = nil) -> OperationWorld {
        let records = (1...4 as ClosedRange<UInt64>).map { number -> CollectionRecord in
            let members = (0..<copies).map { workers[(Int(number) + $0) % 4] }
            return ClusterScript.replicated(number, on: members, minimum: minimum ?? min(copies, 2))
        }
        return OperationWorld(seed: seed, workers: 6, records: records)
    }

    @Test(arguments: [1, 2, 3])
    func aReplicaMovesAndItsShardKeepsItsCopies(copies: Int) throws {
        var world = world(copies: copies)
        let placement = world.metadata.placements[0]
        try world.mustBegin(.move(placement.shard, from: placement.primary, to: workers[5]))
        try world.settle()
        let group = try #require(world.metadata.placement(of: placement.shard)?.group)
        #expect(group.primary == workers[5], "who replaces the primary becomes it")
        #expect(Set(group.inSync) == Set(placement.group.inSync).subtracting([placement.primary]).union([workers[5]]))
        #expect(group.learners.isEmpty)
        #expect(world.replicas[placement.primary]?[placement.shard] == nil)
        #expect(world.metadata.operations.values.map(\.state) == [.done])
    }

    @Test func aCancelledMoveLeavesTheGroupAsItWas() throws {
        for delay in 0..<12 {
            var world = world(UInt64(delay) &+ 77, copies: 2)
            let placement = world.metadata.placements[0]
            try world.mustBegin(.move(placement.shard, from: placement.primary, to: workers[5]))
            for _ in 0..<delay {
                try world.coordinate()
                try world.work()
            }
            let id = try #require(world.metadata.operations.keys.first)
            let wasOpen = world.metadata.operations[id]!.state == .running
            let hadLeft = !world.metadata.placement(of: placement.shard)!.group.isInSync(placement.primary)
            let isCancelled = world.cancel(id)
            #expect(isCancelled == (wasOpen && !hadLeft), "after \(delay) rounds")
            try world.settle()
            let group = try #require(world.metadata.placement(of: placement.shard)?.group)
            if isCancelled {
                #expect(group.primary == placement.primary && group.members == placement.group.members)
                #expect(world.metadata.operations[id]!.state == .cancelled)
                #expect(world.replicas[workers[5]]?[placement.shard] == nil)
            } else {
                #expect(group.primary == workers[5])
                #expect(world.metadata.operations[id]!.state == .done)
            }
        }
    }

    @Test func aDrainedWorkerIsEmptyAndStaysSo() throws {
        var world = world()
        try world.mustBegin(.drain(workers[1]))
        let begunAgain = world.begin(.drain(workers[1]))
        #expect(!begunAgain, "it is being drained already")
        try world.settle()
        #expect(world.metadata.operations.values.map(\.state) == [.done])
        #expect(world.metadata.placements.allSatisfy { !$0.group.members.contains(workers[1]) })
        #expect(world.metadata.placements.allSatisfy { $0.group.inSync.count == 2 })
        #expect(world.replicas[workers[1]]?.isEmpty ?? true)
        #expect(!world.view.placementWorkers.contains(workers[1]))
    }

    /// None is needed for good, the first no more than others.
    @Test func everyWorkerIsReplacedOneAfterTheOther() throws {
        var world = world()
        for (index, old) in workers.enumerated() {
            let new = ClusterScript.worker(UInt64(100 + index))
            world.metadata.workers[new] = NodeAddress(host: "127.0.0.1", port: 7100 + index)
            world.live.insert(new)
            try world.mustBegin(.decommission(old))
            try world.settle()
            #expect(world.metadata.standings[old] == .decommissioned)
            #expect(world.replicas[old]?.isEmpty ?? true)
            world.live.remove(old)
        }
        #expect(world.metadata.operations.values.allSatisfy { $0.state == .done })
        #expect(!world.metadata.placements.isEmpty)
        for placement in world.metadata.placements {
            #expect(placement.group.members.allSatisfy { !workers.contains($0) })
            #expect(placement.group.inSync.count == 2)
            for member in placement.group.inSync {
                #expect(world.replicas[member]?[placement.shard] == world.head[placement.shard])
            }
        }
    }

    @Test func aDrainThatLeavesTooFewWorkersIsRefusedWithTheRule() throws {
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]], minimum: 2)
        let world = OperationWorld(seed: 1, workers: 2, records: [record])
        let refusal = #expect(throws: OperationRefusal.self) {
            try OperationRequest.drain(workers[0]).operation(
                OperationID(high: 0, low: 1),
                in: world.view,
                now: Timestamp(milliseconds: 1)
            )
        }
        #expect(refusal?.description.contains("add a worker") == true)
    }

    @Test func noWorkerTakesPartInMoreCopiesThanItMay() throws {
        var world = world()
        try world.mustBegin(.drain(workers[1]))
        for _ in 0..<100 {
            try world.coordinate()
            var copies: [NodeID: Int] = [:]
            for operation in world.metadata.openOperations {
                for step in operation.steps where step.state.isUnderWay {
                    let group = try #require(world.metadata.placement(of: step.shard)?.group)
                    guard let newcomer = step.change.newcomer, !group.isInSync(newcomer) else { continue }
                    for worker in [newcomer, group.primary] { copies[worker, default: 0] += 1 }
                }
            }
            #expect(copies.values.allSatisfy { $0 <= 1 })
            try world.work()
        }
    }

    @Test func tooLittleDiskHoldsAStepUp() throws {
        var world = world()
        try world.mustBegin(.drain(workers[1]))
        world.spareDiskByteCount = 1 << 41
        try world.settle(rounds: 20)
        let operation = try #require(world.metadata.openOperations.first)
        #expect(operation.steps.allSatisfy { $0.state == .waiting })
        let hindrance = Occupancy(world.view, limits: world.limits).hindrance(
            operation.steps[0],
            of: operation,
            in: world.view
        )
        guard case .tooLittleDisk = hindrance else {
            Issue.record("held up by \(String(describing: hindrance))")
            return
        }
        world.spareDiskByteCount = 0
        try world.settle()
        #expect(world.metadata.openOperations.isEmpty)
    }

    @Test func copiesAreAddedAndTakenAwayOnEveryShard() throws {
        var world = world()
        for (count, minimum) in [(3, 2), (1, 1), (2, 2)] {
            for id in world.metadata.collections.keys.sorted() {
                try world.mustBegin(.copies(id, CopyCount(replicationFactor: count, minimumInSync: minimum)))
            }
            try world.settle()
            #expect(world.metadata.openOperations.isEmpty)
            for placement in world.metadata.placements {
                #expect(placement.group.inSync.count == count && placement.group.learners.isEmpty)
                #expect(placement.group.minimumInSync == minimum)
            }
        }
    }

    @Test func rebalancingLevelsWorkersAndThenHasNothingToDo() throws {
        let records = (1...12).map { ClusterScript.replicated($0, on: [workers[0]], minimum: 1) }
        var world = OperationWorld(seed: 3, workers: 4, records: records)
        try world.mustBegin(.rebalance)
        try world.settle()
        let counts = workers.prefix(4).map { worker in
            world.metadata.placements.count { $0.group.members.contains(worker) }
        }
        #expect(counts == [3, 3, 3, 3])
        let begunAgain = world.begin(.rebalance)
        #expect(!begunAgain, "there is nothing left to move")
    }

    private func unevenWorld() -> OperationWorld {
        OperationWorld(
            seed: 3,
            workers: 4,
            records: (1...12).map { ClusterScript.replicated($0, on: [workers[0]], minimum: 1) }
        )
    }

    @Test func whatHasBeenUnevenForLongIsLevelledByItself() throws {
        var ledger = BalanceLedger(patience: .seconds(60))
        let view = unevenWorld().view
        for second in stride(from: 0, to: 60, by: 1) {
            let steps = ledger.steps(in: view, now: .seconds(second))
            #expect(steps.isEmpty, "after \(second) s")
        }
        let steps = ledger.steps(in: view, now: .seconds(60))
        #expect(steps == RebalancePlanner.steps(in: view) && !steps.isEmpty)
        // What it began takes its time, and is not begun again.
        #expect(ledger.steps(in: view, now: .seconds(65)).isEmpty)
        var never = BalanceLedger(patience: .zero)
        #expect((0..<1000).allSatisfy { never.steps(in: view, now: .seconds($0)).isEmpty })
    }

    /// Each of these begins the waiting anew.
    @Test func nothingIsLevelledBesideOtherTroubles() throws {
        var away = unevenWorld()
        away.live.remove(workers[3])
        var busy = unevenWorld()
        try busy.mustBegin(.drain(workers[1]))
        var lacking = unevenWorld()
        lacking.replicas[workers[0]]?[lacking.metadata.placements[0].shard] = nil
        for troubled in [away, busy, lacking] {
            var ledger = BalanceLedger(patience: .seconds(60))
            #expect(ledger.steps(in: unevenWorld().view, now: .zero).isEmpty)
            #expect(ledger.steps(in: troubled.view, now: .seconds(30)).isEmpty)
            #expect(ledger.steps(in: unevenWorld().view, now: .seconds(60)).isEmpty)
            #expect(!ledger.steps(in: unevenWorld().view, now: .seconds(120)).isEmpty)
        }
    }

    @Test func whatPeopleMovedByNameStaysWhereItIs() throws {
        var world = unevenWorld()
        let shard = world.metadata.placements[0].shard
        let named = Operation(
            id: .random(),
            kind: .change,
            state: .done,
            created: Timestamp(milliseconds: 1),
            ended: Timestamp(milliseconds: 2),
            steps: [.init(shard: shard, change: .move(from: workers[1], to: workers[0]), state: .done)]
        )
        world.metadata.operations[named.id] = named
        var ledger = BalanceLedger(patience: .seconds(1))
        _ = ledger.steps(in: world.view, now: .zero)
        let steps = ledger.steps(in: world.view, now: .seconds(5))
        #expect(!steps.isEmpty && !steps.contains { $0.shard == shard })
        let asked = RebalancePlanner.steps(in: world.view)
        #expect(asked.count >= steps.count, "who asks for it may move everything")
    }

    @Test func primariesArePassedOnWithoutMovingAnything() throws {
        let records = (1...8).map { ClusterScript.replicated($0, on: [workers[0], workers[1]], minimum: 2) }
        var world = OperationWorld(seed: 3, workers: 2, records: records)
        try world.mustBegin(.rebalance)
        try world.settle()
        #expect(world.metadata.placements.count { $0.primary == workers[0] } == 4)
    }

    /// Each collection whose steps begin adds a condition to the commit, of which there may be a hundred.
    @Test func stepsOfMoreCollectionsThanACommitBearsBeginOneAfterTheOther() throws {
        let records = (1...200).map { ClusterScript.replicated($0, on: [workers[0], workers[1]]) }
        var world = OperationWorld(seed: 3, workers: 2, records: records)
        try world.mustBegin(.rebalance)
        let update = try #require(
            OperationPlanner.updates(world.view, limits: .init(), now: Timestamp(milliseconds: 1)).first
        )
        #expect(Set(update.begun.map(\.shard.collection)).count == OperationPlanner.beginLimit)
        try world.settle()
        #expect(world.metadata.openOperations.isEmpty)
        #expect(world.metadata.placements.count { $0.primary == workers[0] } == 100)
    }

    /// A rebalance moves a replica and then makes it the primary; the move was taken back.
    @Test func whoHasNoReplicaIsNotWaitedForToBecomeThePrimary() throws {
        var world = world()
        let placement = world.metadata.placements[0]
        let id = OperationID(high: 1, low: 5)
        world.metadata.operations[id] = Operation(
            id: id,
            kind: .rebalance,
            created: Timestamp(milliseconds: 1),
            steps: [
                .init(
                    shard: placement.shard,
                    change: .move(from: placement.primary, to: workers[5]),
                    state: .undone
                ),
                .init(
                    shard: placement.shard,
                    change: .lead(workers[5]),
                    state: .running,
                    formerPrimary: placement.primary
                ),
            ]
        )
        try world.settle(rounds: 5)
        let operation = try #require(world.metadata.operations[id])
        #expect(operation.state == .done && operation.steps.map(\.state) == [.undone, .undone])
        #expect(operation.note?.contains("did not come") == true)
    }

    /// Its copy stands still, and those of others need not wait for it.
    @Test func aPausedStepKeepsNoWorkerFromOthers() throws {
        var world = world()
        let placement = world.metadata.placements[0]
        let from = placement.primary
        try world.mustBegin(.move(placement.shard, from: from, to: workers[5]))
        try world.coordinate()
        let first = try #require(world.metadata.openOperations.first)
        let other = try #require(world.metadata.placements.dropFirst().first { $0.group.members.contains(from) })
        let step = Operation.Step(shard: other.shard, change: .move(from: from, to: workers[5]))
        #expect(
            Occupancy(world.view, limits: world.limits).hindrance(step, in: world.view) == .workerIsBusy(workers[5])
        )
        world.metadata.operations[first.id]!.state = .paused
        let occupancy = Occupancy(world.view, limits: world.limits)
        #expect(occupancy.hindrance(step, in: world.view) == nil)
        // Its shard stays its own.
        let same = Operation.Step(shard: placement.shard, change: .move(from: from, to: workers[4]))
        #expect(occupancy.hindrance(same, in: world.view) == .shardIsBusy)
    }

    @Test func aPausedOperationStaysWhereItIs() throws {
        var world = world()
        try world.mustBegin(.drain(workers[1]))
        try world.coordinate()
        let id = try #require(world.metadata.operations.keys.first)
        world.metadata.operations[id]!.state = .paused
        try world.settle(rounds: 5)
        let paused = world.metadata.operations[id]
        let groups = world.metadata.placements.map(\.group)
        try world.settle(rounds: 50)
        #expect(world.metadata.operations[id] == paused)
        #expect(zip(groups, world.metadata.placements).allSatisfy { $0.inSync == $1.group.inSync })
        world.metadata.operations[id]!.state = .running
        try world.settle()
        #expect(world.metadata.operations[id]!.state == .done)
    }

    @Test(arguments: [1, 2, 3])
    func shardsAreSplitAndMerged(copies: Int) throws {
        var world = world(copies: copies)
        let id = world.metadata.placements[0].shard.collection
        try world.mustBegin(.split(id, [0]))
        let begunAgain = world.begin(.split(id, [0]))
        #expect(!begunAgain, "it is being split already")
        try world.settle()
        #expect(world.metadata.operations.values.map(\.state) == [.done])
        var placements = try #require(world.metadata.collections[id]?.placements)
        #expect(placements.map(\.shard.index) == [1, 2] && placements.map(\.range) == HashRange.divisions(2))
        #expect(placements.allSatisfy { $0.group.inSync.count == copies && $0.epoch > Epoch(2) })
        try world.mustBegin(.split(id, [2]))
        try world.settle()
        // Neighbours that are elsewhere come together first.
        placements = try #require(world.metadata.collections[id]?.placements)
        try world.mustBegin(.move(placements[0].shard, from: placements[0].primary, to: workers[5]))
        try world.settle()
        try world.mustBegin(.merge(id, [.init(3, 1)]))
        try world.settle()
        placements = try #require(world.metadata.collections[id]?.placements)
        #expect(placements.map(\.shard.index) == [4, 5])
        #expect(placements[1].range.first == 0 && placements[0].range.last == .max)
        #expect(world.metadata.openOperations.isEmpty)
        #expect(world.replicas.values.allSatisfy { $0.keys.filter { $0.collection == id }.allSatisfy { $0.index > 3 } })
    }

    @Test func whatHasOutgrownItsShardIsSplitByItself() throws {
        var world = world()
        let shards = world.metadata.placements.map(\.shard)
        for worker in workers { world.replicas[worker]?[shards[1]] = 5000 }
        world.head[shards[1]] = 5000
        let request = OperationRequest.split(shards[1].collection, [0])
        #expect(GrowthPlanner.split(above: 1000, in: world.view) == request)
        #expect(GrowthPlanner.split(above: 0, in: world.view) == nil)
        #expect(GrowthPlanner.split(above: 5000, in: world.view) == nil)
        var away = world
        away.live.remove(world.metadata.placements[0].primary)
        #expect(GrowthPlanner.split(above: 1000, in: away.view) == nil)
        var pinned = world
        pinned.metadata.pins[shards[1]] = ShardPin(workers: [world.metadata.placements[1].primary])
        #expect(GrowthPlanner.split(above: 1000, in: pinned.view) == nil)
        try world.mustBegin(request)
        #expect(GrowthPlanner.split(above: 1000, in: world.view) == nil, "it is being split")
        let id = try #require(world.metadata.operations.keys.first)
        let isCancelled = world.cancel(id)
        #expect(isCancelled)
        try world.settle()
        #expect(GrowthPlanner.split(above: 1000, in: world.view) == nil, "somebody took it back")
    }

    @Test func whatCannotBeSplitOrMergedIsRefusedWithTheRule() throws {
        var world = world()
        let id = world.metadata.placements[0].shard.collection
        func refusal(_ request: OperationRequest) -> String {
            let refusal = #expect(throws: OperationRefusal.self) {
                try request.operation(
                    OperationID(high: 0, low: 1),
                    in: world.view,
                    now: Timestamp(milliseconds: 1)
                )
            }
            return refusal?.description ?? ""
        }
        #expect(refusal(.split(id, [])).contains("once"))
        #expect(refusal(.split(id, [0, 0])).contains("once"))
        #expect(refusal(.split(id, [7])).contains("no shard 7"))
        try world.mustBegin(.split(id, [0]))
        try world.settle()
        try world.mustBegin(.split(id, [1]))
        try world.settle()
        #expect(refusal(.merge(id, [.init(3, 2), .init(3, 4)])).contains("each shard once"))
        #expect(refusal(.merge(id, [.init(3, 2)])).contains("no neighbours"))
        #expect(refusal(.merge(id, [])).contains("two shards"))
    }

    /// Writes that were acknowledged while a split is cancelled, at whatever moment, are where they belong.
    @Test(arguments: 0..<20)
    func aCancelledSplitLeavesTheShardAsItWas(delay: Int) throws {
        var world = world(UInt64(delay) &+ 5, copies: 2)
        let before = world.metadata.placements[0]
        try world.mustBegin(.split(before.shard.collection, [before.shard.index]))
        for _ in 0..<delay {
            try world.coordinate()
            try world.work()
        }
        let id = try #require(world.metadata.operations.keys.first)
        let isDone = world.metadata.placement(of: before.shard) == nil
        _ = world.cancel(id)
        try world.settle()
        let after = world.metadata.placement(of: before.shard)
        #expect(isDone == (after == nil))
        if let after {
            #expect(after.range == before.range && after.group.members == before.group.members)
            #expect(after.primary == before.primary && !after.group.isFrozen)
            #expect(world.made.values.allSatisfy { $0.isEmpty })
        }
    }

    /// A collection whose shard was split, and whose halves, 1 and 2, are being merged.
    private func merging() throws -> (OperationWorld, CollectionID, ClusterState.Operation) {
        var world = world(copies: 2)
        let id = world.metadata.placements[0].shard.collection
        try world.mustBegin(.split(id, [0]))
        try world.settle()
        try world.mustBegin(.merge(id, [.init(1, 2)]))
        try world.settle(rounds: 1)
        return (world, id, try #require(world.metadata.openOperations.first))
    }

    @Test func shardsThatAreMergedRestTogether() throws {
        var (world, id, operation) = try merging()
        let shards = operation.steps[0].shards
        func next(_ view: ClusterView) -> [ReplicaChange.Next] {
            shards.map { OperationPlanner.next(operation.steps[0], of: operation, for: $0, in: view) }
        }
        // What is made follows both, so that they are to be frozen.
        func toFreeze() -> [ReplicaChange.Next] {
            shards.compactMap { world.metadata.placement(of: $0)?.group }.map { .regroup($0.freezing(true)) }
        }
        for _ in 0..<50 where next(world.view) != toFreeze() {
            try world.settle(rounds: 1)
            operation = try #require(world.metadata.openOperations.first)
        }
        #expect(next(world.view) == toFreeze())
        for index in world.metadata.collections[id]!.placements.indices {
            let placement = world.metadata.collections[id]!.placements[index]
            world.metadata.collections[id]!.placements[index].group =
                placement.group.freezing(placement.shard == shards[0])
        }
        var view = world.view
        #expect(next(view)[0] == .wait(.draining))
        // The one has waited too long: the other, which has not, would be frozen alone.
        view.restingShards = [shards[1]]
        let group = try #require(view.metadata.placement(of: shards[0])?.group)
        #expect(next(view) == [.regroup(group.freezing(false)), .wait(.resting)])
    }

    /// Their replicas will not be on the same workers again by themselves: nobody waits for that.
    @Test func aMergeWhoseShardsHaveComeApartIsTakenBack() throws {
        var (world, id, operation) = try merging()
        #expect(operation.steps.map(\.state) == [.running])
        // A worker was gone, and each shard got another in its place.
        for (index, newcomer) in [workers[4], workers[5]].enumerated() {
            let placement = world.metadata.collections[id]!.placements[index]
            world.metadata.collections[id]!.placements[index].group = ReplicaGroup(
                epoch: Epoch(placement.epoch.number + 1),
                version: placement.group.version + 1,
                primary: placement.group.inSync[0],
                inSync: [placement.group.inSync[0], newcomer],
                minimumInSync: placement.group.minimumInSync
            )
            world.replicas[newcomer, default: [:]][placement.shard] = world.head[placement.shard]
        }
        let before = world.metadata.collections[id]!.placements.map(\.group.members)
        try world.settle()
        let ended = try #require(world.metadata.operations[operation.id])
        #expect(ended.state == .cancelled && ended.steps.map(\.state) == [.undone])
        #expect(ended.note?.contains("same workers") == true)
        let placements = world.metadata.collections[id]!.placements
        #expect(placements.map(\.group.members) == before, "nobody gets a replica on account of it")
        #expect(placements.allSatisfy { !$0.group.isFrozen })
        #expect(world.made.values.allSatisfy { $0.isEmpty })
    }

    /// Hosting it would be refused for ever, since what is there is not whole.
    @Test func aLearnerThatHasMadeSomeOfItsShardBeginsWithNothing() throws {
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]], learners: [workers[2]])
        let shard = record.placements[0].shard
        var world = OperationWorld(seed: 1, workers: 4, records: [record])
        world.replicas[workers[2]] = nil
        world.made[workers[2]] = [shard: .init(sources: [ShardID(collection: shard.collection, index: 9)])]
        let actions = ReconcilePlanner.plan(world.view).actions
        #expect(actions.filter { $0.worker == workers[2] } == [.abandon(shard, worker: workers[2])])
        world.made = [:]
        let placement = world.metadata.placements[0]
        #expect(ReconcilePlanner.plan(world.view).actions.contains(.host(placement, worker: workers[2])))
    }

    /// Whoever is away at whatever step, and whichever steps are lost: in the end every operation is done or taken
    /// back, every shard has its copies, and nothing is where it should not be.
    @Test(arguments: 0..<200)
    func everythingEndsDoneOrTakenBack(seed: Int) throws {
        var world = world(UInt64(seed) &* 7919 &+ 13, copies: 1 + seed % 3)
        for _ in 0..<120 {
            try world.coordinate(doing: 0.7)
            try world.work()
            try disturb(&world)
        }
        try world.heal()
        let metadata = world.metadata
        #expect(metadata.openOperations.isEmpty, "open: \(metadata.openOperations)")
        for placement in metadata.placements {
            let configuration = metadata.collections[placement.shard.collection]!.collection.configuration
            let group = placement.group
            #expect(group.inSync.count == configuration.replicationFactor, "\(placement)")
            #expect(group.learners.isEmpty && group.minimumInSync == configuration.minimumInSync)
            #expect(group.inSync.allSatisfy { world.replicas[$0]?[placement.shard] == world.head[placement.shard] })
            let holders = world.replicas.filter { $0.value[placement.shard] != nil }.map(\.key)
            #expect(Set(holders) == Set(group.members), "strays")
        }
        for record in metadata.collections.values {
            let ranges = record.placements.map(\.range).sorted { $0.first < $1.first }
            #expect(ranges.first?.first == 0 && ranges.last?.last == .max)
            #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.last + 1 == $1.first }, "one owner for each place")
            #expect(record.placements.allSatisfy { !$0.group.isFrozen })
            #expect(record.collection.configuration.shardCount == record.placements.count)
        }
        let shards = Set(metadata.placements.map(\.shard))
        #expect(world.replicas.values.allSatisfy { $0.keys.allSatisfy(shards.contains) }, "strays of former shards")
        #expect(world.made.values.allSatisfy { $0.isEmpty }, "strays of shards that were prepared")
        for operation in metadata.operations.values where operation.state == .done {
            guard let worker = operation.drainedWorker, metadata.standings[worker] != nil else { continue }
            #expect(metadata.placements.allSatisfy { !$0.group.members.contains(worker) })
        }
    }

    /// Deaths, returns, and an operator who asks for this and that, and pins.
    private func disturb(_ world: inout OperationWorld) throws {
        let some = workers.randomElement(using: &world.random)!
        if world.random.chance(0.06), world.live.count > 4 { world.live.remove(some) }
        if world.random.chance(0.1) {
            world.live.insert(some)
            world.gone.remove(some)
        }
        if world.random.chance(0.05), let away = workers.filter({ !world.live.contains($0) }).first {
            world.gone.insert(away)
        }
        let placement = world.metadata.placements.randomElement(using: &world.random)!
        let other = workers.randomElement(using: &world.random)!
        switch Int.random(in: 0..<40, using: &world.random) {
        case 0 where world.metadata.standings.count < 2: _ = world.begin(.drain(some))
        case 1 where world.metadata.standings.count < 2: _ = world.begin(.decommission(some))
        case 2, 3: _ = world.begin(.recommission(some))
        case 4, 5, 6:
            _ = world.begin(
                .move(placement.shard, from: placement.group.members.randomElement(using: &world.random)!, to: other)
            )
        case 7: _ = world.begin(.lead(placement.shard, other))
        case 8: _ = world.begin(.rebalance)
        case 9:
            let count = Int.random(in: 1...3, using: &world.random)
            _ = world.begin(
                .copies(
                    placement.shard.collection,
                    CopyCount(replicationFactor: count, minimumInSync: min(count, 2))
                )
            )
        case 10, 11:
            if let operation = world.metadata.openOperations.randomElement(using: &world.random) {
                _ = world.cancel(operation.id)
            }
        case 12:
            if let operation = world.metadata.openOperations.first(where: { $0.state == .running }) {
                world.metadata.operations[operation.id]!.state = .paused
            }
        case 20, 21, 22: _ = world.begin(.split(placement.shard.collection, [placement.shard.index]))
        case 23, 24, 25:
            let placements = world.metadata.collections[placement.shard.collection]!.placements
                .sorted { $0.range.first < $1.range.first }
            guard placements.count > 1 else { break }
            let first = Int.random(in: 0..<placements.count - 1, using: &world.random)
            let pair = OperationRequest.ShardPair(placements[first].shard.index, placements[first + 1].shard.index)
            _ = world.begin(.merge(placement.shard.collection, [pair]))
        case 13, 14:
            if let operation = world.metadata.openOperations.first(where: { $0.state == .paused }) {
                world.metadata.operations[operation.id]!.state = .running
            }
        case 15, 16:
            let group = placement.group
            _ = world.pin(placement.shard, to: [group.members.randomElement(using: &world.random)!])
        case 17: _ = world.pin(placement.shard, to: nil, primary: placement.primary)
        case 18: world.metadata.pins[placement.shard] = nil
        default: break
        }
    }
}
