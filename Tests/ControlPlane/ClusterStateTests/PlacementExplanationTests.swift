import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Several steps may be open for one shard, and each is the reason for what becomes of its workers.
struct PlacementExplanationTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }
    private let id = OperationID(high: 1, low: 1)

    private func explanations(
        of steps: [Operation.Step],
        _ placement: ShardPlacement,
        in world: OperationWorld
    ) -> [PlacementExplanation] {
        var view = world.view
        view.metadata.operations[id] = Operation(
            id: id,
            kind: .rebalance,
            created: Timestamp(milliseconds: 1),
            steps: steps
        )
        return workers.map { PlacementExplanation.explain(placement, on: $0, in: view) }
    }

    @Test func everyWorkerThatIsToHaveACopyIsToldSo() throws {
        let record = ClusterScript.replicated(1, on: [workers[0]])
        var world = OperationWorld(seed: 1, workers: 4, records: [record])
        let placement = record.placements[0]
        try world.mustBegin(.copies(record.collection.id, CopyCount(replicationFactor: 3, minimumInSync: 1)))
        let operation = try #require(world.metadata.openOperations.first)
        let targets = operation.steps.compactMap(\.change.newcomer)
        #expect(targets.count == 2)
        for worker in workers[1...] {
            let explanation = PlacementExplanation.explain(placement, on: worker, in: world.view)
            #expect((explanation == .coming(operation.id)) == targets.contains(worker))
        }
    }

    /// As whoever looks for a place for a replica passes them over.
    @Test func whoHoldsAFormerReplicaOrHadNoSuccessIsToldSo() {
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]])
        let placement = record.placements[0]
        var view = OperationWorld(seed: 1, workers: 4, records: [record]).view
        func found() -> [PlacementExplanation] {
            workers.map { PlacementExplanation.explain(placement, on: $0, in: view) }
        }
        #expect(
            found()[2] == .notNeeded(replicaCount: 2, turn: 1) && found()[3] == .notNeeded(replicaCount: 2, turn: 2)
        )
        let former = view.replica(of: placement.shard, on: workers[0])
        view.observations[workers[2]]?.replicas[placement.shard] = former
        #expect(found()[2] == .holdingFormer && found()[2].rule(isPinned: false) == .former)
        #expect(found()[3] == .notNeeded(replicaCount: 2, turn: 1), "nobody comes before it now")
        #expect(!found()[2].hasReplica)
        view.shunnedWorkers[placement.shard] = [workers[3]]
        #expect(found()[3] == .cameToNothing && found()[3].rule(isPinned: false) == .retry)
        // One that the worker holds as a member is no former one.
        #expect(found()[1] == .inSync)
    }

    @Test func aStepThatWaitsForAnotherOfItsShardIsTold() {
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]])
        let world = OperationWorld(seed: 1, workers: 4, records: [record])
        let placement = record.placements[0]
        let steps = [
            Operation.Step(shard: placement.shard, change: .lead(workers[1])),
            Operation.Step(shard: placement.shard, change: .move(from: workers[0], to: workers[3])),
        ]
        var found = explanations(of: steps, placement, in: world)
        #expect(found[0] == .leaving(id) && found[1] == .inSync && found[3] == .coming(id))
        #expect(found[2].rule(isPinned: false) == .copies)
        // What has ended is no reason any more.
        var ended = steps
        ended[1].state = .undone
        found = explanations(of: ended, placement, in: world)
        #expect(found[0] == .primary(since: placement.group.epoch))
        #expect(found[3].rule(isPinned: false) == .copies)
    }
}
