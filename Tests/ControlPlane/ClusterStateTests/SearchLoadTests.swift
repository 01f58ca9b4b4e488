import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Balance by what searches compare.
struct SearchLoadTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }

    /// Six shards of one size on two workers and two copies each, or on four and one: level in bytes.
    private func world(_ members: [[Int]]) -> OperationWorld {
        let records = members.enumerated().map { number, members in
            ClusterScript.replicated(UInt64(number) + 1, on: members.map { workers[$0] }, minimum: 1)
        }
        return OperationWorld(seed: 1, workers: 4, records: records)
    }

    private func view(_ world: OperationWorld, rates: [Double], isSettled: Bool = true) -> ClusterView {
        var view = world.view
        for (placement, rate) in zip(world.metadata.placements, rates) {
            view.searchRates[placement.shard] = SearchRate(rowsPerSecond: rate, isSettled: isSettled)
        }
        return view
    }

    /// Rates of the workers once the steps are done.
    private func loads(_ view: ClusterView, after steps: [Operation.Step]) -> [Double] {
        var loads = [NodeID: Double]()
        for placement in view.metadata.placements {
            var members = placement.group.inSync
            for step in steps where step.shard == placement.shard {
                if case .move(let from, let to) = step.change { members = members.map { $0 == from ? to : $0 } }
            }
            let rate = view.searchRates[placement.shard]?.rowsPerSecond ?? 0
            for member in members { loads[member, default: 0] += rate / Double(members.count) }
        }
        return workers.map { loads[$0] ?? 0 }
    }

    private func moves(_ steps: [Operation.Step]) -> [Operation.Step] {
        steps.filter { if case .move = $0.change { true } else { false } }
    }

    /// Two busy shards are together, and two quiet ones: they change places, and bytes stay level.
    @Test func busyReplicasChangePlacesWithQuietOnes() {
        let world = world([[0], [0], [1], [1], [2], [2], [3], [3]])
        let view = view(world, rates: [8e6, 8e6, 1e6, 1e6, 4e6, 5e6, 5e6, 4e6])
        #expect(RebalancePlanner.steps(in: world.view).isEmpty, "they are level in bytes")
        #expect(workers.map { view.comparedRowRates[$0] } == loads(view, after: []))
        let steps = RebalancePlanner.steps(in: view)
        #expect(moves(steps).count == 2 && Set(moves(steps).map(\.shard)).count == 2)
        let after = loads(view, after: steps)
        #expect(after.max()! - after.min()! <= 1e6, "\(after)")
    }

    /// What is searched so little is no load, and what would gain little is not worth its bytes.
    @Test func littleIsLeftAlone() {
        let world = world([[0], [0], [1], [1], [2], [2], [3], [3]])
        #expect(RebalancePlanner.steps(in: view(world, rates: [2e5, 2e5, 0, 0, 0, 0, 0, 0])).isEmpty)
        let even = view(world, rates: [5e6, 5e6, 4.5e6, 4.5e6, 5e6, 4.5e6, 5e6, 4.5e6])
        #expect(RebalancePlanner.steps(in: even).isEmpty)
        // One that is busier than all others together cannot be divided by moving it.
        let one = view(world, rates: [4e7, 0, 0, 0, 0, 0, 0, 0])
        #expect(moves(RebalancePlanner.steps(in: one)).allSatisfy { $0.shard != world.metadata.placements[0].shard })
    }

    @Test func pinnedReplicasStay() {
        var world = world([[0], [0], [1], [1]])
        world.live.subtract(workers[2...])
        world.metadata.workers = world.metadata.workers.filter { workers[..<2].contains($0.key) }
        for placement in world.metadata.placements[..<2] {
            world.metadata.pins[placement.shard] = ShardPin(workers: [workers[0]])
        }
        #expect(RebalancePlanner.steps(in: view(world, rates: [8e6, 8e6, 1e6, 1e6])).isEmpty)
        world.metadata.pins = [:]
        #expect(moves(RebalancePlanner.steps(in: view(world, rates: [8e6, 8e6, 1e6, 1e6]))).count == 2)
    }

    /// Whatever the rates: nothing becomes more uneven, no replica comes where its like is, and a second look finds
    /// nothing more.
    @Test(arguments: 0..<60) func anyRatesAreLevelledInOneGo(seed: UInt64) throws {
        var random = OperationWorld.Random(state: seed)
        let members = (0..<Int.random(in: 4...14, using: &random)).map { _ in
            Array((0..<4).shuffled(using: &random).prefix(Int.random(in: 1...2, using: &random)))
        }
        var world = world(members)
        let rates = members.map { _ in Double.random(in: 0...1e7, using: &random) }
        let before = view(world, rates: rates)
        let bytes = RebalancePlanner.steps(in: world.view)
        let steps = RebalancePlanner.steps(in: before)
        #expect(Set(moves(steps).map(\.shard)).count == moves(steps).count)
        let spread = { (loads: [Double]) in loads.max()! - loads.min()! }
        #expect(spread(loads(before, after: steps)) <= spread(loads(before, after: bytes)) + 1)
        for step in moves(steps) {
            guard case .move(let from, let to) = step.change else { continue }
            let placement = try #require(world.metadata.placement(of: step.shard))
            #expect(placement.group.members.contains(from) && !placement.group.members.contains(to))
        }
        world.searchRates = before.searchRates
        if world.begin(.rebalance) {
            try world.settle()
            let again = view(world, rates: rates)
            #expect(moves(RebalancePlanner.steps(in: again)).count <= moves(steps).count / 2)
        }
    }

    /// What levels searches is not taken back by what levels bytes, nor the reverse: plan after plan ends.
    @Test(arguments: 0..<400) func nothingSwingsToAndFro(seed: UInt64) throws {
        var random = OperationWorld.Random(state: seed)
        let workerCount = Int.random(in: 3...4, using: &random)
        var members = (0..<Int.random(in: 4...9, using: &random)).map { _ in
            Array((0..<workerCount).shuffled(using: &random).prefix(Int.random(in: 1...2, using: &random)))
        }
        var sizes = members.map { _ in UInt64.random(in: 100...1000, using: &random) << 20 }
        var rates = members.map { _ in Bool.random(using: &random) ? 0 : Double.random(in: 1e6...2e7, using: &random) }
        if seed == 0 {
            (members, sizes) = ([[0], [0], [1], [2], [2]], [200, 750, 890, 580, 580].map { $0 << 20 })
            rates = [1e7, 1e7, 0, 5e6, 5e6]
        }
        var planCount = 0
        while planCount < 8 {
            let world = world(members)
            var view = view(world, rates: rates)
            view.liveWorkers = Set(workers.prefix(workerCount))
            for (index, placement) in world.metadata.placements.enumerated() {
                for worker in workers {
                    view.observations[worker]?.replicas[placement.shard]?.diskByteCount = sizes[index]
                }
            }
            let moves = moves(RebalancePlanner.steps(in: view))
            if moves.isEmpty { break }
            planCount += 1
            for (index, placement) in world.metadata.placements.enumerated() {
                for case .move(let from, let to) in moves.filter({ $0.shard == placement.shard }).map(\.change) {
                    members[index] = members[index].map { workers[$0] == from ? workers.firstIndex(of: to)! : $0 }
                }
            }
        }
        #expect(planCount < 8)
    }

    // MARK: What is measured

    private func observed(_ world: OperationWorld, _ counts: [NodeID: [ShardID: UInt64]]) -> ClusterView {
        var view = world.view
        for (worker, shards) in counts {
            for (shard, count) in shards { view.observations[worker]?.replicas[shard]?.searchedRowCount = count }
        }
        return view
    }

    @Test func aRateIsThatOfAllReplicasAveragedOverTheWindow() throws {
        let world = world([[0, 1]])
        let shard = world.metadata.placements[0].shard
        var ledger = SearchLoadLedger(window: .seconds(600))
        // What was counted before it was watched is of no time.
        ledger.observe(observed(world, [workers[0]: [shard: 1 << 40], workers[1]: [shard: 5]]), now: .zero)
        #expect(ledger.rates.isEmpty)
        for look in 1...60 {
            let count = UInt64(look * 10_000)
            let counts = [workers[0]: [shard: 1 << 40 + count], workers[1]: [shard: 5 + count]]
            ledger.observe(observed(world, counts), now: .seconds(10 * look))
            let rate = try #require(ledger.rates[shard])
            #expect(abs(rate.rowsPerSecond - 2000) < 1)
            #expect(rate.isSettled == (look >= 42), "look \(look)")
        }
        // A quiet minute changes little; a worker that was started anew counts from zero.
        let before = try #require(ledger.rates[shard]?.rowsPerSecond)
        for look in 61...66 {
            ledger.observe(
                observed(world, [workers[0]: [shard: 0], workers[1]: [shard: 600_005]]),
                now: .seconds(10 * look)
            )
        }
        let after = try #require(ledger.rates[shard]?.rowsPerSecond)
        #expect(after < before && after > before * 0.8)
        ledger.observe(
            observed(world, [workers[0]: [shard: 1_000_000], workers[1]: [shard: 600_005]]),
            now: .seconds(670)
        )
        #expect(try #require(ledger.rates[shard]?.rowsPerSecond) > after)
    }

    @Test func aBusyHourBeginsNothingByItself() {
        let world = world([[0], [0], [1], [1], [2], [2], [3], [3]])
        let rates = [8e6, 8e6, 1e6, 1e6, 4e6, 5e6, 5e6, 4e6]
        for isSettled in [false, true] {
            var ledger = BalanceLedger(patience: .seconds(60))
            let view = view(world, rates: rates, isSettled: isSettled)
            _ = ledger.steps(in: view, now: .zero)
            #expect(ledger.steps(in: view, now: .seconds(60)).isEmpty == !isSettled)
        }
        // What has just begun to be watched, as the halves of a shard do, is no idle shard: its worker gets nothing.
        var view = view(world, rates: [8e6, 8e6, 8e6, 8e6, 2e6, 3e6, 3e6, 2e6])
        for placement in world.metadata.placements[2..<4] { view.searchRates[placement.shard]!.isSettled = false }
        let steps = moves(RebalancePlanner.steps(in: view, goesBySettledRates: true))
        #expect(!steps.isEmpty)
        for case .move(let from, let to) in steps.map(\.change) { #expect(from != workers[1] && to != workers[1]) }
    }

    @Test func withoutAWindowNothingIsWatched() {
        let world = world([[0, 1]])
        var ledger = SearchLoadLedger(window: .zero)
        for second in 0..<100 { ledger.observe(world.view, now: .seconds(second)) }
        #expect(ledger.rates.isEmpty)
    }
}
