internal import FaceModel
internal import LMDB
internal import PartitionStore

extension Partition {
    /// Entries that are looked at without a question whether to stop.
    private static let entriesPerStep = 4096
    /// What finding the record of a row takes, in entries of `byExpiry` read one after the other.
    private static let recordCost = 16

    /// Rows of faces that have expired by a moment, dead ones among them; nil when `shouldStop` said so before all were
    /// found.
    ///
    /// Takes time for those alone that have expired, or come, since a search asked last: see ``ExpiredRowCache``.
    func expiredRows(
        at moment: Timestamp,
        _ state: PartitionState,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> RowSet? {
        let end = ExpiryKey(expires: moment, row: .max)
        let first = try transaction.withCursor(tables.byExpiry) { cursor in
            try unsafe cursor.first().map { try unsafe Self.expiryKey($0) }
        }
        guard let first, first.expires <= moment else {
            expiredRowCache.forget(through: end, inTransaction: transaction.number)
            return []
        }
        var found = ExpiredRowCache.Found(
            transactionNumber: transaction.number,
            rowCount: state.nextRow,
            last: first,
            rows: []
        )
        let known = expiredRowCache.latest(inTransaction: transaction.number)
        // Otherwise reading all entries again takes less.
        if let known, Self.recordCost * Int(state.nextRow - known.rowCount) <= known.rows.count {
            (found.last, found.rows) = (known.last, known.rows)
            guard try insertRows(from: known.rowCount, into: &found, transaction, shouldStop: shouldStop) else {
                return nil
            }
        } else {
            try checkEntry(first, transaction)
            found.rows.insert(first.row)
        }
        if found.last < end {
            let isDone = try insertEntries(
                through: end,
                into: &found,
                // Rows that were found before have been held against their faces' records.
                sparing: known.map { $0.last <= end ? $0.rows : [] } ?? [],
                transaction,
                shouldStop: shouldStop
            )
            expiredRowCache.keep(found)
            return isDone ? found.rows : nil
        }
        expiredRowCache.keep(found)
        // Another search was told a later moment.
        let isDone = try forEachExpiry(
            behind: end,
            through: found.last,
            perStep: Self.entriesPerStep,
            transaction,
            shouldStop: shouldStop
        ) { found.rows.remove($0.row) }
        return isDone ? found.rows : nil
    }

    /// Looks at the entries behind the last one that was looked at. What was found before a stop counts.
    ///
    /// - Parameter known: rows whose faces are known to have expired.
    private func insertEntries(
        through end: ExpiryKey,
        into found: inout ExpiredRowCache.Found,
        sparing known: RowSet,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Bool {
        let isDone = try forEachExpiry(
            behind: found.last,
            through: end,
            perStep: Self.entriesPerStep / Self.recordCost,
            transaction,
            shouldStop: shouldStop
        ) { key in
            if !known.contains(key.row) { try checkEntry(key, transaction) }
            found.rows.insert(key.row)
            found.last = key
        }
        if isDone { found.last = end }
        return isDone
    }

    /// Throws unless the face of an entry's row expires when the entry says: no checksum covers a key, and one that was
    /// changed would hide a face for good.
    private func checkEntry(_ key: ExpiryKey, _ transaction: borrowing ReadTransaction) throws {
        let face = try tables.face(ofRow: key.row, transaction)
        guard try tables.record(of: face, inRow: key.row, transaction).metadata.expires == key.expires else {
            throw PartitionStoreError.contradiction(
                table: "byExpiry",
                key: UInt64(key.row),
                reason: "its face does not expire then"
            )
        }
    }

    /// Looks at the rows that have come since: the walk over entries has passed those that expire before the last one
    /// that was looked at.
    private func insertRows(
        from first: UInt32,
        into found: inout ExpiredRowCache.Found,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Bool {
        if first == found.rowCount { return true }
        var count = 0
        var isStopped = false
        try unsafe transaction.forEach(in: tables.rowFaces, .from(first)) { entry in
            isStopped = count % (Self.entriesPerStep / Self.recordCost) == 0 && shouldStop()
            count += 1
            if isStopped { return .stop }
            guard let row = unsafe entry.uint32Key, let face = unsafe FaceID(keyBytes: entry.value) else {
                throw PartitionStoreError.malformed(table: "rowFaces", reason: "an entry that is no row and face")
            }
            let record = try tables.record(of: face, inRow: row, transaction)
            if let expires = record.metadata.expires, ExpiryKey(expires: expires, row: row) <= found.last {
                found.rows.insert(row)
            }
            return .next
        }
        return !isStopped
    }

    /// Calls `body` with every entry behind one and up to another; false when it was stopped before.
    private func forEachExpiry(
        behind first: ExpiryKey,
        through last: ExpiryKey,
        perStep entriesPerStep: Int,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool,
        _ body: (ExpiryKey) throws -> Void
    ) throws -> Bool {
        var count = 0
        var isStopped = false
        try unsafe transaction.forEach(in: tables.byExpiry, .from(first)) { entry in
            isStopped = count % entriesPerStep == entriesPerStep - 1 && shouldStop()
            count += 1
            if isStopped { return .stop }
            let key = try unsafe Self.expiryKey(entry)
            if key > last { return .stop }
            if key > first { try body(key) }
            return .next
        }
        return !isStopped
    }

    private static func expiryKey(_ entry: Entry) throws -> ExpiryKey {
        guard let key = unsafe ExpiryKey(keyBytes: entry.key) else {
            throw PartitionStoreError.malformed(table: "byExpiry", reason: "a key of another size")
        }
        return key
    }
}
