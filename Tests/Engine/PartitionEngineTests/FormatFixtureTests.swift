import BinaryCoding
import FaceModel
import FaceRecords
import Foundation
import LMDB
import PartitionEngine
import PartitionStore
import Testing

/// A partition of every format that there has been: it opens, has what it had, and answers as it did. Those of formats
/// 1 to 5 were written by the program of format 6, without what came later, the others by programs of their time.
///
/// The files are dumps of tables, since LMDB's own pages are not Mien's format. `MIEN_WRITE_GOLDEN=1` writes those that
/// are missing and never one that is there: a format that has passed cannot be written again.
@Suite struct FormatFixtureTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Formats")

    private static func file(_ format: Int) -> URL { folder.appendingPathComponent("partition-\(format).dump") }

    /// Faces 1 … 140 with one component above all, and half of another.
    private static func embedding(_ number: Int, dimension: Int = 64) -> [Float] {
        var values = [Float](repeating: 0, count: dimension)
        values[number % dimension] = 0.8
        values[(number * 7 + 1) % dimension] += 0.6
        let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return values.map { $0 / norm }
    }

    private static func metadata(_ face: FaceID) -> FaceMetadata {
        FaceMetadata(
            personID: face.low % 3 == 0 ? "person-\(face.low % 7)" : nil,
            externalImageID: face.low % 10 == 0 ? "image-\(face.low)" : nil,
            created: Timestamp(milliseconds: Int64(face.low)),
            expires: face.low % 50 == 0 ? Timestamp(milliseconds: 1 << 50) : nil,
            attributes: face.low % 4 == 0 ? ["camera": "north"] : [:]
        )
    }

    /// With a whole chunk of rows where they came to be rounded, and later; two since runs are merged by slices.
    private static func faceCount(_ format: Int) -> Int { format >= 8 ? 300 : format == 3 || format >= 6 ? 140 : 30 }
    private static func face(_ number: Int) -> FaceID { FaceID(high: 1, low: UInt64(number)) }
    private static let erased = [face(9), face(10)]

    /// What a search found, by the bits of its similarity.
    private static func answers(_ fixture: PartitionFixture, _ effort: SearchEffort) throws -> [String] {
        try (0..<4).map { probe in
            var values = [Float](repeating: 0, count: 64)
            values[probe * 5] = 1
            return try fixture.search([values], limit: 6, effort: effort).matches[0]
                .map { "\($0.faceID) \(String($0.similarity.bitPattern, radix: 16))" }.joined(separator: " ")
        }
    }

    // MARK: Reading

    @Test(arguments: 1...Int(PartitionState.newestFormat))
    func aPartitionOfEveryFormatOpensAndAnswers(format: Int) throws {
        let dump = try PartitionDump(bytes: Array(try Data(contentsOf: Self.file(format))))
        let folder = TemporaryFolder()
        try dump.load(into: folder.path)
        let fixture = try PartitionFixture(opening: folder.path)
        let faceCount = Self.faceCount(format)
        let partition = fixture.partition
        #expect(try partition.statistics().faceCount == UInt64(faceCount - Self.erased.count))
        let ids = (1...faceCount).map { Self.face($0) }
        let faces = try partition.faces(ids, includesEmbeddings: true)
        #expect(faces.map(\.id) == ids.filter { !Self.erased.contains($0) })
        for face in faces {
            #expect(face.metadata == Self.metadata(face.id))
            let wanted = Self.embedding(Int(face.id.low)).map { Float(Float16($0)) }
            #expect(face.embedding == wanted)
        }
        #expect(try Self.answers(fixture, .exact) == dump.answers)
        #expect(
            try fixture.search([Self.embedding(12)], limit: 1, filter: FaceFilter(personIDs: ["person-5"]))
                .matches[0][0].faceID == Self.face(12)
        )
        if format >= 6 { #expect(try Self.answers(fixture, .full) == dump.answers) }
        // An answer that was given then is given again.
        let receipt = try #require(try partition.receipt(of: IdempotencyKey(high: 7, low: 2)))
        #expect(receipt.outcome == .deleted([.deleted, .deleted, .absent]))
        if format >= 9 {
            let enrolment = fixture.enrolment(ids, ids.map { Self.embedding(Int($0.low)) }, metadata: Self.metadata)
            let again = WriteBatch(key: IdempotencyKey(high: 7, low: 1), operation: enrolment.operation)
            let known = try #require(try partition.knownReceipt(of: again))
            #expect(known.receipt.outcome == .enrolled(ids.map { _ in .accepted }) && !known.isRecent)
        }
        if format >= 4 {
            let extent = try partition.logExtent()
            #expect(extent.lastSequence == extent.appliedSequence + 1)
            let entries = try partition.logEntries(from: extent.firstLogged, byteLimit: 1 << 24)
            #expect(entries.count == Int(extent.lastSequence - extent.firstLogged + 1))
            _ = try partition.commit(LogTransaction(applyThrough: extent.lastSequence))
            #expect(try partition.faces([Self.face(999)], includesEmbeddings: false).count == 1)
        } else {
            // Under a key that no receipt is kept of.
            let enrolment = WriteBatch(
                key: .random(),
                operation: fixture.enrolment([Self.face(999)], [Self.embedding(1)]).operation
            )
            _ = try partition.write([enrolment], epoch: 1)
        }
        if format >= 6 {
            let key = partition.identity.erasureKey
            let erasures = try partition.erasures(after: nil, limit: 10).erasures
            #expect(erasures.map(\.pseudonym) == Self.erased.map { key.pseudonym(of: $0) }.sorted())
        }
        #expect(dump.entries.contains { $0.table == "meta" && $0.key == Array("looseRuns".utf8) } == (format >= 8))
        // Faces were deleted: something of them may be there.
        #expect(try partition.remnantAge() != nil)
        #expect(dump.entries.contains { $0.table == "meta" && $0.key == Array("remnants".utf8) } == (format >= 9))
        // And it goes on as one of today.
        try fixture.settle()
        #expect(try partition.verifyAll() != nil)
        #expect(try partition.digest()?.faceCount == UInt64(faceCount - Self.erased.count + 1))
        try fixture.reopen()
        #expect(try fixture.search([Self.embedding(20)], limit: 1).matches[0][0].faceID == Self.face(20))
    }

    // MARK: Writing

    @Test(.enabled(if: ProcessInfo.processInfo.environment["MIEN_WRITE_GOLDEN"] == "1"))
    func filesAreWrittenWhenAskedFor() throws {
        try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
        for format in 1...Int(PartitionState.newestFormat)
        where !FileManager.default.fileExists(atPath: Self.file(format).path) {
            let fixture = try Self.filled(
                Self.faceCount(format),
                isLogged: format >= 4,
                hasCodes: format >= 6,
                receiptLimit: format >= 9 ? 1 : .max
            )
            if format >= 8 { try Self.merge(fixture) }
            let answers = try Self.answers(fixture, .exact)
            fixture.partition.close()
            var directory = fixture.directory
            let older = TemporaryFolder()
            if format < PartitionState.newestFormat {
                directory = older.path
                try fixture.copy(to: directory, asFormat: UInt8(format))
            }
            let dump = try PartitionDump(of: directory, answers: answers)
            try Data(dump.encoded()).write(to: Self.file(format))
            try fixture.reopen()
        }
    }

    private static func filled(
        _ faceCount: Int,
        isLogged: Bool,
        hasCodes: Bool,
        receiptLimit: Int
    ) throws -> PartitionFixture {
        let fixture = try PartitionFixture()
        fixture.options.wallClock = { Timestamp(milliseconds: 1_790_000_000_000) }
        fixture.options.foldRowLimit = 128
        fixture.options.mergeRatio = 0
        fixture.options.receiptLimit = receiptLimit
        try fixture.reopen()
        let partition = fixture.partition
        if hasCodes { try partition.install(codebook: FaceSource.codebook(dimension: 64)) }
        let ids = (1...faceCount).map { Self.face($0) }
        let enrolment = fixture.enrolment(ids, ids.map { embedding(Int($0.low)) }, metadata: metadata)
        let deletion = WriteBatch(key: fixture.nextKey(), operation: .delete(erased + [Self.face(500)]))
        if isLogged {
            _ = try partition.commit(LogTransaction(promise: 3))
            var author = try LogAuthor(partition, epoch: 2)
            var entries = [
                try author.entry(enrolment), try author.entry(deletion), try author.entry(.beginEpoch),
                try author.entry(.expire(at: Timestamp(milliseconds: 5), faces: [Self.face(50)])),
            ]
            author.epoch = 3
            entries.append(
                try author.entry(fixture.enrolment([Self.face(999)], [embedding(1)]))
            )
            _ = try partition.commit(LogTransaction(append: entries, applyThrough: entries[3].sequence))
        } else {
            _ = try partition.write([enrolment, deletion], epoch: 1)
        }
        try fixture.settle()
        return fixture
    }

    /// Merges two runs and leaves their codes to be removed.
    private static func merge(_ fixture: PartitionFixture) throws {
        fixture.options.mergeRatio = 1
        fixture.options.chunkRemovalLimit = 0
        try fixture.reopen()
        #expect(try fixture.partition.statistics().runCount == 2)
        #expect(try fixture.partition.maintain(now: Timestamp(milliseconds: 0)) == .merge)
        #expect(try fixture.partition.statistics().runCount == 1)
        #expect(try fixture.partition.statistics().codeChunkCount == 3)
    }
}

