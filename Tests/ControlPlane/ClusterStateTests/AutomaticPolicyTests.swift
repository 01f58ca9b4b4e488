import ClusterModel
import ClusterState
import FaceModel
import Testing

/// What begins without being asked leaves alone what people have done, and what they took back.
struct AutomaticPolicyTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }

    // MARK: Splits

    /// Halves of 100 faces each become one of 200.
    @Test func whatPeopleMergedIsNotSplitAgain() throws {
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]])
        var world = OperationWorld(seed: 1, workers: 4, records: [record])
        world.writeChance = 0
        let id = record.collection.id
        try world.mustBegin(.split(id, [0]))
        try world.settle()
        #expect(world.metadata.placements.count == 2)
        #expect(GrowthPlanner.split(above: 150, in: world.view) == nil, "none is that large")
        try world.mustBegin(.merge(id, [.init(1, 2)]))
        try world.settle()
        let merged = try #require(world.metadata.placements.first)
        #expect(world.metadata.placements.count == 1 && world.metadata.openOperations.isEmpty)
        #expect(world.view.replica(of: merged)?.faceCount == 200)
        #expect(GrowthPlanner.split(above: 150, in: world.view) == nil)
        // Nobody remembers.
        world.metadata.operations = [:]
        #expect(GrowthPlanner.split(above: 150, in: world.view) == .split(id, [merged.shard.index]))
    }

    @Test func aMergeAboveTheLimitIsToldOf() throws {
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]])
        var world = OperationWorld(seed: 1, workers: 4, records: [record])
        world.writeChance = 0
        let id = record.collection.id
        try world.mustBegin(.split(id, [0]))
        let split = try #require(world.metadata.openOperations.first).steps
        #expect(GrowthPlanner.largeMerges(of: split, above: 50, in: world.view).isEmpty)
        try world.settle()
        try world.mustBegin(.merge(id, [.init(2, 1)]))
        let merge = try #require(world.metadata.openOperations.first).steps
        let large = GrowthPlanner.largeMerges(of: merge, above: 199, in: world.view)
        #expect(large.map(\.faceCount) == [200])
        #expect(large.map { $0.shards.map(\.index) } == [[1, 2]])
        #expect(GrowthPlanner.largeMerges(of: merge, above: 200, in: world.view).isEmpty)
        #expect(GrowthPlanner.largeMerges(of: merge, above: 0, in: world.view).isEmpty)
    }

    /// What waits for room would keep balancing from making it.
    @Test func whatHasNoRoomForItsHalvesIsNotSplit() {
        let records = [
            ClusterScript.replicated(1, on: [workers[0], workers[1]]),
            ClusterScript.replicated(2, on: [workers[2], workers[3]]),
        ]
        let world = OperationWorld(seed: 1, workers: 4, records: records)
        func split(_ change: (inout ClusterView) -> Void) -> OperationRequest? {
            var view = world.view
            change(&view)
            return GrowthPlanner.split(above: 99, in: view)
        }
        let ids = records.map(\.collection.id)
        #expect(split { _ in } == .split(ids[0], [0]))
        #expect(split { $0.observations[workers[1]]!.freeDiskByteCount = 1 } == .split(ids[1], [0]))
        #expect(split { $0.observations[workers[1]]!.availableMemoryByteCount = 0 } == .split(ids[1], [0]))
        #expect(split { $0.observations[workers[1]]!.memory.isShort = true } == .split(ids[1], [0]))
        let none = split { view in
            for worker in workers { view.observations[worker]!.freeDiskByteCount = 1 }
        }
        #expect(none == nil)
    }

    @Test func whatIsNotSplitForLackOfRoomIsTold() throws {
        let records = [
            ClusterScript.replicated(1, on: [workers[0], workers[1]]),
            ClusterScript.replicated(2, on: [workers[2], workers[3]]),
        ]
        let world = OperationWorld(seed: 1, workers: 4, records: records)
        #expect(GrowthPlanner.unsplit(above: 99, in: world.view).isEmpty)
        var view = world.view
        view.observations[workers[1]]!.freeDiskByteCount = 1
        view.observations[workers[3]]!.memory.isShort = true
        let unsplit = GrowthPlanner.unsplit(above: 99, in: view)
        try #require(unsplit.map(\.shard) == records.map { $0.placements[0].shard })
        guard case .tooLittleDisk(workers[1], needed: _, free: 1) = unsplit[0].hindrance else {
            Issue.record("\(unsplit[0].hindrance)")
            return
        }
        #expect(unsplit[1].hindrance == .shortOfMemory(workers[3]))
        #expect(GrowthPlanner.unsplit(above: 100, in: view).isEmpty, "none is that large")
        #expect(GrowthPlanner.unsplit(above: 0, in: view).isEmpty)
        // The figures change all the time.
        let shard = unsplit[0].shard
        #expect(ReconcileProblem.unsplitShard(shard, reason: "1 MiB").topic == .unsplitShard(shard, reason: ""))
    }

    /// Halves of two shards of 1 MiB come beside them.
    @Test func asManyShardsAreSplitAsThereIsRoomForAtOnce() {
        let record = ClusterScript.record(1, shards: 2, on: [workers[0]])
        let world = OperationWorld(seed: 1, workers: 4, records: [record])
        var view = world.view
        view.observations[workers[0]]!.replicas[world.metadata.placements[1].shard]!.faceCount = 101
        func split(beside free: UInt64) -> OperationRequest? {
            view.observations[workers[0]]!.freeDiskByteCount = free
            return GrowthPlanner.split(above: 99, in: view)
        }
        let id = record.collection.id
        #expect(split(beside: 2 << 20) == .split(id, [0, 1]))
        #expect(split(beside: 2 << 20 - 1) == .split(id, [1]), "the larger one first")
        #expect(split(beside: 1 << 20 - 1) == nil)
    }

    @Test func aCollectionWithAsManyShardsAsItMayHaveKeepsNoOtherFromBeingSplit() {
        let full = ClusterScript.record(1, shards: 1024, on: workers)
        let other = ClusterScript.replicated(2, on: [workers[0], workers[1]])
        let world = OperationWorld(seed: 1, workers: 4, records: [full, other])
        var view = world.view
        func grow(_ shard: ShardID, to faceCount: UInt64) {
            for worker in workers { view.observations[worker]!.replicas[shard]?.faceCount = faceCount }
        }
        grow(full.placements[3].shard, to: 9000)
        #expect(GrowthPlanner.split(above: 1000, in: view) == nil)
        grow(other.placements[0].shard, to: 2000)
        #expect(GrowthPlanner.split(above: 1000, in: view) == .split(other.collection.id, [0]))
    }

    // MARK: Rebalances

    private func unevenWorld() -> OperationWorld {
        let records = (1...12).map { ClusterScript.replicated($0, on: [workers[0]], minimum: 1) }
        return OperationWorld(seed: 3, workers: 4, records: records)
    }

    /// What would begin after a minute in which nothing changes.
    private func steps(in view: ClusterView) -> [Operation.Step] {
        var ledger = BalanceLedger(patience: .seconds(60))
        _ = ledger.steps(in: view, now: .zero)
        return ledger.steps(in: view, now: .seconds(60))
    }

    /// As somebody cancelled it before any of it was done.
    private func cancelled(
        _ steps: [Operation.Step],
        _ number: UInt64,
        in world: OperationWorld
    ) throws -> ClusterState.Operation {
        let id = OperationID(high: 2, low: number)
        var operation = Operation(id: id, kind: .rebalance, created: Timestamp(milliseconds: 1), steps: steps)
        let isCancelled = operation.cancel(world.metadata.placement)
        try #require(isCancelled)
        operation.state = .cancelled
        operation.ended = Timestamp(milliseconds: 2)
        return operation
    }

    @Test func aRebalanceThatWasCancelledDoesNotBeginAgain() throws {
        var world = unevenWorld()
        var left: Set<ShardID> = []
        for number in 1...12 as ClosedRange<UInt64> {
            let planned = steps(in: world.view)
            #expect(left.isDisjoint(with: planned.map(\.shard)), "round \(number)")
            if planned.isEmpty { break }
            left.formUnion(planned.map(\.shard))
            let operation = try cancelled(planned, number, in: world)
            world.metadata.operations[operation.id] = operation
        }
        #expect(!left.isEmpty && steps(in: world.view).isEmpty)
        #expect(!RebalancePlanner.steps(in: world.view).isEmpty, "who asks for it has it")
        // Nobody remembers.
        world.metadata.operations = [:]
        #expect(steps(in: world.view) == RebalancePlanner.steps(in: world.view))
    }

    /// Of a rebalance that goes on while this happens to what its step waits for.
    private func ended(
        _ step: Operation.Step,
        in world: inout OperationWorld,
        by event: (inout OperationWorld) -> Void
    ) throws -> ClusterState.Operation {
        let id = OperationID(high: 3, low: 1)
        world.metadata.operations[id] = Operation(
            id: id,
            kind: .rebalance,
            created: Timestamp(milliseconds: 1),
            steps: [step]
        )
        event(&world)
        let updates = OperationPlanner.updates(world.view, limits: .init(), now: Timestamp(milliseconds: 2))
        let update = try #require(updates.first)
        world.advance(update)
        return update.new
    }

    /// Nobody took it back: the shard is moved by the next one.
    @Test func whatCameToNothingByItselfMovesAnotherTime() throws {
        var world = unevenWorld()
        let shard = world.metadata.placements[0].shard
        let move = Operation.Step(shard: shard, change: .move(from: workers[0], to: workers[3]))
        let lost = try ended(move, in: &world) {
            $0.live.remove(workers[3])
            $0.gone.insert(workers[3])
        }
        #expect(lost.state == .done && lost.steps.map(\.state) == [.undone])
        #expect(lost.note == "Worker \(workers[3]) has not been heard of for too long.")
        world.live.insert(workers[3])
        world.gone = []
        #expect(steps(in: world.view).contains { $0.shard == shard })

        let barred = try ended(move, in: &world) { $0.metadata.standings[workers[3]] = .draining }
        #expect(barred.note == "Worker \(workers[3]) is not to be given any replicas any more.")
        world.metadata.standings = [:]
        let pinned = try ended(move, in: &world) { $0.metadata.pins[shard] = ShardPin(workers: [workers[0]]) }
        #expect(pinned.state == .done && pinned.note == "Shard 0 has been pinned meanwhile.")
        #expect(!steps(in: world.view).contains { $0.shard == shard })
        world.metadata.pins = [:]
        #expect(steps(in: world.view).contains { $0.shard == shard })
    }

    /// A worker that comes and goes would have it copied each time.
    @Test func whatHadBegunToBeCopiedInVainStays() throws {
        var world = unevenWorld()
        let shard = world.metadata.placements[0].shard
        let id = OperationID(high: 3, low: 1)
        let move = Operation.Step(shard: shard, change: .move(from: workers[0], to: workers[3]))
        world.metadata.operations[id] = Operation(
            id: id,
            kind: .rebalance,
            created: Timestamp(milliseconds: 1),
            steps: [move]
        )
        try world.coordinate()
        #expect(world.metadata.operations[id]?.steps.map(\.state) == [.running])
        world.live.remove(workers[3])
        world.gone.insert(workers[3])
        for _ in 0..<6 { try world.coordinate() }
        let ended = try #require(world.metadata.operations[id])
        #expect(ended.state == .done && ended.steps.map(\.state) == [.undone])
        world.live.insert(workers[3])
        world.gone = []
        let planned = steps(in: world.view)
        #expect(!planned.isEmpty && !planned.contains { $0.shard == shard })
        #expect(RebalancePlanner.steps(in: world.view).contains { $0.shard == shard }, "who asks for it has it")
        // Nobody remembers.
        world.metadata.operations = [:]
        #expect(steps(in: world.view).contains { $0.shard == shard })
    }

    @Test func whyItBeganIsToldBesideWhatCameToNothing() throws {
        var world = unevenWorld()
        let id = OperationID(high: 3, low: 1)
        let moves = (0..<3 as Range<Int>).map { number in
            let target = workers[number == 2 ? 2 : 3]
            let shard = world.metadata.placements[number].shard
            return Operation.Step(shard: shard, change: .move(from: workers[0], to: target))
        }
        world.metadata.operations[id] = Operation(
            id: id,
            kind: .rebalance,
            created: Timestamp(milliseconds: 1),
            steps: moves,
            note: "Begun by itself."
        )
        world.live.subtract(workers[2...3])
        world.gone.formUnion(workers[2...3])
        let updates = OperationPlanner.updates(world.view, limits: .init(), now: Timestamp(milliseconds: 2))
        var ended = try #require(updates.first).new
        let reasons = [workers[3], workers[2]].map { "Worker \($0) has not been heard of for too long." }
        #expect(ended.note == "Begun by itself. \(reasons[0]) \(reasons[1])")
        for number in 0..<1000 as Range<Int> { ended.add(note: "Shard \(number) has been pinned meanwhile.") }
        let note = try #require(ended.note)
        #expect(note.hasPrefix("Begun by itself. \(reasons[0])"))
        #expect(note.hasSuffix("has been pinned meanwhile.") && note.utf8.count <= Operation.noteLimit)
    }

    @Test func aRebalanceThatSomebodyTakesBackIsCancelled() throws {
        var world = unevenWorld()
        let shard = world.metadata.placements[0].shard
        let move = Operation.Step(shard: shard, change: .move(from: workers[0], to: workers[3]))
        let taken = try ended(move, in: &world) { world in
            let id = world.metadata.operations.keys.first!
            _ = world.cancel(id)
        }
        #expect(taken.state == .cancelled)
        #expect(!steps(in: world.view).contains { $0.shard == shard })
    }

    /// Its worker was drained meanwhile: that took the move back, and nobody else.
    @Test func whatCouldNotGoWhereItWasToGoGoesElsewhere() throws {
        var world = unevenWorld()
        let shard = world.metadata.placements[0].shard
        let move = Operation.Step(shard: shard, change: .move(from: workers[0], to: workers[3]))
        let operation = try cancelled([move], 1, in: world)
        world.metadata.operations[operation.id] = operation
        #expect(!steps(in: world.view).contains { $0.shard == shard })
        world.metadata.standings[workers[3]] = .draining
        let planned = steps(in: world.view)
        #expect(planned.contains { $0.shard == shard } && !planned.contains { $0.change.newcomer == workers[3] })
    }
}
