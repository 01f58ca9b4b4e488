import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Moves of one shard to one worker, that two coordinators took.
struct ReachedMoveTests {
    /// Two moves to one worker: the second takes no copy away, and taken back it passes the primary on to and fro no
    /// more, as a long run of the simulator found.
    @Test(arguments: 0..<24) func aMoveToWhereAReplicaHasComeMeanwhileIsNotMade(delay: Int) throws {
        let workers = (1...6).map { ClusterScript.worker(UInt64($0)) }
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]], minimum: 2)
        var world = OperationWorld(seed: UInt64(delay) &+ 31, workers: 6, records: [record])
        let placement = world.metadata.placements[0]
        let (primary, other) = (placement.primary, placement.group.members.first { $0 != placement.primary }!)
        try world.mustBegin(.move(placement.shard, from: other, to: workers[5]))
        // Two coordinators that had not heard of each other's took one each.
        let step = Operation.Step(shard: placement.shard, change: .move(from: primary, to: workers[5]))
        var second = Operation(id: OperationID(high: 9, low: 9), kind: .change, created: Timestamp(milliseconds: 9))
        second.steps = [step]
        world.metadata.operations[second.id] = second
        for _ in 0..<delay {
            try world.coordinate()
            try world.work()
        }
        for id in world.metadata.operations.keys.sorted() { _ = world.cancel(id) }
        try world.settle()
        let group = try #require(world.metadata.placement(of: placement.shard)?.group)
        #expect(group.inSync.count == 2 && group.epoch.number < 20, "\(group)")
        #expect(world.metadata.operations.values.allSatisfy { $0.state.hasEnded })
    }
}
