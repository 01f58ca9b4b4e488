import FaceModel
import Foundation
import LMDB
import PartitionEngine
import PartitionStore
import Testing
import VectorMath

/// Chunks of mostly dead rows are emptied: their live rows move, and nobody can tell.
struct PartitionEvacuationTests {
    private static let noon = Timestamp(milliseconds: 1000)

    /// Ten people, two images, some that expire at noon.
    private static func metadata(_ id: FaceID) -> FaceMetadata {
        FaceMetadata(
            personID: "person \(id.low % 10)",
            externalImageID: id.low % 3 == 0 ? "image \(id.low % 2)" : nil,
            expires: id.low % 7 == 0 ? noon : nil,
            attributes: ["gate": id.low % 2 == 0 ? "north" : "south"]
        )
    }

    private static let filters: [FaceFilter?] = [
        nil, FaceFilter(personIDs: ["person 3", "person 8"]), FaceFilter(externalImageIDs: ["image 0"]),
        FaceFilter(attributes: ["gate": "south"]),
    ]

    /// All that a client can read, written so that it compares.
    private func answers(_ fixture: PartitionFixture, _ probes: [[Float]]) throws -> [String] {
        var answers: [String] = []
        for filter in Self.filters {
            for effort in [SearchEffort.exact, .full, .lists(1000)] {
                for limit in [5, 1000] {
                    let answer = try fixture.search(probes, limit: limit, effort: effort, filter: filter)
                    answers.append("\(answer.found) \(answer.faceCount)")
                }
            }
        }
        let faces = try fixture.partition.page(after: nil, limit: .max, byteLimit: .max, includesEmbeddings: true)
        answers += faces.map { "\($0)" }
        return answers + ["\(fixture.partition.committedSequence)"]
    }

    /// Every row is a candidate, so that codes decide nothing.
    private static var options: PartitionOptions {
        var options = PartitionOptions.small
        options.candidateFloor = 100_000
        return options
    }

