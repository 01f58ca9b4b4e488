import ClusterModel
import ClusterState
import FaceModel
import Testing

/// What a replica holds that is not in sync may be all that is left: it does not leave while nobody is there that has
/// more.
struct LastReplicaTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }

    /// A replica moves from the second worker to the third, has nearly everything, and both that were in sync are gone.
    private func bereft(_ change: (NodeID, NodeID) -> ReplicaChange) throws -> (OperationWorld, OperationID, ShardID) {
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]], minimum: 1)
        var world = OperationWorld(seed: 1, workers: 4, records: [record])
        let placement = record.placements[0]
        switch change(workers[1], workers[2]) {
        case .move(let from, let to): try world.mustBegin(.move(placement.shard, from: from, to: to))
        default:
            try world.mustBegin(
                .copies(placement.shard.collection, CopyCount(replicationFactor: 3, minimumInSync: 1))
            )
        }
        for _ in 0..<3 { try world.coordinate() }
        let group = try #require(world.metadata.placement(of: placement.shard)?.group)
        let learner = try #require(group.learners.first)
        world.replicas[learner]![placement.shard] = 90
        world.live.subtract(group.inSync)
        return (world, try #require(world.metadata.openOperations.first?.id), placement.shard)
    }

    @Test(arguments: [ReplicaChange.move(from: NodeID(high: 0, low: 0), to: NodeID(high: 0, low: 0)), nil])
    func aReplicaThatIsCatchingUpStaysWhileNobodyIsThereThatHasMore(kind: ReplicaChange?) throws {
        var (world, id, shard) = try bereft { kind == nil ? .add($1) : .move(from: $0, to: $1) }
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
