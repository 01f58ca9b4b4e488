import FaceModel
import Foundation
import Glibc
import LMDB
import PartitionEngine
import PartitionStore
import Testing

/// What is in memory, and reading what is not.
struct PartitionResidencyTests {
    private func settled(dimension: Int = 64, faceCount: Int = 1500) throws -> PartitionFixture {
        let fixture = try PartitionFixture(dimension: dimension)
        var source = FaceSource(dimension: dimension)
        try fixture.enrol((0..<faceCount).map { FaceID($0) }, (0..<faceCount).map { _ in source.embedding() })
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: dimension))
        try fixture.settle()
        return fixture
    }

    @Test func nothingIsWhollyInMemory() throws {
        let fixture = try PartitionFixture()
        #expect(try fixture.partition.residency() == PartitionResidency(codes: 1, rows: 1))
    }

    @Test func whatHasJustBeenWrittenIsInMemory() throws {
        let fixture = try settled()
        for _ in 0..<2 {
            let residency = try fixture.partition.residency()
            #expect(residency.codes > 0.9 && residency.codes <= 1)
            #expect(residency.rows > 0.9 && residency.rows <= 1)
            try fixture.reopen()
        }
    }

    @Test func aPolicySaysWhatIsRead() throws {
        let fixture = try settled()
        let statistics = try fixture.partition.statistics()
        var read: [PrefaultPolicy: Int] = [:]
        for policy in PrefaultPolicy.allCases {
            read[policy] = 0
            try fixture.partition.prefault(policy, pause: { read[policy]! += $0 }, shouldStop: { false })
        }
        #expect(read[.none] == 0)
        // Values end before their pages do.
        let codes = try #require(read[.codes])
        #expect(codes > 0 && codes <= Int(statistics.codeByteCount))
        let roundings = try #require(read[.roundings]) - codes
        let rows = try #require(read[.all]) - codes
        // Embeddings of two bytes a component, and roundings of one.
        #expect(roundings >= 11 * 128 * 64 && roundings < 11 * 128 * 128)
        #expect(rows >= roundings + 11 * 128 * 128 && rows <= Int(statistics.rowByteCount))
    }

    @Test func aStopEndsTheReading() throws {
        let fixture = try settled()
        var steps = 0
        try fixture.partition.prefault(.all, pause: { _ in steps += 1 }, shouldStop: { steps > 0 })
        #expect(steps == 1)
        try fixture.partition.prefault(.all, pause: { _ in steps += 1 }, shouldStop: { true })
        #expect(steps == 1)
        fixture.partition.close()
        #expect(throws: PartitionError.self) {
            try fixture.partition.prefault(.codes, pause: { _ in }, shouldStop: { false })
        }
    }

    /// The lane merges between two steps: there are fewer chunks then than have been read.
    @Test func theReadingEndsWhenRunsBecomeOneMeanwhile() throws {
        var options = PartitionOptions.small
        options.mergeRatio = 0
        options.foldRowLimit = 128
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.enrol((0..<1100).map { FaceID($0) }, (0..<1100).map { _ in source.embedding() })
        try fixture.settle()
        let before = try fixture.partition.statistics()
        #expect(before.runCount == 8)
        fixture.options.mergeRatio = 1
        try fixture.reopen()
        var steps = 0
        var merging: Result<Int, any Error>?
        try fixture.partition.prefault(
            .all,
            pause: { _ in
                steps += 1
                if steps == 1 { merging = Result { try fixture.settle() } }
            },
            shouldStop: { false }
        )
        let mergeSteps = try #require(merging).get()
        #expect(mergeSteps > 0 && steps > 1, "roundings and rows are read behind the codes")
        let after = try fixture.partition.statistics()
        #expect(after.runCount == 1 && after.codeChunkCount < before.codeChunkCount)
    }

    /// Rows alone are in memory: roundings are a third of what a partition keeps of embeddings.
    @Test(.enabled(if: PageCache.canBeEmptied))
    func roundingsCountAndAreRead() throws {
        let fixture = try settled(dimension: 256, faceCount: 4096)
        #expect(try fixture.partition.residency().rows > 0.95)
        let places = try fixture.places(ofChunksWithMagic: "MROW")
        #expect(places.count >= 32)
        let byteCount = 16 + RowChunk.Shape(dimension: 256, precision: .float16).chunkByteCount
        try PageCache.emptyMapped(fixture.dataFile)
        #expect(try fixture.partition.residency().rows < 0.1)
        PageCache.fill(fixture.dataFile, places.map { $0..<$0 + byteCount })
        let residency = try fixture.partition.residency()
        #expect(residency.rows < 0.9 && residency.rows > 0.5)
        try fixture.partition.prefault(.all, pause: { _ in }, shouldStop: { false })
        #expect(try fixture.partition.residency().rows > 0.95)
    }

    /// A search that waits for the disk has the rows of the next ones read ahead: whole chunks after the partition has
    /// been opened, single rows where chunks were verified before.
    @Test(.enabled(if: PageCache.canBeEmptied), arguments: [true, false])
    func answersFromTheDiskAreThoseFromMemory(isReopened: Bool) throws {
        let fixture = try settled(dimension: 256, faceCount: 4096)
        var source = FaceSource(dimension: 256, seed: testSeed &+ 20)
        let probes = (0..<20).map { _ in source.embedding() }
        for effort in [SearchEffort.recall(0.9), .full, .exact] {
            let expected = try probes.map { try fixture.search([$0], effort: effort).found }
            if isReopened { try fixture.reopen() }
            try PageCache.emptyMapped(fixture.dataFile)
            #expect(try fixture.partition.residency().rows < 0.5)
            #expect(try fixture.search([probes[0]], effort: effort).found == expected[0], "\(effort)")
            #expect(fixture.partition.coldRows.isAttentive)
            #expect(try probes.map { try fixture.search([$0], effort: effort).found } == expected, "\(effort)")
        }
    }
}

