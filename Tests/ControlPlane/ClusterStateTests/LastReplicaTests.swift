import ClusterModel
import ClusterState
import FaceModel
import Testing

/// What a replica holds that is not in sync may be all that is left: it does not leave while nobody is there that has
/// more.
struct LastReplicaTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }

    /// A replica moves from the second worker to the third, or comes there beside it, has nearly everything, and both
    /// that were in sync are gone.
    private func bereft(moving: Bool) throws -> (OperationWorld, OperationID, ShardID) {
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]], minimum: 1)
        var world = OperationWorld(seed: 1, workers: 4, records: [record])
        let placement = record.placements[0]
        let copies = CopyCount(replicationFactor: 3, minimumInSync: 1)
        try world.mustBegin(
            moving
                ? .move(placement.shard, from: workers[1], to: workers[2]) : .copies(placement.shard.collection, copies)
        )
        for _ in 0..<3 { try world.coordinate() }
        let group = try #require(world.metadata.placement(of: placement.shard)?.group)
        let learner = try #require(group.learners.first)
        world.replicas[learner]![placement.shard] = 90
        world.live.subtract(group.inSync)
        return (world, try #require(world.metadata.openOperations.first?.id), placement.shard)
    }

    @Test(arguments: [true, false])
    func aReplicaThatIsCatchingUpStaysWhileNobodyIsThereThatHasMore(isMoving: Bool) throws {
        var (world, id, shard) = try bereft(moving: isMoving)
        let group = try #require(world.metadata.placement(of: shard)?.group)
        let learner = try #require(group.learners.first)
        let away = Set(group.inSync)
        let operation = try #require(world.metadata.operations[id])
        let step = try #require(operation.steps.first { $0.state == .running })
        #expect(OperationPlanner.restart(step, of: operation, in: world.view).isEmpty)
        #expect(throws: OperationRefusal.self) { try ShardRecovery(of: shard, in: world.view) }

        // Nor when the operation is taken back: then it may be led by what is there.
        let isCancelled = world.cancel(id)
        #expect(isCancelled)
        for _ in 0..<10 { try world.coordinate() }
        let left = try #require(world.metadata.placement(of: shard)?.group)
        #expect(left.learners == [learner] && left.version == group.version)
        let undone = try #require(world.metadata.operations[id])
        let undoing = try #require(undone.steps.first { $0.state == .undoing })
        #expect(OperationPlanner.next(undoing, of: undone, in: world.view) == .wait(.notReady(group.primary)))
        guard case .group(let recovered) = try ShardRecovery(of: shard, in: world.view).outcome else {
            Issue.record("an empty shard takes its place")
            return
        }
        #expect(recovered.primary == learner && recovered.inSync == [learner])

        // When those come back that have everything, it goes.
        world.live.formUnion(away)
        for _ in 0..<10 { try world.coordinate() }
        let after = try #require(world.metadata.placement(of: shard)?.group)
        #expect(!after.members.contains(learner) && Set(after.inSync) == away)
    }

    /// The replica that came has everything and dies for good before the one that leaves has left: that one is all
    /// there is, and no cancelling helps.
    @Test func aReplicaThatWasToLeaveMayLeadOnceTheOtherIsLost() throws {
        let record = ClusterScript.replicated(1, on: [workers[0]], minimum: 1)
        let shard = record.placements[0].shard
        var world = OperationWorld(seed: 1, workers: 4, records: [record])
        try world.mustBegin(.move(shard, from: workers[0], to: workers[2]))
        let id = try #require(world.metadata.openOperations.first?.id)
        world.metadata.operations[id]!.steps[0].state = .running
        world.metadata.collections[shard.collection]!.placements[0].group = ReplicaGroup(
            epoch: Epoch(2),
            version: 9,
            primary: workers[2],
            inSync: [workers[2]],
            learners: [workers[0]],
            minimumInSync: 1
        )
        world.replicas[workers[2], default: [:]][shard] = 100
        #expect(throws: OperationRefusal.self) { try ShardRecovery(of: shard, in: world.view) }
        world.live.remove(workers[2])
        let isCancelled = world.cancel(id)
        #expect(!isCancelled, "it is past its commit point")
        for _ in 0..<5 { try world.coordinate() }
        #expect(world.metadata.placement(of: shard)?.group.learners == [workers[0]])
        guard case .group(let recovered) = try ShardRecovery(of: shard, in: world.view).outcome else {
            Issue.record("an empty shard takes its place")
            return
        }
        #expect(recovered.primary == workers[0])
        // It leads, and stays.
        world.metadata.collections[shard.collection]!.placements[0].group = recovered
        world.gone.insert(workers[2])
        for _ in 0..<10 { try world.coordinate() }
        #expect(world.metadata.placement(of: shard)?.group.isInSync(workers[0]) == true)
    }

    /// It was to leave again, and has become the only one.
    @Test func whatIsTakenBackEndsWhereNothingElseIsLeft() {
        let group = ReplicaGroup(
            epoch: Epoch(3),
            version: 9,
            primary: workers[2],
            inSync: [workers[2]],
            minimumInSync: 1
        )
        #expect(ReplicaChange.add(workers[2]).undoing(group, formerPrimary: nil, ready: [workers[2]]) == .done)
    }

    @Test func aReplicaWhoseWorkerIsGoneStaysWhileAllOthersAreGone() {
        let group = ReplicaGroup(
            epoch: Epoch(1),
            version: 5,
            primary: workers[0],
            inSync: [workers[0], workers[1]],
            learners: [workers[2]],
            minimumInSync: 1
        )
        func next(gone: [NodeID]) -> ReplicaGroup? {
            FailoverPlanner.restoration(group, gone: Set(gone), candidates: [], replicationFactor: 2)
        }
        #expect(next(gone: [workers[2]]) == group.removing(learner: workers[2]))
        #expect(next(gone: [workers[0], workers[2]]) == group.removing(learner: workers[2]))
        #expect(next(gone: workers) == nil)
    }
}
