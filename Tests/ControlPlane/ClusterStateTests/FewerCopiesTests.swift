import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Which copies leave where there are to be fewer.
struct FewerCopiesTests {
    private let workers = (1...3).map { ClusterScript.worker(UInt64($0)) }

    /// A rebalance would copy back what need not have left.
    @Test func theyLeaveTheWorkersThatHaveMost() throws {
        var record = ClusterScript.record(1, shards: 6, on: workers)
        record.reconfigure { $0.replicationFactor = 3 }
        for index in record.placements.indices {
            record.placements[index].group = ReplicaGroup(
                epoch: Epoch(2),
                version: 3,
                primary: workers[index % 3],
                inSync: workers,
                minimumInSync: 1
            )
        }
        var world = OperationWorld(seed: 1, workers: 3, records: [record])
        try world.mustBegin(.copies(record.collection.id, CopyCount(replicationFactor: 2, minimumInSync: 1)))
        try world.settle()
        #expect(world.metadata.openOperations.isEmpty)
        #expect(workers.map { world.replicaCount(on: $0) } == [4, 4, 4])
        let primaries = world.metadata.placements.map(\.primary)
        #expect(primaries == record.placements.map(\.primary))
    }

    /// What is not in sync, or silent, leaves before one that is, however much that one's worker has.
    @Test func whatIsNoWholeCopyLeavesFirst() throws {
        let records = [
            ClusterScript.replicated(1, on: workers, minimum: 1),
            ClusterScript.replicated(2, on: [workers[2]], minimum: 1),
        ]
        var world = OperationWorld(seed: 1, workers: 3, records: records)
        let request = OperationRequest.copies(
            records[0].collection.id,
            CopyCount(replicationFactor: 2, minimumInSync: 1)
        )
        func leavers(_ world: OperationWorld) throws -> [NodeID] {
            var world = world
            try world.mustBegin(request)
            return world.metadata.openOperations.flatMap(\.steps).compactMap(\.change.leaver)
        }
        let fullest = try leavers(world)
        #expect(fullest == [workers[2]])
        world.live.remove(workers[1])
        let silent = try leavers(world)
        #expect(silent == [workers[1]])
    }
}
