internal import BinaryCoding
package import FaceModel
package import LMDB

/// Where a receipt is that is none of the newest: its key (16), the sequence of its write (8, little-endian), CRC-32C
/// (4).
package struct EarlierReceipt: Hashable, Sendable {
    package let key: IdempotencyKey
    package let sequence: UInt64

    package init(key: IdempotencyKey, sequence: UInt64) {
        self.key = key
        self.sequence = sequence
    }

    /// Whether a receipt under its key is the one: of a key that was used again it is a later write's. One that came
    /// over may have been joined with a part of the same write since, and is of the later of both; of these a key has
    /// one place.
    package func isOf(_ receipt: ReceiptRecord) -> Bool { receipt.sequence == sequence || receipt.isInherited }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 28)
        writer.write(key.high.byteSwapped)
        writer.write(key.low.byteSwapped)
        writer.write(sequence)
        return RecordSeal.seal(writer)
    }

    package init(bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) {
        let body = try unsafe RecordSeal.open(bytes, table: "earlierReceiptOrder", key: 0)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            let (high, low) = (try reader.read(UInt64.self), try reader.read(UInt64.self))
            key = IdempotencyKey(high: high.byteSwapped, low: low.byteSwapped)
            sequence = try reader.read()
            try reader.finish()
        } catch {
            throw .malformed(table: "earlierReceiptOrder", reason: "\(error)")
        }
    }
}

extension PartitionTables {
    /// Number and place of the oldest receipt that is none of the newest; nil when there is none.
    package func oldestEarlierReceipt(
        _ transaction: borrowing ReadTransaction
    ) throws -> (number: UInt64, place: EarlierReceipt)? {
        try transaction.withCursor(earlierReceiptOrder) { cursor in
            try unsafe cursor.first().map { try unsafe earlierReceipt($0) }
        }
    }

    /// What an entry of ``earlierReceiptOrder`` says.
    package func earlierReceipt(_ entry: Entry) throws -> (number: UInt64, place: EarlierReceipt) {
        guard let number = unsafe entry.uint64Key else {
            throw PartitionStoreError.malformed(table: "earlierReceiptOrder", reason: "a key that is no number")
        }
        return (number, try unsafe EarlierReceipt(bytes: entry.value))
    }

    /// What the write of a key answered, and whether that is one of the newest receipts; nil when nothing is
    /// remembered of it.
    package func anyReceipt(
        of key: IdempotencyKey,
        _ transaction: borrowing ReadTransaction
    ) throws -> (receipt: ReceiptRecord, isRecent: Bool)? {
        if let recent = try receipt(of: key, transaction) { return (recent, true) }
        return try unsafe transaction.value(of: earlierReceipts, key: key).map {
            (try unsafe ReceiptRecord(bytes: $0), false)
        }
    }
}
