import FaceModel
import Foundation
import LMDB
import PartitionEngine
import PartitionStore
import Testing
import VectorMath

/// Verifying all: a sound partition passes, and no changed bit of any value does.
struct PartitionVerificationTests {
    /// Something in every table: runs of two codebooks, one half coded again, a tail, dead rows, expiry, receipts, a
    /// log of which the last entry is not applied.
    private func filled() throws -> PartitionFixture {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        var author = try LogAuthor(fixture.partition, epoch: 1)
        let ids = (0..<900).map { FaceID($0) }
        let enrolment = fixture.enrolment(ids, ids.map { _ in source.embedding() }) { id in
            FaceMetadata(
                personID: "person \(id.low % 50)",
                externalImageID: id.low % 2 == 0 ? "image \(id.low)" : nil,
                expires: id.low % 70 == 0 ? Timestamp(milliseconds: 40) : nil
            )
        }
        let entries = try [
            author.entry(enrolment),
            author.entry(WriteBatch(key: fixture.nextKey(), operation: .delete((300..<330).map { FaceID($0) }))),
            author.entry(fixture.enrolment([FaceID(5)], [source.embedding()])), author.entry(.beginEpoch),
        ]
        let partition = fixture.partition
        _ = try partition.commit(LogTransaction(promise: 1, append: [entries[0]], applyThrough: 1))
        try partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        _ = try partition.commit(LogTransaction(append: Array(entries[1...]), applyThrough: 3))
        try partition.install(codebook: FaceSource.codebook(dimension: 64, generation: 2))
        return fixture
    }

    @Test func aSoundPartitionPasses() throws {
        let fixture = try filled()
        #expect(try fixture.partition.verifyAll() == fixture.partition.digest())
        while try fixture.partition.recode() {
            #expect(try fixture.partition.verifyAll() == fixture.partition.digest())
        }
        try fixture.settle()
        #expect(try fixture.partition.verifyAll() == fixture.partition.digest())
    }