extension PartitionResidencyTests {
    /// Whatever the device reads ahead by itself: other pages would have to leave for what nobody asked for.
    @Test(.enabled(if: PageCache.canBeEmptied))
    func aPageThatIsMissingIsReadAlone() throws {
        let fixture = try settled(dimension: 256, faceCount: 4096)
        let size = try #require(FileManager.default.attributesOfItem(atPath: fixture.dataFile)[.size] as? Int)
        try PageCache.emptyMapped(fixture.dataFile)
        #expect(try fixture.partition.faces([FaceID(2000)], includesEmbeddings: false).count == 1)
        let pages = try PageCache.residentPages(fixture.dataFile, [0..<size])
        // Some of four trees, and no chunk, for the face's was verified before.
        #expect(pages > 0 && pages < 32 && size > 256 * 4096, "\(pages) of \(size / 4096)")
    }

    /// Faces lie in the order in which they came, and are asked for in another.
    @Test(.enabled(if: PageCache.canBeEmptied))
    func embeddingsThatLieApartAreReadTogether() throws {
        let fixture = try PartitionFixture(dimension: 256)
        var source = FaceSource(dimension: 256)
        // Faces that follow each other by their ids lie a page apart: eight rows have one.
        let ids = (0..<4096).map { FaceID($0 % 8 * 512 + $0 / 8) }
        try fixture.enrol(ids, ids.map { _ in source.embedding() })
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 256))
        try fixture.settle()
        let asked = (0..<100).map { FaceID($0) }
        // Chunks are verified by that: later one row of them is read alone.
        let expected = try fixture.partition.faces(asked, includesEmbeddings: true).map(\.embedding)
        let size = try #require(FileManager.default.attributesOfItem(atPath: fixture.dataFile)[.size] as? Int)
        try PageCache.emptyMapped(fixture.dataFile)
        _ = try fixture.partition.faces(asked, includesEmbeddings: false)
        let known = try PageCache.residentPages(fixture.dataFile, [0..<size])
        // A read that ends when it has read 27 embeddings has begun to read those behind them.
        var askedCount = 0
        let failure = #expect(throws: PartitionError.self) {
            try fixture.partition.faces(asked, includesEmbeddings: true) {
                askedCount += 1
                return askedCount == 2
            }
        }
        guard case .stopped? = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        var pages = 0
        for _ in 0..<500 {
            pages = try PageCache.residentPages(fixture.dataFile, [0..<size]) - known
            if pages >= 60 { break }
            usleep(10_000)
        }
        #expect(pages >= 60, "\(pages) pages of embeddings are in memory")
        #expect(try fixture.partition.faces(asked, includesEmbeddings: true).map(\.embedding) == expected)
    }

    /// Scans of a whole table wait for few of its pages.
    @Test(.enabled(if: PageCache.canBeEmptied))
    func whatIsScannedIsReadAhead() throws {
        let fixture = try settled(dimension: 64, faceCount: 30_000)
        try PageCache.emptyMapped(fixture.dataFile)
        let before = PageCache.waitCount
        let size = try #require(FileManager.default.attributesOfItem(atPath: fixture.dataFile)[.size] as? Int)
        let read = try PageCache.residentPages(fixture.dataFile, [0..<size])
        let faces = try fixture.partition.page(
            after: nil,
            limit: 30_000,
            byteLimit: .max,
            includesEmbeddings: false
        )
        #expect(faces.count == 30_000)
        let pages = try PageCache.residentPages(fixture.dataFile, [0..<size]) - read
        let waits = PageCache.waitCount - before
        #expect(pages > 400 && waits < pages / 4, "\(waits) waits for \(pages) pages")
    }

    /// Leaves of ids that came in no order lie anywhere, and nothing is read around them.
    @Test(.enabled(if: PageCache.canBeEmptied))
    func whatLiesInNoOrderIsReadAlone() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        for first in 0..<10 {
            // Each batch changes nearly all leaves, in no order.
            let ids = (0..<2000).map { FaceID((2000 * first + $0) * 7919 % 20_011) }
            try fixture.enrol(ids, ids.map { _ in source.embedding() })
        }
        try PageCache.emptyMapped(fixture.dataFile)
        let size = try #require(FileManager.default.attributesOfItem(atPath: fixture.dataFile)[.size] as? Int)
        let read = try PageCache.residentPages(fixture.dataFile, [0..<size])
        let before = PageCache.waitCount
        let faces = try fixture.partition.page(after: nil, limit: 20_000, byteLimit: .max, includesEmbeddings: false)
        let waits = PageCache.waitCount - before
        let pages = try PageCache.residentPages(fixture.dataFile, [0..<size]) - read
        #expect(faces.count == 20_000)
        #expect(pages > 200 && pages < 2 * waits, "\(waits) waits for \(pages) pages")
    }

    /// Entries of a log, one behind the other, and a codebook.
    @Test(.enabled(if: PageCache.canBeEmptied))
    func longValuesAreReadWhole() throws {
        let fixture = try PartitionFixture(dimension: 512)
        var source = FaceSource(dimension: 512)
        var author = try LogAuthor(fixture.partition, epoch: 1)
        let entries = try (0..<2).map { part in
            let ids = (0..<1000).map { FaceID(1000 * part + $0) }
            return try author.entry(fixture.enrolment(ids, ids.map { _ in source.embedding() }))
        }
        _ = try fixture.partition.commit(LogTransaction(promise: 1, append: entries))
        try PageCache.emptyMapped(fixture.dataFile)
        let before = PageCache.waitCount
        let read = try fixture.partition.logEntries(from: 1, byteLimit: .max)
        let waits = PageCache.waitCount - before
        #expect(read.map(\.sequence) == [1, 2] && read.allSatisfy { $0.byteCount > 1_000_000 })
        #expect(waits < 100, "\(waits) waits for two entries of 250 pages")

        let coded = try settled(dimension: 512)
        try PageCache.emptyMapped(coded.dataFile)
        let earlier = PageCache.waitCount
        let slice = try #require(try coded.partition.codebookSlice(generation: 1, offset: 0, limit: .max))
        let more = PageCache.waitCount - earlier
        #expect(slice.bytes.count == slice.byteCount && slice.byteCount > 128 << 10)
        #expect(more < slice.byteCount / 4096 / 2, "\(more) waits for \(slice.byteCount) bytes")
    }

    /// A piece is verified where a search comes to it for the first time, and after it was written.
    @Test(.enabled(if: PageCache.canBeEmptied))
    func tombstonesAreReadTogetherAndOnce() throws {
        let stored = try StoredTombstones(pieceCount: 200)
        defer { stored.close() }
        func read(after earlier: Tombstones?) throws -> (tombstones: Tombstones, waits: Int) {
            try PageCache.emptyMapped(stored.path)
            let before = PageCache.waitCount
            let tombstones = try stored.read(after: earlier)
            return (tombstones, PageCache.waitCount - before)
        }
        try stored.mark(0..<200)
        let first = try read(after: nil)
        #expect(first.waits < 150, "\(first.waits) waits")
        try stored.mark(7..<8)
        let second = try read(after: first.tombstones)
        #expect(second.waits < 20, "\(second.waits) waits")
    }

    /// A page may be freed, and written again, between two commits that are searched.
    @Test func aPieceIsVerifiedThatWasWrittenWhereItLayBefore() throws {
        let stored = try StoredTombstones(pieceCount: 9)
        defer { stored.close() }
        func overwrite(_ old: [UInt8], with new: [UInt8]) throws {
            let url = URL(fileURLWithPath: stored.path)
            let place = try #require(try Data(contentsOf: url).range(of: Data(old)))
            let file = try FileHandle(forUpdating: url)
            defer { try? file.close() }
            try file.seek(toOffset: UInt64(place.lowerBound))
            try file.write(contentsOf: Data(new))
        }
        try stored.mark(0..<9)
        let first = try stored.read(after: nil)
        let sound = try TombstonePiece.marking([4], in: nil, piece: 7)
        try overwrite(TombstonePiece.marking([3], in: nil, piece: 7), with: sound)
        // Commits that cannot have written there, and one that can.
        for _ in 0..<3 {
            try stored.mark(0..<1)
            _ = try stored.read(after: first)
        }
        var damaged = sound
        damaged[100] ^= 1
        try overwrite(sound, with: damaged)
        #expect(throws: PartitionStoreError.self) { try stored.read(after: first) }
    }

    /// Roundings that are in memory tell which rows need not be read; the answers are the same.
    @Test(.enabled(if: PageCache.canBeEmptied), arguments: [true, false])
    func roundingsInMemorySparesReading(isReopened: Bool) throws {
        let fixture = try settled(dimension: 512, faceCount: 8192)
        let shape = RowChunk.Shape(dimension: 512, precision: .float16)
        let rowChunks = try fixture.places(ofChunksWithMagic: "MROW").map { $0..<$0 + 16 + shape.chunkByteCount }
        let roundedChunks = try fixture.places(ofChunksWithMagic: "MRND")
            .map { $0..<$0 + 16 + RoundedRowChunk.byteCount(dimension: 512) }
        #expect(rowChunks.count >= 64 && roundedChunks.count >= 64)
        var source = FaceSource(dimension: 512, seed: testSeed &+ 21)
        let probes = (0..<6).map { _ in source.embedding() }
        let cases: [(SearchEffort, Float?)] = [(.recall(0.9), nil), (.full, nil), (.full, 0.05), (.exact, nil)]
        for (effort, threshold) in cases {
            let search = { (probe: [Float]) in
                try fixture.search([probe], threshold: threshold, effort: effort).found
            }
            let expected = try probes.map(search)
            // Pages of rows read with nothing in memory, and with the roundings.
            var pagesRead: [Bool: Int] = [:]
            for hasRoundings in [false, true] {
                pagesRead[hasRoundings] = 0
                for (probe, found) in zip(probes, expected) {
                    if isReopened { try fixture.reopen() }
                    try PageCache.emptyMapped(fixture.dataFile)
                    if hasRoundings { PageCache.fill(fixture.dataFile, roundedChunks) }
                    let before = try PageCache.residentPages(fixture.dataFile, rowChunks)
                    fixture.partition.coldRows.noteWait()
                    #expect(try search(probe) == found, "\(effort), seed \(testSeed)")
                    pagesRead[hasRoundings]! += try PageCache.residentPages(fixture.dataFile, rowChunks) - before
                }
            }
            let (without, with) = (try #require(pagesRead[false]), try #require(pagesRead[true]))
            // Exact searches go by roundings wherever these are.
            let most = effort == .exact ? without : without * 9 / 10
            #expect(with <= most, "\(effort): \(with) and \(without) pages, seed \(testSeed)")
        }
    }
}

