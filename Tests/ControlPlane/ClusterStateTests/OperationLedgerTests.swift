import ClusterModel
import ClusterState
import FaceModel
import Testing

/// What does not get on is noticed, whatever is tried meanwhile, and what does is left alone.
struct OperationLedgerTests {
    private let workers = (1...6).map { ClusterScript.worker(UInt64($0)) }

    private func world(copies: Int = 2, minimum: Int = 1) -> OperationWorld {
        let records = (1...4 as ClosedRange<UInt64>).map { number -> CollectionRecord in
            let members = (0..<copies).map { workers[(Int(number) + $0) % 4] }
            return ClusterScript.replicated(number, on: members, minimum: min(copies, minimum))
        }
        return OperationWorld(seed: 1, workers: 6, records: records)
    }

    private func placement(of shard: ShardID, in world: OperationWorld) throws -> ShardPlacement {
        try #require(world.metadata.placement(of: shard))
    }

    private func set(_ group: ReplicaGroup, of shard: ShardID, in world: inout OperationWorld) throws {
        let index = try #require(world.metadata.collections[shard.collection]?.index(of: shard))
        world.metadata.collections[shard.collection]!.placements[index].group = group
    }

    /// A world in which a replica has begun to come to the last worker, and has nothing yet.
    private func moving() throws -> (world: OperationWorld, key: OperationLedger.Key) {
        var world = world()
        let placement = world.metadata.placements[0]
        try world.mustBegin(.move(placement.shard, from: placement.primary, to: workers[5]))
        for _ in 0..<3 { try world.coordinate() }
        #expect(world.replicas[workers[5]]?[placement.shard] == 0)
        let operation = try #require(world.metadata.operations.values.first)
        return (world, OperationLedger.Key(operation.steps[0], of: operation.id))
    }

    @Test func whatBeginsAnewHasNotGotOn() throws {
        var (world, key) = try moving()
        var ledger = OperationLedger()
        for second in stride(from: 0, through: 59, by: 1) {
            ledger.observe(world.view, limits: world.limits, now: .seconds(second))
            #expect(ledger.stalled(now: .seconds(second)).isEmpty && ledger.motionless(now: .seconds(second)).isEmpty)
        }
        ledger.observe(world.view, limits: world.limits, now: .seconds(60))
        #expect(ledger.stalled(now: .seconds(60)) == [key] && ledger.motionless(now: .seconds(60)) == [key])

        let operation = try #require(world.metadata.operations[key.operation!])
        let group = try placement(of: key.shard, in: world).group
        let actions = OperationPlanner.restart(operation.steps[0], of: operation, in: world.view)
        let next = group.removing(learner: workers[5])
        #expect(
            actions == [
                .regroup(key.shard.collection, [.init(shard: key.shard, version: group.version, group: next)])
            ]
        )
        ledger.restarted(key, now: .seconds(60))
        try set(next, of: key.shard, in: &world)
        ledger.observe(world.view, limits: world.limits, now: .seconds(61))
        // It is removed, comes again, and again gets nothing.
        for _ in 0..<3 { try world.coordinate() }
        for second in 62...300 {
            ledger.observe(world.view, limits: world.limits, now: .seconds(second))
            #expect(ledger.stalled(now: .seconds(second)) == [key])
            #expect(ledger.longestSilence(now: .seconds(second)) == .seconds(second))
            #expect(ledger.motionless(now: .seconds(second)) == (second < 62 + 60 ? [] : [key]))
        }
        #expect(ledger.progress(of: key)?.restartCount == 1)
        #expect(ledger.progress(of: key)?.changed == .zero)

