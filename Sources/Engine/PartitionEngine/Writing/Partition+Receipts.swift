package import FaceModel
internal import LMDB
internal import PartitionStore

extension Partition {
    /// Most by which another's clock may run faster than this one's.
    private static let clockShare = 1.02

    /// A write that was done before, or a part of it.
    package struct KnownReceipt: Hashable, Sendable {
        /// Of the rows that were done.
        package var receipt: WriteReceipt
        /// Whether all of it is told by one of the newest receipts of the shard's own writes, which every replica has.
        package var isRecent: Bool
        /// What is left to do; nil when all of it was done.
        package var rest: UndoneRows?
    }

    /// What a write answers whose key was seen before; nil when it leaves no receipt, or none is known. Faces of a
    /// backup are known once the last have been put back.
    package func knownReceipt(of batch: WriteBatch) throws(PartitionError) -> KnownReceipt? {
        if case .restore(let faces, _) = batch.operation { return try knownReceipt(ofRestoring: faces) }
        guard batch.operation.leavesReceipt else { return nil }
        do {
            return try environment.read { transaction in
                try known(batch.key, transaction) { WritePass.Change(batch.operation, shape: shape) }
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Whether a write may have been done although its key is not known, or only a part of it is: receipts have been
    /// forgotten that may be as young as the first attempt at it.
    ///
    /// - Parameter age: time since that attempt, positive, by the clock of whoever made it. What the message about it
    ///   took on its way is not in it, and has to be shorter than what passes while as many writes are done as receipts
    ///   are kept.
    package func mayHaveForgotten(_ key: IdempotencyKey, age: Duration) throws(PartitionError) -> Bool {
        do {
            return try environment.read { transaction in
                // Of one that is known in part the rest may have been done where it was forgotten.
                if let known = try tables.anyReceipt(of: key, transaction), known.receipt.reach == nil { return false }
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
        // The later write's is one of the newest, and has a number of its own.
        guard try tables.receipt(of: place.key, transaction) == nil else { return nil }
        guard let known = try unsafe transaction.value(of: tables.earlierReceipts, key: place.key) else {
            throw PartitionStoreError.missing(table: "earlierReceipts", key: number)
        }
        let receipt = try unsafe ReceiptRecord(bytes: known)
        return place.isOf(receipt) ? (place.key, receipt) : nil
    }

    /// Number of the oldest receipt that there is. Earlier receipts end where the newest begin, without a gap: no
    /// checksum covers their numbers.
    func oldestReceipt(_ transaction: borrowing ReadTransaction) throws -> UInt64 {
        let newest = try state(transaction).oldestReceipt
        guard let number = try tables.oldestEarlierReceipt(transaction)?.number else { return newest }
        let count = UInt64(try transaction.count(of: tables.earlierReceiptOrder))
        guard number <= newest, count == newest - number else {
            throw PartitionStoreError.contradiction(
                table: "earlierReceiptOrder",
                key: number,
                reason: "\(count) receipts before the newest"
            )
        }
        return number
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
