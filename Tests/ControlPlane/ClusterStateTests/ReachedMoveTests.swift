import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Moves that others have forestalled: the replica has come to their target, or left their sender, before they began.
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

    /// A move that waited while a drain took the replica elsewhere: nothing has come to its target.
    @Test func aMoveWhoseReplicaHasLeftMeanwhileIsNotMade() throws {
        let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]], minimum: 1)
        var world = OperationWorld(seed: 5, workers: 4, records: [record])
        let shard = world.metadata.placements[0].shard
        try world.mustBegin(.drain(workers[1]))
        try world.settle()
        let group = try #require(world.metadata.placement(of: shard)?.group)
        #expect(!group.members.contains(workers[1]) && group.inSync.count == 2)
        let target = try #require(workers[2...].first { !group.members.contains($0) })
        var move = Operation(id: OperationID(high: 9, low: 9), kind: .change, created: Timestamp(milliseconds: 1))
        move.steps = [.init(shard: shard, change: .move(from: workers[1], to: target))]
        var levelling = move
        (levelling.id, levelling.kind) = (OperationID(high: 9, low: 10), .rebalance)
        for operation in [move, levelling] { world.metadata.operations[operation.id] = operation }
        try world.coordinate()
        try world.coordinate()
        let ended = try #require(world.metadata.operations[move.id])
        #expect(ended.state == .cancelled && ended.steps.map(\.state) == [.undone])
        #expect(ended.note == "The replica of shard 0 that was to move has left worker \(workers[1]) already.")
        #expect(world.metadata.operations[levelling.id]?.state == .done)
        #expect(world.metadata.operations[levelling.id]?.steps.map(\.state) == [.undone])
        #expect(world.metadata.placement(of: shard)?.group == group)
    }

    /// The replica came, and the one in whose place it came left by itself.
    @Test func aMoveThatHadBegunIsDoneWhenItsReplicaHasCome() throws {
        let workers = (1...3).map { ClusterScript.worker(UInt64($0)) }
        let record = ClusterScript.replicated(1, on: [workers[0], workers[1]], minimum: 1)
        var world = OperationWorld(seed: 5, workers: 3, records: [record])
        let shard = world.metadata.placements[0].shard
        var move = Operation(id: OperationID(high: 9, low: 9), kind: .change, created: Timestamp(milliseconds: 1))
        move.steps = [.init(shard: shard, change: .move(from: workers[2], to: workers[1]), state: .running)]
        world.metadata.operations[move.id] = move
        try world.coordinate()
        let ended = try #require(world.metadata.operations[move.id])
        #expect(ended.state == .done && ended.steps.map(\.state) == [.done] && ended.note == nil)
    }
}
