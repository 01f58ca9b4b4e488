import ClusterModel
import FaceModel
import PartitionEngine
import Testing
import WireProtocol
import WorkerService

/// Replicas of a shard that took the place of two, of which one had done its part of a write and the other had not been
/// sent its own: the whole of it comes again.
@Suite struct MergedShardWriteTests {
    private let test = TestCollection()
    private let key = IdempotencyKey.random()

    /// Puts a partition in the place of a closed one that is made of two.
    private func merge(at directory: String, writing ids: [FaceID]) throws {
        let folder = TemporaryFolder()
        var options = PartitionOptions()
        options.mapByteCount = 1 << 30
        options.minimumFreeByteCount = 0
        let old = try Partition.open(at: directory, options: options)
        let whole = old.identity
        old.close()
        try Partition.remove(at: directory)
        let cut = UInt64.max / 2
        let sources = try [0...cut, cut + 1...UInt64.max].enumerated().map { index, range in
            let identity = PartitionIdentity(
                collection: whole.collection,
                shardIndex: UInt32(index + 1),
                firstHash: range.lowerBound,
                lastHash: range.upperBound,
                erasureKey: whole.erasureKey
            )
            return try Partition.create(at: "\(folder.path)/\(index)", identity: identity, options: options)
        }
        defer { for source in sources { source.close() } }
        let part = test.enrol(ids.filter { FaceIDHash.hash($0, in: test.collection.id) <= cut })
        let batch = WriteBatch(key: key, operation: .enrol(rows: part.rows, embeddings: part.embeddings))
        _ = try sources[0].write([batch], epoch: 1)
        let builder = try SuccessorBuilder(at: directory, identity: whole, sources: sources, options: options)
        defer { builder.close() }
        while try builder.copyRows() {}
        _ = try builder.copyCodes()
        while try builder.copyReceipts() {}
        while try builder.follow() > 0 {}
        #expect(try builder.seal() == [1, 0])
    }

    @Test func theRestIsDoneOnEveryReplicaAndTheWholeIsAnsweredByThePrimaryThatFollows() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 1) { shard in
            let ids = test.ids(40)
            shard.keeper.remove(false)
            for index in 0..<2 { await shard.stop(index) }
            for index in 0..<2 {
                let folder = await shard.folder(index).path
                try merge(at: "\(folder)/replicas/\(test.collection.id)/0/partition", writing: ids)
            }
            for index in 0..<2 { try await shard.start(index) }
            let first = try await shard.enrol(ids, key: key)
            #expect(first.outcomes == [EnrolOutcome](repeating: .accepted, count: 40))
            #expect(try await shard.enrol(ids, key: key) == first)
            let old = await shard.index(of: shard.keeper.group!.primary)
            let nodes = await shard.nodes
            shard.keeper.change { $0!.failingOver(to: nodes[1 - old]) }
            #expect(try await shard.enrol(ids, key: key) == first)
            let refusal = try await shard.eventually("another write is refused") { () async throws(WireStatus) in
                let group = shard.keeper.group!
                do throws(WireStatus) {
                    let other = test.enrol(ids.reversed(), epoch: group.epoch.number, key: key)
                    _ = try await shard.call(other, on: shard.index(of: group.primary))
                    return WireStatus?.none
                } catch {
                    guard error.code == .keyReused else { throw error }
                    return error
                }
            }
            #expect(refusal?.code == .keyReused)
            for index in 0..<2 {
                let found = try await shard.eventually("replica \(index) reads") { () async throws(WireStatus) in
                    try await shard.faces(ids, on: index)
                }
                #expect(found == ids, "replica \(index)")
            }
        }
    }
}
