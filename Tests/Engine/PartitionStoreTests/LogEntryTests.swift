import BinaryCoding
import Checksum
import FaceModel
import Foundation
import PartitionStore
import Testing
import VectorMath

/// Entries of the log: golden bytes, round trips, and what damage and malice make of them.
struct LogEntryTests {
    /// `MIEN_TEST_SEED` repeats a failure or varies what is drawn.
    private static let seed = getenv("MIEN_TEST_SEED").flatMap { UInt64(String(cString: $0)) } ?? 20_261_126

    private static let shape = RowChunk.Shape(dimension: 8, precision: .float16)

    private static let rows = [
        EnrolRow(
            id: FaceID(high: 1, low: 2),
            metadata: FaceMetadata(
                personID: "p",
                boundingBox: BoundingBox(left: 0, top: 0.5, width: 1, height: 0.25),
                created: Timestamp(milliseconds: 5),
                attributes: ["gate": "north"]
            )
        ),
        EnrolRow(id: FaceID(high: 3, low: 4), metadata: FaceMetadata()),
    ]

    private static let operations: [LogOperation] = [
        .beginEpoch,
        .enrol(
            rows: rows,
            embeddings: StoredEmbeddings(shape: shape, bytes: (0..<32).map { UInt8($0 % 2 == 0 ? $0 : 0x30) }[...])
        ),
        .enrol(rows: [], embeddings: StoredEmbeddings(shape: shape, bytes: [])),
        .enrol(
            rows: [rows[1]],
            embeddings: StoredEmbeddings(
                shape: RowChunk.Shape(dimension: 3, precision: .float32),
                bytes: [UInt8](repeating: 0x20, count: 12)[...]
            )
        ),
        .delete([FaceID(high: 5, low: 6), FaceID(high: 7, low: 8)]), .delete([]),
        .expire(at: Timestamp(milliseconds: -9), faces: [FaceID(high: 5, low: 6)]),
        .restore(
            rows: rows.map {
                .init(id: $0.id, version: FaceVersion(epoch: 2, sequence: 11), metadata: $0.metadata)
            },
            embeddings: StoredEmbeddings(shape: shape, bytes: [UInt8](repeating: 0x30, count: 32)[...]),
            isLast: false
        ), .restore(rows: [], embeddings: StoredEmbeddings(shape: shape, bytes: []), isLast: true),
    ]

    private static func entry(_ operation: LogOperation, after chain: UInt64 = 77) throws -> LogEntry {
        try LogEntry(
            epoch: 3,
            sequence: 9,
            key: IdempotencyKey(high: 1, low: 2),
            operation: operation,
            after: chain
        )
    }

    @Test func aDeletionHasItsBytes() throws {
        let entry = try Self.entry(.delete([FaceID(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10)]))
        // Chain and checksums were computed by another implementation.
        let expected: [UInt8] = [
            77, 76, 79, 71, 1, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0,
            0, 0, 0, 0, 0, 0, 118, 169, 218, 231, 143, 147, 106, 149, 20, 0, 0, 0, 54, 167, 141, 127, 0, 0, 0, 0, 248,
            14, 240, 176, 1, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 16, 15, 14, 13, 12, 11, 10, 9,
        ]
        #expect(entry.encoded() == expected)
        #expect(entry.chain == 0x956a_938f_e7da_a976 && entry.byteCount == expected.count)
    }

    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Formats")

    /// Every operation as layout 1 has it, a line each in hexadecimal.
    private static var stored: URL { folder.appendingPathComponent("log-entries-1.hex") }