    private func filled(
        _ count: Int,
        precision: StoredPrecision = .float16,
        options: PartitionOptions = options,
        hasCodebook: Bool = true
    ) throws -> (PartitionFixture, [[Float]]) {
        let fixture = try PartitionFixture(precision: precision, options: options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<count).map { _ in source.embedding() }
        try fixture.enrol((0..<count).map { FaceID($0) }, embeddings, metadata: Self.metadata)
        if hasCodebook { try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64)) }
        try fixture.settle()
        return (fixture, embeddings)
    }

    @Test(arguments: [StoredPrecision.float16, .float32], [true, false])
    func aChunkThatIsHalfDeadIsEmptiedAndOneThatIsNotStays(precision: StoredPrecision, hasCodebook: Bool) throws {
        let (fixture, embeddings) = try filled(512, precision: precision, hasCodebook: hasCodebook)
        try fixture.delete((0..<64).map { FaceID($0) } + (128..<191).map { FaceID($0) })
        let probes = [embeddings[70], embeddings[200], embeddings[400]]
        let before = try answers(fixture, probes)
        #expect(try fixture.settle() > 0)
        #expect(try answers(fixture, probes) == before)
        #expect(try fixture.partition.statistics().freshCount == (hasCodebook ? 64 : 512 + 64))
        #expect(try fixture.storedChunks() == [1, 2, 3])
        #expect(try answers(fixture, probes) == before)
        try fixture.expectSoundRuns("\(precision)")
        #expect(try fixture.settle() == 0)
    }

    /// The row ids that are left are for what was ordered before.
    @Test func nothingIsMovedOnceFewRowIDsAreLeft() throws {
        var options = Self.options
        options.rowIDLimit = 512
        let (fixture, embeddings) = try filled(511, options: options)
        try fixture.partition.checkRowIDs()
        try fixture.enrol([FaceID(511)], [embeddings[0]])
        #expect {
            try fixture.partition.checkRowIDs()
        } throws: { error in
            guard case PartitionError.rowIDsExhausted = error else { return false }
            return true
        }
        try fixture.enrol([FaceID(512)], [embeddings[1]])
        #expect(try fixture.partition.statistics().rowIDCount == 513)
        try fixture.delete((0..<64).map { FaceID($0) })
        try fixture.settle()
        #expect(fixture.evacuationCount == 0)
        #expect(try fixture.storedChunks() == [0, 1, 2, 3])
    }

    /// Rows that moved expire, are replaced and deleted as others do.
    @Test func rowsThatMovedExpireAndAreReplacedAndDeleted() throws {
        let (fixture, embeddings) = try filled(256)
        try fixture.delete((0..<70).map { FaceID($0) })
        try fixture.settle()
        #expect(try fixture.storedChunks() == [1])
        let found = try fixture.search([embeddings[77]], limit: 1000, now: Self.noon).matches[0].map(\.faceID)
        let living = (70..<256).map { FaceID($0) }.filter { $0.low % 7 != 0 }
        #expect(Set(found) == Set(living) && found.count == living.count && living.count < 186)
        try fixture.settle(now: Self.noon)
        #expect(try fixture.partition.statistics().faceCount == UInt64(living.count))
        let (replaced, deleted) = (living[0], living[1])
        let receipt = try fixture.enrol([replaced], [embeddings[5]], metadata: Self.metadata)
        #expect(receipt.outcome == .enrolled([.replaced]))
        #expect(try fixture.delete([deleted]).outcome == .deleted([.deleted]))
        let all = try fixture.search([embeddings[5]], limit: 1000).matches[0].map(\.faceID)
        #expect(all[0] == replaced)
        #expect(Set(all) == Set(living).subtracting([deleted]) && all.count == living.count - 1)
        let person = try fixture.search([embeddings[5]], limit: 1000, filter: FaceFilter(personIDs: ["person 1"]))
        #expect(Set(person.matches[0].map(\.faceID)) == Set(all.filter { $0.low % 10 == 1 }))
    }

    @Test func theMostDeadChunksGoFirstAndAStepMovesFewRows() throws {
        var options = Self.options
        options.evacuationRowLimit = 60
        let (fixture, _) = try filled(512, options: options)
        // 64, 100, 90 and 70 of the four chunks.
        for (chunk, dead) in [64, 100, 90, 70].enumerated() {
            try fixture.delete((0..<dead).map { FaceID(128 * chunk + $0) })
        }
        var left: [[UInt32]] = []
        var moved: [UInt64] = []
        while true {
            let fresh = try fixture.partition.statistics().freshCount
            guard try fixture.partition.maintain(now: Timestamp(milliseconds: 0)) != nil else { break }
            let chunks = try fixture.storedChunks()
            if chunks == left.last ?? [0, 1, 2, 3] { continue }
            left.append(chunks)
            moved.append(try fixture.partition.statistics().freshCount - fresh)
        }
        // 28 and 38 are more than 60 together; with 128 moved rows the first new chunk is full.
        #expect(left == [[0, 2, 3], [0, 3], [0], [4]], "\(moved)")
        #expect(moved == [28, 38, 58, 64])
    }

    /// A copy of the files between any two steps is what a crash leaves: it answers the same, and goes on to the end.
    @Test func aCrashBetweenAnyTwoStepsLosesNothing() throws {
        let (fixture, embeddings) = try filled(1300)
        var generator = SplitMix64(seed: testSeed)
        try fixture.delete((0..<1300).shuffled(using: &generator).prefix(760).map { FaceID($0) })
        let probes = [embeddings[1], embeddings[2]]
        let before = try answers(fixture, probes)
        var steps = 0
        while try fixture.partition.maintain(now: Timestamp(milliseconds: 0)) != nil {
            steps += 1
            let comment = Comment(rawValue: "seed \(testSeed), step \(steps)")
            #expect(try answers(fixture, probes) == before, comment)
            let crashed = try PartitionFixture(options: Self.options)
            crashed.partition.close()
            try FileManager.default.removeItem(atPath: "\(crashed.directory)/data.mdb")
            try FileManager.default.copyItem(
                atPath: "\(fixture.directory)/data.mdb",
                toPath: "\(crashed.directory)/data.mdb"
            )
            try crashed.reopen()
            #expect(try answers(crashed, probes) == before, comment)
            try crashed.settle()
            #expect(try answers(crashed, probes) == before, comment)
            try crashed.expectNoChunkIsHalfDead(comment)
        }
        #expect(steps > 5)
        try fixture.expectNoChunkIsHalfDead("settled")
        try fixture.expectSoundRuns("seed \(testSeed)")
    }

    /// Six times the collection is replaced: the rows take at most about twice what is alive.
    @Test func theRoomOfRowsIsBounded() throws {
        let (fixture, _) = try filled(2000)
        var source = FaceSource(dimension: 64)
        for _ in 0..<120 {
            let ids = Set((0..<100).map { _ in FaceID(Int.random(in: 0..<2000, using: &source.generator)) }).sorted()
            try fixture.enrol(ids, ids.map { _ in source.embedding() }, metadata: Self.metadata)
            try fixture.settle()
        }
        try fixture.expectNoChunkIsHalfDead("seed \(testSeed)")
        // Without moves nearly all of the 110 chunks that were filled have a live row.
        #expect(try fixture.storedChunks().count <= 2 * 2000 / 128 + 2)
        #expect(try fixture.partition.statistics().faceCount == 2000)
    }

    /// A chunk that fails its checksum is not copied: the copy would have a checksum of its own. Not even one that was
    /// found sound before.
    @Test func aDamagedChunkIsNotCopied() throws {
        let (fixture, embeddings) = try filled(300)
        fixture.partition.close()
        let values = try StoredValues(path: "\(fixture.directory)/data.mdb")
        try fixture.reopen()
        _ = try fixture.search([embeddings[0]], limit: 300)
        try fixture.delete((0..<64).map { FaceID($0) })
        let before = try fixture.partition.statistics()
        // A component of row 100.
        let offset = values.ranges["rows"]![0].lowerBound + RowChunk.headerByteCount + 100 * 128 + 7
        try values.flip(offset, 1)
        #expect { try fixture.settle() } throws: { error in (error as? PartitionError)?.isCorruption == true }
        let after = try fixture.partition.statistics()
        #expect(after.freshCount == before.freshCount && after.faceCount == before.faceCount)
        try fixture.reopen()
        #expect { try fixture.settle() } throws: { error in (error as? PartitionError)?.isCorruption == true }
        #expect(try fixture.partition.statistics().freshCount == before.freshCount)
        fixture.partition.close()
        try values.flip(offset, 1)
        try fixture.reopen()
        try fixture.settle()
        #expect(try fixture.storedChunks() == [1])
        #expect(try fixture.search([embeddings[100]]).matches[0][0].faceID == FaceID(100))
    }

    /// A row that leads to another face moves neither.
    @Test func aRowThatNamesAnotherFaceIsNotMoved() throws {
        let (fixture, _) = try filled(300)
        try fixture.delete((0..<64).map { FaceID($0) })
        fixture.partition.close()
        try fixture.change { tables, transaction in
            try FaceID(99).withKeyBytes { bytes in
                try transaction.put(tables.rowFaces, key: UInt32(100), value: bytes)
            }
        }
        try fixture.reopen()
        #expect { try fixture.settle() } throws: { error in (error as? PartitionError)?.isCorruption == true }
        #expect(try fixture.storedChunks() == [0, 1])
    }

    @Test func manyRunsAreMergedBeforeMoreRowsAreFolded() throws {
        var options = Self.options
        options.foldRowLimit = 128
        options.foldRunLimit = 4
        options.mergeRatio = 8
        let (fixture, embeddings) = try filled(40 * 128, options: options, hasCodebook: false)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        var mostRuns = 0
        while try fixture.partition.maintain(now: Timestamp(milliseconds: 0)) != nil {
            mostRuns = max(mostRuns, try fixture.partition.statistics().runCount)
        }
        #expect(mostRuns == 4)
        #expect(try fixture.partition.statistics().freshCount == 0)
        try fixture.expectSoundRuns("settled")
        #expect(try fixture.search([embeddings[9]], effort: .full).matches[0][0].faceID == FaceID(9))
    }
}

