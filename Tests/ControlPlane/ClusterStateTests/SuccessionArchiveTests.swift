import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Shards go when the archive has their logs to their ends, or when that has been waited for long enough.
struct SuccessionArchiveTests {
    /// A collection with a shard that is being split, or with two that are being merged; logs are archived.
    private static func world(merging isMerge: Bool) throws -> (world: OperationWorld, shards: [ShardID]) {
        let workers = [ClusterScript.worker(1), ClusterScript.worker(2)]
        var world = OperationWorld(
            seed: 11,
            workers: 3,
            records: [ClusterScript.replicated(1, on: workers, minimum: 2)]
        )
        let id = world.metadata.placements[0].shard.collection
        if isMerge {
            try world.mustBegin(.split(id, [0]))
            try world.settle()
        }
        let shards = world.metadata.placements.map(\.shard)
        try #require(shards.count == (isMerge ? 2 : 1))
        try world.mustBegin(isMerge ? .merge(id, [.init(1, 2)]) : .split(id, [0]))
        world.archive = ArchiveObservation()
        return (world, shards)
    }

    private static func next(for shard: ShardID, in world: OperationWorld) throws -> ReplicaChange.Next {
        let operation = try #require(world.metadata.openOperations.first)
        return OperationPlanner.next(operation.steps[0], of: operation, for: shard, in: world.view)
    }

    @Test(arguments: [false, true])
    func shardsGoWhenTheirLogsAreArchivedToTheirEnds(isMerge: Bool) throws {
        var (world, shards) = try Self.world(merging: isMerge)
        // As long as the archive may lack much, writes do not wait for it.
        try world.settle()
        var awaited = Succession.awaitingArchive(in: world.view)
        #expect(awaited.shards == Set(shards) && awaited.ended.isEmpty)
        for shard in shards {
            #expect(world.metadata.placement(of: shard)?.group.isFrozen == false)
            #expect(try Self.next(for: shard, in: world) == .wait(.archiving))
        }
        // It lacks little.
        let early = Dictionary(uniqueKeysWithValues: shards.map { ($0, UInt64(1)) })
        world.archive = ArchiveObservation(sequences: early, closed: Set(shards))
        try world.settle()
        awaited = Succession.awaitingArchive(in: world.view)
        #expect(awaited.shards == Set(shards) && awaited.ended == Set(shards))
        for shard in shards {
            #expect(world.metadata.placement(of: shard)?.group.isFrozen == true)
            #expect(try Self.next(for: shard, in: world) == .wait(.archiving))
        }
        // Of two it has one.
        let ends = Dictionary(uniqueKeysWithValues: shards.map { ($0, world.head[$0]!) })
        if isMerge {
            let one = early.merging([shards[0]: ends[shards[0]]!]) { $1 }
            world.archive = ArchiveObservation(sequences: one, closed: Set(shards))
            try world.settle(rounds: 20)
            #expect(shards.allSatisfy { world.metadata.placement(of: $0) != nil })
        }
        // It had all of it before that had ended: until when it does not know.
        world.archive = ArchiveObservation(sequences: ends)
        try world.settle(rounds: 20)
        #expect(shards.allSatisfy { world.metadata.placement(of: $0) != nil })
        world.archive = ArchiveObservation(sequences: ends, closed: Set(shards))
        try world.settle()
        #expect(shards.allSatisfy { world.metadata.placement(of: $0) == nil })
        #expect(world.metadata.openOperations.isEmpty && Succession.awaitingArchive(in: world.view).shards.isEmpty)
    }

    @Test(arguments: [false, true])
    func anArchiveThatWasWaitedForLongEnoughIsWaitedForNoMore(isMerge: Bool) throws {
        var (world, shards) = try Self.world(merging: isMerge)
        try world.settle()
        #expect(shards.allSatisfy { world.metadata.placement(of: $0) != nil })
        world.archive = ArchiveObservation(givenUp: Set(shards))
        try world.settle()
        #expect(shards.allSatisfy { world.metadata.placement(of: $0) == nil })
        #expect(world.metadata.openOperations.isEmpty)
    }

    @Test func aCollectionThatIsBeingRestoredIsNotArchived() throws {
        var (world, shards) = try Self.world(merging: false)
        try world.settle()
        world.metadata.collections[shards[0].collection]!.restoration = RestorationRecord(backup: "night")
        #expect(Succession.awaitingArchive(in: world.view).shards.isEmpty)
        try world.settle()
        #expect(world.metadata.placement(of: shards[0]) == nil)
    }
}
