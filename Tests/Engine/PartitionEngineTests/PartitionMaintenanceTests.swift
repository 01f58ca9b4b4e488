import FaceModel
import InvertedFileIndex
import LMDB
import PartitionEngine
import PartitionStore
import Testing
import VectorMath

struct PartitionMaintenanceTests {
    private func filled(_ count: Int, options: PartitionOptions = .small) throws -> (PartitionFixture, [[Float]]) {
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<count).map { _ in source.embedding() }
        try fixture.enrol((0..<count).map { FaceID($0) }, embeddings)
        return (fixture, embeddings)
    }

    @Test func nothingIsFoldedWithoutACodebook() throws {
        let (fixture, _) = try filled(600)
        #expect(try fixture.settle() == 0)
        let statistics = try fixture.partition.statistics()
        #expect(statistics.freshCount == 600 && statistics.runCount == 0 && statistics.codeByteCount == 0)
    }

    @Test func foldingTakesWholeChunksAndLeavesTheRestFresh() throws {
        var options = PartitionOptions.small
        options.mergeRatio = 0
        let (fixture, _) = try filled(700, options: options)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        // 640 rows lie in full chunks: two folds of the limit of 256 and one of the last 128.
        #expect(try fixture.settle() == 3)
        let statistics = try fixture.partition.statistics()
        #expect(statistics.freshCount == 60 && statistics.runCount == 3)
        #expect(try fixture.storedRuns().map { [$0.firstRow, $0.endRow] } == [[0, 256], [256, 512], [512, 640]])
    }

    /// A partition that has used nearly all of its row ids: 14 chunks wait, of which one is not gone.
    @Test func aFoldNearTheLastRowIDEndsWithTheRows() throws {
        var options = PartitionOptions.small
        options.foldRowLimit = 2048
        let (fixture, _) = try filled(128, options: options)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        fixture.partition.close()
        let (first, end) = (UInt32.max - 2047, UInt32.max - 255)
        try fixture.change { tables, transaction in
            let shape = RowChunk.Shape(dimension: 64, precision: .float16)
            let chunk = first / UInt32(RowChunk.rowCount)
            var rows = Array(try #require(try transaction.reading.value(of: tables.rows, key: UInt32(0))))
            rows.withUnsafeMutableBytes { RowChunk.seal($0, shape: shape, chunk: chunk) }
            try transaction.delete(tables.rows, key: UInt32(0))
            try transaction.put(tables.rows, key: chunk, value: rows)
            let piece = first / UInt32(TombstonePiece.rowCount)
            let place = Int(first) % TombstonePiece.rowCount
            let dead = place + RowChunk.rowCount..<place + Int(end - first)
            let tombstones = try TombstonePiece.marking(dead, in: nil, piece: piece)
            try transaction.put(tables.tombstones, key: piece, value: tombstones)
            let stored = try #require(try transaction.reading.value(of: tables.meta, key: MetaKey.state))
            var state = try PartitionState(bytes: stored)
            (state.foldedRow, state.nextRow, state.tombstoneCount) = (first, end, UInt64(dead.count))
            try transaction.put(tables.meta, key: MetaKey.state, value: state.encoded())
        }
        try fixture.reopen()
        #expect(try fixture.partition.maintain(now: Timestamp(milliseconds: 0), isIdle: true) == .fold)
        let statistics = try fixture.partition.statistics()
        #expect(statistics.freshCount == 0 && statistics.tombstoneCount == 0 && statistics.runCount == 1)
        #expect(try fixture.storedRuns().map { [$0.firstRow, $0.endRow, $0.rowCount] } == [[first, end, 128]])
    }

    /// A chunk that cannot be found has dead rows only; with a live one among them it is damage, which must not become
    /// a run without them.
    @Test(arguments: [false, true])
    func aChunkWithLiveRowsThatIsGoneIsDamage(isRecoded: Bool) throws {
        let (fixture, _) = try filled(512)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        if isRecoded {
            try fixture.settle()
            try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64, generation: 2))
        }
        // More than are lost: the count of the dead does not tell.
        try fixture.delete((300..<500).map { FaceID($0) })
        let before = try fixture.partition.statistics()
        fixture.partition.close()
        try fixture.change { tables, transaction in
            try transaction.delete(tables.rows, key: UInt32(0))
        }
        try fixture.reopen()
        let now = Timestamp(milliseconds: 0)
        #expect {
            _ = try isRecoded ? fixture.partition.recode() : fixture.partition.maintain(now: now) != nil
        } throws: { error in
            guard let error = error as? PartitionError, case .store(.missing(table: "rows", key: 0)) = error
            else { return false }
            return error.isCorruption
        }
        let after = try fixture.partition.statistics()
        #expect(after.freshCount == before.freshCount && after.olderRowCount == before.olderRowCount)
        #expect(after.runCount == before.runCount && after.tombstoneCount == before.tombstoneCount)
    }

    @Test func fewerRowsThanAFoldWait() throws {
        var options = PartitionOptions.small
        options.foldRowCount = 384
        options.foldRowLimit = 512
        let (fixture, embeddings) = try filled(383, options: options)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        #expect(try fixture.settle() == 0)
        try fixture.enrol([FaceID(383)], [embeddings[0]])
        #expect(try fixture.settle() == 1)
        #expect(try fixture.partition.statistics().freshCount == 0)
    }

    /// Random enrolment and deletion with maintenance in between; then every folded living row must be in one run.
    @Test func runsHoldEveryFoldedLivingRowOnce() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        var runCounts: Set<Int> = []
        for round in 0..<60 {
            let ids = (0..<Int.random(in: 1...120, using: &source.generator)).map { _ in
                FaceID(Int.random(in: 0..<1500, using: &source.generator))
            }
            try fixture.enrol(ids, ids.map { _ in source.embedding() })
            let dead = (0..<Int.random(in: 0...60, using: &source.generator)).map { _ in
                FaceID(Int.random(in: 0..<1500, using: &source.generator))
            }
            try fixture.delete(dead)
            for _ in 0..<Int.random(in: 0...4, using: &source.generator) {
                _ = try fixture.partition.maintain(now: Timestamp(milliseconds: 0))
            }
            runCounts.insert(try fixture.partition.statistics().runCount)
            if round % 10 == 9 { try fixture.expectSoundRuns("seed \(testSeed), round \(round)") }
        }
        try fixture.settle()
        try fixture.expectSoundRuns("seed \(testSeed), settled")
        #expect(runCounts.count > 3)
    }

    @Test func neighbouringRunsOfOneSizeAreMerged() throws {
        var options = PartitionOptions.small
        options.foldRowLimit = 128
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        for fold in 1...16 {
            let ids = (0..<128).map { FaceID(128 * fold + $0) }
            try fixture.enrol(ids, ids.map { _ in source.embedding() })
            try fixture.settle()
            // Merging two runs of a size into one counts in binary.
            #expect(try fixture.partition.statistics().runCount == fold.nonzeroBitCount, "fold \(fold)")
        }
        let runs = try fixture.storedRuns()
        #expect(runs.map(\.rowCount) == [2048])
    }

    @Test func compactionForgetsTheDead() throws {
        var options = PartitionOptions.small
        options.compactionDeadShare = 0
        let (fixture, embeddings) = try filled(1024, options: options)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        #expect(try fixture.partition.statistics().freshCount == 0)
        let dead = stride(from: 0, to: 1024, by: 3).map { FaceID($0) }
        try fixture.delete(dead)
        #expect(try fixture.partition.statistics().tombstoneCount == UInt64(dead.count))
        let before = try fixture.search(Array(embeddings[..<9]), limit: 20, effort: .full).found
        #expect(try fixture.settle() > 0)
        let statistics = try fixture.partition.statistics()
        #expect(statistics.tombstoneCount == 0)
        #expect(statistics.faceCount == UInt64(1024 - dead.count))
        #expect(try fixture.storedRuns().reduce(0) { $0 + Int($1.rowCount) } == 1024 - dead.count)
        #expect(try fixture.search(Array(embeddings[..<9]), limit: 20, effort: .full).found == before)
    }

    @Test func deletingEverythingLeavesNoRunAndNoStoredRow() throws {
        let (fixture, embeddings) = try filled(1024)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        try fixture.delete((0..<1024).map { FaceID($0) })
        try fixture.settle()
        let statistics = try fixture.partition.statistics()
        #expect(statistics.faceCount == 0 && statistics.tombstoneCount == 0 && statistics.runCount == 0)
        #expect(statistics.codeByteCount == 0 && statistics.rowByteCount == 0)
        for effort in [SearchEffort.exact, .full, .recall(0.9)] {
            #expect(try fixture.search([embeddings[0]], effort: effort).found == [[]])
        }
        // The emptied partition goes on.
        try fixture.enrol((0..<300).map { FaceID($0) }, Array(embeddings[..<300]))
        try fixture.settle()
        try fixture.reopen()
        #expect(try fixture.search([embeddings[7]], effort: .full).matches[0][0].faceID == FaceID(7))
        try fixture.expectSoundRuns("after all was deleted")
    }

    @Test func deadEmbeddingsAreOverwritten() throws {
        let (fixture, embeddings) = try filled(256)
        // 32 of the first chunk and none of the second.
        let dead = (0..<32).map { FaceID($0) }
        try fixture.delete(dead)
        #expect(try fixture.settle() > 0)
        #expect(try fixture.settle() == 0)
        #expect(try fixture.overwrittenRows(ofChunk: 0) == Array(0..<32))
        #expect(try fixture.overwrittenRows(ofChunk: 1) == [])
        fixture.partition.close()
        try fixture.change { tables, transaction in
            let shape = RowChunk.Shape(dimension: 64, precision: .float16)
            for chunk in UInt32(0)..<2 {
                let bytes = try #require(try transaction.reading.value(of: tables.rows, key: chunk))
                let view = try RowChunk(bytes, shape: shape)
                try view.verify(chunk: chunk)
                let roundedBytes = try #require(try transaction.reading.value(of: tables.roundedRows, key: chunk))
                let rounded = try RoundedRowChunk(roundedBytes, dimension: 64)
                try rounded.verify(chunk: chunk)
                for row in 0..<128 {
                    let isDead = chunk == 0 && row < 32
                    let isZero = view.rows[row * 128..<(row + 1) * 128].allSatisfy { $0 == 0 }
                    #expect(isZero == isDead, "chunk \(chunk), row \(row)")
                    let isRoundedZero = rounded.rows[row * 64..<(row + 1) * 64].allSatisfy { $0 == 0 }
                    #expect(isRoundedZero == isDead, "chunk \(chunk), row \(row)")
                    #expect((rounded.scales[row] == 0) == isDead && (rounded.norms[row] == 0) == isDead)
                }
            }
        }
        try fixture.reopen()
        #expect(try fixture.search([embeddings[40]], limit: 1).matches[0][0].faceID == FaceID(40))
        #expect(try fixture.search([embeddings[3]], limit: 256).matches[0].count == 224)
    }

    @Test func aChunkIsOverwrittenAgainOnceAnEighthOfItHasDiedSince() throws {
        let (fixture, _) = try filled(256)
        try fixture.delete((0..<16).map { FaceID($0) })
        #expect(try fixture.settle() == 1)
        try fixture.delete((16..<31).map { FaceID($0) })
        #expect(try fixture.settle() == 0)
        // What was overwritten is found again when nothing is remembered.
        try fixture.reopen()
        #expect(try fixture.settle() == 0)
        try fixture.delete([FaceID(31)])
        #expect(try fixture.settle() == 1)
        #expect(try fixture.settle() == 0)
        #expect(try fixture.overwrittenRows(ofChunk: 0) == Array(0..<32))
    }

    @Test func theFileSaysWhatOfItIsFree() throws {
        let (fixture, _) = try filled(1024)
        let full = try fixture.partition.fileUse()
        #expect(full.usedByteCount > full.freeByteCount + 1024 * 64 * 2)
        try fixture.delete((0..<1024).map { FaceID($0) })
        try fixture.settle()
        let empty = try fixture.partition.fileUse()
        #expect(empty.usedByteCount >= full.usedByteCount)
        #expect(empty.freeByteCount > full.freeByteCount + 1024 * 64 * 2)
    }

    @Test func expiryIsSeenBeforeItIsCarriedOut() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<3000).map { _ in source.embedding() }
        try fixture.enrol((0..<3000).map { FaceID($0) }, embeddings) { id in
            FaceMetadata(expires: id.low % 2 == 0 ? Timestamp(milliseconds: 100) : nil)
        }
        #expect(try fixture.search([embeddings[0]], now: Timestamp(milliseconds: 99)).matches[0][0].faceID == FaceID(0))
        let later = try fixture.search([embeddings[0]], limit: 1000, now: Timestamp(milliseconds: 100))
        #expect(later.matches[0].allSatisfy { $0.faceID.low % 2 == 1 })
        #expect(try fixture.settle(now: Timestamp(milliseconds: 99)) == 0)
        #expect(try fixture.partition.statistics().faceCount == 3000)
        try fixture.settle(now: Timestamp(milliseconds: 100))
        #expect(try fixture.partition.statistics().faceCount == 1500)
        #expect(
            try fixture.partition.faces([FaceID(0), FaceID(1)], includesEmbeddings: false).map(\.id) == [FaceID(1)]
        )
        let sequence = fixture.partition.committedSequence
        try fixture.reopen()
        #expect(fixture.partition.committedSequence == sequence)
        #expect(try fixture.delete([FaceID(0), FaceID(1)]).outcome == .deleted([.absent, .deleted]))
    }

    @Test func aReplacedFaceDoesNotExpireAsItsOldSelf() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embedding = source.embedding()
        try fixture.enrol([FaceID(1)], [source.embedding()]) { _ in
            FaceMetadata(expires: Timestamp(milliseconds: 100))
        }
        try fixture.enrol([FaceID(1)], [embedding])
        #expect(try fixture.settle(now: Timestamp(milliseconds: 1000)) == 0)
        #expect(try fixture.search([embedding], now: Timestamp(milliseconds: 1000)).matches[0].count == 1)
    }

    @Test func samplesAreOfLivingFacesAndFollowTheSeed() throws {
        let (fixture, embeddings) = try filled(500)
        try fixture.delete((0..<400).map { FaceID($0) })
        let living = Set(embeddings[400...].map { $0.map { Float(Float16($0)) } })
        let sample = try fixture.partition.sample(count: 50, seed: 1)
        #expect(sample.rowCount == 50 && sample.dimension == 64)
        #expect((0..<50).allSatisfy { living.contains(Array(sample.row($0))) })
        #expect(try fixture.partition.sample(count: 50, seed: 1).values == sample.values)
        #expect(try fixture.partition.sample(count: 50, seed: 2).values != sample.values)
        #expect(try fixture.partition.sample(count: 0, seed: 1).rowCount == 0)
        // All there are, when more are asked for, and each once.
        let all = try fixture.partition.sample(count: 300, seed: 3)
        #expect(Set((0..<all.rowCount).map { Array(all.row($0)) }) == living && all.rowCount == 100)
        try fixture.delete((400..<500).map { FaceID($0) })
        #expect(try fixture.partition.sample(count: 50, seed: 1).rowCount == 0)
    }

    /// However often the faces have been replaced: pages have no row in common, and together are a fair sample.
    @Test func pagesOfASampleHaveEachFaceOnce() throws {
        let (fixture, _) = try filled(300)
        var source = FaceSource(dimension: 64)
        var living: [[Float]] = []
        for _ in 0..<30 {
            living = (0..<300).map { _ in source.embedding() }
            try fixture.enrol((0..<300).map { FaceID($0) }, living)
        }
        let numbers = Dictionary(
            living.enumerated().map { ($1.map { Float(Float16($0)) }, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        func sample(of total: Int, pageOf count: Int, seed: UInt64) throws -> [Int] {
            var (drawn, first): ([Int], UInt32?) = ([], 0)
            while let row = first {
                let page = try fixture.partition.samplePage(count: count, of: total, seed: seed, from: row)
                #expect(page.embeddings.rowCount <= count && (page.next ?? .max) > row)
                drawn += try (0..<page.embeddings.rowCount).map {
                    try #require(numbers[Array(page.embeddings.row($0))], "a face that is gone")
                }
                first = page.next
            }
            return drawn
        }
        for (total, count) in [(300, 7), (1000, 64), (100, 13), (100, 1)] {
            var frequency = [Int](repeating: 0, count: 300)
            for seed in 0..<UInt64(20) {
                let drawn = try sample(of: total, pageOf: count, seed: seed)
                #expect(Set(drawn).count == drawn.count, "a face twice")
                // Six deviations.
                let expected = min(300, total)
                #expect(abs(drawn.count - expected) <= (total >= 300 ? 0 : 50), "\(drawn.count) of \(total)")
                #expect(try sample(of: total, pageOf: count + 3, seed: seed) == drawn, "pages of another size")
                for face in drawn { frequency[face] += 1 }
            }
            if total < 300 { #expect(frequency.max()! <= 17 && frequency.count { $0 == 0 } <= 5) }
        }
    }

    /// What the codebook may have been trained on is not new to it.
    @Test func rowsBeforeTheCodebookAreNotThoseThatCameSince() throws {
        var options = PartitionOptions.small
        options.foldRowCount = 128
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        func enrol(_ numbers: Range<Int>) throws {
            try fixture.enrol(numbers.map { FaceID($0) }, numbers.map { _ in source.embedding() })
        }
        func fit() throws -> CodebookFit { try #require(try fixture.partition.statistics().fit) }
        try enrol(0..<640)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        #expect(try fit().recentRowCount == 0)
        try fixture.settle()
        #expect(try fit().recentRowCount == 0, "the backlog")
        try enrol(640..<1280)
        try fixture.settle()
        let since = try fit().recentRowCount
        #expect(since > 400 && since <= 640)
        try fixture.reopen()
        #expect(try fit().recentRowCount == since)
    }
}

extension PartitionFixture {
    /// Reads the closed partition's runs and compares them with its faces.
    func expectSoundRuns(_ comment: String) throws {
        let faceCount = try partition.statistics().faceCount
        let tombstoneCount = try partition.statistics().tombstoneCount
        partition.close()
        defer { try? reopen() }
        try change { tables, transaction in
            let state = try PartitionState(
                bytes: try #require(try transaction.reading.value(of: tables.meta, key: MetaKey.state))
            )
            var living: Set<UInt32> = []
            try transaction.reading.forEach(in: tables.rowFaces) { entry in
                living.insert(entry.uint32Key!)
                return .next
            }
            #expect(living.count == Int(faceCount), "\(comment)")
            var held: [UInt32] = []
            var runs: [RunManifest] = []
            try transaction.reading.forEach(in: tables.runs) { entry in
                runs.append(try RunManifest(bytes: entry.value, run: entry.uint32Key!))
                return .next
            }
            // What is coded again repeats rows of the run that it will replace.
            let pending = try pendingRuns(tables, transaction.reading)
            for manifest in runs where !pending.contains(manifest.run) {
                let ids = try rows(of: manifest, tables, transaction.reading)
                #expect(ids.allSatisfy { $0 >= manifest.firstRow && $0 < manifest.endRow }, "\(comment)")
                held += ids
            }
            #expect(Set(held).count == held.count, "a row is in two runs: \(comment)")
            #expect(living.filter { $0 < state.foldedRow }.isSubset(of: held), "\(comment)")
            let deadInRuns = held.filter { !living.contains($0) }.count
            let deadFresh = Int(state.nextRow - state.foldedRow) - living.filter { $0 >= state.foldedRow }.count
            #expect(Int(tombstoneCount) == deadInRuns + deadFresh, "\(comment)")
            // No chunk is left of runs that are gone, but of those that are to be removed.
            var looseCount = 0
            for run in try looseRuns(tables, transaction.reading) {
                #expect(!runs.contains { $0.run == run }, "\(comment)")
                try transaction.reading.forEach(in: tables.codes, .prefix(run)) { _ in
                    looseCount += 1
                    return .next
                }
            }
            #expect(
                try transaction.reading.count(of: tables.codes) == runs.reduce(looseCount) { $0 + Int($1.chunkCount) },
                "\(comment)"
            )
        }
    }

    private func pendingRuns(
        _ tables: PartitionTables,
        _ transaction: borrowing ReadTransaction
    ) throws -> [UInt32] {
        guard let bytes = try transaction.value(of: tables.meta, key: MetaKey.recoding) else { return [] }
        return try RecodingRecord(bytes: bytes).pendingRuns
    }

    private func looseRuns(
        _ tables: PartitionTables,
        _ transaction: borrowing ReadTransaction
    ) throws -> [UInt32] {
        guard let bytes = try transaction.value(of: tables.meta, key: MetaKey.looseRuns) else { return [] }
        return try LooseRunsRecord(bytes: bytes).runs
    }

    /// The runs of the partition, by first row; closes and opens it.
    func storedRuns() throws -> [RunManifest] {
        partition.close()
        var runs: [RunManifest] = []
        try change { tables, transaction in
            try transaction.reading.forEach(in: tables.runs) { entry in
                runs.append(try RunManifest(bytes: entry.value, run: entry.uint32Key!))
                return .next
            }
        }
        try reopen()
        return runs.sorted { $0.firstRow < $1.firstRow }
    }

    /// Row ids of a run, list by list; each chunk is verified.
    func rows(
        of manifest: RunManifest,
        _ tables: PartitionTables,
        _ transaction: borrowing ReadTransaction
    ) throws -> [UInt32] {
        var rows: [UInt32] = []
        for list in 0..<manifest.listCount {
            for slot in manifest.firstSlots[list]..<manifest.firstSlots[list] + manifest.listRowCounts[list] {
                let key = CodeChunkKey(run: manifest.run, chunk: slot / UInt32(CodeChunk.slotCount))
                let bytes = try #require(try transaction.value(of: tables.codes, key: key))
                // One segment of four bits a component: four planes.
                let chunk = try CodeChunk(bytes, planeCount: 4, key: key)
                try chunk.verify(key)
                rows.append(
                    VectorKernels.slot(Int(slot) % CodeChunk.slotCount, records: chunk.records, planeCount: 4).rowID
                )
            }
        }
        return rows
    }
}

extension PartitionFixture {
    /// Rows of a chunk whose bytes are all zero; the chunk is sound.
    fileprivate func overwrittenRows(ofChunk chunk: UInt32) throws -> [Int] {
        partition.close()
        var rows: [Int] = []
        try change { tables, transaction in
            let shape = RowChunk.Shape(dimension: 64, precision: .float16)
            let bytes = try #require(try transaction.reading.value(of: tables.rows, key: chunk))
            let view = try RowChunk(bytes, shape: shape)
            try view.verify(chunk: chunk)
            rows = (0..<128).filter { row in view.rows[row * 128..<(row + 1) * 128].allSatisfy { $0 == 0 } }
        }
        try reopen()
        return rows
    }
}
