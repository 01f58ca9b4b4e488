import FaceModel
import LMDB
import PartitionEngine
import PartitionStore
import Testing

/// A second codebook beside the first, and the way from one to the other.
struct PartitionGenerationTests {
    /// Every candidate is compared in full, so that a scan of all codes finds what comparing all rows does.
    private static var options: PartitionOptions {
        var options = PartitionOptions.small
        options.candidateFloor = 4000
        options.recodeRowLimit = 256
        return options
    }

    /// 1024 faces in runs of generation 1 and 300 that came later.
    private func grown(options: PartitionOptions = Self.options) throws -> (PartitionFixture, [[Float]]) {
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<1324).map { _ in source.embedding() }
        try fixture.enrol((0..<1024).map { FaceID($0) }, Array(embeddings[..<1024]))
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        try fixture.enrol((1024..<1324).map { FaceID($0) }, Array(embeddings[1024...]))
        return (fixture, embeddings)
    }

    private func installSecond(in fixture: PartitionFixture) throws {
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64, generation: 2, listCount: 23))
    }

    private func generations(_ fixture: PartitionFixture) throws -> [UInt32] {
        try fixture.storedRuns().map(\.generation)
    }

    @Test func newRunsAreOfTheNewestAndOldOnesAreSearchedAsBefore() throws {
        let (fixture, embeddings) = try grown()
        try installSecond(in: fixture)
        // Until something is folded, all codes are of the first.
        #expect(try fixture.search([embeddings[5]], effort: .full).generation == 1)
        try fixture.settle()
        let statistics = try fixture.partition.statistics()
        #expect(statistics.generation == 2 && statistics.olderGeneration == 1 && statistics.olderRowCount == 1024)
        #expect(try Set(generations(fixture)) == [1, 2])
        let probes = stride(from: 0, to: 1324, by: 41).map { embeddings[$0] }
        let exact = try fixture.search(probes, limit: 10).found
        let full = try fixture.search(probes, limit: 10, effort: .full)
        #expect(full.found == exact)
        // The oldest that was scanned.
        #expect(full.generation == 1)
        // All lists of both: 16 and 23.
        #expect(full.listsVisited == UInt64(probes.count * 39))
        #expect(full.facesAnswered == 1324)
        #expect(try fixture.search([embeddings[5]], effort: .exact).generation == 0)
        let recalled = try fixture.search(probes, limit: 1, effort: .recall(0.999))
        #expect(recalled.found == exact.map { Array($0.prefix(1)) })
    }

    /// Stops and starts again after every single step.
    @Test func rowsAreCodedAgainStepByStepWhereverItIsCutShort() throws {
        let (fixture, embeddings) = try grown()
        try installSecond(in: fixture)
        try fixture.settle()
        let probes = stride(from: 0, to: 1324, by: 29).map { embeddings[$0] }
        let exact = try fixture.search(probes, limit: 10).found
        var waiting = [try fixture.partition.statistics().olderRowCount]
        var steps = 0
        while try fixture.partition.recode() {
            steps += 1
            try fixture.expectSoundRuns("step \(steps)")
            try fixture.reopen()
            let answer = try fixture.search(probes, limit: 10, effort: .full)
            #expect(answer.found == exact, "step \(steps)")
            // The older codes are scanned until their run has been replaced.
            #expect(try answer.generation == generations(fixture).min(), "step \(steps)")
            waiting.append(try fixture.partition.statistics().olderRowCount)
            try #require(steps < 100)
        }
        // Four slices of 256 rows, at least one run put in another's place, and the codebook's removal.
        #expect(steps >= 6)
        #expect(zip(waiting, waiting.dropFirst()).allSatisfy { $0 >= $1 } && Set(waiting).count > 4)
        let statistics = try fixture.partition.statistics()
        #expect(statistics.generation == 2 && statistics.olderGeneration == 0 && statistics.olderRowCount == 0)
        #expect(try Set(generations(fixture)) == [2])
        fixture.partition.close()
        try fixture.change { tables, transaction in
            let hasOlder = try transaction.reading.contains(tables.meta, key: MetaKey.olderCodebook)
            let isRecoding = try transaction.reading.contains(tables.meta, key: MetaKey.recoding)
            #expect(!hasOlder && !isRecoding)
        }
        try fixture.reopen()
        #expect(try fixture.search(probes, limit: 10, effort: .full).found == exact)
        // Merging goes on as if there had never been another.
        try fixture.settle()
        try fixture.expectSoundRuns("merged")
        #expect(try fixture.search(probes, limit: 10, effort: .full).found == exact)
    }

    @Test func facesComeAndGoWhileRowsAreCodedAgain() throws {
        var options = Self.options
        options.recodeRowLimit = 128
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        var embeddings: [FaceID: [Float]] = [:]
        var newest: UInt32 = 1
        for round in 0..<60 {
            let ids = (0..<Int.random(in: 1...150, using: &source.generator)).map { _ in
                FaceID(Int.random(in: 0..<2000, using: &source.generator))
            }
            for id in ids { embeddings[id] = source.embedding() }
            try fixture.enrol(ids, ids.map { embeddings[$0]! })
            let dead = (0..<Int.random(in: 0...90, using: &source.generator)).map { _ in
                FaceID(Int.random(in: 0..<2000, using: &source.generator))
            }
            try fixture.delete(dead)
            for id in dead { embeddings[id] = nil }
            for _ in 0..<Int.random(in: 0...4, using: &source.generator) {
                if Bool.random(using: &source.generator) {
                    _ = try fixture.partition.maintain(now: Timestamp(milliseconds: 0))
                } else {
                    _ = try fixture.partition.recode()
                }
            }
            if round % 5 == 4 {
                try fixture.expectSoundRuns("seed \(testSeed), round \(round)")
                let probes = (0..<5).map { _ in source.embedding() }
                let exact = try fixture.search(probes, limit: 7).found
                let full = try fixture.search(probes, limit: 7, effort: .full).found
                #expect(full == exact, "seed \(testSeed), round \(round)")
                if try fixture.partition.statistics().olderGeneration == 0 {
                    newest += 1
                    try fixture.partition.install(
                        codebook: FaceSource.codebook(dimension: 64, generation: newest, listCount: 11)
                    )
                }
            }
        }
        #expect(newest > 2, "seed \(testSeed)")
        while try fixture.partition.recode() {}
        try fixture.settle()
        try fixture.expectSoundRuns("seed \(testSeed), settled")
        #expect(try fixture.partition.statistics().faceCount == UInt64(embeddings.count))
        #expect(try Set(generations(fixture)) == [newest])
    }

    @Test func aRunWhoseFacesAreAllGoneIsDroppedAndItsCodebookWithIt() throws {
        let (fixture, embeddings) = try grown()
        try installSecond(in: fixture)
        try fixture.settle()
        _ = try fixture.partition.recode()
        try fixture.delete((0..<1324).map { FaceID($0) })
        while try fixture.partition.recode() {}
        try fixture.settle()
        try fixture.expectSoundRuns("all deleted")
        let statistics = try fixture.partition.statistics()
        // Rows of the chunk that was not full were in no run.
        #expect(statistics.olderGeneration == 0 && statistics.runCount == 0)
        #expect(statistics.tombstoneCount == statistics.freshCount && statistics.freshCount < 128)
        #expect(try fixture.search([embeddings[0]], effort: .full).found == [[]])
    }

    @Test func oneAfterTheOther() throws {
        let (fixture, _) = try grown()
        let second = try FaceSource.codebook(dimension: 64, generation: 2)
        let third = try FaceSource.codebook(dimension: 64, generation: 3)
        try fixture.partition.install(codebook: second)
        try fixture.partition.install(codebook: second)
        func conflict(_ codebook: [UInt8], installed: UInt32, offered: UInt32) {
            #expect {
                try fixture.partition.install(codebook: codebook)
            } throws: { error in
                guard case PartitionError.generationConflict(installed, offered) = error else { return false }
                return true
            }
        }
        // There are codes of two already, and the first does not come back.
        conflict(third, installed: 2, offered: 3)
        conflict(try FaceSource.codebook(dimension: 64, generation: 1), installed: 2, offered: 1)
        while try fixture.partition.recode() {}
        conflict(try FaceSource.codebook(dimension: 64, generation: 1), installed: 2, offered: 1)
        try fixture.partition.install(codebook: third)
        #expect(try fixture.partition.statistics().generation == 3)
        #expect(try fixture.partition.statistics().olderGeneration == 2)
    }

    @Test func withoutARunNothingOldIsKept() throws {
        let fixture = try PartitionFixture(options: Self.options)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try installSecond(in: fixture)
        let statistics = try fixture.partition.statistics()
        #expect(statistics.generation == 2 && statistics.olderGeneration == 0)
        #expect(try !fixture.partition.recode())
        try fixture.reopen()
        #expect(try fixture.partition.statistics().generation == 2)
    }

    @Test func anOlderCodebookThatIsNotOlderIsCorruption() throws {
        let fixture = try PartitionFixture(options: Self.options)
        let codebook = try FaceSource.codebook(dimension: 64)
        try fixture.partition.install(codebook: codebook)
        fixture.partition.close()
        try fixture.change { tables, transaction in
            try transaction.put(tables.meta, key: MetaKey.olderCodebook, value: codebook)
        }
        #expect { try Partition.open(at: fixture.directory, options: .small) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
    }

    @Test func aRunWhoseCodebookIsGoneIsCorruption() throws {
        let (fixture, embeddings) = try grown()
        try installSecond(in: fixture)
        fixture.partition.close()
        try fixture.change { tables, transaction in
            try transaction.delete(tables.meta, key: MetaKey.olderCodebook)
        }
        try fixture.reopen()
        #expect { try fixture.search([embeddings[0]], effort: .full) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
        #expect(try fixture.search([embeddings[0]]).matches[0][0].faceID == FaceID(0))
    }

    // MARK: Fit

    private static let wide = 512

    /// A partition of wide embeddings with a codebook of 384 of their components.
    private func wide() throws -> (PartitionFixture, FaceSource) {
        var options = Self.options
        options.foldRowLimit = 1024
        let fixture = try PartitionFixture(dimension: Self.wide, options: options)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: Self.wide))
        return (fixture, FaceSource(dimension: Self.wide, seed: testSeed &+ 3))
    }

    private func enrol(_ embeddings: [[Float]], from first: Int, in fixture: PartitionFixture) throws {
        try fixture.enrol((first..<first + embeddings.count).map { FaceID($0) }, embeddings)
        try fixture.settle()
    }

    @Test func withoutACodebookThereIsNoFit() throws {
        let fixture = try PartitionFixture(options: Self.options)
        #expect(try fixture.partition.statistics().fit == nil)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        #expect(try fixture.partition.statistics().fit == .unknown)
    }

    @Test func facesLikeThoseOfTheSampleFit() throws {
        var (fixture, source) = try wide()
        try enrol((0..<2048).map { _ in source.embedding() }, from: 0, in: fixture)
        try fixture.reopen()
        let fit = try #require(try fixture.partition.statistics().fit)
        #expect(fit.recentRowCount == 2048)
        // A sample of 1024 rows says more of itself than of others: what is expected of others allows for it.
        #expect(fit.energyRatio > 0.85 && fit.energyRatio < 1.4, "\(fit), seed \(testSeed)")
        #expect(fit.imbalanceRatio > 0.3 && fit.imbalanceRatio < 1.6, "\(fit), seed \(testSeed)")
    }

    @Test func facesOfAnotherKindLoseEnergy() throws {
        var (fixture, source) = try wide()
        try enrol((0..<1024).map { _ in source.embedding() }, from: 0, in: fixture)
        let before = try #require(try fixture.partition.statistics().fit)
        // Most of their energy lies where the sample has least.
        try enrol((0..<1024).map { _ in Array(source.embedding().reversed()) }, from: 1024, in: fixture)
        let after = try #require(try fixture.partition.statistics().fit)
        #expect(after.recentRowCount == 2048)
        #expect(after.energyRatio < before.energyRatio - 0.1, "\(before), \(after), seed \(testSeed)")
    }

    @Test func manyImagesOfOnePersonMakeListsUneven() throws {
        let fixture = try PartitionFixture(options: Self.options)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        var source = FaceSource(dimension: 64, seed: testSeed &+ 4)
        try enrol((0..<512).map { _ in source.embedding() }, from: 0, in: fixture)
        let before = try #require(try fixture.partition.statistics().fit)
        let person = source.embedding()
        try enrol((0..<1024).map { _ in source.image(of: person, noise: 0.2) }, from: 512, in: fixture)
        let after = try #require(try fixture.partition.statistics().fit)
        #expect(after.imbalanceRatio > 3 * before.imbalanceRatio, "\(before), \(after), seed \(testSeed)")
    }

    /// What is folded first may be the images of one person; only all of a shard's rows compare with the sample.
    @Test func theFirstFoldedRowsDoNotSpeakOfTheLists() throws {
        var options = Self.options
        options.foldRowLimit = 256
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64, seed: testSeed &+ 5)
        let person = source.embedding()
        let embeddings =
            (0..<512).map { _ in source.image(of: person, noise: 0.2) } + (0..<1024).map { _ in source.embedding() }
        try fixture.enrol((0..<embeddings.count).map { FaceID($0) }, embeddings)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        #expect(try fixture.partition.maintain(now: Timestamp(milliseconds: 0)) != nil)
        let first = try fixture.partition.statistics()
        #expect(first.freshCount > 1024 && first.fit?.imbalanceRatio == 1, "\(first)")
        try fixture.settle()
        let all = try #require(try fixture.partition.statistics().fit)
        #expect(all.imbalanceRatio > 2, "\(all), seed \(testSeed)")
    }

    /// What spoke for the second codebook does not speak for a third.
    @Test func aNewCodebookStartsWithACleanSlate() throws {
        let (fixture, _) = try grown()
        #expect(try fixture.partition.statistics().fit?.recentRowCount == 0, "those of before the codebook")
        var source = FaceSource(dimension: 64, seed: testSeed &+ 6)
        try enrol((0..<512).map { _ in source.embedding() }, from: 2000, in: fixture)
        // Some of the last are in no full chunk yet.
        #expect(try #require(try fixture.partition.statistics().fit).recentRowCount >= 512)
        try installSecond(in: fixture)
        #expect(try fixture.partition.statistics().fit == .unknown)
        // Rows that are coded again are not new.
        while try fixture.partition.recode() {}
        #expect(try fixture.partition.statistics().fit?.recentRowCount == 0)
        try fixture.settle()
        #expect(try fixture.partition.statistics().fit?.recentRowCount == 0)
        try enrol((0..<512).map { _ in source.embedding() }, from: 3000, in: fixture)
        let since = try #require(try fixture.partition.statistics().fit).recentRowCount
        #expect(since > 400 && since <= 512)
    }

    @Test func whatCodesAndMemoryAreMadeOfIsCounted() throws {
        let fixture = try PartitionFixture(options: Self.options)
        var source = FaceSource(dimension: 64)
        try fixture.enrol((0..<1024).map { FaceID($0) }, (0..<1024).map { _ in source.embedding() })
        let before = try fixture.partition.statistics()
        #expect(before.runCount == 0 && before.codeChunkCount == 0)
        #expect(before.codebookByteCount == 0 && before.filterByteCount == 0)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        let first = try fixture.partition.statistics()
        #expect(first.runCount > 0 && first.codeChunkCount >= first.runCount)
        // A projection alone has 64 times 128 components of 4 bytes.
        #expect(first.codebookByteCount > 4 * 64 * 128)
        try installSecond(in: fixture)
        #expect(try fixture.partition.statistics().codebookByteCount > 3 * first.codebookByteCount / 2)
        _ = try fixture.search([source.embedding()], filter: FaceFilter(createdFrom: Timestamp(milliseconds: 0)))
        // One bit for each row.
        #expect(try fixture.partition.statistics().filterByteCount == 1024 / 8)
    }
}