extension PartitionFixture {
    /// Numbers of the chunks of stored rows, which are those of the chunks of rounded ones; closes and opens the
    /// partition.
    fileprivate func storedChunks() throws -> [UInt32] {
        partition.close()
        var chunks: [UInt32] = []
        var rounded: [UInt32] = []
        try change { tables, transaction in
            try transaction.reading.forEach(in: tables.rows) { entry in
                chunks.append(entry.uint32Key!)
                return .next
            }
            try transaction.reading.forEach(in: tables.roundedRows) { entry in
                rounded.append(entry.uint32Key!)
                return .next
            }
        }
        try reopen()
        #expect(chunks == rounded)
        return chunks
    }

    /// Every folded chunk has more live rows than dead ones; closes and opens the partition.
    fileprivate func expectNoChunkIsHalfDead(_ comment: Comment) throws {
        let chunks = try storedChunks()
        partition.close()
        try change { tables, transaction in
            let state = try PartitionState(
                bytes: try #require(try transaction.reading.value(of: tables.meta, key: MetaKey.state))
            )
            var living: [UInt32: Int] = [:]
            try transaction.reading.forEach(in: tables.rowFaces) { entry in
                living[entry.uint32Key! / 128, default: 0] += 1
                return .next
            }
            for chunk in chunks where chunk < state.foldedRow / 128 {
                #expect(living[chunk, default: 0] > 64, "chunk \(chunk), \(comment)")
            }
        }
        try reopen()
    }
}
