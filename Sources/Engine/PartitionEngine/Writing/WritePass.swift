internal import FaceModel
internal import LMDB
internal import PartitionStore

/// The changes of one write transaction, gathered so that rows, tombstones and state are written once.
struct WritePass {
    private let partition: Partition
    private let tables: PartitionTables
    private var state: PartitionState
    private var rows: RowAppender
    private var dead: [UInt32: [Int]] = [:]

    init(_ partition: Partition, epoch: UInt64, _ transaction: borrowing WriteTransaction) throws {
        self.partition = partition
        tables = partition.tables
        state = try partition.state(transaction.reading)
        state.epoch = max(state.epoch, epoch)
        rows = RowAppender(shape: partition.shape, firstRow: state.nextRow)
    }

    mutating func apply(_ batch: WriteBatch, _ transaction: borrowing WriteTransaction) throws -> WriteReceipt {
        if let bytes = try unsafe transaction.reading.value(of: tables.receipts, key: batch.key) {
            let known = try unsafe ReceiptRecord(bytes: bytes)
            return WriteReceipt(outcome: known.outcome, sequence: known.sequence)
        }
        state.sequence += 1
        let outcome: ReceiptRecord.Outcome =
            switch batch.operation {
            case .enrol(let faces, let embeddings): .enrolled(try enrol(faces, embeddings, transaction))
            case .delete(let ids):
                .deleted(try ids.map { try remove($0, transaction) ? .deleted : .absent })
            }
        try keepReceipt(batch.key, ReceiptRecord(sequence: state.sequence, outcome: outcome), transaction)
        return WriteReceipt(outcome: outcome, sequence: state.sequence)
    }

    /// Writes what was gathered; returns the state as it will be committed.
    mutating func finish(_ transaction: borrowing WriteTransaction) throws -> PartitionState {
        try rows.finish(tables, transaction)
        for (piece, rows) in dead {
            let known = try unsafe transaction.reading.value(of: tables.tombstones, key: piece)
            let marked = try unsafe TombstonePiece.marking(rows, in: known, piece: piece)
            try transaction.put(tables.tombstones, key: piece, value: marked)
        }
        try transaction.put(tables.meta, key: MetaKey.state, value: state.encoded())
        return state
    }

    private mutating func enrol(
        _ faces: [EnrolRow],
        _ embeddings: EmbeddingMatrix,
        _ transaction: borrowing WriteTransaction
    ) throws -> [EnrolOutcome] {
        var lastPositions: [FaceID: Int] = [:]
        for (position, face) in faces.enumerated() { lastPositions[face.id] = position }
        var outcomes: [EnrolOutcome] = []
        for (position, face) in faces.enumerated() {
            guard lastPositions[face.id] == position else {
                outcomes.append(.superseded)
                continue
            }
            outcomes.append(try remove(face.id, isNewLikely: true, transaction) ? .replaced : .accepted)
            let row = try takeRow()
            state.faceCount += 1
            try rows.append(embeddings.row(position), tables, transaction)
            let record = FaceRecord(
                row: row,
                version: FaceVersion(epoch: state.epoch, sequence: state.sequence),
                metadata: face.metadata
            )
            try enter(record, of: face.id, transaction)
        }
        return outcomes
    }

    /// Gives a live row's face a new row with the same bits; the old one is dead from then on.
    ///
    /// That is no write: the face, its version and the sequence stay what they are.
    /// - Parameter stored: the row's bytes, verified.
    mutating func move(
        _ row: UInt32,
        stored: UnsafeRawBufferPointer,
        _ transaction: borrowing WriteTransaction
    ) throws {
        let face = try tables.face(ofRow: row, transaction.reading)
        var record = try tables.record(of: face, inRow: row, transaction.reading)
        try leave(record, transaction)
        record.row = try takeRow()
        try unsafe rows.append(stored: stored, tables, transaction)
        try enter(record, of: face, transaction)
    }

    private mutating func takeRow() throws -> UInt32 {
        let row = state.nextRow
        guard row < .max - UInt32(RowChunk.rowCount) else { throw PartitionError.rowIDsExhausted }
        state.nextRow += 1
        return row
    }

    /// Writes a face's record and lists its row, the newest one.
    private func enter(
        _ record: FaceRecord,
        of face: FaceID,
        _ transaction: borrowing WriteTransaction
    ) throws {
        try transaction.put(tables.faces, key: face, value: record.encoded(for: face))
        try unsafe face.withKeyBytes { bytes in
            try unsafe transaction.put(tables.rowFaces, key: record.row, value: bytes, options: .append)
        }
        if let expires = record.metadata.expires {
            try transaction.put(tables.byExpiry, key: ExpiryKey(expires: expires, row: record.row), value: [])
        }
        try tables.list(record.row, of: record.metadata, transaction)
    }

    /// Takes a face's row out of every list and marks it dead; the face's record stays.
    private mutating func leave(_ record: FaceRecord, _ transaction: borrowing WriteTransaction) throws {
        try transaction.delete(tables.rowFaces, key: record.row)
        if let expires = record.metadata.expires {
            try transaction.delete(tables.byExpiry, key: ExpiryKey(expires: expires, row: record.row))
        }
        try tables.unlist(record.row, of: record.metadata, transaction)
        let rowsPerPiece = UInt32(TombstonePiece.rowCount)
        dead[record.row / rowsPerPiece, default: []].append(Int(record.row % rowsPerPiece))
        state.tombstoneCount += 1
    }

    /// Removes a face; whether it was there.
    ///
    /// - Parameter isNewLikely: takes a miss as it is, which a damaged key may cause; the next search then meets two
    ///   rows of one face, and says so. Otherwise a miss is checked, which would take a tenth of an import's time.
    mutating func remove(
        _ id: FaceID,
        isNewLikely: Bool = false,
        _ transaction: borrowing WriteTransaction
    ) throws -> Bool {
        let stored =
            try unsafe isNewLikely
            ? transaction.reading.value(of: tables.faces, key: id) : tables.faceRecord(of: id, transaction.reading)
        guard let bytes = unsafe stored else { return false }
        let record = try unsafe FaceRecord(bytes: bytes, face: id)
        try transaction.delete(tables.faces, key: id)
        try leave(record, transaction)
        state.faceCount -= 1
        return true
    }

    /// Counts a change that no client asked for, such as expiry.
    mutating func beginInternalChange() {
        state.sequence += 1
    }

    private mutating func keepReceipt(
        _ key: IdempotencyKey,
        _ receipt: ReceiptRecord,
        _ transaction: borrowing WriteTransaction
    ) throws {
        try transaction.put(tables.receipts, key: key, value: receipt.encoded())
        try unsafe key.withKeyBytes { bytes in
            try unsafe transaction.put(tables.receiptOrder, key: state.nextReceipt, value: bytes, options: .append)
        }
        state.nextReceipt += 1
        while state.nextReceipt - state.oldestReceipt > UInt64(partition.options.receiptLimit) {
            guard let oldest = try unsafe transaction.reading.value(of: tables.receiptOrder, key: state.oldestReceipt)
            else { throw PartitionStoreError.missing(table: "receiptOrder", key: state.oldestReceipt) }
            let oldestKey = unsafe Array(oldest)
            try transaction.delete(tables.receipts, key: oldestKey)
            try transaction.delete(tables.receiptOrder, key: state.oldestReceipt)
            state.oldestReceipt += 1
        }
    }
}
