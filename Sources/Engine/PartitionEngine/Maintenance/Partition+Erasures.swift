package import FaceModel
internal import FaceRecords
internal import LMDB
internal import PartitionStore

/// A part of a partition's ledger of erasures.
package struct ErasurePage: Hashable, Sendable {
    package var erasures: [Erasure]
    /// Of the last of them; nil when there are none.
    package var last: ErasurePosition?
    /// Whether the ledger ends with them.
    package var isLast: Bool
    /// Time of the newest erasure that was forgotten: the ledger is whole from there on. Nil when none was.
    package var forgotten: Timestamp?
}

/// The ledger of erasures: which faces were deleted, or removed since they had expired, by which write, under
/// pseudonyms. An entry is in the commit of its write, and travels with copies. A restored backup is held against it:
/// nobody comes back who was deleted, also where the deletion found nobody, since the face had been lost before.
extension Partition {
    /// Erasures that one step of maintenance forgets.
    private static let forgettingLimit = 1024

    /// Erasures behind a position, in order of their writes.
    package func erasures(after position: ErasurePosition?, limit: Int) throws(PartitionError) -> ErasurePage {
        do {
            return try environment.read { transaction in
                var page = ErasurePage(erasures: [], isLast: true, forgotten: try forgottenErasures(transaction))
                let range = position.map { KeyRange.from($0) } ?? .all
                try unsafe transaction.forEach(in: tables.erasures, range) { entry in
                    guard let own = unsafe ErasurePosition(keyBytes: entry.key) else {
                        throw PartitionStoreError.malformed(table: "erasures", reason: "a key of another size")
                    }
                    if own == position { return .next }
                    guard page.erasures.count < limit else {
                        page.isLast = false
                        return .stop
                    }
                    page.erasures.append(try unsafe ErasureRecord.decode(entry.value, at: own))
                    page.last = own
                    return .next
                }
                return page
            }
        } catch {
            throw PartitionError(error)
        }
    }

    func forgottenErasures(_ transaction: borrowing ReadTransaction) throws -> Timestamp? {
        try unsafe transaction.value(of: tables.meta, key: MetaKey.forgottenErasures).map {
            try unsafe ErasureRecord.decodeForgotten($0)
        }
    }

    /// Forgets erasures that are older than they have to be; whether there were any.
    func forgetErasures(now: Timestamp) throws -> Bool {
        let (end, isBeforeTime) = now.milliseconds.subtractingReportingOverflow(
            options.erasureRetention.components.seconds * 1000
        )
        if isBeforeTime { return false }
        let (old, newest) = try environment.read { transaction -> ([ErasurePosition], Timestamp?) in
            var old: [ErasurePosition] = []
            var newest: Timestamp?
            try unsafe transaction.forEach(in: tables.erasures) { entry in
                guard let position = unsafe ErasurePosition(keyBytes: entry.key) else {
                    throw PartitionStoreError.malformed(table: "erasures", reason: "a key of another size")
                }
                let erasure = try unsafe ErasureRecord.decode(entry.value, at: position)
                guard erasure.time.milliseconds < end, old.count < Self.forgettingLimit else { return .stop }
                old.append(position)
                newest = max(newest ?? erasure.time, erasure.time)
                return .next
            }
            return (old, newest)
        }
        guard let newest else { return false }
        try environment.write { transaction in
            for position in old { try transaction.delete(tables.erasures, key: position) }
            let known = try forgottenErasures(transaction.reading)
            try transaction.put(
                tables.meta,
                key: MetaKey.forgottenErasures,
                value: ErasureRecord.encode(forgotten: max(known ?? newest, newest))
            )
        }
        return true
    }

    /// Every entry is sound and of a write that there was.
    func verifyErasures(_ state: PartitionState, _ transaction: borrowing ReadTransaction) throws {
        _ = try forgottenErasures(transaction)
        try unsafe transaction.forEach(in: tables.erasures) { entry in
            guard let position = unsafe ErasurePosition(keyBytes: entry.key), position.sequence <= state.sequence else {
                throw PartitionStoreError.malformed(table: "erasures", reason: "a key that is of no write")
            }
            _ = try unsafe ErasureRecord.decode(entry.value, at: position)
            return .next
        }
    }
}
