import FaceModel
import Foundation
import Glibc
import InvertedFileIndex
import LMDB
import PartitionEngine
import PartitionStore
import Testing
import VectorMath

/// Bytes of the data file are changed behind the partition's back, where its own values lie.
///
/// LMDB's page headers are not covered here: see `DamagedPageTests`.
struct PartitionCorruptionTests {
    /// What one sound partition answers.
    private struct Answers: Equatable {
        var faces: [FaceID] = []
        var metadata: [FaceMetadata] = []
        var embeddings: [[Float]?] = []
        var found: [[Found]] = []
        var foundMetadata: [FaceMetadata] = []
    }

    private static let probes: [[Float]] = {
        var source = FaceSource(dimension: 64, seed: 8)
        return (0..<3).map { _ in source.embedding() }
    }()

    /// Everything that a client can read.
    private static func answers(_ fixture: PartitionFixture) throws -> Answers {
        var answers = Answers()
        for effort in [SearchEffort.full, .exact, .lists(3)] {
            let answer = try fixture.search(probes, limit: 30, effort: effort, now: Timestamp(milliseconds: 50))
            answers.found += answer.found
            answers.foundMetadata += answer.matches.joined().map(\.metadata)
        }
        answers.found += try found(persons: (0..<50).map { "person \($0)" }, fixture)
        answers.found += try found(persons: ["person 4"], fixture)
        let faces = try fixture.partition.page(after: nil, limit: .max, byteLimit: .max, includesEmbeddings: true)
        answers.faces = faces.map(\.id)
        answers.metadata = faces.map(\.metadata)
        answers.embeddings = faces.map(\.embedding)
        return answers
    }

    private static func found(persons: [String], _ fixture: PartitionFixture) throws -> [[Found]] {
        let answer = try fixture.search(
            [probes[0]],
            limit: 1000,
            filter: FaceFilter(personIDs: persons),
            now: Timestamp(milliseconds: 50)
        )
        return answer.found
    }

