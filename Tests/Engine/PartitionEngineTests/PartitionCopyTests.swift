import FaceModel
import Foundation
import LMDB
import PartitionEngine
import PartitionStore
import Synchronization
import Testing

/// Copies of a partition: whole, of one commit, and ready to serve.
struct PartitionCopyTests {
    private func filled() throws -> (PartitionFixture, LogAuthor, [[Float]]) {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        var author = try LogAuthor(fixture.partition, epoch: 3)
        let ids = (0..<700).map { FaceID($0) }
        let embeddings = ids.map { _ in source.embedding() }
        let entries = try [
            author.entry(fixture.enrolment(ids, embeddings) { FaceMetadata(personID: "person \($0.low % 9)") }),
            author.entry(WriteBatch(key: fixture.nextKey(), operation: .delete((0..<200).map { FaceID($0) }))),
            author.entry(.beginEpoch),
        ]
        _ = try fixture.partition.commit(LogTransaction(promise: 4, append: entries, applyThrough: 2))
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        return (fixture, author, embeddings)
    }

    private func answers(_ partition: Partition, _ probes: [[Float]]) throws -> [[Found]] {
        var found: [[Found]] = []
        for effort in [SearchEffort.exact, .full, .lists(2), .recall(0.9)] {
            found += try partition.search(
                PartitionSearch(
                    parameters: SearchParameters(matchLimit: 20, effort: effort),
                    excludedFace: nil,
                    probes: EmbeddingMatrix(dimension: 64, values: probes.flatMap { $0 }),
                    now: Timestamp(milliseconds: 0)
                ),
                shouldStop: { false }
            ).found
        }
        return found
    }

    @Test func aCopyServesAndGoesOnAsTheOriginalDoes() throws {
        let (fixture, firstAuthor, embeddings) = try filled()
        var author = firstAuthor
        let probes = Array(embeddings[190..<230])
        let path = "\(fixture.folder.path)/copy"
        let made = try #require(try fixture.partition.copy(to: path))
        let size = try FileManager.default.attributesOfItem(atPath: "\(path)/data.mdb")[.size] as? UInt64
        #expect(made.sequence == 2 && made.byteCount == size && made.byteCount > 100_000)
        let copy = try Partition.open(at: path, options: fixture.options)
        defer { copy.close() }
        #expect(copy.identity == fixture.partition.identity)
        #expect(try answers(copy, probes) == answers(fixture.partition, probes))
        #expect(try copy.logExtent() == fixture.partition.logExtent())
        let digest = try fixture.partition.digest()
        #expect(try copy.digest() == digest && copy.verifyAll() == digest)
        let entries = try fixture.partition.logEntries(from: 1, byteLimit: .max)
        #expect(try copy.logEntries(from: 1, byteLimit: .max) == entries)
        #expect(try copy.receipt(of: entries[1].key) == fixture.partition.receipt(of: entries[1].key))
        let next = try author.entry(.delete([FaceID(300)]))
        let transaction = LogTransaction(append: [next], applyThrough: 4)
        let outcome = try copy.commit(transaction)
        #expect(try fixture.partition.commit(transaction) == outcome)
        #expect(try copy.digest() == fixture.partition.digest())
        #expect(try answers(copy, probes) == answers(fixture.partition, probes))
    }