    @Test func entriesOfEveryLayoutAreRead() throws {
        let lines = try String(contentsOf: Self.stored, encoding: .utf8).split(separator: "\n")
        try #require(lines.count == Self.operations.count)
        for (line, operation) in zip(lines, Self.operations) {
            let digits = line.compactMap(\.hexDigitValue)
            let bytes = stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
            #expect(try LogEntry(bytes: bytes) == Self.entry(operation))
        }
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["MIEN_WRITE_GOLDEN"] == "1"))
    func filesAreWrittenWhenAskedFor() throws {
        try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
        guard !FileManager.default.fileExists(atPath: Self.stored.path) else { return }
        let lines = try Self.operations.map { operation in
            try Self.entry(operation).encoded().map { String(format: "%02x", $0) }.joined() + "\n"
        }
        try lines.joined().write(to: Self.stored, atomically: true, encoding: .utf8)
    }

    @Test func everyOperationIsReadBack() throws {
        for operation in Self.operations {
            let entry = try Self.entry(operation)
            let read = try LogEntry(bytes: entry.encoded())
            #expect(read == entry && read.operation == operation && entry.operation == operation)
            #expect(read.epoch == 3 && read.sequence == 9 && read.key == IdempotencyKey(high: 1, low: 2))
            #expect(read.encoded() == entry.encoded())
        }
    }

    @Test func anEntryContinuesTheOneItWasMadeBehind() throws {
        for operation in Self.operations {
            let entry = try Self.entry(operation)
            let read = try LogEntry(bytes: entry.encoded())
            #expect(entry.continues(77) && read.continues(77))
            #expect(!entry.continues(78) && !read.continues(76))
        }
        // Every field counts.
        let key = IdempotencyKey(high: 1, low: 2)
        let others = [
            try LogEntry(epoch: 4, sequence: 9, key: key, operation: .beginEpoch, after: 77),
            try LogEntry(epoch: 3, sequence: 8, key: key, operation: .beginEpoch, after: 77),
            try LogEntry(
                epoch: 3,
                sequence: 9,
                key: IdempotencyKey(high: 1, low: 3),
                operation: .beginEpoch,
                after: 77
            ),
            try Self.entry(.delete([])), try Self.entry(.delete([FaceID(high: 0, low: 0)])),
            try Self.entry(.delete([FaceID(high: 0, low: 1)])), try Self.entry(.beginEpoch, after: 78),
            try Self.entry(.beginEpoch),
        ]
        #expect(Set(others.map(\.chain)).count == others.count)
    }

    @Test func everyChangedBitAndEveryOtherLengthIsAnError() throws {
        for operation in Self.operations {
            let bytes = try Self.entry(operation).encoded()
            for offset in bytes.indices {
                for bit in 0..<8 {
                    var changed = bytes
                    changed[offset] ^= 1 << UInt8(bit)
                    #expect(throws: LogEntryError.self, "\(operation), offset \(offset)") {
                        try LogEntry(bytes: changed)
                    }
                }
            }
            for count in bytes.indices {
                #expect(throws: LogEntryError.self) { try LogEntry(bytes: Array(bytes.prefix(count))) }
            }
            #expect(throws: LogEntryError.self) { try LogEntry(bytes: bytes + [0]) }
        }
    }

    /// Bytes changed on purpose, with checksums that fit them: refused, or an entry that is written as it was read.
    @Test func sealedBytesThatWereChangedAreRefusedOrSound() throws {
        var generator = SplitMix64(seed: Self.seed)
        var (refusedCount, soundCount) = (0, 0)
        for operation in Self.operations {
            let bytes = try Self.entry(operation).encoded()
            for offset in bytes.indices {
                for value in [0, 1, 0x7f, 0x80, 0xff, UInt8.random(in: 0...255, using: &generator)] {
                    var changed = bytes
                    changed[offset] = value
                    if Int.random(in: 0..<4, using: &generator) == 0 {
                        changed[Int.random(in: changed.indices, using: &generator)] = .random(
                            in: 0...255,
                            using: &generator
                        )
                    }
                    if Int.random(in: 0..<8, using: &generator) == 0 {
                        changed.removeLast(Int.random(in: 0...changed.count - 64, using: &generator))
                    }
                    guard let entry = try? LogEntry(bytes: Self.sealed(changed)) else {
                        refusedCount += 1
                        continue
                    }
                    #expect(entry.encoded() == Self.sealed(changed))
                    let again = try LogEntry(
                        epoch: entry.epoch,
                        sequence: entry.sequence,
                        key: entry.key,
                        operation: entry.operation,
                        after: 77
                    )
                    #expect(try LogEntry(bytes: again.encoded()).operation == entry.operation)
                    soundCount += 1
                }
            }
        }
        #expect(refusedCount > 1000 && soundCount > 1000, "seed \(Self.seed)")
    }

    /// Counts that promise more than there is must not be believed, nor allocated for.
    @Test func countsBeyondTheBytesAreRefused() throws {
        for (operation, offset) in [(1, 64), (4, 64), (6, 72)] {
            var bytes = try Self.entry(Self.operations[operation]).encoded()
            for byte in 0..<4 { bytes[offset + byte] = 0xff }
            #expect(throws: LogEntryError.self) { try LogEntry(bytes: Self.sealed(bytes)) }
        }
    }

    @Test func whatIsNotFiniteIsRefused() throws {
        var half = try Self.entry(Self.operations[1]).encoded()
        half[half.count - 1] = 0x7c
        #expect(throws: LogEntryError.malformed(reason: "an embedding that is not finite")) {
            try LogEntry(bytes: Self.sealed(half))
        }
        var single = try Self.entry(Self.operations[3]).encoded()
        (single[single.count - 1], single[single.count - 2]) = (0xff, 0x80)
        #expect(throws: LogEntryError.malformed(reason: "an embedding that is not finite")) {
            try LogEntry(bytes: Self.sealed(single))
        }
    }

    @Test func anEntryBeyondTheLimitIsRefused() throws {
        let faces = [FaceID](repeating: FaceID(high: 0, low: 0), count: LogEntry.byteLimit / 16)
        #expect(throws: LogEntryError.tooLarge(byteCount: LogEntry.byteLimit + 68)) {
            try Self.entry(.delete(faces))
        }
        #expect(throws: LogEntryError.tooLarge(byteCount: LogEntry.byteLimit + 1)) {
            try LogEntry(bytes: [UInt8](repeating: 0, count: LogEntry.byteLimit + 1))
        }
        #expect(try Self.entry(.delete(Array(faces.dropLast(5)))).byteCount <= LogEntry.byteLimit)
    }

    /// The bytes with a byte count and checksums that fit.
    private static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        func put(_ value: UInt32, at offset: Int, in bytes: inout [UInt8]) {
            for byte in 0..<4 { bytes[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt32(8 * byte)) }
        }
        var sealed = bytes
        put(UInt32(bytes.count - 64), at: 48, in: &sealed)
        put(Array(sealed[64...]).withUnsafeBytes { CRC32C.checksum($0) }, at: 52, in: &sealed)
        put(Array(sealed[..<60]).withUnsafeBytes { CRC32C.checksum($0) }, at: 60, in: &sealed)
        return sealed
    }
}