    /// A chunk is verified on its first touch; what rots afterwards may name rows that there are not.
    @Test func aRowIDThatRotsWhileThePartitionIsOpenIsFoundOut() throws {
        let fixture = try filled()
        try fixture.reopen()
        try fixture.settle()
        _ = try Self.answers(fixture)
        let path = "\(fixture.directory)/data.mdb"
        let file = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let descriptor = open(path, O_WRONLY)
        defer { close(descriptor) }
        var alteredCount = 0
        for page in stride(from: 0, to: file.count - 4096, by: 4096)
        where file[page + 16..<page + 20].elementsEqual("MCOD".utf8) {
            let planeCount = Int(file[page + 22])
            let records = page + 16 + CodeChunk.headerByteCount + 16 * min(planeCount, 2) * CodeChunk.slotCount
            let recordByteCount = VectorKernels.recordByteCount(planeCount: planeCount)
            for slot in 0..<CodeChunk.slotCount {
                let place = records + slot * recordByteCount + 16 * (planeCount - min(planeCount, 2))
                guard place + 4 <= file.count, !file[place..<place + 4].allSatisfy({ $0 == 0xff }) else { continue }
                // Far behind the last row.
                var high: UInt8 = 0x40
                alteredCount += pwrite(descriptor, &high, 1, place + 3)
            }
        }
        #expect(alteredCount > 100)
        for filter in [nil, FaceFilter(personIDs: (0..<50).map { "person \($0)" })] {
            #expect(throws: PartitionError.self) {
                try fixture.search(Self.probes, limit: 30, effort: .full, filter: filter)
            }
        }
    }

    /// Runs, a partly filled chunk, deleted and expired faces: something in every table.
    private func filled() throws -> PartitionFixture {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let ids = (0..<700).map { FaceID($0) }
        try fixture.enrol(ids, ids.map { _ in source.embedding() }) { id in
            FaceMetadata(
                personID: "person \(id.low % 50)",
                expires: id.low % 70 == 0 ? Timestamp(milliseconds: 40) : nil
            )
        }
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        try fixture.delete((300..<330).map { FaceID($0) })
        fixture.partition.close()
        return fixture
    }

    @Test func changedBitsAreNoticedOrDoNotMatter() throws {
        let fixture = try filled()
        try fixture.reopen()
        let sound = try Self.answers(fixture)
        fixture.partition.close()
        #expect(sound.faces.count == 670 && sound.found.count == 11)

        let values = try StoredValues(path: "\(fixture.directory)/data.mdb")
        var generator = SplitMix64(seed: testSeed)
        var noticed: [String: Int] = [:]
        for table in values.tables {
            // Large tables are hit as often as small ones.
            for _ in 0..<40 {
                let range = values.ranges[table]!.randomElement(using: &generator)!
                let offset = Int.random(in: range, using: &generator)
                let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
                try values.flip(offset, bit)
                defer { try? values.flip(offset, bit) }
                let comment = "seed \(testSeed), \(table), offset \(offset - range.lowerBound), bit \(bit)"
                do {
                    try fixture.reopen()
                    defer { fixture.partition.close() }
                    let answers = try Self.answers(fixture)
                    #expect(answers == sound, "a wrong answer: \(comment)")
                } catch let error as PartitionError {
                    #expect(error.isCorruption || error.isNewerFormat, "\(error): \(comment)")
                    noticed[table, default: 0] += 1
                }
            }
        }
        // Values that every answer depends on; most of the others are as well.
        for table in [
            "faces", "rowFaces", "rows", "roundedRows", "tailRows", "codes", "runs", "tombstones", "meta", "byPerson",
        ] {
            #expect(noticed[table, default: 0] > 5, "\(table): \(noticed)")
        }
        try fixture.reopen()
        #expect(try Self.answers(fixture) == sound)
    }

    /// Rows whose chunk was verified when it was first touched are held against their faces' records on every read:
    /// what changes while the partition is open is never told.
    @Test func whatChangesAfterItWasVerifiedIsNotTold() throws {
        let fixture = try filled()
        let values = try StoredValues(path: "\(fixture.directory)/data.mdb")
        try fixture.reopen()
        let sound = try Self.answers(fixture)
        // The lowest bit of a component of every row: too little to change who is found.
        for chunk in try #require(values.ranges["rows"]) {
            for offset in stride(from: chunk.lowerBound + RowChunk.headerByteCount, to: chunk.upperBound, by: 128) {
                try values.flip(offset, 1)
            }
        }
        for effort in [SearchEffort.full, .exact, .lists(3)] {
            #expect { try fixture.search(Self.probes, limit: 30, effort: effort) } throws: { error in
                (error as? PartitionError)?.isCorruption == true
            }
        }
        #expect { try fixture.partition.faces([FaceID(5)], includesEmbeddings: true) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
        expectDamage("sample") { _ = try fixture.partition.sample(count: 100, seed: 1) }
        expectDamage("page of a sample") { _ = try fixture.partition.samplePage(count: 9, of: 99, seed: 1, from: 0) }
        #expect(try fixture.partition.faces([FaceID(5)], includesEmbeddings: false).map(\.id) == [FaceID(5)])
        for chunk in try #require(values.ranges["rows"]) {
            for offset in stride(from: chunk.lowerBound + RowChunk.headerByteCount, to: chunk.upperBound, by: 128) {
                try values.flip(offset, 1)
            }
        }
        #expect(try Self.answers(fixture) == sound)
    }

    /// A row id that leads to another face than the one that holds it.
    @Test func aRowThatNamesAnotherFaceIsNoticed() throws {
        let fixture = try filled()
        try fixture.change { tables, transaction in
            try FaceID(5).withKeyBytes { bytes in
                try transaction.put(tables.rowFaces, key: UInt32(6), value: bytes)
            }
        }
        try fixture.reopen()
        #expect { try fixture.search(Self.probes, limit: 1000) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
    }

    /// An entry of the expiry table that names a face which does not expire must not remove it.
    @Test func aFalseExpiryRemovesNothing() throws {
        let fixture = try filled()
        try fixture.change { tables, transaction in
            try transaction.put(
                tables.byExpiry,
                key: ExpiryKey(expires: Timestamp(milliseconds: 1), row: 6),
                value: []
            )
        }
        try fixture.reopen()
        let faceCount = try fixture.partition.statistics().faceCount
        #expect { try fixture.partition.maintain(now: Timestamp(milliseconds: 2)) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
        #expect(try fixture.partition.statistics().faceCount == faceCount)
        #expect(try fixture.partition.faces([FaceID(6)], includesEmbeddings: false).count == 1)
    }

    /// Tombstones that belong to other rows.
    @Test func aTombstonePieceInAnotherPlaceIsNoticed() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let ids = (0..<TombstonePiece.rowCount + 10).map { FaceID($0) }
        let embedding = source.embedding()
        try fixture.enrol(ids, [[Float]](repeating: embedding, count: ids.count))
        try fixture.delete([FaceID(3)])
        fixture.partition.close()
        try fixture.change { tables, transaction in
            let piece = Array(try #require(try transaction.reading.value(of: tables.tombstones, key: UInt32(0))))
            try transaction.delete(tables.tombstones, key: UInt32(0))
            try transaction.put(tables.tombstones, key: UInt32(1), value: piece)
        }
        try fixture.reopen()
        #expect { try fixture.search([embedding]) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
    }

    /// A face's record under the id of another.
    @Test func aRecordOfAnotherFaceIsNoticed() throws {
        let fixture = try filled()
        try fixture.change { tables, transaction in
            let record = Array(try #require(try transaction.reading.value(of: tables.faces, key: FaceID(5))))
            try transaction.put(tables.faces, key: FaceID(6), value: record)
        }
        try fixture.reopen()
        #expect { try fixture.partition.faces([FaceID(6)], includesEmbeddings: false) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
    }

    /// A run that was made with another codebook, sealed as it should be.
    @Test func aRunOfAnotherShapeIsNoticed() throws {
        for listCount in [3, 40] {
            let fixture = try filled()
            try fixture.change { tables, transaction in
                var manifests: [RunManifest] = []
                try transaction.reading.forEach(in: tables.runs) { entry in
                    manifests.append(try RunManifest(bytes: entry.value, run: entry.uint32Key!))
                    return .next
                }
                var manifest = try #require(manifests.first)
                let slot = manifest.firstSlots.last!
                manifest.listRowCounts = [UInt32](repeating: 0, count: listCount)
                manifest.listRowCounts[0] = manifest.rowCount
                manifest.firstSlots = [0] + [UInt32](repeating: slot, count: listCount)
                try transaction.put(tables.runs, key: manifest.run, value: manifest.encoded())
            }
            try fixture.reopen()
            #expect { try fixture.search(Self.probes, effort: .full) } throws: { error in
                (error as? PartitionError)?.isCorruption == true
            }
        }
    }

    private func expectDamage(_ comment: Comment, _ body: () throws -> Void) {
        #expect(comment) {
            try body()
        } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
    }

    /// A run that reaches behind the last row, sealed as it should be.
    @Test func aRunOfRowsThatThereAreNotIsNoticed() throws {
        let fixture = try filled()
        try fixture.change { tables, transaction in
            var manifests: [RunManifest] = []
            try transaction.reading.forEach(in: tables.runs) { entry in
                manifests.append(try RunManifest(bytes: entry.value, run: entry.uint32Key!))
                return .next
            }
            var manifest = try #require(manifests.last)
            manifest.endRow += UInt32(TombstonePiece.rowCount)
            try transaction.put(tables.runs, key: manifest.run, value: manifest.encoded())
        }
        try fixture.reopen()
        expectDamage("search") { _ = try fixture.search(Self.probes, effort: .full) }
        expectDamage("statistics") { _ = try fixture.partition.statistics() }
        expectDamage("maintenance") { _ = try fixture.partition.maintain(now: Timestamp(milliseconds: 0)) }
        expectDamage("verification") { _ = try fixture.partition.verifyAll() }
        expectDamage("erasing") {
            for _ in 0..<2 { _ = try fixture.partition.eraseRemnants(isAtOnce: true) }
        }
    }

    /// A next row to code again that is none of its run.
    @Test func aRecordOfCodingAgainThatCannotBeIsNoticed() throws {
        let fixture = try filled()
        try fixture.reopen()
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64, generation: 2))
        let run = try #require(try fixture.storedRuns().last)
        for row in [run.endRow + 1, .max] {
            fixture.partition.close()
            try fixture.change { tables, transaction in
                let record = RecodingRecord(run: run.run, nextRow: row)
                try transaction.put(tables.meta, key: MetaKey.recoding, value: record.encoded())
            }
            try fixture.reopen()
            expectDamage("statistics, \(row)") { _ = try fixture.partition.statistics() }
            expectDamage("coding again, \(row)") { _ = try fixture.partition.recode() }
        }
    }

    /// Training on what is left would hide the damage.
    @Test func aSampleLeavesOutNoFaceWhoseRowIsGone() throws {
        let fixture = try filled()
        try fixture.change { tables, transaction in try transaction.removeAll(tables.rows) }
        try fixture.reopen()
        expectDamage("sample") { _ = try fixture.partition.sample(count: 100, seed: 1) }
        expectDamage("page") { _ = try fixture.partition.samplePage(count: 100, of: 100, seed: 1, from: 0) }
    }

    /// A damaged key, in a leaf or in a branch of the tree, must not make a face absent: every face is found, or the
    /// damage is.
    @Test func aDamagedKeyMakesNoFaceAbsent() throws {
        let fixture = try filled()
        try fixture.reopen()
        let ids = try fixture.partition.page(after: nil, limit: .max, byteLimit: .max, includesEmbeddings: false)
            .map(\.id)
        fixture.partition.close()
        let values = try StoredValues(path: "\(fixture.directory)/data.mdb")
        #expect(ids.count == 670 && values.faceKeys.count == 670 && values.branchKeys.count > 3)

        var generator = SplitMix64(seed: testSeed)
        let leaves = (0..<40).map { _ in values.faceKeys.randomElement(using: &generator)! }
        let branches = (0..<40).map { _ in values.branchKeys.randomElement(using: &generator)! }
        for (kind, keys) in [("leaf", leaves), ("branch", branches)] {
            var noticedCount = 0
            for key in keys {
                // The ids of this test differ in their last two bytes; the others are as good as any.
                let offset = key + (Bool.random(using: &generator) ? Int.random(in: 14..<16, using: &generator) : 3)
                let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
                try values.flip(offset, bit)
                defer { try? values.flip(offset, bit) }
                let comment = Comment(rawValue: "seed \(testSeed), \(kind), byte \(offset - key), bit \(bit)")
                try fixture.reopen()
                defer { fixture.partition.close() }
                var isNoticed = false
                for id in ids {
                    do {
                        let found = try fixture.partition.faces([id], includesEmbeddings: false)
                        #expect(found.map(\.id) == [id], comment)
                    } catch {
                        #expect(error.isCorruption, comment)
                        isNoticed = true
                    }
                }
                if isNoticed { noticedCount += 1 }
            }
            #expect(noticedCount > 10, "\(kind): \(noticedCount) of \(keys.count), seed \(testSeed)")
        }
        try fixture.reopen()
        #expect(try fixture.partition.faces(ids, includesEmbeddings: false).count == 670)
        #expect(try fixture.partition.faces([FaceID(310), FaceID(9999)], includesEmbeddings: false).isEmpty)
    }

    /// A damaged key must not hide a face from a search for its person: all are found, or the damage is.
    @Test func aDamagedKeyHidesNoFaceOfAPerson() throws {
        let fixture = try filled()
        let persons = (0..<50).map { "person \($0)" }
        try fixture.reopen()
        let sound = try persons.map { try Self.found(persons: [$0], fixture) }
        fixture.partition.close()
        let values = try StoredValues(path: "\(fixture.directory)/data.mdb")
        #expect(values.personKeys.count == 670 && values.personBranchKeys.count > 3)

        var generator = SplitMix64(seed: testSeed)
        for (kind, keys) in [("leaf", values.personKeys), ("branch", values.personBranchKeys)] {
            var noticedCount = 0
            for _ in 0..<80 {
                let offset = Int.random(in: keys.randomElement(using: &generator)!, using: &generator)
                let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
                try values.flip(offset, bit)
                defer { try? values.flip(offset, bit) }
                let comment = Comment(rawValue: "seed \(testSeed), \(kind), offset \(offset), bit \(bit)")
                try fixture.reopen()
                defer { fixture.partition.close() }
                var isNoticed = false
                for (person, expected) in zip(persons, sound) {
                    do {
                        #expect(try Self.found(persons: [person], fixture) == expected, comment)
                    } catch let error as PartitionError {
                        #expect(error.isCorruption, comment)
                        isNoticed = true
                    }
                }
                if isNoticed { noticedCount += 1 }
            }
            #expect(noticedCount > 10, "\(kind): \(noticedCount), seed \(testSeed)")
        }
    }

    /// Face 5 under a damaged key: a delete is refused, and after an enrolment that takes it for new a search notices.
    @Test func writesThatADamagedKeyMisleadsAreNoticed() throws {
        let fixture = try filled()
        let values = try StoredValues(path: "\(fixture.directory)/data.mdb")
        try values.flip(values.faceKeys[5] + 3, 1)
        try fixture.reopen()
        // Neither of the two faces below needs the damaged key.
        #expect(try fixture.partition.faces([FaceID(0), FaceID(699)], includesEmbeddings: true).count == 2)
        #expect { try fixture.delete([FaceID(5)]) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
        try fixture.reopen()
        try fixture.enrol([FaceID(5)], [Self.probes[0]])
        #expect { try fixture.search(Self.probes, limit: 1000) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
    }

    /// An embedding under the row id of another.
    @Test func aTailRowInAnotherPlaceIsNoticed() throws {
        let fixture = try filled()
        try fixture.change { tables, transaction in
            var rows: [UInt32] = []
            try transaction.reading.forEach(in: tables.tailRows) { entry in
                rows.append(entry.uint32Key!)
                return .next
            }
            try #require(rows.count > 1)
            let value = Array(try #require(try transaction.reading.value(of: tables.tailRows, key: rows[0])))
            try transaction.put(tables.tailRows, key: rows[1], value: value)
        }
        try fixture.reopen()
        #expect { try fixture.search(Self.probes, effort: .exact) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
    }

    @Test func missingValuesAreNoticed() throws {
        let removals: [(String, (PartitionTables) -> Table)] = [
            ("rows", \.rows), ("codes", \.codes), ("rowFaces", \.rowFaces), ("faces", \.faces),
            ("tailRows", \.tailRows),
        ]
        for (name, table) in removals {
            let fixture = try filled()
            try fixture.change { tables, transaction in try transaction.removeAll(table(tables)) }
            try fixture.reopen()
            #expect("\(name)") { try fixture.search(Self.probes, effort: .full) } throws: { error in
                (error as? PartitionError)?.isCorruption == true
            }
        }
    }
}