/// When pages are asked about before they are used.
struct ColdPagesTests {
    /// What has just been opened may be anywhere.
    @Test func attentionEndsWhenNothingIsMissingForAWhile() {
        let rows = ColdPages()
        for _ in 0..<256 {
            #expect(rows.isAttentive)
            rows.noteReading(isAnyMissing: false)
        }
        #expect(!rows.isAttentive)
        // Threads that were at it note what they saw all the same.
        rows.noteReading(isAnyMissing: false)
        #expect(!rows.isAttentive)
    }

    @Test func aWaitBeginsTheAttentionAnew() {
        let rows = ColdPages()
        for _ in 0..<300 { rows.noteReading(isAnyMissing: false) }
        rows.noteWait()
        #expect(rows.isAttentive)
    }

    @Test func aMissingRowRenewsTheAttention() {
        let rows = ColdPages()
        for _ in 0..<255 { rows.noteReading(isAnyMissing: false) }
        rows.noteReading(isAnyMissing: true)
        for _ in 0..<255 { rows.noteReading(isAnyMissing: false) }
        #expect(rows.isAttentive)
        rows.noteReading(isAnyMissing: false)
        #expect(!rows.isAttentive)
    }
}

extension PartitionFixture {
    fileprivate var dataFile: String { "\(directory)/data.mdb" }