    /// Values have no bit that does not matter, but for the bytes of a dead row's codes: they are under a checksum too.
    @Test func everyChangedBitIsNoticed() throws {
        let fixture = try filled()
        _ = try fixture.partition.recode()
        fixture.partition.close()
        let values = try StoredValues(path: "\(fixture.directory)/data.mdb")
        #expect(
            values.tables == [
                "byExternalImage", "byPerson", "codes", "faces", "log", "meta", "receiptOrder", "receipts",
                "roundedRows", "rowFaces", "rows", "runs", "tailRows", "tombstones",
            ]
        )
        // What these lead to is said to be damaged, or it is the codebook.
        let others = ["receiptOrder", "rowFaces", "meta"]
        var generator = SplitMix64(seed: testSeed)
        for table in values.tables {
            for _ in 0..<40 {
                let range = values.ranges[table]!.randomElement(using: &generator)!
                let offset = Int.random(in: range, using: &generator)
                let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
                try values.flip(offset, bit)
                defer { try? values.flip(offset, bit) }
                let comment = Comment(
                    rawValue: "seed \(testSeed), \(table), offset \(offset - range.lowerBound), bit \(bit)"
                )
                do {
                    try fixture.reopen()
                    defer { fixture.partition.close() }
                    _ = try fixture.partition.verifyAll()
                    Issue.record("not noticed: \(comment)")
                } catch let error as PartitionError {
                    #expect(error.isCorruption || error.isNewerFormat, comment)
                    #expect("\(error)".contains(table) || others.contains(table), comment)
                }
            }
        }
        try fixture.reopen()
        #expect(try fixture.partition.verifyAll() != nil)
    }

    @Test func whatIsMissingOrLeftOverIsNoticed() throws {
        typealias Change = (PartitionTables, borrowing WriteTransaction) throws -> Void
        let changes: [(String, Change)] = [
            ("faces", { _ = try $1.delete($0.faces, key: FaceID(7)) }),
            ("rowFaces", { _ = try $1.delete($0.rowFaces, key: UInt32(7)) }),
            ("byExpiry", { try $1.removeAll($0.byExpiry) }),
            (
                "byExpiry",
                { try $1.put($0.byExpiry, key: ExpiryKey(expires: Timestamp(milliseconds: 9), row: 7), value: []) }
            ),
            (
                "byPerson",
                { tables, transaction in
                    let key = NameKey(name: "person \(FaceID(7).low % 50)", row: 7)
                    let isRemoved = try transaction.delete(tables.byPerson, key: key)
                    #expect(isRemoved)
                }
            ),
            ("byExternalImage", { try $1.removeAll($0.byExternalImage) }),
            ("receipts", { _ = try $1.delete($0.receiptOrder, key: UInt64(0)) }),
            ("receipts", { try $1.put($0.receipts, key: IdempotencyKey(high: 0, low: 0), value: [1]) }),
            ("log", { _ = try $1.delete($0.log, key: UInt64(4)) }),
            ("log", { _ = try $1.delete($0.log, key: UInt64(1)) }), ("log", { try $1.removeAll($0.log) }),
            ("codes", { try $1.put($0.codes, key: CodeChunkKey(run: 999, chunk: 0), value: [1]) }),
            ("runs", { try $1.removeAll($0.runs) }), ("meta", { _ = try $1.delete($0.meta, key: MetaKey.digest) }),
            ("tombstones", { try $1.removeAll($0.tombstones) }),
            ("tailRows", { try $1.put($0.tailRows, key: UInt32(5), value: [1]) }),
            (
                "meta",
                { try $1.put($0.meta, key: MetaKey.digest, value: DigestRecord(uncountedRow: .max).encoded()) }
            ),
        ]
        for (index, (table, change)) in changes.enumerated() {
            let fixture = try filled()
            fixture.partition.close()
            try fixture.change(change)
            try fixture.reopen()
            #expect("change \(index), of \(table)") { try fixture.partition.verifyAll() } throws: { error in
                (error as? PartitionError)?.isCorruption == true
            }
        }
    }

    /// Sound records that contradict each other.
    @Test func entriesThatContradictEachOtherAreNoticed() throws {
        let fixture = try filled()
        fixture.partition.close()
        // The log with the first entry of another log, sealed as it should be.
        let other = try PartitionFixture()
        var author = try LogAuthor(other.partition, epoch: 1)
        let foreign = try author.entry(.beginEpoch)
        try fixture.change { tables, transaction in
            try transaction.put(tables.log, key: UInt64(1), value: foreign.encoded())
        }
        try fixture.reopen()
        #expect { try fixture.partition.verifyAll() } throws: { error in
            guard case PartitionError.store(.contradiction("log", 2, _)) = error else { return false }
            return true
        }
        #expect(throws: PartitionError.self) { try fixture.partition.logEntries(from: 1, byteLimit: .max) }
    }

    /// An entry that waits to be applied and is damaged is never applied.
    @Test func aDamagedEntryIsNotApplied() throws {
        let fixture = try filled()
        fixture.partition.close()
        try fixture.change { tables, transaction in
            var bytes = Array(try #require(try transaction.reading.value(of: tables.log, key: UInt64(4))))
            bytes[20] ^= 1
            try transaction.put(tables.log, key: UInt64(4), value: bytes)
        }
        try fixture.reopen()
        let before = try fixture.partition.logExtent()
        #expect { try fixture.partition.commit(LogTransaction(applyThrough: 4)) } throws: { error in
            guard case PartitionError.store(.checksumMismatch("log", 4)) = error else { return false }
            return true
        }
        #expect(try fixture.partition.logExtent() == before)
        // It can still be cut off.
        #expect(try fixture.partition.commit(LogTransaction(truncateAfter: 3)).lastSequence == 3)
        #expect(try fixture.partition.verifyAll() != nil)
    }
}
