import ClusterModel
import ClusterState
import FaceModel
import Testing

/// A rebalance moves what fits, from where it can be sent: a step that could never begin would keep everything else
/// from being levelled. Replicas of the world are of 1 MiB.
struct RebalanceRoomTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }

    private func world(shards count: UInt64, on members: [Int], workers workerCount: Int) -> OperationWorld {
        let records = (1...count).map { number in
            ClusterScript.replicated(number, on: members.map { workers[$0] }, minimum: 1)
        }
        return OperationWorld(seed: 1, workers: workerCount, records: records)
    }

    @Test func theEmptiestWorkerGetsNothingThatDoesNotFit() {
        var world = world(shards: 6, on: [0], workers: 3)
        world.freeDisk[workers[2]] = 1 << 20 - 1
        let steps = RebalancePlanner.steps(in: world.view)
        #expect(!steps.isEmpty && steps.allSatisfy { $0.change.newcomer == workers[1] })
        world.freeDisk[workers[1]] = 0
        #expect(RebalancePlanner.steps(in: world.view).isEmpty)
    }

    @Test func whatComesToAWorkerFitsTogether() throws {
        var world = world(shards: 12, on: [0], workers: 3)
        for worker in workers[1...2] { world.freeDisk[worker] = 2 << 20 }
        let targets = RebalancePlanner.steps(in: world.view).compactMap(\.change.newcomer)
        #expect(targets.sorted() == [workers[1], workers[1], workers[2], workers[2]])
    }

    /// The fullest worker has no room for the copies that it would send: others send them.
    @Test func whoHasNoRoomToSendPassesThePrimaryOnFirst() throws {
        var world = world(shards: 4, on: [0, 1], workers: 4)
        world.freeDisk[workers[0]] = 0
        let steps = RebalancePlanner.steps(in: world.view)
        let moves = steps.indices.filter { steps[$0].change.newcomer != nil }
        #expect(moves.count == 4)
        for index in moves {
            let before = try #require(index > 0 ? steps[index - 1] : nil)
            #expect(before == Operation.Step(shard: steps[index].shard, change: .lead(workers[1])))
        }
        #expect((OperationEstimate(of: steps, in: world.view).loads[workers[0]]?.outgoingByteCount ?? 0) == 0)
        try world.mustBegin(.rebalance)
        try world.settle()
        #expect(world.metadata.openOperations.isEmpty)
        #expect(workers.map { world.replicaCount(on: $0) } == [2, 2, 2, 2])
    }

    /// The primary has no room for the copies that another was to send.
    @Test func aMoveWhoseSenderDoesNotBecomeThePrimaryEndsWithThat() throws {
        var world = world(shards: 4, on: [0, 1], workers: 4)
        world.freeDisk[workers[0]] = 0
        try world.mustBegin(.rebalance)
        world.live.remove(workers[1])
        world.gone.insert(workers[1])
        let updates = OperationPlanner.updates(world.view, limits: world.limits, now: Timestamp(milliseconds: 9))
        let next = try #require(updates.first).new
        let moves = next.steps.filter { $0.change.newcomer != nil }
        #expect(moves.count == 4 && moves.allSatisfy { $0.state == .undone })
        let note = try #require(next.note)
        #expect(note.hasPrefix("Worker \(workers[1]) has not been heard of for too long."))
        #expect(note.contains("The replica of shard 0 that was to send one is not the primary."))
    }

    @Test func aRebalanceThatStandsStillForLackOfRoomEnds() throws {
        for (full, memory) in [(0, false), (1, false), (1, true)] {
            var world = world(shards: 2, on: [0], workers: 2)
            try world.mustBegin(.rebalance)
            if memory { world.memory[workers[full]] = 0 } else { world.freeDisk[workers[full]] = 0 }
            let (view, time) = (world.view, Timestamp(milliseconds: 9))
            var ledger = OperationLedger()
            ledger.observe(view, limits: world.limits, now: .zero)
            #expect(ledger.stalledOperations(now: .seconds(59)).isEmpty)
            #expect(OperationPlanner.updates(view, limits: world.limits, now: time).isEmpty)
            ledger.observe(view, limits: world.limits, now: .seconds(60))
            let standing = ledger.stalledOperations(now: .seconds(60))
            let updates = OperationPlanner.updates(view, limits: world.limits, standing: standing, now: time)
            let update = try #require(updates.first)
            #expect(update.new.state == .done && update.new.steps.map(\.state) == [.undone])
            let lack = memory ? "memory" : "disk"
            #expect(update.new.note == "Worker \(workers[full]) had too little \(lack) for shard 0 to move.")
            world.advance(update)
            #expect(world.metadata.openOperations.isEmpty)
            #expect(RebalancePlanner.steps(in: world.view).isEmpty, "it is not planned again")
        }
    }

    /// The worker came to hold as much memory as it may before the move began, or after; what people ask for by name
    /// they may take back.
    @Test(arguments: [false, true]) func aMoveToAWorkerThatIsShortOfMemoryEnds(hasBegun: Bool) throws {
        for isByName in [false, true] {
            var world = world(shards: 2, on: [0], workers: 2)
            let shard = world.metadata.placements[0].shard
            try world.mustBegin(isByName ? .move(shard, from: workers[0], to: workers[1]) : .rebalance)
            if hasBegun { for _ in 0..<3 { try world.coordinate() } }
            world.short = [workers[1]]
            var ledger = OperationLedger()
            for second in [0, 60] { ledger.observe(world.view, limits: world.limits, now: .seconds(second)) }
            let updates = OperationPlanner.updates(
                world.view,
                limits: world.limits,
                standing: ledger.stalledOperations(now: .seconds(60)),
                motionless: ledger.motionless(now: .seconds(60)),
                now: Timestamp(milliseconds: 9)
            )
            #expect(updates.isEmpty == isByName)
            guard let update = updates.first else { continue }
            #expect(update.new.steps.map(\.state) == [hasBegun ? .undoing : .undone])
            let reason = "Worker \(workers[1]) held as much memory as it may when shard 0 was to come."
            #expect(update.new.note == reason)
            world.advance(update)
            try world.settle(rounds: 20)
            #expect(world.metadata.operations[update.new.id]?.state == .done)
            #expect(world.replicaCount(on: workers[1]) == 0)
        }
    }

    /// The copy lies on its sender's disk already, which is full for that reason.
    @Test(arguments: [false, true]) func aCopyThatIsMadeTakesNoMoreOfItsSendersDisk(isMade: Bool) throws {
        var world = world(shards: 2, on: [0], workers: 2)
        try world.mustBegin(.rebalance)
        for _ in 0..<3 { try world.coordinate() }
        let operation = try #require(world.metadata.openOperations.first)
        let step = operation.steps[0]
        #expect(step.state == .running && step.change.newcomer == workers[1])
        var view = world.view
        view.observations[workers[0]]!.freeDiskByteCount = 0
        view.observations[workers[0]]!.replicas[step.shard]!.copies = [
            .init(worker: workers[1], sentByteCount: 0, totalByteCount: isMade ? 1 << 20 : 0)
        ]
        let updates = OperationPlanner.updates(
            view,
            limits: world.limits,
            motionless: [.init(step, of: operation.id)],
            now: Timestamp(milliseconds: 9)
        )
        #expect(updates.isEmpty == isMade)
        #expect(updates.allSatisfy { $0.new.steps.map(\.state) == [.undoing] })
    }

    /// What is to lead waits for the move that brings it there, and does not begin before.
    @Test func aMoveWithoutRoomThatItsLeadWaitsForEndsAsWell() throws {
        var world = world(shards: 1, on: [0, 1], workers: 3)
        let shard = world.metadata.placements[0].shard
        let operation = Operation(
            id: OperationID(high: 1, low: 1),
            kind: .rebalance,
            created: Timestamp(milliseconds: 1),
            steps: [
                .init(shard: shard, change: .move(from: workers[0], to: workers[2])),
                .init(shard: shard, change: .lead(workers[2])),
            ]
        )
        world.metadata.operations[operation.id] = operation
        world.freeDisk[workers[2]] = 0
        let view = world.view
        #expect(operation.foremostSteps == [0])
        let hindrances = Occupancy(view, limits: world.limits).hindrances(of: operation, in: view)
        #expect(hindrances.count == 2 && hindrances[0] != nil && hindrances[1] == .earlierStep)
        var ledger = OperationLedger()
        for second in 0...60 {
            ledger.observe(view, limits: world.limits, now: .seconds(second))
            #expect(ledger.stalledOperations(now: .seconds(second)) == (second < 60 ? [] : [operation.id]))
        }
        #expect(ledger.longestSilence(now: .seconds(60)) == .seconds(60))
        // What is to lead comes to nothing when nothing brings it there any more.
        var standing = ledger.stalledOperations(now: .seconds(60))
        for isEnd in [false, true] {
            let time = Timestamp(milliseconds: 9)
            let updates = OperationPlanner.updates(world.view, limits: world.limits, standing: standing, now: time)
            let update = try #require(updates.first)
            #expect(update.new.steps.map(\.state) == [.undone, isEnd ? .undone : .waiting])
            #expect(update.new.state == (isEnd ? .done : .running))
            world.advance(update)
            standing = []
        }
        #expect(world.metadata.openOperations.isEmpty)
    }

    @Test func whatNobodyCanSendStays() {
        var single = world(shards: 6, on: [0], workers: 3)
        single.freeDisk[workers[0]] = 0
        #expect(RebalancePlanner.steps(in: single.view).isEmpty)
        var pinned = world(shards: 4, on: [0, 1], workers: 4)
        pinned.freeDisk[workers[0]] = 0
        for placement in pinned.metadata.placements {
            pinned.metadata.pins[placement.shard] = ShardPin(workers: [workers[0]], primary: workers[0])
        }
        #expect(RebalancePlanner.steps(in: pinned.view).isEmpty)
        pinned.freeDisk = [:]
        #expect(!RebalancePlanner.steps(in: pinned.view).isEmpty)
    }

    /// The busiest worker is the one that cannot send.
    @Test func replicasChangePlacesWhereTheyCanBeSent() {
        let records = (0..<8 as Range<Int>).map { number in
            ClusterScript.replicated(UInt64(number) + 1, on: [workers[number / 2]])
        }
        var world = OperationWorld(seed: 1, workers: 4, records: records)
        let rates = [8e6, 8e6, 1e6, 1e6, 4e6, 5e6, 5e6, 4e6]
        for (placement, rate) in zip(world.metadata.placements, rates) {
            world.searchRates[placement.shard] = SearchRate(rowsPerSecond: rate, isSettled: true)
        }
        #expect(RebalancePlanner.steps(in: world.view).contains { $0.change.leaver == workers[0] })
        world.freeDisk[workers[0]] = 0
        let steps = RebalancePlanner.steps(in: world.view)
        #expect(!steps.contains { $0.change.leaver == workers[0] || $0.change.newcomer == workers[0] })
    }
}
