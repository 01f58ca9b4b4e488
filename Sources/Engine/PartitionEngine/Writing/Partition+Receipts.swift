package import FaceModel
internal import LMDB
internal import PartitionStore

extension Partition {
    /// Most by which another's clock may run faster than this one's.
    private static let clockShare = 1.02

    /// Whether a write may have been done although its key is not known: receipts have been forgotten that may be as
    /// young as the first attempt at it.
    ///
    /// - Parameter age: time since that attempt, positive, by the clock of whoever made it. What the message about it
    ///   took on its way is not in it, and has to be shorter than what passes while as many writes are done as receipts
    ///   are kept.
    package func mayHaveForgotten(_ key: IdempotencyKey, age: Duration) throws(PartitionError) -> Bool {
        do {
            return try environment.read { transaction in
                if try tables.receipt(of: key, transaction) != nil { return false }
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
        let oldest = try state(transaction).oldestReceipt
        switch try Self.receiptTimes(tables, transaction)?.forgotten(oldest: oldest) {
        case .nothing?: return nil
        case .by(let forgotten)?:
            let now = time
            return now - min(forgotten, now)
        case .unknown?, nil: return 0
        }
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
