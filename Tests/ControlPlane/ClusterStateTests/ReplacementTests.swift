import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Copies in the place of lost ones are watched as the steps of operations are, though no operation brings them.
struct ReplacementTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }

    /// The second of four workers has gone, and copies that it leaves behind are on their way.
    private func bereft() throws -> OperationWorld {
        let records = (1...2 as ClosedRange<UInt64>).map {
            ClusterScript.replicated($0, on: [workers[0], workers[1]], minimum: 1)
        }
        var world = OperationWorld(seed: 1, workers: 4, records: records)
        world.live.remove(workers[1])
        world.gone.insert(workers[1])
        for _ in 0..<3 { try world.coordinate() }
        return world
    }

    @Test func aCopyThatDoesNotGetOnIsToldOfAndBeginsAnew() throws {
        var world = try bereft()
        let newcomer = try #require(world.view.newcomers.first)
        let key = OperationLedger.Key(newcomer)
        #expect(world.view.copiedNewcomers == [newcomer] && world.view.newcomers.count == 1)
        #expect(newcomer.source == workers[0] && workers[2...].contains(newcomer.worker))
        // The other one waits: it has the same source.
        let waiting = ReconcilePlanner.plan(world.view).waiting
        #expect(waiting.count == 1 && waiting[0].shard != newcomer.shard && waiting[0].state == .waiting)
        #expect(workers[2...].contains(try #require(waiting[0].change.newcomer)))

        var ledger = OperationLedger()
        for second in 0..<60 {
            ledger.observe(world.view, limits: world.limits, now: .seconds(second))
            #expect(ledger.stalled(now: .seconds(second)).isEmpty && ledger.motionless(now: .seconds(second)).isEmpty)
        }
        ledger.observe(world.view, limits: world.limits, now: .seconds(60))
        #expect(ledger.stalled(now: .seconds(60)) == [key] && ledger.motionless(now: .seconds(60)) == [key])
        #expect(ledger.longestSilence(now: .seconds(60)) == .seconds(60))
        let placement = try #require(world.metadata.placement(of: newcomer.shard))
        let next = placement.group.removing(learner: newcomer.worker)
        #expect(
            OperationPlanner.restarts(of: [key], in: world.view)[key] == [
                .regroup(
                    newcomer.shard.collection,
                    [.init(shard: newcomer.shard, version: placement.group.version, group: next)]
                )
            ]
        )

        // It is silent for as long when it has come again, be it elsewhere.
        ledger.restarted(key, now: .seconds(60))
        let index = try #require(world.metadata.collections[newcomer.shard.collection]?.index(of: newcomer.shard))
        let other = try #require(workers[2...].first { $0 != newcomer.worker })
        var without = world
        without.metadata.collections[newcomer.shard.collection]!.placements[index].group = next
        ledger.observe(without.view, limits: world.limits, now: .seconds(61))
        #expect(ledger.stalled(now: .seconds(61)).isEmpty && ledger.longestSilence(now: .seconds(61)) == .seconds(61))
        without.metadata.collections[newcomer.shard.collection]!.placements[index].group = next.adding(learner: other)
        ledger.observe(without.view, limits: world.limits, now: .seconds(62))
        let elsewhere = try #require(ledger.stalled(now: .seconds(62)).first)
        #expect(elsewhere.newcomer == other && ledger.progress(of: elsewhere)?.restartCount == 1)
        // An empty replica that serves has been there before.
        var emptied = ledger
        without.replicas[other, default: [:]][newcomer.shard] = 0
        emptied.observe(without.view, limits: world.limits, now: .seconds(70))
        #expect(
            emptied.stalled(now: .seconds(70)) == [elsewhere]
                && emptied.longestSilence(now: .seconds(70)) == .seconds(70)
        )
        without.replicas[other]![newcomer.shard] = 1
        emptied.observe(without.view, limits: world.limits, now: .seconds(71))
        #expect(emptied.stalled(now: .seconds(71)).isEmpty)
        #expect(ledger.motionless(now: .seconds(121)).isEmpty && ledger.motionless(now: .seconds(122)) == [elsewhere])

        // What gets on is left alone; what has come is no newcomer any more.
        ledger = OperationLedger()
        world.replicas[newcomer.worker]![newcomer.shard] = 50
        ledger.observe(world.view, limits: world.limits, now: .seconds(61))
        #expect(ledger.stalled(now: .seconds(61)).isEmpty && ledger.motionless(now: .seconds(61)).isEmpty)
        try world.settle(rounds: 40)
        #expect(world.view.newcomers.isEmpty && ReconcilePlanner.plan(world.view).waiting.isEmpty)
        #expect(world.metadata.placements.allSatisfy { $0.group.inSync.count == 2 })
    }

    /// A worker that is heard of, and can host nothing, would be chosen again each time: it has the fewest replicas.
    @Test func aCopyThatCameToNothingGoesElsewhereForAWhile() throws {
        var world = try bereft()
        let newcomer = try #require(world.view.newcomers.first)
        let (shard, key) = (newcomer.shard, OperationLedger.Key(newcomer))
        let other = try #require(workers[2...].first { $0 != newcomer.worker })
        let group = try #require(world.metadata.placement(of: shard)?.group)
        let index = try #require(world.metadata.collections[shard.collection]?.index(of: shard))
        world.metadata.collections[shard.collection]!.placements[index].group = group.removing(
            learner: newcomer.worker
        )
        world.replicas[newcomer.worker]?[shard] = nil
        func target(_ shunned: [ShardID: Set<NodeID>]) -> [NodeID] {
            var view = world.view
            view.shunnedWorkers = shunned
            return ReconcilePlanner.plan(view).actions.flatMap { action -> [NodeID] in
                guard case .regroup(shard.collection, let regroupings) = action else { return [] }
                return regroupings.flatMap(\.group.learners).filter { $0 != workers[1] }
            }
        }
        #expect(target([:]) == [newcomer.worker])
        var ledger = OperationLedger()
        ledger.restarted(key, now: .seconds(60))
        let shunned = ledger.shunnedWorkers(now: .seconds(179))
        #expect(shunned == [shard: [newcomer.worker]] && ledger.shunnedWorkers(now: .seconds(180)).isEmpty)
        #expect(target(shunned) == [other])
        // It is better than none.
        world.freeDisk[other] = 0
        #expect(target(shunned) == [newcomer.worker])
        // The while grows, until the shard has its copies.
        ledger.restarted(key, now: .seconds(300))
        ledger.observe(world.view, limits: world.limits, now: .seconds(301))
        #expect(ledger.shunnedWorkers(now: .seconds(539)) == shunned)
        #expect(ledger.shunnedWorkers(now: .seconds(540)).isEmpty)
        world.freeDisk = [:]
        try world.settle(rounds: 100)
        ledger.observe(world.view, limits: world.limits, now: .seconds(541))
        ledger.restarted(key, now: .seconds(600))
        #expect(ledger.shunnedWorkers(now: .seconds(719)) == shunned)
        #expect(ledger.shunnedWorkers(now: .seconds(720)).isEmpty)
    }

    /// A page of what it is made from is damaged, say: it is tried again after pauses, and never ended.
    @Test func whatIsLostDoesNotWaitForShardsThatCannotBeMade() throws {
        let records = [
            ClusterScript.replicated(1, on: [workers[0], workers[1]], minimum: 1),
            ClusterScript.replicated(2, on: [workers[0], workers[2]], minimum: 1),
        ]
        var world = OperationWorld(seed: 1, workers: 4, records: records)
        try world.mustBegin(.split(records[0].collection.id, [0]))
        for _ in 0..<3 { try world.coordinate() }
        world.live.remove(workers[2])
        world.gone.insert(workers[2])
        var view = world.view
        let made = try #require(view.observations[workers[0]]?.successors.keys.sorted())
        #expect(made.count == 2)
        for shard in made { view.observations[workers[0]]!.successors[shard]!.state = .failed("A page is damaged.") }
        let plan = ReconcilePlanner.plan(view)
        let learners = plan.actions.flatMap { action -> [NodeID] in
            guard case .regroup(records[1].collection.id, let regroupings) = action else { return [] }
            return regroupings.flatMap(\.group.learners)
        }
        #expect(learners == [workers[3]] && plan.waiting.isEmpty)
    }

    /// One day it may be all that is left.
    @Test func whatHoldsSomethingIsToldOfAndNotTakenAway() throws {
        var world = try bereft()
        let newcomer = try #require(world.view.newcomers.first)
        world.replicas[newcomer.worker]![newcomer.shard] = 50
        var ledger = OperationLedger()
        for second in 0...60 { ledger.observe(world.view, limits: world.limits, now: .seconds(second)) }
        let key = OperationLedger.Key(newcomer)
        #expect(ledger.stalled(now: .seconds(60)) == [key] && world.view.newcomers == [newcomer])
        #expect(OperationPlanner.restarts(of: [key], in: world.view).isEmpty)
    }

    /// A copy that it cannot be given, or that nobody has yet, makes it no emptier; nor does its being opened.
    @Test(arguments: [nil, "no room" as String?]) func whatMayHoldSomethingIsNotTakenAwayForWantOfACopy(
        refusal: String?
    ) throws {
        var world = try bereft()
        let newcomer = try #require(world.view.newcomers.first)
        let key = OperationLedger.Key(newcomer)
        world.replicas[newcomer.worker]![newcomer.shard] = 50
        var view = world.view
        view.observations[newcomer.source]!.replicas[newcomer.shard]!.copies = [
            .init(worker: newcomer.worker, sentByteCount: 0, totalByteCount: 0, refusal: refusal)
        ]
        #expect(OperationPlanner.restarts(of: [key], in: view).isEmpty)
        view.observations[newcomer.worker]!.replicas[newcomer.shard]!.sequence = 0
        view.observations[newcomer.worker]!.replicas[newcomer.shard]!.state = .opening
        #expect(OperationPlanner.restarts(of: [key], in: view).isEmpty)
        view.observations[newcomer.worker]!.replicas[newcomer.shard]!.state = .failed
        #expect(OperationPlanner.restarts(of: [key], in: view).isEmpty)
        // What is empty for certain goes elsewhere, after a minute when it is refused a copy, and after ten when it is
        // not.
        view.observations[newcomer.worker]!.replicas[newcomer.shard]!.state = .serving
        #expect(!OperationPlanner.restarts(of: [key], in: view).isEmpty)
        view.observations[newcomer.worker]!.replicas[newcomer.shard] = nil
        #expect(!OperationPlanner.restarts(of: [key], in: view).isEmpty)
        var ledger = OperationLedger()
        for second in [0, 60, 600] {
            ledger.observe(view, limits: world.limits, now: .seconds(second))
            let isMotionless = second >= (refusal == nil ? 600 : 60)
            #expect(ledger.motionless(now: .seconds(second)) == (isMotionless ? [key] : []))
        }
    }

    /// Nobody sends anything, and nobody orders the group that would bring another.
    @Test func whereThePrimaryIsAwayNothingIsTakenAway() throws {
        var world = try bereft()
        let newcomer = try #require(world.view.newcomers.first)
        let key = OperationLedger.Key(newcomer)
        #expect(!OperationPlanner.restarts(of: [key], in: world.view).isEmpty)
        world.live.remove(newcomer.source)
        #expect(world.view.newcomers.contains(newcomer))
        #expect(OperationPlanner.restarts(of: [key], in: world.view).isEmpty)
        world.live.remove(newcomer.worker)
        #expect(!world.view.newcomers.contains(newcomer), "it is its worker that is waited for")
    }

    @Test func whatAStepBringsIsItsOperations() throws {
        var world = OperationWorld(
            seed: 1,
            workers: 4,
            records: [ClusterScript.replicated(1, on: [workers[0], workers[1]], minimum: 1)]
        )
        let shard = world.metadata.placements[0].shard
        try world.mustBegin(.move(shard, from: workers[1], to: workers[3]))
        for _ in 0..<3 { try world.coordinate() }
        #expect(world.replicas[workers[3]]?[shard] == 0)
        #expect(world.view.newcomers.isEmpty)
    }

    @Test func twoCopiesOfOneShardAreWatchedEach() throws {
        var world = OperationWorld(
            seed: 1,
            workers: 4,
            records: [ClusterScript.replicated(1, on: Array(workers[0...2]), minimum: 1)]
        )
        let shard = world.metadata.placements[0].shard
        let group = world.metadata.placements[0].group
        world.metadata.collections[shard.collection]!.placements[0].group = ReplicaGroup(
            epoch: group.epoch,
            version: group.version + 1,
            primary: workers[0],
            inSync: [workers[0]],
            learners: [workers[1], workers[2]],
            minimumInSync: 1
        )
        world.replicas[workers[1]]![shard] = 10
        world.replicas[workers[2]]![shard] = 20
        var ledger = OperationLedger()
        for second in 0...60 {
            world.replicas[workers[2]]![shard] = UInt64(20 + second)
            ledger.observe(world.view, limits: world.limits, now: .seconds(second))
        }
        #expect(world.view.newcomers.map(\.worker) == [workers[1], workers[2]])
        #expect(ledger.stalled(now: .seconds(60)).map(\.newcomer) == [workers[1]])
    }
}