    /// Where values of a chunk's size lie in the file: each on pages of its own, behind the page's header.
    fileprivate func places(ofChunksWithMagic magic: String) throws -> [Int] {
        let data = try Data(contentsOf: URL(fileURLWithPath: dataFile))
        return stride(from: 0, to: data.count - 4096, by: 4096).filter { page in
            data[page + 16..<page + 20].elementsEqual(magic.utf8)
        }
    }
}

/// The system's memory of files.
private enum PageCache {
    /// Whether files of tests lie on a disk: those of a file system in memory stay there.
    static let canBeEmptied: Bool = {
        let folder = TemporaryFolder()
        let path = "\(folder.path)/file"
        _ = FileManager.default.createFile(atPath: path, contents: Data(count: 1 << 20))
        let descriptor = open(path, O_RDWR)
        defer { close(descriptor) }
        fsync(descriptor)
        empty(path)
        guard let map = mmap(nil, 1 << 20, PROT_READ, MAP_SHARED, descriptor, 0), map != MAP_FAILED else {
            return false
        }
        defer { munmap(map, 1 << 20) }
        var flags = [UInt8](repeating: 1, count: 256)
        return mincore(map, 1 << 20, &flags) == 0 && flags.allSatisfy { $0 & 1 == 0 }
    }()

