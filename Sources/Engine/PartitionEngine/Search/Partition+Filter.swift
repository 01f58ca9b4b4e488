internal import FaceModel
internal import LMDB
internal import PartitionStore

/// The rows that a search's filter lets through. Rows that have died since the filter was first used may be among them.
enum PassingRows {
    /// There is no filter.
    case all
    /// Ascending.
    case few([UInt32])
    /// All rows of the commit were looked at.
    case many(FilterCache.Found)
}

extension Partition {
    /// Records that are read one after the other without a question whether to stop.
    private static let recordsPerStep = 1024
    /// Records that are looked up without one: each may wait for the disk.
    private static let lookUpsPerStep = 32

    /// Finds the rows that pass a filter; nil when `shouldStop` said so before all were found.
    ///
    /// Rows of a person or an external image are found in the tables that list them. Other conditions are held against
    /// the record of every face, at about 0.13 µs each, but once only, in one search or several: see ``FilterCache``.
    func passingRows(
        _ wanted: FaceFilter?,
        _ state: PartitionState,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> PassingRows? {
        guard let wanted else { return .all }
        let filter = RecordFilter(wanted)
        var found = filterCache.found(with: filter, inTransaction: transaction.number) ?? FilterCache.Found()
        if found.wholeRowCount == state.nextRow { return .many(found) }
        var isDone = true
        if found.walk != nil {
            isDone = try insertFaces(into: &found, filter, state, transaction, shouldStop: shouldStop)
        }
        let known = found.bitmap.rowCount
        if isDone, known < state.nextRow {
            let listed = try listedRows(filter, from: known, transaction)
            if known == 0, let listed, listed.count < options.keptFilterRecordCount {
                return try fewRows(listed, filter, transaction, shouldStop: shouldStop)
            }
            isDone =
                if let listed, UInt64(listed.count) < state.faceCount / 4 {
                    try insert(listed, into: &found.bitmap, filter, state, transaction, shouldStop: shouldStop)
                } else if UInt64(state.nextRow - known) < state.faceCount / 4 {
                    try insertRows(into: &found.bitmap, filter, state, transaction, shouldStop: shouldStop)
                } else {
                    try insertFaces(into: &found, filter, state, transaction, shouldStop: shouldStop)
                }
        }
        found.transactionNumber = transaction.number
        filterCache.keep(found, with: filter)
        return isDone ? .many(found) : nil
    }

    /// Those of some rows that pass; nil when `shouldStop` said so before all were looked at.
    private func fewRows(
        _ rows: [UInt32],
        _ filter: RecordFilter,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> PassingRows? {
        var few: [UInt32] = []
        for (position, row) in rows.enumerated() {
            if position % Self.lookUpsPerStep == Self.lookUpsPerStep - 1, shouldStop() { return nil }
            if try passes(tables.face(ofRow: row, transaction), inRow: row, filter, transaction) { few.append(row) }
        }
        return .few(few)
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
    private func passes(
        _ face: FaceID,
        inRow row: UInt32,
        _ filter: RecordFilter,
        _ transaction: borrowing ReadTransaction
    ) throws -> Bool {
        guard let bytes = try unsafe transaction.value(of: tables.faces, key: face) else {
            throw PartitionStoreError.missing(table: "faces", key: face.high)
        }
        let result = try unsafe filter.examine(bytes, of: face)
        guard result.row == row else {
            throw PartitionStoreError.malformed(table: "rowFaces", reason: "a row that names another row's face")
        }
        return result.passes
    }

    /// Looks at rows that are all there are, from the bitmap's bound on, that may pass. What was found before a stop
    /// counts, and the bound says how far that is.
    ///
    /// - Parameter rows: ascending.
    private func insert(
        _ rows: [UInt32],
        into bitmap: inout RowBitmap,
        _ filter: RecordFilter,
        _ state: PartitionState,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Bool {
        // Rows below were looked at.
        var end = bitmap.rowCount
        for (position, row) in rows.enumerated() {
            if position % Self.lookUpsPerStep == 0, shouldStop() {
                bitmap.extend(to: end)
                return false
            }
            guard row < state.nextRow else {
                throw PartitionStoreError.malformed(
                    table: "byPerson or byExternalImage",
                    reason: "a row beyond the last one"
                )
            }
            if try passes(tables.face(ofRow: row, transaction), inRow: row, filter, transaction) { bitmap.append(row) }
            end = row + 1
        }
        bitmap.extend(to: state.nextRow)
        return true
    }

    /// Looks up the face of every live row from the bitmap's bound on. What was found before a stop counts, and the
    /// bound says how far that is.
    private func insertRows(
        into bitmap: inout RowBitmap,
        _ filter: RecordFilter,
        _ state: PartitionState,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Bool {
        // Rows below were looked at.
        var end = bitmap.rowCount
        var count = 0
        var isStopped = false
        try unsafe transaction.forEach(in: tables.rowFaces, .from(bitmap.rowCount)) { entry in
            isStopped = count % Self.lookUpsPerStep == 0 && shouldStop()
            count += 1
            if isStopped { return .stop }
            guard let row = unsafe entry.uint32Key, let face = unsafe FaceID(keyBytes: entry.value),
                (end..<state.nextRow).contains(row)
            else {
                throw PartitionStoreError.malformed(table: "rowFaces", reason: "an entry that is no later row and face")
            }
            if try passes(face, inRow: row, filter, transaction) { bitmap.append(row) }
            end = row + 1
            return .next
        }
        bitmap.extend(to: isStopped ? end : state.nextRow)
        return !isStopped
    }

    /// Reads the record of every face in order of face id: several times faster for each than a look-up. Goes on with a
    /// walk that was stopped, and leaves one that is.
    private func insertFaces(
        into found: inout FilterCache.Found,
        _ filter: RecordFilter,
        _ state: PartitionState,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Bool {
        var walk = found.walk ?? FilterCache.Walk(firstRow: found.bitmap.rowCount)
        if found.walk == nil { found.bitmap.extend(to: state.nextRow) }
        let rows = walk.firstRow..<found.bitmap.rowCount
        let range = walk.last.map { KeyRange.from($0) } ?? .all
        var count = 0
        var isStopped = false
        try unsafe transaction.forEach(in: tables.faces, range) { entry in
            isStopped = count % Self.recordsPerStep == 0 && shouldStop()
            count += 1
            if isStopped { return .stop }
            guard let face = unsafe FaceID(keyBytes: entry.key) else {
                throw PartitionStoreError.malformed(table: "faces", reason: "a key that is no face id")
            }
            if face == walk.last { return .next }
            let (row, passes) = try unsafe filter.examine(entry.value, of: face)
            guard row < state.nextRow else {
                throw PartitionStoreError.malformed(table: "faces", reason: "a row beyond the last one")
            }
            if passes, rows.contains(row) { found.bitmap.insert(row) }
            walk.last = face
            return .next
        }
        found.walk = isStopped ? walk : nil
        return !isStopped
    }
}