        world.replicas[workers[5]]![key.shard] = 50
        ledger.observe(world.view, limits: world.limits, now: .seconds(301))
        #expect(ledger.stalled(now: .seconds(301)).isEmpty && ledger.longestSilence(now: .seconds(301)) == .zero)
    }

    /// A copy that begins anew over and over moves, and has to pass what was there before to get on.
    @Test func aCopyGetsOnOnceItIsFurtherThanItWas() throws {
        let (world, key) = try moving()
        let primary = try placement(of: key.shard, in: world).primary
        func view(_ sent: UInt64) -> ClusterView {
            var view = world.view
            view.observations[primary]!.replicas[key.shard]!.copies = [
                .init(worker: workers[5], sentByteCount: sent, totalByteCount: 100 << 20)
            ]
            return view
        }
        var ledger = OperationLedger()
        ledger.observe(view(0), limits: world.limits, now: .zero)
        for (second, sent, changed) in [(1, 40, 1), (2, 80, 2), (3, 0, 2), (40, 70, 2), (70, 20, 2), (90, 81, 90)] {
            ledger.observe(view(UInt64(sent) << 20), limits: world.limits, now: .seconds(second))
            #expect(ledger.progress(of: key)?.changed == .seconds(changed), "after \(second) s")
            #expect(ledger.motionless(now: .seconds(second)).isEmpty)
            #expect(ledger.stalled(now: .seconds(second)) == (second == 70 ? [key] : []))
        }
        #expect(ledger.progress(of: key)?.totalByteCount == 100 << 20)
    }

    /// Its sender keeps the rest for so long.
    @Test func whatHasComeOfACopyIsNotTakenAwayAtOnce() throws {
        let (world, key) = try moving()
        let primary = try placement(of: key.shard, in: world).primary
        var view = world.view
        view.observations[primary]!.replicas[key.shard]!.copies = [
            .init(worker: workers[5], sentByteCount: 40 << 20, totalByteCount: 100 << 20)
        ]
        var ledger = OperationLedger()
        for (second, isMotionless) in [(0, false), (60, false), (599, false), (600, true)] {
            ledger.observe(view, limits: world.limits, now: .seconds(second))
            #expect(ledger.motionless(now: .seconds(second)) == (isMotionless ? [key] : []))
            #expect(ledger.stalled(now: .seconds(second)) == (second >= 60 ? [key] : []))
        }
    }

    /// How far it is made nothing tells, and a large one is made for longer than a minute.
    @Test func aCopyThatIsBeingMadeHasMoreTimeUnlessItIsRefused() throws {
        let (world, key) = try moving()
        let primary = try placement(of: key.shard, in: world).primary
        // One that is made, and of which nothing is there yet for want of a connection, can be gone on with.
        for (made, refusal) in [(0, nil), (0, "no room" as String?), (1 << 30, "the connection was lost")] {
            var view = world.view
            view.observations[primary]!.replicas[key.shard]!.copies = [
                .init(worker: workers[5], sentByteCount: 0, totalByteCount: UInt64(made), refusal: refusal)
            ]
            var ledger = OperationLedger()
            for second in [0, 60, 599, 600] {
                ledger.observe(view, limits: world.limits, now: .seconds(second))
                let isMotionless = second >= (refusal == nil || made > 0 ? 600 : 60)
                #expect(ledger.motionless(now: .seconds(second)) == (isMotionless ? [key] : []))
                #expect(ledger.stalled(now: .seconds(second)) == (second >= 60 ? [key] : []))
            }
        }
    }

    @Test func whatCameIsMeasured() throws {
        var (world, key) = try moving()
        let primary = try placement(of: key.shard, in: world).primary
        var ledger = OperationLedger()
        #expect(ledger.sendingPace.bytesPerSecond == nil)
        for second in 0...4 {
            var view = world.view
            view.observations[primary]!.replicas[key.shard]!.copies =
                second == 0
                ? [] : [.init(worker: workers[5], sentByteCount: UInt64(second) << 24, totalByteCount: 64 << 20)]
            ledger.observe(view, limits: world.limits, now: .seconds(second))
        }
        world.replicas[workers[5]]![key.shard] = world.head[key.shard]
        let old = try placement(of: key.shard, in: world).group
        let proposal = GroupProposal(version: old.version, epoch: old.epoch, change: .add(workers[5]))
        try set(try #require(old.applying(proposal)), of: key.shard, in: &world)
        ledger.observe(world.view, limits: world.limits, now: .seconds(8))
        #expect(ledger.sendingPace.count == 1 && ledger.sendingPace.bytesPerSecond == Double(8 << 20))
        #expect(ledger.makingPace.count == 0)
    }

    /// Its bytes are in no heartbeat: it may have been the log that was enough, and that says nothing of copies.
    @Test func whatCameBetweenTwoHeartbeatsIsNotMeasured() throws {
        var (world, key) = try moving()
        var ledger = OperationLedger()
        ledger.observe(world.view, limits: world.limits, now: .zero)
        let old = try placement(of: key.shard, in: world).group
        let proposal = GroupProposal(version: old.version, epoch: old.epoch, change: .add(workers[5]))
        try set(try #require(old.applying(proposal)), of: key.shard, in: &world)
        var view = world.view
        view.observations[workers[5]]!.replicas[key.shard]!.diskByteCount = 20 << 20
        ledger.observe(view, limits: world.limits, now: .seconds(2))
        #expect(ledger.sendingPace.bytesPerSecond == nil)
    }

    /// Groups that are frozen, thaw, and are frozen again change all the time.
    @Test func freezingAndThawingIsNoProgress() throws {
        var world = world()
        let before = world.metadata.placements[0]
        try world.mustBegin(.split(before.shard.collection, [before.shard.index]))
        for _ in 0..<2 { try world.coordinate() }
        for worker in before.group.inSync {
            #expect(world.made[worker]?.count == 2)
            for shard in world.made[worker]!.keys { world.made[worker]![shard]!.isFollowing = true }
        }
        var ledger = OperationLedger()
        for second in 0...200 {
            let group = try placement(of: before.shard, in: world).group
            if second % 5 == 2 { try set(group.freezing(!group.isFrozen), of: before.shard, in: &world) }
            ledger.observe(world.view, limits: world.limits, now: .seconds(second))
        }
        #expect(ledger.stalled(now: .seconds(200)).map(\.shard) == [before.shard])
        #expect(ledger.longestSilence(now: .seconds(200)) == .seconds(198))
        let operation = try #require(world.metadata.openOperations.first)
        let actions = OperationPlanner.restart(operation.steps[0], of: operation, in: world.view)
        #expect(actions.isEmpty, "what has every row is not made anew")
    }

    @Test func whatIsMadeAndDoesNotMoveIsMadeAnew() throws {
        var world = world()
        let before = world.metadata.placements[0]
        try world.mustBegin(.split(before.shard.collection, [before.shard.index]))
        for _ in 0..<2 { try world.coordinate() }
        let (ready, stuck) = (before.group.inSync[0], before.group.inSync[1])
        for shard in world.made[ready]!.keys { world.made[ready]![shard]!.isFollowing = true }
        var ledger = OperationLedger()
        for second in 0...60 { ledger.observe(world.view, limits: world.limits, now: .seconds(second)) }
        let key = try #require(ledger.motionless(now: .seconds(60)).first)
        let operation = try #require(world.metadata.openOperations.first)
        let actions = OperationPlanner.restart(operation.steps[0], of: operation, in: world.view)
        let shards = world.made[stuck]!.keys.sorted()
        #expect(actions == shards.map { .abandon($0, worker: stuck) })
        #expect(shards.allSatisfy { world.metadata.isAwaited($0) }, "what is whole by then stays")
        ledger.restarted(key, now: .seconds(60))
        world.made[stuck] = nil
        ledger.observe(world.view, limits: world.limits, now: .seconds(61))
        #expect(ledger.progress(of: key)?.restartCount == 1)
        try world.coordinate()
        #expect(world.made[stuck]?.keys.sorted() == shards, "they are made again")
        let isCancelled = world.cancel(operation.id)
        #expect(isCancelled && !shards.contains { world.metadata.isAwaited($0) })
    }

    /// It begins anew by itself after pauses that double, which taking it away would cut short.
    @Test func whatHasFailedWhileItWasMadeIsLeftToItsWorker() throws {
        var world = world()
        let before = world.metadata.placements[0]
        try world.mustBegin(.split(before.shard.collection, [before.shard.index]))
        for _ in 0..<2 { try world.coordinate() }
        let (ready, failed) = (before.group.inSync[0], before.group.inSync[1])
        let shards = world.made[failed]!.keys.sorted()
        for shard in shards { world.made[ready]![shard]!.isFollowing = true }
        var view = world.view
        for shard in shards { view.observations[failed]!.successors[shard]!.state = .failed("The disk is full.") }
        var ledger = OperationLedger()
        for second in 0...60 { ledger.observe(view, limits: world.limits, now: .seconds(second)) }
        let keys = ledger.motionless(now: .seconds(60))
        #expect(keys.map(\.shard) == [before.shard] && ledger.stalled(now: .seconds(60)) == keys)
        #expect(OperationPlanner.restarts(of: keys, in: view).isEmpty)
        // What is being made and does not move is made anew beside it.
        view.observations[failed]!.successors[shards[0]]!.state = .copying
        let restarts = OperationPlanner.restarts(of: keys, in: view)
        #expect(restarts[keys[0]] == [.abandon(shards[0], worker: failed)])
    }

    @Test func whatIsBeingUndoneAlertsAsWell() throws {
        var (world, key) = try moving()
        let isCancelled = world.cancel(key.operation!)
        #expect(isCancelled)
        var ledger = OperationLedger()
        for second in 0...61 { ledger.observe(world.view, limits: world.limits, now: .seconds(second)) }
        #expect(ledger.stalled(now: .seconds(61)) == [key])
        #expect(ledger.longestSilence(now: .seconds(61)) == .seconds(61))
    }

    /// Two copies that were added leave again at a time, and each is watched by itself.
    @Test func severalStepsOfOneShardThatAreUndoneAlertEach() throws {
        var world = world()
        let shard = world.metadata.placements[0].shard
        var operation = Operation(
            id: OperationID(high: 1, low: 1),
            kind: .copies(shard.collection, former: CopyCount(replicationFactor: 2, minimumInSync: 1)),
            state: .cancelling,
            created: Timestamp(milliseconds: 1)
        )
        operation.steps = [workers[4], workers[5]].map {
            Operation.Step(shard: shard, change: .add($0), state: .undoing)
        }
        world.metadata.operations[operation.id] = operation
        var ledger = OperationLedger()
        for second in 0...60 { ledger.observe(world.view, limits: world.limits, now: .seconds(second)) }
        let keys = operation.steps.map { OperationLedger.Key($0, of: operation.id) }
        #expect(Set(keys).count == 2 && ledger.stalled(now: .seconds(60)) == keys)
        // One of them is done; the other has not got on by that.
        world.metadata.operations[operation.id]!.steps[1].state = .undone
        ledger.observe(world.view, limits: world.limits, now: .seconds(61))
        #expect(ledger.stalled(now: .seconds(61)) == [keys[0]])
    }

    @Test func whatIsPausedIsNotExpectedToGetOn() throws {
        var (world, key) = try moving()
        world.metadata.operations[key.operation!]!.state = .paused
        var ledger = OperationLedger()
        for second in 0...100 { ledger.observe(world.view, limits: world.limits, now: .seconds(second)) }
        #expect(ledger.stalled(now: .seconds(100)).isEmpty && ledger.motionless(now: .seconds(100)).isEmpty)
        #expect(ledger.longestSilence(now: .seconds(100)) == .zero)
    }

    /// All steps wait for something that does not come by itself.
    @Test func anOperationOfWhichNothingBeginsIsNoticed() throws {
        var world = world()
        try world.mustBegin(.drain(workers[1]))
        let operation = try #require(world.metadata.openOperations.first)
        let targets = operation.steps.compactMap(\.change.newcomer)
        world.live.subtract(targets)
        var ledger = OperationLedger()
        for second in 0...60 {
            ledger.observe(world.view, limits: world.limits, now: .seconds(second))
            #expect(ledger.stalledOperations(now: .seconds(second)) == (second < 60 ? [] : [operation.id]))
        }
        #expect(ledger.longestSilence(now: .seconds(60)) == .seconds(60))
        #expect(ledger.standstill(of: operation.id) == .zero, "since when")
        world.live.formUnion(targets)
        try world.coordinate()
        ledger.observe(world.view, limits: world.limits, now: .seconds(61))
        #expect(ledger.stalledOperations(now: .seconds(61)).isEmpty)
        #expect(ledger.standstill(of: operation.id) == nil)
    }

    /// Waiting for another operation's copies is no standstill: those are watched themselves.
    @Test func anOperationThatWaitsForAnotherIsLeftAlone() throws {
        var world = world()
        let shard = world.metadata.placements[0].shard
        let from = world.metadata.placements[0].primary
        try world.mustBegin(.move(shard, from: from, to: workers[5]))
        try world.coordinate()
        let other = world.metadata.placements.first { $0.shard != shard && $0.group.members.contains(from) }
        try world.mustBegin(.move(try #require(other).shard, from: from, to: workers[5]))
        var ledger = OperationLedger()
        for second in 0...100 { ledger.observe(world.view, limits: world.limits, now: .seconds(second)) }
        #expect(ledger.stalledOperations(now: .seconds(100)).isEmpty)
        let first = try #require(world.metadata.openOperations.first { $0.steps[0].shard == shard })
        #expect(ledger.stalled(now: .seconds(100)).map(\.operation) == [first.id])
        // One that somebody holds up is nobody's reason to wait.
        world.metadata.operations[first.id]!.state = .paused
        try world.coordinate()
        let second = try #require(world.metadata.openOperations.first { $0.id != first.id })
        #expect(second.steps.map(\.state) == [.running])
    }

    /// However busy others are elsewhere.
    @Test func anOperationThatWaitsForAPausedOneIsNoticed() throws {
        var world = world()
        let placement = world.metadata.placements[0]
        let (shard, from) = (placement.shard, placement.primary)
        // The drained worker has nothing else.
        let drained = try #require(placement.group.inSync.first { $0 != from })
        for other in world.metadata.placements where other.shard != shard && other.group.members.contains(drained) {
            let rest = other.group.members.filter { $0 != drained } + [workers[4]]
            let group = ReplicaGroup(epoch: Epoch(2), version: 3, primary: rest[0], inSync: rest, minimumInSync: 1)
            try set(group, of: other.shard, in: &world)
            world.replicas[workers[4], default: [:]][other.shard] = 100
            world.replicas[drained]?[other.shard] = nil
        }
        try world.mustBegin(.move(shard, from: from, to: workers[5]))
        try world.coordinate()
        let paused = try #require(world.metadata.openOperations.first?.id)
        world.metadata.operations[paused]!.state = .paused
        try world.mustBegin(.drain(drained))
        let waiting = try #require(world.metadata.openOperations.first { $0.id != paused }?.id)
        let other = try #require(world.metadata.placements.first { $0.group.members.contains(workers[4]) })
        let target = try #require(workers.first { !other.group.members.contains($0) && $0 != drained })
        try world.mustBegin(.move(other.shard, from: workers[4], to: target))
        try world.coordinate()
        let underWay = world.metadata.openOperations.filter { $0.id != paused && $0.id != waiting }
        #expect(underWay.flatMap(\.steps).map(\.state) == [.running])
        var ledger = OperationLedger()
        for second in 0...60 { ledger.observe(world.view, limits: world.limits, now: .seconds(second)) }
        #expect(ledger.stalledOperations(now: .seconds(60)) == [waiting])
    }

    @Test func anotherControllerGivesStepsTheirTime() throws {
        let (world, key) = try moving()
        var ledger = OperationLedger()
        for second in 0...59 { ledger.observe(world.view, limits: world.limits, now: .seconds(second)) }
        ledger.leaseChanged(now: .seconds(59))
        for second in 60...118 {
            ledger.observe(world.view, limits: world.limits, now: .seconds(second))
            #expect(ledger.motionless(now: .seconds(second)).isEmpty && ledger.stalled(now: .seconds(second)) == [key])
        }
        #expect(ledger.motionless(now: .seconds(119)) == [key])
    }

    /// Who decommissions a worker that is dead wants to know when its copies are back.
    @Test(arguments: [false, true])
    func aDeadWorkerIsDecommissionedOnceItsCopiesAreBack(isGone: Bool) throws {
        var world = world()
        let dead = workers[1]
        world.live.remove(dead)
        if isGone { world.gone.insert(dead) }
        // The primaries notice that it is silent, and do without it.
        for _ in 0..<3 {
            try world.work()
            try world.coordinate()
        }
        #expect(world.metadata.placements.allSatisfy { !$0.group.isInSync(dead) })
        try world.mustBegin(.decommission(dead))
        let id = try #require(world.metadata.operations.keys.first)
        let shards = world.metadata.operations[id]!.steps.map(\.shard)
        #expect(!shards.isEmpty || isGone)
        for round in 0..<200 where world.metadata.operations[id]!.state != .done {
            try world.coordinate()
            // Copies take their time.
            if round > 50 { try world.work() }
            let isDone = world.metadata.operations[id]!.state == .done
            let areBack = shards.allSatisfy { world.metadata.placement(of: $0)?.group.inSync.count == 2 }
            #expect(!isDone || areBack, "after round \(round)")
            #expect(!isDone || round > 50 || shards.isEmpty)
        }
        #expect(world.metadata.operations[id]!.state == .done)
        #expect(world.metadata.standings[dead] == .decommissioned)
    }

    /// The worker that leaves is dead, and the one that comes has nothing yet: the move can still be taken back.
    @Test func aMoveFromADeadWorkerCanBeCancelledUntilItsSuccessorCounts() throws {
        var (world, key) = try moving()
        let from = try #require(world.metadata.operations[key.operation!]?.steps[0].change.leaver)
        world.live.remove(from)
        let group = try placement(of: key.shard, in: world).group
        let other = try #require(group.inSync.first { $0 != from })
        try set(
            ReplicaGroup(
                epoch: Epoch(group.epoch.number + 1),
                version: group.version + 1,
                primary: other,
                inSync: [other],
                learners: (group.learners + [from]).sorted(),
                minimumInSync: 1
            ),
            of: key.shard,
            in: &world
        )
        try world.coordinate()
        #expect(try placement(of: key.shard, in: world).group.members.contains(from), "it waits for the copy")
        let isCancelled = world.cancel(key.operation!)
        #expect(isCancelled)
        for _ in 0..<5 { try world.coordinate() }
        #expect(world.metadata.operations[key.operation!]?.state == .cancelled)
        let members = try placement(of: key.shard, in: world).group.members
        #expect(members.sorted() == [other, from].sorted())
    }
}