    @Test func aFolderWithAPartitionIsRefused() throws {
        let (fixture, _, _) = try filled()
        let path = "\(fixture.folder.path)/copy"
        _ = try fixture.partition.copy(to: path)
        #expect { try fixture.partition.copy(to: path) } throws: { error in
            guard case PartitionError.store(.environment(.io(path: path, errno: EEXIST))) = error else { return false }
            return true
        }
        #expect(throws: PartitionError.self) { try fixture.partition.copy(to: fixture.directory) }
    }

    @Test func aCopyThatIsStoppedLeavesNothing() throws {
        let (fixture, _, _) = try filled()
        let path = "\(fixture.folder.path)/copy"
        for limit in [1, 3] {
            var asked = 0
            let copy = try fixture.partition.copy(to: path) {
                asked += 1
                return asked == limit
            }
            #expect(copy == nil && asked == limit)
            #expect(!FileManager.default.fileExists(atPath: "\(path)/data.mdb"))
        }
        #expect(try fixture.partition.copy(to: path) != nil)
    }

    /// Every copy that is made while writes go on is of one commit.
    @Test func writesGoOnWhileACopyIsMade() throws {
        let (fixture, _, _) = try filled()
        let isDone = Atomic(false)
        let partition = fixture.partition
        let folder = fixture.folder
        let options = fixture.options
        let copier = Thread {
            for number in 0..<5 {
                let path = "\(folder.path)/copy \(number)"
                do {
                    let made = try #require(try partition.copy(to: path))
                    let copy = try Partition.open(at: path, options: options)
                    defer { copy.close() }
                    #expect(copy.committedSequence == made.sequence)
                    #expect(try copy.verifyAll() == copy.digest())
                } catch {
                    Issue.record(error)
                }
            }
            isDone.store(true, ordering: .releasing)
        }
        copier.start()
        var author = try LogAuthor(partition, epoch: 4)
        var source = FaceSource(dimension: 64, seed: 9)
        while !isDone.load(ordering: .acquiring) {
            let ids = (0..<20).map { _ in FaceID(Int.random(in: 0..<900, using: &source.generator)) }
            let entry = try author.entry(fixture.enrolment(ids, ids.map { _ in source.embedding() }))
            _ = try partition.commit(LogTransaction(append: [entry], applyThrough: .max))
            _ = try partition.maintain(now: Timestamp(milliseconds: 0))
        }
        #expect(try partition.verifyAll() == partition.digest())
    }

    @Test func aCopyThatLetsTheFileGrowTooFarIsGivenUp() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let ids = (0..<6000).map { FaceID($0) }
        for start in stride(from: 0, to: ids.count, by: 500) {
            try fixture.enrol(Array(ids[start..<start + 500]), (0..<500).map { _ in source.embedding() })
        }
        let partition = fixture.partition
        let leastGrowth = 4 << 20
        let bound = try CopyBound(of: partition, leastGrowthByteCount: leastGrowth)
        let before = try partition.mapUse().usedByteCount
        #expect(bound.limitByteCount >= before && bound.limitByteCount <= before * 5 / 4 + leastGrowth)
        #expect(bound.excess(of: partition) == nil)

        var excess: CopyBound.Excess?
        var batchCount = 0
        let path = "\(fixture.folder.path)/copy"
        let made = try partition.copy(to: path) {
            // Pages that are freed now wait for the copy.
            while excess == nil, batchCount < 2000 {
                batchCount += 1
                do {
                    try fixture.enrol(Array(ids[..<100]), (0..<100).map { _ in source.embedding() })
                } catch {
                    Issue.record(error)
                    return true
                }
                excess = bound.excess(of: partition)
            }
            return excess != nil
        }
        #expect(made == nil && excess == .growth(limitByteCount: bound.limitByteCount))
        #expect(batchCount > 1)
        #expect(!FileManager.default.fileExists(atPath: "\(path)/data.mdb"))
        // No further than the batch that was under way.
        #expect(try partition.mapUse().usedByteCount < bound.limitByteCount + (2 << 20))
        let next = try CopyBound(of: partition, leastGrowthByteCount: leastGrowth)
        #expect(try partition.copy(to: path) { next.excess(of: partition) != nil } != nil)
    }

    @Test func aCopyKeepsTheDisksReserve() throws {
        let (fixture, _, _) = try filled()
        let bound = try CopyBound(of: fixture.partition, minimumFreeByteCount: .max)
        guard case .disk(_, .max)? = bound.excess(of: fixture.partition) else {
            Issue.record("no disk has so much room")
            return
        }
        #expect(try CopyBound(of: fixture.partition, minimumFreeByteCount: 0).excess(of: fixture.partition) == nil)
    }

    /// Embeddings of deleted faces whose chunks were overwritten or emptied stay behind in free pages, and do not
    /// travel.
    @Test func whatWasDeletedDoesNotTravel() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let marks = (0..<256).map { _ in source.embedding() }
        try fixture.enrol((0..<256).map { FaceID($0) }, marks)
        try fixture.delete((0..<200).map { FaceID($0) })
        try fixture.settle()
        let path = "\(fixture.folder.path)/copy"
        _ = try fixture.partition.copy(to: path)
        let file = try Data(contentsOf: URL(filePath: "\(path)/data.mdb"))
        func isThere(_ embedding: [Float]) -> Bool {
            let bytes = embedding.map { Float16($0) }.withUnsafeBytes { Data($0) }
            return file.range(of: bytes) != nil
        }
        #expect(marks[200...].allSatisfy(isThere))
        #expect(marks[..<200].count(where: isThere) == 0)
    }

    /// LMDB puts the pages of a copy together in memory that held others of it: nothing of these comes to lie where a
    /// page has room left, out of reach of all that overwrites what deleted faces leave.
    @Test func aCopyHasNoMoreOfAnEmbeddingThanItsPartition() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<700).map { _ in source.embedding() }
        try fixture.enrol((0..<700).map { FaceID($0) }, embeddings)
        var scanner = RemnantScanner()
        for embedding in embeddings {
            scanner.add(embedding.map { Float16($0) }.withUnsafeBytes { Array($0) }, of: "a face")
        }
        let path = "\(fixture.folder.path)/copy"
        _ = try fixture.partition.copy(to: path)
        let hits = try scanner.hits(in: path)
        #expect(hits["a face", default: 0] > 700)
        #expect(try hits == scanner.hits(in: fixture.directory))
    }
}