    /// Forgets a file that this process maps.
    static func emptyMapped(_ path: String) throws {
        for line in try String(contentsOfFile: "/proc/self/maps", encoding: .utf8).split(separator: "\n")
        where line.hasSuffix(path) {
            let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
            let range = UnsafeMutableRawPointer(bitPattern: ends[0])
            madvise(range, Int(ends[1] - ends[0]), MADV_DONTNEED)
        }
        empty(path)
    }

    /// How often the calling thread has waited for a page.
    static var waitCount: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(1), &usage)
        return usage.ru_majflt
    }

    /// Reads some bytes of a file, and no more of it than their pages.
    static func fill(_ path: String, _ ranges: [Range<Int>]) {
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        posix_fadvise(descriptor, 0, 0, Int32(POSIX_FADV_RANDOM))
        for range in ranges {
            var bytes = [UInt8](repeating: 0, count: range.count)
            pread(descriptor, &bytes, range.count, range.lowerBound)
        }
    }

    /// Pages of some ranges of a file that are in memory.
    static func residentPages(_ path: String, _ ranges: [Range<Int>]) throws -> Int {
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        var count = 0
        for range in ranges {
            let first = range.lowerBound / 4096 * 4096
            let map = mmap(nil, range.upperBound - first, PROT_READ, MAP_SHARED, descriptor, first)
            let pages = try #require(map == MAP_FAILED ? nil : map)
            defer { munmap(pages, range.upperBound - first) }
            var flags = [UInt8](repeating: 0, count: (range.upperBound - first + 4095) / 4096)
            mincore(pages, range.upperBound - first, &flags)
            count += flags.count { $0 & 1 == 1 }
        }
        return count
    }

    /// Forgets the written pages of a file that nobody has touched through a map.
    static func empty(_ path: String) {
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        posix_fadvise(descriptor, 0, 0, Int32(POSIX_FADV_DONTNEED))
    }
}

/// The tombstones of a partition, without one.
private struct StoredTombstones {
    private let folder = TemporaryFolder()
    private let environment: Environment
    private let tables: PartitionTables
    private let pieceCount: Int

    init(pieceCount: Int) throws {
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 30
        options.readsSinglePages = true
        environment = try Environment(path: folder.path, options: options)
        tables = try PartitionTables(environment, create: true)
        self.pieceCount = pieceCount
    }

    var path: String { "\(folder.path)/data.mdb" }

    func close() { environment.close() }

    func mark(_ pieces: Range<UInt32>) throws {
        try environment.write { transaction in
            for piece in pieces {
                let value = try TombstonePiece.marking([3], in: nil, piece: piece)
                try transaction.put(tables.tombstones, key: piece, value: value)
            }
        }
    }

    func read(after earlier: Tombstones?) throws -> Tombstones {
        let rowCount = UInt32(pieceCount * TombstonePiece.rowCount)
        return try environment.read { transaction in
            try Tombstones(transaction, tables: tables, rowCount: rowCount, earlier: earlier)
        }
    }
}