/// The tables of a partition, entry by entry, and what a search of it answered.
struct PartitionDump {
    private static let tables = [
        "meta", "faces", "rowFaces", "rows", "roundedRows", "tailRows", "codes", "runs", "tombstones", "byExpiry",
        "byPerson", "byExternalImage", "receipts", "receiptOrder", "log", "erasures",
        "earlierReceipts", "earlierReceiptOrder",
    ]

    var entries: [(table: String, key: [UInt8], value: [UInt8])] = []
    var answers: [String]

    init(of directory: String, answers: [String]) throws {
        self.answers = answers
        let environment = try Self.open(directory)
        defer { environment.close() }
        for name in Self.tables {
            guard let table = try? environment.openTable(named: name) else { continue }
            try environment.read { reading in
                try reading.forEach(in: table) { entry in
                    entries.append((name, Array(entry.key), Array(entry.value)))
                    return .next
                }
            }
            // A table that is there and empty is there again.
            entries.append((name, [], []))
        }
    }

    /// Zeros are run lengths: a zero, and how many.
    init(bytes: [UInt8]) throws {
        var plain: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == 0 {
                plain.append(contentsOf: repeatElement(0, count: Int(bytes[index + 1])))
                index += 2
            } else {
                plain.append(bytes[index])
                index += 1
            }
        }
        answers = []
        try plain.span.bytes.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            for _ in 0..<(try reader.read(UInt16.self)) { answers.append(try reader.readString()) }
            while reader.remainingByteCount > 0 {
                let table = try reader.readString()
                let key = try reader.readBytes(count: Int(try reader.read(UInt16.self)))
                entries.append((table, key, try reader.readBytes(count: Int(try reader.read(UInt32.self)))))
            }
        }
    }

    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(UInt16(answers.count))
        for answer in answers { writer.write(string: answer) }
        for entry in entries {
            writer.write(string: entry.table)
            writer.write(UInt16(entry.key.count))
            writer.write(bytes: entry.key)
            writer.write(UInt32(entry.value.count))
            writer.write(bytes: entry.value)
        }
        var packed: [UInt8] = []
        var zeros = 0
        func end() {
            if zeros > 0 { packed += [0, UInt8(zeros)] }
            zeros = 0
        }
        for byte in writer.bytes {
            if byte != 0 {
                end()
                packed.append(byte)
            } else {
                zeros += 1
                if zeros == 255 { end() }
            }
        }
        end()
        return packed
    }

    func load(into directory: String) throws {
        let environment = try Self.open(directory)
        defer { environment.close() }
        for name in Set(entries.map(\.table)) {
            let table = try environment.openTable(named: name, create: true)
            try environment.write { writing in
                for entry in entries where entry.table == name && !entry.key.isEmpty {
                    try writing.put(table, key: entry.key, value: entry.value)
                }
            }
        }
    }

    private static func open(_ directory: String) throws -> Environment {
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 30
        return try Environment(path: directory, options: options)
    }
}
