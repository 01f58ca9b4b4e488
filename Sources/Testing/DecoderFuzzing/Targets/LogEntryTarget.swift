import Checksum
import FaceModel
import PartitionStore

extension FuzzTarget {
    /// Entries of a partition's log, which also come from other replicas. Checksums are made right first.
    static let logEntries = FuzzTarget(
        name: "log-entries",
        seeds: { try LogEntryTarget.entries().map { $0.encoded() } },
        accepts: { LogEntryTarget.accepts($0) }
    )
}

enum LogEntryTarget {
    static func accepts(_ bytes: [UInt8]) -> Bool {
        let sealed = sealing(bytes)
        guard let entry = try? LogEntry(bytes: sealed) else { return false }
        precondition(entry.encoded() == sealed, "an entry has other bytes than those it was read from")
        // What was not made as an entry may have more than one form; one that is made has one.
        guard
            let made = try? LogEntry(
                epoch: entry.epoch,
                sequence: entry.sequence,
                key: entry.key,
                operation: entry.operation,
                after: 7
            )
        else { return true }
        precondition(made.continues(7), "an entry does not continue the one before it")
        guard let again = try? LogEntry(bytes: made.encoded()) else {
            preconditionFailure("an entry that was made is refused")
        }
        precondition(again.operation == entry.operation || hasNaN(entry.operation), "an operation is another one")
        return true
    }

    /// A number of the metadata that is not equal to itself.
    private static func hasNaN(_ operation: LogOperation) -> Bool { operation != operation }

    private static func sealing(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count >= LogEntry.headerByteCount else { return bytes }
        var sealed = bytes
        let payload = unsafe sealed.withUnsafeBytes {
            unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[LogEntry.headerByteCount...]))
        }
        replaceNumber(&sealed, at: 52, with: payload)
        let header = unsafe sealed.withUnsafeBytes {
            unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[..<60]))
        }
        replaceNumber(&sealed, at: 60, with: header)
        return sealed
    }

    fileprivate static func entries() throws -> [LogEntry] {
        let half = RowChunk.Shape(dimension: 8, precision: .float16)
        let full = RowChunk.Shape(dimension: 3, precision: .float32)
        let rows = [
            EnrolRow(id: FaceID(high: 1, low: 2), metadata: PartitionRecordTarget.metadata),
            EnrolRow(id: FaceID(high: 3, low: 4), metadata: FaceMetadata()),
        ]
        let operations: [LogOperation] = [
            .beginEpoch,
            .enrol(
                rows: rows,
                embeddings: StoredEmbeddings(shape: half, bytes: [UInt8](repeating: 0x30, count: 32)[...])
            ),
            .enrol(
                rows: [rows[1]],
                embeddings: StoredEmbeddings(shape: full, bytes: [UInt8](repeating: 0x20, count: 12)[...])
            ),
            .delete([FaceID(high: 5, low: 6), FaceID(high: 7, low: 8)]),
            .expire(at: Timestamp(milliseconds: -9), faces: [FaceID(high: 5, low: 6)]),
            .restore(
                rows: rows.map {
                    .init(id: $0.id, version: FaceVersion(epoch: 2, sequence: 11), metadata: $0.metadata)
                },
                embeddings: StoredEmbeddings(shape: half, bytes: [UInt8](repeating: 0x30, count: 32)[...]),
                isLast: true
            ),
        ]
        return try operations.map {
            try LogEntry(epoch: 3, sequence: 9, key: IdempotencyKey(high: 1, low: 2), operation: $0, after: 77)
        }
    }
}
