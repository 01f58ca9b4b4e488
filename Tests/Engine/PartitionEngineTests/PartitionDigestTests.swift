import FaceModel
import PartitionEngine
import PartitionStore
import Testing

/// Digests: kept up to date by every write, equal where the faces are, and the sum of their parts.
struct PartitionDigestTests {
    private static func metadata(_ id: FaceID) -> FaceMetadata {
        FaceMetadata(personID: "person \(id.low % 9)", attributes: id.low % 2 == 0 ? ["gate": "north"] : [:])
    }

    @Test func aNewPartitionHasTheDigestOfNothing() throws {
        let fixture = try PartitionFixture()
        let digest = try #require(try fixture.partition.digest())
        #expect(digest.sequence == 0 && digest.faceCount == 0 && digest.slices == [UInt128](repeating: 0, count: 256))
        #expect(try fixture.partition.recomputeDigest() == digest)
    }

    @Test func theSameWritesInOtherGroupsHaveOneDigest() throws {
        let (first, second) = (try PartitionFixture(), try PartitionFixture())
        var source = FaceSource(dimension: 64)
        var batches = (0..<20).map { round in
            first.enrolment(
                (0..<25).map { FaceID(17 * round + $0) },
                (0..<25).map { _ in source.embedding() },
                metadata: Self.metadata
            )
        }
        batches += (0..<10).map { round in
            WriteBatch(key: first.nextKey(), operation: .delete((0..<20).map { FaceID(31 * round + $0) }))
        }
        _ = try first.partition.write(batches, epoch: 1)
        for batch in batches {
            _ = try second.partition.write([batch], epoch: 1)
            #expect(try second.partition.recomputeDigest() == second.partition.digest())
        }
        let digest = try first.partition.digest()
        #expect(try digest == second.partition.digest() && digest?.faceCount == first.partition.statistics().faceCount)
        // Codes, runs, overwriting and moving are nobody's business.
        try first.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try first.settle()
        #expect(first.evacuationCount > 0)
        #expect(try first.partition.digest() == digest && first.partition.verifyAll() == digest)
        try first.reopen()
        #expect(try first.partition.digest() == digest)
        // One face again: same content, another version.
        let face = try first.partition.page(after: nil, limit: 1, byteLimit: 1, includesEmbeddings: true)[0]
        try first.enrol([face.id], [face.embedding!], metadata: Self.metadata)
        let changed = try #require(try first.partition.digest())
        #expect(zip(changed.slices, digest!.slices).count { $0 != $1 } == 1)
        #expect(changed.slices != digest!.slices && changed.faceCount == digest!.faceCount)
    }

    /// A shard's faces divided among two partitions, by any rule: slice by slice they add up.
    @Test func partsAddUpToTheWhole() throws {
        let whole = try PartitionFixture()
        let parts = [try PartitionFixture(), try PartitionFixture()]
        var source = FaceSource(dimension: 64)
        for round in 0..<6 {
            let ids = (0..<40).map { FaceID(30 * round + $0) }
            let embeddings = ids.map { _ in source.embedding() }
            try whole.enrol(ids, embeddings, metadata: Self.metadata)
            for (number, part) in parts.enumerated() {
                let mine = ids.indices.filter { Int(ids[$0].low % 3) / 2 == number }
                try part.enrol(mine.map { ids[$0] }, mine.map { embeddings[$0] }, metadata: Self.metadata)
            }
        }
        let digests = try parts.map { try #require(try $0.partition.digest()) }
        let sums = zip(digests[0].slices, digests[1].slices).map { $0 &+ $1 }
        #expect(try whole.partition.digest()?.slices == sums)
        #expect(digests.allSatisfy { $0.faceCount > 0 && $0.slices != sums })
    }

    /// What an earlier format left is counted in steps, while writes of every kind go on.
    @Test(arguments: [UInt8(1), 2, 3])
    func aPartitionOfAnEarlierFormatIsCountedInSteps(format: UInt8) throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let count = 9000
        let embedding = source.embedding()
        let ids = (0..<count).map { FaceID($0) }
        try fixture.enrol(ids, [[Float]](repeating: embedding, count: count), metadata: Self.metadata)
        try fixture.settle()
        let expected = try #require(try fixture.partition.digest())
        fixture.partition.close()
        let folder = TemporaryFolder()
        try fixture.copy(to: folder.path, asFormat: format)

        var partition = try Partition.open(at: folder.path, options: .small)
        #expect(try partition.digest() == nil)
        // It can be computed all the same, but for what a fold would have to do first.
        #expect(try partition.recomputeDigest() == expected)
        while try partition.digest() == nil {
            // Below what is counted and above it: replaced, deleted, moved by the emptying of a chunk.
            let some = [3, 8500, 4000, 8999].map { FaceID($0) }
            _ = try partition.write(
                [
                    fixture.enrolment(some, some.map { _ in source.embedding() }),
                    WriteBatch(
                        key: fixture.nextKey(),
                        operation: .delete((256..<340).map { FaceID($0) } + (8600..<8680).map { FaceID($0) })
                    ),
                ],
                epoch: 1
            )
            _ = try #require(try partition.maintain(now: Timestamp(milliseconds: 0)))
            partition.close()
            partition = try Partition.open(at: folder.path, options: .small)
        }
        let digest = try partition.digest()
        #expect(try digest == partition.recomputeDigest() && digest == partition.verifyAll())
        // Records of the earlier format, which have no checksum, are taken out as they were counted.
        let deletion = WriteBatch(key: fixture.nextKey(), operation: .delete(ids))
        _ = try partition.write([deletion], epoch: 1)
        #expect(try partition.digest()?.slices == [UInt128](repeating: 0, count: 256))
        #expect(try partition.verifyAll() != nil)
        partition.close()
    }

    @Test func anEmptyPartitionOfAnEarlierFormatHasItsDigestAtOnce() throws {
        let fixture = try PartitionFixture()
        fixture.partition.close()
        let folder = TemporaryFolder()
        try fixture.copy(to: folder.path, asFormat: 3)
        let partition = try Partition.open(at: folder.path, options: .small)
        #expect(try partition.digest()?.faceCount == 0)
        partition.close()
    }

    @Test func computingStopsWhenItShould() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        try fixture.enrol((0..<300).map { FaceID($0) }, (0..<300).map { _ in source.embedding() })
        for limit in 0..<3 {
            var asked = 0
            let digest = try fixture.partition.recomputeDigest {
                asked += 1
                return asked > limit
            }
            #expect(digest == nil && asked == limit + 1)
            #expect(try fixture.partition.verifyAll { true } == nil)
        }
    }
}
