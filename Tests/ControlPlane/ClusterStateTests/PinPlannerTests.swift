import ClusterModel
import ClusterState
import FaceModel
import Testing

/// What an operator pinned stays, whatever else is asked for or comes by itself.
struct PinPlannerTests {
    private let workers = (1...6).map { ClusterScript.worker(UInt64($0)) }

    private func refusal(_ request: OperationRequest, in world: OperationWorld) -> String? {
        do throws(OperationRefusal) {
            _ = try request.operation(OperationID(high: 9, low: 9), in: world.view, now: Timestamp(milliseconds: 1))
            return nil
        } catch {
            return error.description
        }
    }

    private func pinRefusal(
        _ shard: ShardID,
        _ workers: [NodeID]?,
        primary: NodeID? = nil,
        in world: OperationWorld
    ) -> String? {
        do throws(OperationRefusal) {
            _ = try PinPlanner.pin(shard, workers: workers, primary: primary, in: world.view)
            return nil
        } catch {
            return error.description
        }
    }

    /// Twelve shards of one copy, all on the first of four workers.
    private func unevenWorld() -> OperationWorld {
        OperationWorld(
            seed: 3,
            workers: 4,
            records: (1...12).map { ClusterScript.replicated($0, on: [workers[0]], minimum: 1) }
        )
    }

    private func pairedWorld() -> OperationWorld {
        OperationWorld(
            seed: 5,
            workers: 4,
            records: (1...4).map { ClusterScript.replicated($0, on: [workers[0], workers[1]]) }
        )
    }

    @Test func withoutNamesAllReplicasArePinned() throws {
        let world = pairedWorld()
        let shard = world.metadata.placements[0].shard
        let pin = try PinPlanner.pin(shard, workers: nil, primary: nil, in: world.view)
        #expect(pin == ShardPin(workers: [workers[1], workers[0]]))
        #expect(pin.workers == [workers[0], workers[1]])
    }

    @Test func onlyReplicasThatAreThereCanBePinned() throws {
        var world = pairedWorld()
        let shard = world.metadata.placements[0].shard
        #expect(pinRefusal(shard, [workers[2]], in: world)?.contains("has no replica") == true)
        #expect(pinRefusal(shard, [], in: world)?.contains("at least one") == true)
        let primary = pinRefusal(shard, [workers[0]], primary: workers[1], in: world)
        #expect(primary?.contains("not among those pinned") == true)
        world.metadata.standings[workers[0]] = .draining
        #expect(pinRefusal(shard, [workers[0]], in: world)?.contains("recommission") == true)
        world.metadata.standings = [:]
        try world.mustBegin(.move(shard, from: workers[0], to: workers[2]))
        #expect(pinRefusal(shard, [workers[0]], in: world)?.contains("wait for its end") == true)
        #expect(pinRefusal(shard, [workers[1]], in: world) == nil)
        // What a cancellation would take away again.
        while world.metadata.placement(of: shard)?.group.members.contains(workers[2]) != true {
            try world.coordinate()
        }
        #expect(pinRefusal(shard, [workers[2]], in: world)?.contains("wait for its end") == true)
        try world.settle()
        #expect(pinRefusal(shard, [workers[2]], in: world) == nil)
    }

    @Test func balancingLeavesWhatIsPinned() throws {
        var world = unevenWorld()
        let pinned = Set(world.metadata.placements.prefix(6).map(\.shard))
        for shard in pinned { world.metadata.pins[shard] = ShardPin(workers: [workers[0]]) }
        let steps = RebalancePlanner.steps(in: world.view)
        #expect(!steps.isEmpty && steps.allSatisfy { !pinned.contains($0.shard) })
        try world.mustBegin(.rebalance)
        try world.settle()
        #expect(world.metadata.openOperations.isEmpty)
        for placement in world.metadata.placements where pinned.contains(placement.shard) {
            #expect(placement.group.members == [workers[0]])
        }
        for placement in world.metadata.placements {
            world.metadata.pins[placement.shard] = ShardPin(workers: placement.group.members)
        }
        #expect(refusal(.rebalance, in: world)?.contains("pinned replicas stay") == true)
    }

