package import FaceModel
package import LMDB

extension PartitionTables {
    /// One entry of the log, verified.
    package func logEntry(_ sequence: UInt64, _ transaction: borrowing ReadTransaction) throws -> LogEntry {
        guard let bytes = try unsafe transaction.value(of: log, key: sequence) else {
            throw PartitionStoreError.missing(table: "log", key: sequence)
        }
        return try unsafe logEntry(bytes, under: sequence)
    }

    /// The entry that lies under a key, verified.
    package func logEntry(_ bytes: UnsafeRawBufferPointer, under sequence: UInt64) throws -> LogEntry {
        let entry: LogEntry
        // All of it is copied, and an import's is a megabyte.
        unsafe MappedPages.readAheadIfLong(bytes)
        // One that says too little or too much of its length is damaged, and found so below.
        let byteCount = unsafe LogEntry.byteCount(ofEntryIn: bytes)
        let content = try unsafe Self.content(of: bytes, byteCount: min(byteCount, bytes.count), table: "log")
        do throws(LogEntryError) {
            entry = try LogEntry(bytes: unsafe Array(content))
        } catch .checksumMismatch {
            throw PartitionStoreError.checksumMismatch(table: "log", key: sequence)
        } catch {
            throw PartitionStoreError.contradiction(table: "log", key: sequence, reason: "\(error)")
        }
        guard entry.sequence == sequence else {
            throw PartitionStoreError.contradiction(table: "log", key: sequence, reason: "another entry's key")
        }
        return entry
    }

    /// How long an entry is in the file: one that brings faces has pages of its own.
    package func storedByteCount(of entry: LogEntry) -> Int {
        entry.operation.bringsFaces ? max(entry.byteCount, leastOwnPagesByteCount) : entry.byteCount
    }

    /// What the write of a key answered; nil when it was never made, or its receipt is no longer kept.
    package func receipt(
        of key: IdempotencyKey,
        _ transaction: borrowing ReadTransaction
    ) throws -> ReceiptRecord? {
        try unsafe transaction.value(of: receipts, key: key).map { try unsafe ReceiptRecord(bytes: $0) }
    }
}
