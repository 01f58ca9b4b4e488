internal import FaceModel
internal import LMDB
internal import PartitionStore

/// Receipts: the newest, of which every replica has as many, and earlier ones, which are this replica's own memory. So
/// are those of the newest that came over from other partitions: each replica has put them into an order of its own,
/// and they leave before any that the partition's own writes left.
extension WritePass {
    /// Most earlier receipts that are forgotten for one that is kept, when there are too many; more when they are
    /// smaller than what comes.
    private static let forgottenAtOnce = 4

    /// Keeps the receipt of a write to a partition whose faces this one takes over; parts of one write come together.
    /// Where only one has come it says so, since the other partition was not sent its own. Of one partition the later
    /// receipt of a key counts: the key was used there again while receipts came over.
    mutating func inherit(
        _ key: IdempotencyKey,
        _ receipt: ReceiptRecord,
        from source: PartitionIdentity,
        _ transaction: borrowing WriteTransaction
    ) throws {
        let own = partition.identity.firstHash...partition.identity.lastHash
        let place = source.firstHash...source.lastHash
        let receipt = receipt.inherited(from: place, in: own)
        for table in [tables.receipts, tables.earlierReceipts] {
            guard let bytes = try unsafe transaction.reading.value(of: table, key: key) else { continue }
            if let updated = try unsafe ReceiptRecord(bytes: bytes).updated(with: receipt, from: place, in: own) {
                try transaction.put(table, key: key, value: updated.encoded())
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

    /// Makes one of the newest receipts the newest of the earlier ones, so that another can take its place under its
    /// key. It changes places with the oldest, so that their numbers have no gap. That has come over too, before all
    /// that the partition's own writes left, so which of these are among the newest stays as it is. (It may count as
    /// one of them all the same where nothing says that it came over: in a half that an earlier program made, or
    /// without checksums. Then it stays longer here than on a replica that had not to set anything aside.)
    ///
    /// - Precondition: it came over from another partition.
    mutating func setAside(_ key: IdempotencyKey, _ transaction: borrowing WriteTransaction) throws {
        let oldest = state.oldestReceipt
        guard let number = try receiptPlaces.number(of: key, tables, transaction.reading),
            let bytes = try unsafe transaction.reading.value(of: tables.receiptOrder, key: oldest),
            let other = unsafe IdempotencyKey(keyBytes: bytes)
        else { throw PartitionStoreError.missing(table: "receiptOrder", key: oldest) }
        if number != oldest {
            try unsafe other.withKeyBytes { bytes in
                try unsafe transaction.put(tables.receiptOrder, key: number, value: bytes)
            }
            try unsafe key.withKeyBytes { bytes in
                try unsafe transaction.put(tables.receiptOrder, key: oldest, value: bytes)
            }
            receiptPlaces.move(other, to: number)
        }
        try setOldestAside(transaction)
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
        receiptPlaces.remove(key)
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
