package import FaceModel
internal import LMDB
internal import PartitionStore

extension Partition {
    /// Most by which another's clock may run faster than this one's.
    private static let clockShare = 1.02

    /// A write that was done before.
    package struct KnownReceipt: Hashable, Sendable {
        package var receipt: WriteReceipt
        /// Whether its receipt is one of the newest, which every replica has.
        package var isRecent: Bool
    }

    /// What a write answers whose key was seen before; nil when it leaves no receipt, or none is known.
    package func knownReceipt(of batch: WriteBatch) throws(PartitionError) -> KnownReceipt? {
        guard batch.operation.leavesReceipt else { return nil }
        do {
            return try environment.read { transaction in
                try tables.anyReceipt(of: batch.key, transaction).map { known in
                    let change = WritePass.Change(batch.operation, shape: shape)
                    return KnownReceipt(receipt: change.answer(known.receipt), isRecent: known.isRecent)
                }
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Whether a write may have been done although its key is not known: receipts have been forgotten that may be as
    /// young as the first attempt at it.
    ///
    /// - Parameter age: time since that attempt, positive, by the clock of whoever made it. What the message about it
    ///   took on its way is not in it, and has to be shorter than what passes while as many writes are done as receipts
    ///   are kept.
    package func mayHaveForgotten(_ key: IdempotencyKey, age: Duration) throws(PartitionError) -> Bool {
        do {
            return try environment.read { transaction in
                if try tables.anyReceipt(of: key, transaction) != nil { return false }
                guard let time = try timeSinceForgotten(transaction) else { return false }
                return .milliseconds(time) <= age * Self.clockShare
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Milliseconds, at least, since the youngest receipt was kept that is there no more; nil when none was ever
    /// forgotten.
    func timeSinceForgotten(_ transaction: borrowing ReadTransaction) throws -> UInt64? {
        let oldest = try oldestReceipt(transaction)
        switch try Self.receiptTimes(tables, transaction)?.forgotten(oldest: oldest) {
        case .nothing?: return nil
        case .by(let forgotten)?:
            let now = time
            return now - min(forgotten, now)
        case .unknown?, nil: return 0
        }
    }

    /// A receipt by its number; nil when its key was used again, so that it is there no more.
    func receipt(
        numbered number: UInt64,
        _ transaction: borrowing ReadTransaction
    ) throws -> (IdempotencyKey, ReceiptRecord)? {
        if let bytes = try unsafe transaction.value(of: tables.receiptOrder, key: number) {
            guard let key = unsafe IdempotencyKey(keyBytes: bytes),
                let receipt = try tables.receipt(of: key, transaction)
            else { throw PartitionStoreError.missing(table: "receipts", key: number) }
            return (key, receipt)
        }
        guard let bytes = try unsafe transaction.value(of: tables.earlierReceiptOrder, key: number) else {
            throw PartitionStoreError.missing(table: "earlierReceiptOrder", key: number)
        }
        let place = try unsafe EarlierReceipt(bytes: bytes)
        guard let known = try unsafe transaction.value(of: tables.earlierReceipts, key: place.key) else {
            throw PartitionStoreError.missing(table: "earlierReceipts", key: number)
        }
        let receipt = try unsafe ReceiptRecord(bytes: known)
        return place.isOf(receipt) ? (place.key, receipt) : nil
    }

    /// Number of the oldest receipt that there is.
    func oldestReceipt(_ transaction: borrowing ReadTransaction) throws -> UInt64 {
        try tables.oldestEarlierReceipt(transaction)?.number ?? state(transaction).oldestReceipt
    }

    /// nil when nothing has been noted: of an earlier format.
    static func receiptTimes(
        _ tables: PartitionTables,
        _ transaction: borrowing ReadTransaction
    ) throws -> ReceiptTimesRecord? {
        try unsafe transaction.value(of: tables.meta, key: MetaKey.receiptTimes).map {
            try unsafe ReceiptTimesRecord(bytes: $0)
        }
    }
}