extension PartitionError {
    /// A changed version number reads as that of a newer program: refused, in other words.
    var isNewerFormat: Bool {
        switch self {
        case .store(.newerFormat), .codebook(.newerFormat): true
        default: false
        }
    }
}

/// Where the values of each table lie in a closed partition's file.
struct StoredValues {
    let ranges: [String: [Range<Int>]]
    /// Where the keys of `faces` begin: in leaves, and in branches of the tree.
    let faceKeys: [Int]
    let branchKeys: [Int]
    /// The same of `byPerson`, where keys are of different sizes.
    let personKeys: [Range<Int>]
    let personBranchKeys: [Range<Int>]
    var tables: [String] { ranges.keys.sorted() }
    private let path: String

    /// Finds every value by its bytes: what a transaction reads is looked for in the file.
    init(path: String) throws {
        self.path = path
        let file = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let directory = String(path.dropLast("/data.mdb".utf8.count))
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 30
        let environment = try Environment(path: directory, options: options)
        defer { environment.close() }
        let tables = try PartitionTables(environment, create: false)
        let named: [(String, Table)] = [
            ("meta", tables.meta), ("faces", tables.faces), ("rowFaces", tables.rowFaces), ("rows", tables.rows),
            ("roundedRows", tables.roundedRows), ("tailRows", tables.tailRows), ("codes", tables.codes),
            ("runs", tables.runs),
            ("tombstones", tables.tombstones), ("byPerson", tables.byPerson),
            ("byExternalImage", tables.byExternalImage), ("receipts", tables.receipts),
            ("receiptOrder", tables.receiptOrder), ("log", tables.log),
        ]
        var ranges: [String: [Range<Int>]] = [:]
        var faceKeys: [Int] = []
        var branchKeys: [Int] = []
        var personKeys: [Range<Int>] = []
        var personBranchKeys: [Range<Int>] = []
        try environment.read { transaction in
            // Values are views of the map; the smallest address of all is that of some page of the file.
            var addresses: [(String, Int, Int)] = []
            for (name, table) in named {
                try transaction.forEach(in: table) { entry in
                    let address = Int(bitPattern: entry.value.baseAddress!)
                    addresses.append((name, address, entry.value.count))
                    return .next
                }
            }
            let origin = try Self.origin(file, transaction, tables)
            var keys: Set<[UInt8]> = []
            try transaction.forEach(in: tables.faces) { entry in
                faceKeys.append(Int(bitPattern: entry.key.baseAddress!) - origin)
                keys.insert(Array(entry.key))
                return .next
            }
            var names: Set<[UInt8]> = []
            try transaction.forEach(in: tables.byPerson) { entry in
                let start = Int(bitPattern: entry.key.baseAddress!) - origin
                personKeys.append(start..<start + entry.key.count)
                names.insert(Array(entry.key))
                return .next
            }
            let nameCounts = Set(names.map(\.count))
            // A branch page has 1 in its flags, 10 bytes from its beginning; its nodes have 8 bytes before the key.
            for page in stride(from: 0, to: file.count, by: 4096) where file[page + 10] & 1 == 1 {
                for offset in page + 24..<page + 4080 where keys.contains(Array(file[offset..<offset + 16])) {
                    branchKeys.append(offset)
                }
                for offset in page + 24..<page + 4070 {
                    for count in nameCounts where names.contains(Array(file[offset..<offset + count])) {
                        personBranchKeys.append(offset..<offset + count)
                    }
                }
            }
            for (name, address, count) in addresses where count > 0 {
                ranges[name, default: []].append(address - origin..<address - origin + count)
            }
        }
        self.ranges = ranges
        self.faceKeys = faceKeys
        self.branchKeys = branchKeys
        self.personKeys = personKeys
        self.personBranchKeys = personBranchKeys
    }

    /// Address at which the file's first byte is mapped, found by the place of the codebook, which is there once.
    private static func origin(
        _ file: [UInt8],
        _ transaction: borrowing ReadTransaction,
        _ tables: PartitionTables
    ) throws -> Int {
        let codebook = try #require(try transaction.value(of: tables.meta, key: MetaKey.codebook))
        let head = Array(codebook.prefix(64))
        let page = try #require(
            stride(from: 0, to: file.count, by: 4096).first { file[$0...].dropFirst(16).starts(with: head) }
        )
        return Int(bitPattern: codebook.baseAddress!) - (page + 16)
    }

    func flip(_ offset: Int, _ bit: UInt8) throws {
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.seek(toOffset: UInt64(offset))
        let byte = try #require(try file.read(upToCount: 1)?.first)
        try file.seek(toOffset: UInt64(offset))
        try file.write(contentsOf: Data([byte ^ bit]))
    }
}