    @Test func aPrimaryGoesBackToWhereItIsPinned() throws {
        var world = pairedWorld()
        let shards = world.metadata.placements.map(\.shard)
        // All primaries are on the first worker; two of them are wanted there.
        world.metadata.pins[shards[0]] = ShardPin(workers: [workers[0]], primary: workers[0])
        world.metadata.pins[shards[1]] = ShardPin(workers: [workers[1]], primary: workers[1])
        world.metadata.pins[shards[2]] = ShardPin(workers: [workers[0]], primary: workers[0])
        let leads = RebalancePlanner.steps(in: world.view).filter { if case .lead = $0.change { true } else { false } }
        #expect(leads.contains(.init(shard: shards[1], change: .lead(workers[1]))))
        #expect(!leads.contains { $0.shard == shards[0] || $0.shard == shards[2] })
        try world.mustBegin(.rebalance)
        try world.settle()
        for index in 0..<3 {
            let group = try #require(world.metadata.placement(of: shards[index])?.group)
            #expect(group.primary == world.metadata.pins[shards[index]]?.primary)
        }
    }

    @Test func whatIsAskedForByNameIsRefusedByThePin() throws {
        var world = pairedWorld()
        let shard = world.metadata.placements[0].shard
        world.metadata.pins[shard] = ShardPin(workers: [workers[0]], primary: workers[0])
        let requests: [OperationRequest] = [
            .move(shard, from: workers[0], to: workers[2]), .move(shard, from: workers[0], to: nil),
            .lead(shard, workers[1]), .drain(workers[0]), .decommission(workers[0]),
        ]
        for request in requests {
            let text = try #require(refusal(request, in: world), "\(request)")
            #expect(text.contains("pinned"), "\(text)")
            #expect(text.contains("'mien shard unpin collection-1 0' lets it go"), "\(text)")
        }
        // The other replica is free.
        #expect(refusal(.move(shard, from: workers[1], to: workers[2]), in: world) == nil)
        #expect(refusal(.drain(workers[1]), in: world) == nil)
        world.metadata.pins = [:]
        for request in requests { #expect(refusal(request, in: world) == nil, "\(request)") }
    }

    @Test func aPinnedShardIsNeitherSplitNorMerged() throws {
        let record = ClusterScript.record(1, shards: 2, on: [workers[0]])
        var world = OperationWorld(seed: 5, workers: 2, records: [record])
        let (id, shard) = (record.collection.id, record.placements[1].shard)
        world.metadata.pins[shard] = ShardPin(workers: [workers[0]])
        let requests: [OperationRequest] = [.split(id, [1]), .merge(id, [.init(0, 1)])]
        for request in requests {
            let text = try #require(refusal(request, in: world), "\(request)")
            #expect(text.contains("'mien shard unpin collection-1 1' lets it go"), "\(text)")
        }
        #expect(refusal(.split(id, [0]), in: world) == nil)
        world.metadata.pins = [:]
        for request in requests { #expect(refusal(request, in: world) == nil, "\(request)") }
        // While the two are being merged neither can be pinned.
        try world.mustBegin(requests[1])
        #expect(pinRefusal(shard, nil, in: world)?.contains("wait for its end") == true)
    }

    @Test func fewerCopiesLeaveThosePinned() throws {
        var world = OperationWorld(
            seed: 5,
            workers: 4,
            records: [ClusterScript.replicated(1, on: [workers[0], workers[1], workers[2]])]
        )
        let placement = world.metadata.placements[0]
        world.metadata.pins[placement.shard] = ShardPin(workers: [workers[2]])
        let fewer = OperationRequest.copies(
            placement.shard.collection,
            CopyCount(replicationFactor: 2, minimumInSync: 1)
        )
        try world.mustBegin(fewer)
        try world.settle()
        let group = world.metadata.placements[0].group
        #expect(Set(group.inSync) == [workers[0], workers[2]])
        let address = try #require(world.metadata.workers[workers[2]])
        let one = OperationRequest.copies(
            placement.shard.collection,
            CopyCount(replicationFactor: 1, minimumInSync: 1)
        )
        #expect(refusal(one, in: world)?.contains("is pinned to the worker at \(address)") == true)
    }

    /// The pin came while the operation was under way: a drain waits and says for what, a rebalance leaves the step.
    @Test func stepsThatWereNotBegunDoNotUndoAPin() throws {
        var world = pairedWorld()
        try world.mustBegin(.drain(workers[0]))
        let shard = world.metadata.placements[3].shard
        world.metadata.pins[shard] = ShardPin(workers: [workers[0]])
        try world.settle()
        #expect(world.metadata.openOperations.count == 1)
        let operation = world.metadata.openOperations[0]
        let step = try #require(operation.steps.first { $0.shard == shard })
        let hindrance = Occupancy(world.view, limits: world.limits).hindrance(step, of: operation, in: world.view)
        #expect(hindrance == .pinned(ShardPin(workers: [workers[0]])))
        let members = world.metadata.placements.filter { $0.group.members.contains(workers[0]) }.map(\.shard)
        #expect(members == [shard])
        world.metadata.pins = [:]
        try world.settle()
        #expect(world.metadata.openOperations.isEmpty)
        #expect(!world.metadata.placements.contains { $0.group.members.contains(workers[0]) })

        var uneven = unevenWorld()
        try uneven.mustBegin(.rebalance)
        for placement in uneven.metadata.placements {
            uneven.metadata.pins[placement.shard] = ShardPin(workers: placement.group.members)
        }
        try uneven.settle()
        #expect(uneven.metadata.openOperations.isEmpty)
        #expect(uneven.metadata.placements.allSatisfy { $0.group.members == [workers[0]] })
    }

    @Test func aStepThatIsAboutToBeginIsForbiddenByAPinThatCameMeanwhile() throws {
        var world = pairedWorld()
        let shard = world.metadata.placements[0].shard
        let request = OperationRequest.move(shard, from: workers[1], to: workers[2])
        let id = OperationID(high: 9, low: 9)
        world.metadata.operations[id] = try request.operation(id, in: world.view, now: Timestamp(milliseconds: 1))
        let update = try #require(
            OperationPlanner.updates(world.view, limits: .init(), now: Timestamp(milliseconds: 2)).first
        )
        #expect(update.begun.map(\.shard) == [shard])
        #expect(!PinPlanner.forbids(update.begun, in: world.metadata))
        world.metadata.pins[shard] = ShardPin(workers: [workers[1]], primary: nil)
        #expect(PinPlanner.forbids(update.begun, in: world.metadata))
    }

    /// A worker that is away for too long is replaced; when it comes back before it has left, it stays and the one that
    /// came for it leaves.
    /// One that was damaged has made way, and is on its worker still.
    @Test func aReplicaComesBackToWhereItIsPinnedOnceTheFormerIsGone() throws {
        var world = pairedWorld()
        let placement = world.metadata.placements[0]
        let (shard, group) = (placement.shard, placement.group)
        world.metadata.pins[shard] = ShardPin(workers: [workers[0], workers[1]])
        let expelled = try #require(group.expelling(workers[1], successor: workers[0]))
        world.metadata.collections[shard.collection]?.placements[0].group = expelled
        func newcomers(_ view: ClusterView) -> [NodeID] {
            ReconcilePlanner.plan(view).actions.flatMap { action -> [NodeID] in
                guard case .regroup(_, let regroupings) = action else { return [] }
                return regroupings.flatMap { $0.newcomers(in: view.metadata) }
            }
        }
        #expect(newcomers(world.view) == [], "others have room, and have to wait")
        var unpinned = world.view
        unpinned.metadata.pins = [:]
        #expect(newcomers(unpinned) == [workers[2]])
        // Where the former one does not leave, a pin costs no copy.
        var ledger = OperationLedger()
        for second in 0...60 { ledger.observe(world.view, limits: world.limits, now: .seconds(second)) }
        var shunned = world.view
        shunned.shunnedWorkers = ledger.shunnedWorkers(now: .seconds(60))
        #expect(shunned.shunnedWorkers[shard] == [workers[1]] && newcomers(shunned) == [workers[2]])
        world.replicas[workers[1]]?[shard] = nil
        #expect(newcomers(world.view) == [workers[1]])
        // Nor does one without room there.
        world.freeDisk[workers[1]] = 0
        #expect(newcomers(world.view) == [workers[2]])
    }

    /// The only good one may be lost before there is another.
    @Test func whatIsDamagedStaysOnItsWorkerUntilTheCopiesAreThereAgain() throws {
        var world = pairedWorld()
        let placement = world.metadata.placements[0]
        let shard = placement.shard
        let expelled = try #require(placement.group.expelling(workers[1], successor: workers[0]))
        func isDropped(_ group: ReplicaGroup, isDamaged: Bool = true) -> Bool {
            world.metadata.collections[shard.collection]?.placements[0].group = group
            var view = world.view
            if isDamaged { view.observations[workers[1]]?.replicas[shard]?.state = .failed }
            return ReconcilePlanner.plan(view).actions.contains { action in
                if case .drop(shard, _, workers[1]) = action { true } else { false }
            }
        }
        let coming = expelled.adding(learner: workers[2])
        let copied = ReplicaGroup(
            epoch: coming.epoch,
            version: coming.version + 1,
            primary: workers[0],
            inSync: [workers[0], workers[2]],
            minimumInSync: coming.minimumInSync
        )
        #expect(!isDropped(expelled) && !isDropped(coming) && isDropped(copied))
        #expect(isDropped(expelled, isDamaged: false), "one that is good has a copy already")
        world.metadata.pins[shard] = ShardPin(workers: [workers[0], workers[1]])
        #expect(isDropped(expelled), "it comes back there")
        world.metadata.pins = [:]
        // Where nobody else can have it, it makes room.
        for worker in workers.dropFirst(2).prefix(2) { world.live.remove(worker) }
        #expect(isDropped(expelled))
    }

    @Test func aPinNeverCostsACopy() throws {
        var world = pairedWorld()
        let shard = world.metadata.placements[0].shard
        world.metadata.pins[shard] = ShardPin(workers: [workers[1]])
        world.live.remove(workers[1])
        world.gone = [workers[1]]
        try world.settle()
        let group = try #require(world.metadata.placement(of: shard)?.group)
        #expect(group.inSync.count == 2 && !group.members.contains(workers[1]))

        let returned = ReplicaGroup(
            epoch: Epoch(3),
            version: 5,
            primary: workers[0],
            inSync: [workers[0], workers[2]],
            learners: [workers[1]],
            minimumInSync: 1
        )
        func restoration(_ group: ReplicaGroup, pinned: Set<NodeID>) -> ReplicaGroup? {
            FailoverPlanner.restoration(group, gone: [], candidates: [], pinned: pinned, replicationFactor: 2)
        }
        #expect(restoration(returned, pinned: [])?.members == [workers[0], workers[2]])
        #expect(restoration(returned, pinned: [workers[1]]) == nil, "it has to have everything first")
        let caughtUp = ReplicaGroup(
            epoch: Epoch(3),
            version: 6,
            primary: workers[0],
            inSync: [workers[0], workers[1], workers[2]],
            minimumInSync: 1
        )
        #expect(restoration(caughtUp, pinned: [workers[2]])?.learners == [workers[1]])
        #expect(restoration(caughtUp, pinned: [workers[1]])?.learners == [workers[2]])
    }
}
