internal import FaceModel
internal import LMDB
internal import PartitionStore

/// The rows that a search's filter lets through. Rows that have died since the filter was first used may be among them.
enum PassingRows {
    /// There is no filter.
    case all
    /// Ascending.
    case few([UInt32])
    case many(RowBitmap)
}

extension Partition {
    /// Records that are looked at without a question whether to stop.
    private static let recordsPerStep = 1024

    /// Finds the rows that pass a filter; nil when `shouldStop` said so before all were found.
    ///
    /// Rows of a person or an external image are found in the tables that list them. Other conditions are held against
    /// the record of every face, at about 0.13 µs each, but once only: see ``FilterCache``.
    func passingRows(
        _ wanted: FaceFilter?,
        _ state: PartitionState,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> PassingRows? {
        guard let wanted else { return .all }
        let filter = RecordFilter(wanted)
        var bitmap = filterCache.bitmap(of: filter, inTransaction: transaction.number) ?? RowBitmap()
        if bitmap.rowCount == state.nextRow { return .many(bitmap) }
        let known = bitmap.rowCount
        let listed = try listedRows(filter, from: known, transaction)
        if known == 0, let listed, listed.count < options.keptFilterRecordCount {
            return .few(try listed.filter { try examine($0, filter, transaction).passes })
        }
        bitmap.extend(to: state.nextRow)
        let isDone =
            if let listed, listed.count < state.nextRow / 4 {
                try insert(listed, into: &bitmap, filter, transaction, shouldStop: shouldStop)
            } else if (state.nextRow - known) < state.nextRow / 4 {
                try insertRows(from: known, into: &bitmap, filter, transaction, shouldStop: shouldStop)
            } else {
                try insertFaces(from: known, into: &bitmap, filter, transaction, shouldStop: shouldStop)
            }
        guard isDone else { return nil }
        filterCache.keep(bitmap, of: filter, fromTransaction: transaction.number)
        return .many(bitmap)
    }

    /// The rows from `first` on that may pass, ascending; nil when no table lists them.
    private func listedRows(
        _ filter: RecordFilter,
        from first: UInt32,
        _ transaction: borrowing ReadTransaction
    ) throws -> [UInt32]? {
        let (table, names): (Table, [[UInt8]])
        if let people = filter.personIDs {
            (table, names) = (tables.byPerson, people)
        } else if let images = filter.externalImageIDs {
            (table, names) = (tables.byExternalImage, images)
        } else {
            return nil
        }
        var rows: [UInt32] = []
        for name in names { rows += try tables.rows(named: name, from: first, in: table, transaction) }
        return names.count == 1 ? rows : rows.sorted()
    }

    /// Holds the record of a live row's face against the filter.
    private func examine(
        _ row: UInt32,
        _ filter: RecordFilter,
        _ transaction: borrowing ReadTransaction
    ) throws -> (row: UInt32, passes: Bool) {
        guard let key = try unsafe transaction.value(of: tables.rowFaces, key: row),
            let face = unsafe FaceID(keyBytes: key)
        else { throw PartitionStoreError.missing(table: "rowFaces", key: UInt64(row)) }
        guard let bytes = try unsafe transaction.value(of: tables.faces, key: face) else {
            throw PartitionStoreError.missing(table: "faces", key: face.high)
        }
        let result = try unsafe filter.examine(bytes, of: face)
        guard result.row == row else {
            throw PartitionStoreError.malformed(table: "rowFaces", reason: "a row that names another row's face")
        }
        return result
    }

    private func insert(
        _ rows: [UInt32],
        into bitmap: inout RowBitmap,
        _ filter: RecordFilter,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Bool {
        for (position, row) in rows.enumerated() {
            if position % Self.recordsPerStep == 0, shouldStop() { return false }
            if try examine(row, filter, transaction).passes { bitmap.insert(row) }
        }
        return true
    }

    /// Looks up the face of every live row from `first` on.
    private func insertRows(
        from first: UInt32,
        into bitmap: inout RowBitmap,
        _ filter: RecordFilter,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Bool {
        var rows: [UInt32] = []
        try unsafe transaction.forEach(in: tables.rowFaces, .from(first)) { entry in
            guard let row = unsafe entry.uint32Key, row < bitmap.rowCount else {
                throw PartitionStoreError.malformed(table: "rowFaces", reason: "a key beyond the last row")
            }
            rows.append(row)
            return .next
        }
        return try insert(rows, into: &bitmap, filter, transaction, shouldStop: shouldStop)
    }

    /// Reads the record of every face in order of face id: several times faster for each than a look-up.
    private func insertFaces(
        from first: UInt32,
        into bitmap: inout RowBitmap,
        _ filter: RecordFilter,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Bool {
        var count = 0
        var isStopped = false
        try unsafe transaction.forEach(in: tables.faces) { entry in
            isStopped = count % Self.recordsPerStep == 0 && shouldStop()
            count += 1
            if isStopped { return .stop }
            guard let face = unsafe FaceID(keyBytes: entry.key) else {
                throw PartitionStoreError.malformed(table: "faces", reason: "a key that is no face id")
            }
            let (row, passes) = try unsafe filter.examine(entry.value, of: face)
            guard row < bitmap.rowCount else {
                throw PartitionStoreError.malformed(table: "faces", reason: "a row beyond the last one")
            }
            if passes, row >= first { bitmap.insert(row) }
            return .next
        }
        return !isStopped
    }
}
