import FaceModel
import Foundation
import LMDB
import PartitionEngine
import PartitionStore
import Testing
import VectorMath

/// Merges that take many commits: between any two of them the partition is whole, and answers as ever.
struct PartitionMergeTests {
    /// Runs of 80 lists, which fill more than one chunk, merged a few rows at a time.
    private static var options: PartitionOptions {
        var options = PartitionOptions.small
        // Every row is a candidate, so that codes decide nothing.
        options.candidateFloor = 100_000
        options.foldRowLimit = 128
        options.mergeRowLimit = 60
        options.chunkRemovalLimit = 1
        return options
    }

    private static let now = Timestamp(milliseconds: 0)

    private static func codebook(_ generation: UInt32) throws -> [UInt8] {
        try FaceSource.codebook(dimension: 64, generation: generation, listCount: 80)
    }

    /// Two runs of 128 rows that are not merged yet.
    private func twoRuns() throws -> (PartitionFixture, [[Float]]) {
        var options = Self.options
        options.mergeRatio = 0
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<300).map { _ in source.embedding() }
        try fixture.partition.install(codebook: Self.codebook(1))
        try fixture.enrol((0..<300).map { FaceID($0) }, embeddings)
        try fixture.settle()
        #expect(try fixture.partition.statistics().runCount == 2)
        fixture.options.mergeRatio = 1
        try fixture.reopen()
        return (fixture, embeddings)
    }

    @Test func writesFoldsAndSearchesGoOnBetweenTheSlicesOfAMerge() throws {
        let fixture = try PartitionFixture(options: Self.options)
        var model = PartitionModel(precision: .float16)
        var source = FaceSource(dimension: 64)
        try fixture.partition.install(codebook: Self.codebook(1))
        /// What was seen of merges that were under way.
        var (sliceCount, foldCount, looseCount, mostChunks) = (0, 0, 0, 0)
        var wasUnderWay = false
        for round in 0..<40 {
            let comment = "seed \(testSeed), round \(round)"
            let ids = (0..<Int.random(in: 1...150, using: &source.generator)).map { _ in
                FaceID(Int.random(in: 0..<1500, using: &source.generator))
            }
            let dead = (0..<Int.random(in: 0...80, using: &source.generator)).map { _ in
                FaceID(Int.random(in: 0..<1500, using: &source.generator))
            }
            let batches = [
                fixture.enrolment(ids, ids.map { _ in source.embedding() }),
                WriteBatch(key: fixture.nextKey(), operation: .delete(dead)),
            ]
            #expect(try fixture.partition.write(batches, epoch: 1) == model.write(batches, epoch: 1))
            for _ in 0..<Int.random(in: 0...24, using: &source.generator) {
                let before = try fixture.partition.statistics().codeChunkCount
                guard let step = try fixture.partition.maintain(now: Self.now) else { break }
                let chunkCount = try fixture.partition.statistics().codeChunkCount
                if step == .merge {
                    // A slice of 60 rows, and slots without a row up to as many again, fill a chunk at most.
                    #expect((before - 1...before + 2).contains(chunkCount), "\(comment)")
                }
                #expect(try fixture.partition.verifyAll() == fixture.partition.digest(), "\(comment)")
                let probe = source.embedding()
                let expected = model.ranking(probe: probe, threshold: nil, excluding: nil, now: Self.now).prefix(6)
                let full = try fixture.search([probe], limit: 6, effort: .full)
                #expect(full.found[0] == Array(expected), "\(comment), \(step)")
                let loose = try fixture.looseRuns()
                mostChunks = max(mostChunks, loose.chunkCount)
                if !loose.runs.isEmpty { looseCount += 1 }
                if wasUnderWay, step == .fold { foldCount += 1 }
                if wasUnderWay, step == .merge { sliceCount += 1 }
                wasUnderWay = !loose.runs.isEmpty
            }
            // It closes and opens the partition: a merge begins anew.
            if round % 20 == 19 {
                try fixture.expectSoundRuns(comment)
                wasUnderWay = false
            }
        }
        while try fixture.partition.maintain(now: Self.now) != nil {}
        #expect(try fixture.looseRuns().runs.isEmpty)
        try fixture.expectSoundRuns("seed \(testSeed), settled")
        #expect(sliceCount > 20 && foldCount > 2 && looseCount > 20 && mostChunks > 1, "seed \(testSeed)")
    }

    /// A copy of the files of an open partition is what a machine has after its process was killed.
    @Test func aMergeThatIsCutShortAfterAnySliceBeginsAnewAndLeavesNothing() throws {
        let (fixture, embeddings) = try twoRuns()
        try fixture.delete((0..<60).map { FaceID(3 * $0) })
        let exact = try fixture.search(Array(embeddings[..<9]), limit: 30).found
        var sliceCount = 0
        var looseChunks: Set<Int> = []
        while try fixture.partition.maintain(now: Self.now) != nil {
            sliceCount += 1
            looseChunks.insert(try fixture.looseRuns().chunkCount)
            let copy = try fixture.copyOfFiles(named: "copy \(sliceCount)")
            let cut = try PartitionFixture(opening: copy, options: fixture.options)
            #expect(try cut.partition.verifyAll() == fixture.partition.digest(), "slice \(sliceCount)")
            #expect(try cut.search(Array(embeddings[..<9]), limit: 30, effort: .full).found == exact)
            try cut.settle()
            #expect(try cut.looseRuns().runs.isEmpty)
            #expect(try cut.storedRuns().map(\.rowCount) == [196], "slice \(sliceCount)")
            try cut.expectSoundRuns("slice \(sliceCount)")
            #expect(try cut.search(Array(embeddings[..<9]), limit: 30, effort: .full).found == exact)
        }
        // Of 256 rows; then one chunk after another of the old runs.
        #expect(sliceCount >= 8 && looseChunks.isSuperset(of: [0, 1, 2]))
        #expect(try fixture.storedRuns().map(\.rowCount) == [196])
    }

    /// A face that dies after its row was copied is dead in the new run; one before is not in it.
    @Test func rowsThatDieWhileAMergeIsUnderWayAreCounted() throws {
        let (fixture, _) = try twoRuns()
        try fixture.delete((0..<20).map { FaceID($0) })
        // Half of the lists, a twentieth of them in each slice of 60 slots.
        for _ in 0..<10 { #expect(try fixture.partition.maintain(now: Self.now) == .merge) }
        #expect(try fixture.looseRuns().runs.count == 1)
        try fixture.delete((100..<140).map { FaceID($0) })
        #expect(try fixture.partition.statistics().tombstoneCount == 60)
        while try fixture.partition.statistics().runCount == 2 {
            #expect(try fixture.partition.maintain(now: Self.now) == .merge)
        }
        let dead = try fixture.partition.statistics().tombstoneCount
        // Of 40 some were copied before, and some come behind.
        #expect(dead > 4 && dead < 36)
        #expect(try fixture.partition.verifyAll() == fixture.partition.digest())
        #expect(try fixture.storedRuns().map(\.rowCount) == [196 + UInt32(dead)])
        try fixture.expectSoundRuns("merged")
    }

    @Test func anotherCodebookEndsAMergeThatIsUnderWay() throws {
        let (fixture, embeddings) = try twoRuns()
        for _ in 0..<3 { #expect(try fixture.partition.maintain(now: Self.now) == .merge) }
        let loose = try fixture.looseRuns()
        #expect(loose.runs.count == 1)
        try fixture.partition.install(codebook: Self.codebook(2))
        let exact = try fixture.search(Array(embeddings[..<9]), limit: 30).found
        while try fixture.partition.maintain(now: Self.now) != nil {
            #expect(try fixture.search(Array(embeddings[..<9]), limit: 30, effort: .full).found == exact)
        }
        #expect(try fixture.looseRuns().runs.isEmpty)
        #expect(try fixture.partition.statistics().runCount == 2)
        #expect(try fixture.partition.verifyAll() == fixture.partition.digest())
        while try fixture.partition.recode() {
            #expect(try fixture.search(Array(embeddings[..<9]), limit: 30, effort: .full).found == exact)
        }
        try fixture.settle()
        try fixture.expectSoundRuns("coded again")
        #expect(try Set(fixture.storedRuns().map(\.generation)) == [2])
    }

    /// What was coded again is merged by slices too, while writes, folds and other merges go on.
    @Test func rowsThatWereCodedAgainAreMergedSliceBySlice() throws {
        var options = Self.options
        options.mergeRatio = 4
        options.recodeRowLimit = 128
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        try fixture.enrol((0..<640).map { FaceID($0) }, (0..<640).map { _ in source.embedding() })
        try fixture.partition.install(codebook: Self.codebook(1))
        try fixture.settle()
        try fixture.partition.install(codebook: Self.codebook(2))
        let probes = (0..<6).map { _ in source.embedding() }
        var (twoAtOnce, steps) = (0, 0)
        while try fixture.partition.statistics().olderGeneration == 1 {
            steps += 1
            try #require(steps < 1000)
            if steps % 3 == 0 {
                let ids = (0..<40).map { _ in FaceID(Int.random(in: 0..<900, using: &source.generator)) }
                try fixture.enrol(ids, ids.map { _ in source.embedding() })
                try fixture.delete((0..<5).map { _ in FaceID(Int.random(in: 0..<900, using: &source.generator)) })
                _ = try fixture.partition.maintain(now: Self.now)
            } else {
                _ = try fixture.partition.recode()
            }
            if try fixture.looseRuns().runs.count > 1 { twoAtOnce += 1 }
            #expect(try fixture.partition.verifyAll() == fixture.partition.digest(), "step \(steps)")
            let exact = try fixture.search(probes, limit: 7).found
            #expect(try fixture.search(probes, limit: 7, effort: .full).found == exact, "step \(steps)")
            // Begun anew, as after a crash.
            if steps % 50 == 49 { try fixture.reopen() }
        }
        #expect(twoAtOnce > 0)
        try fixture.settle()
        try fixture.expectSoundRuns("coded again")
        #expect(try fixture.looseRuns().runs.isEmpty)
        #expect(try Set(fixture.storedRuns().map(\.generation)) == [2])
    }

    @Test func aRecordOfLooseRunsThatCannotBeIsDamage() throws {
        let (fixture, _) = try twoRuns()
        let run = try #require(try fixture.storedRuns().first?.run)
        for record in [LooseRunsRecord([run]), LooseRunsRecord([9000])] {
            fixture.partition.close()
            try fixture.change { tables, transaction in
                try transaction.put(tables.meta, key: MetaKey.looseRuns, value: record.encoded())
            }
            try fixture.reopen()
            #expect { try fixture.partition.verifyAll() } throws: { ($0 as? PartitionError)?.isCorruption == true }
        }
    }
}

extension PartitionFixture {
    /// Copies the files of the open partition; where to.
    fileprivate func copyOfFiles(named name: String) throws -> String {
        let copy = "\(folder.path)/\(name)"
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: false)
        try FileManager.default.copyItem(atPath: "\(directory)/data.mdb", toPath: "\(copy)/data.mdb")
        return copy
    }

    /// Runs of the open partition that no search sees, and how many chunks they have.
    fileprivate func looseRuns() throws -> (runs: [UInt32], chunkCount: Int) {
        let copy = try copyOfFiles(named: UUID().uuidString)
        defer { try? FileManager.default.removeItem(atPath: copy) }
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 30
        let environment = try Environment(path: copy, options: options)
        defer { environment.close() }
        let tables = try PartitionTables(environment, create: false)
        return try environment.read { transaction in
            guard let bytes = try transaction.value(of: tables.meta, key: MetaKey.looseRuns) else { return ([], 0) }
            let runs = try LooseRunsRecord(bytes: bytes).runs
            var chunkCount = 0
            for run in runs {
                try transaction.forEach(in: tables.codes, .prefix(run)) { _ in
                    chunkCount += 1
                    return .next
                }
            }
            return (runs, chunkCount)
        }
    }
}
