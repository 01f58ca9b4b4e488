internal import FaceModel
internal import LMDB
internal import PartitionStore

/// Where the newest receipts of keys are in their order, which is by number alone. It is gone through once in a
/// transaction, and no further than to what is looked for; so there is a place here for each of them at most.
struct ReceiptPlaces {
    private var numbers: [IdempotencyKey: UInt64] = [:]
    /// Number below which the order was gone through.
    private var next: UInt64 = 0

    /// The number of a receipt; nil when it is none of the newest.
    mutating func number(
        of key: IdempotencyKey,
        _ tables: PartitionTables,
        _ transaction: borrowing ReadTransaction
    ) throws -> UInt64? {
        if let number = numbers[key] { return number }
        try unsafe transaction.forEach(in: tables.receiptOrder, .from(next)) { entry in
            guard let number = unsafe entry.uint64Key, let other = unsafe IdempotencyKey(keyBytes: entry.value) else {
                throw PartitionStoreError.malformed(table: "receiptOrder", reason: "no number, or no key")
            }
            numbers[other] = number
            next = number + 1
            return other == key ? .stop : .next
        }
        return numbers[key]
    }

    /// A receipt was given another number, below one that was found.
    mutating func move(_ key: IdempotencyKey, to number: UInt64) { numbers[key] = number }

    /// A receipt is none of the newest any more.
    mutating func remove(_ key: IdempotencyKey) { numbers[key] = nil }
}
