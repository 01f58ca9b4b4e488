internal import FaceModel
internal import LMDB
internal import PartitionStore

/// Receipts: the newest, of which every replica has as many, and earlier ones, which are this replica's own memory.
extension WritePass {
    /// Most earlier receipts that are forgotten for one that is kept, when there are too many; more when they are
    /// smaller than what comes.
    private static let forgottenAtOnce = 4

    /// Keeps the receipt of a write to a partition whose faces this one takes over; parts of one write come together.
    /// Where only one has come it says so, since the other partition was not sent its own.
    mutating func inherit(
        _ key: IdempotencyKey,
        _ receipt: ReceiptRecord,
        from source: PartitionIdentity,
        _ transaction: borrowing WriteTransaction
    ) throws {
        let own = partition.identity.firstHash...partition.identity.lastHash
        let receipt = receipt.inherited(from: source.firstHash...source.lastHash, in: own)
        for table in [tables.receipts, tables.earlierReceipts] {
            guard let bytes = try unsafe transaction.reading.value(of: table, key: key) else { continue }
            if let joined = try unsafe ReceiptRecord(bytes: bytes).joined(with: receipt, in: own) {
                try transaction.put(table, key: key, value: joined.encoded())
            }
            return
        }
        try keepReceipt(key, receipt, transaction)
    }

    mutating func keepReceipt(
        _ key: IdempotencyKey,
        _ receipt: ReceiptRecord,
        _ transaction: borrowing WriteTransaction
    ) throws {
        let bytes = receipt.encoded()
        try transaction.put(tables.receipts, key: key, value: bytes)
        try unsafe key.withKeyBytes { bytes in
            try unsafe transaction.put(tables.receiptOrder, key: state.nextReceipt, value: bytes, options: .append)
        }
        state.nextReceipt += 1
        var times =
            try receiptTimes ?? Partition.receiptTimes(tables, transaction.reading) ?? ReceiptTimesRecord(samples: [])
        while state.nextReceipt - state.oldestReceipt > UInt64(partition.options.receiptLimit) {
            try setOldestAside(transaction)
        }
        let oldest = try forgetEarlier(than: times, making: bytes.count, transaction)
        let isNoted = times.note(
            number: state.nextReceipt,
            oldest: oldest,
            spacing: partition.options.receiptSpacing,
            time: partition.time
        )
        hasReceiptTimesChanged = hasReceiptTimesChanged || isNoted
        receiptTimes = times
    }

    /// Makes the oldest of the newest receipts the newest of the earlier ones.
    private mutating func setOldestAside(_ transaction: borrowing WriteTransaction) throws {
        let number = state.oldestReceipt
        guard let bytes = try unsafe transaction.reading.value(of: tables.receiptOrder, key: number),
            let key = unsafe IdempotencyKey(keyBytes: bytes)
        else { throw PartitionStoreError.missing(table: "receiptOrder", key: number) }
        if partition.options.earlierReceipts.byteLimit > 0 {
            guard let known = try unsafe transaction.reading.value(of: tables.receipts, key: key) else {
                throw PartitionStoreError.missing(table: "receipts", key: number)
            }
            let receipt = unsafe Array(known)
            let sequence = try unsafe receipt.withUnsafeBytes { try unsafe ReceiptRecord(bytes: $0).sequence }
            try transaction.put(tables.earlierReceipts, key: key, value: receipt)
            let place = EarlierReceipt(key: key, sequence: sequence).encoded()
            try transaction.put(tables.earlierReceiptOrder, key: number, value: place, options: .append)
        }
        try transaction.delete(tables.receipts, key: key)
        try transaction.delete(tables.receiptOrder, key: number)
        state.oldestReceipt += 1
    }

    /// Forgets the oldest of the earlier receipts, when there are more than are to be kept and they are old, or when
    /// they take too much of the disk.
    ///
    /// - Parameter byteCount: of the receipt that came: as long as they take too much, at least as much goes.
    /// - Returns: number of the oldest receipt that is left.
    private mutating func forgetEarlier(
        than times: ReceiptTimesRecord,
        making byteCount: Int,
        _ transaction: borrowing WriteTransaction
    ) throws -> UInt64 {
        guard try transaction.reading.count(of: tables.earlierReceiptOrder) > 0 else { return state.oldestReceipt }
        let kept = partition.options.earlierReceipts
        let now = partition.time
        let retention = UInt64(max(0, kept.age.components.seconds)) * 1000
        let young = times.samples.last { now - min($0.time, now) > retention }?.number ?? 0
        var (forgotten, forgottenByteCount) = (0, 0)
        while let (number, place) = try tables.oldestEarlierReceipt(transaction.reading) {
            let isTooMuch =
                try transaction.reading.statistics(of: tables.earlierReceipts).byteCount
                + transaction.reading.statistics(of: tables.earlierReceiptOrder).byteCount > kept.byteLimit
            let isOld = number < young && state.nextReceipt - number > UInt64(kept.leastCount)
            guard isTooMuch || isOld,
                forgotten < Self.forgottenAtOnce || isTooMuch && forgottenByteCount < 2 * byteCount
            else { return number }
            if let bytes = try unsafe transaction.reading.value(of: tables.earlierReceipts, key: place.key) {
                forgottenByteCount += bytes.count
                if try unsafe place.isOf(ReceiptRecord(bytes: bytes)) {
                    try transaction.delete(tables.earlierReceipts, key: place.key)
                }
            }
            try transaction.delete(tables.earlierReceiptOrder, key: number)
            forgotten += 1
        }
        return state.oldestReceipt
    }
}
