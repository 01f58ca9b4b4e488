internal import BinaryCoding
internal import Checksum
internal import FaceModel
internal import FaceRecords
internal import LMDB
internal import PartitionStore

/// The changes of one write transaction, gathered so that rows, tombstones, digest and state are written once.
struct WritePass {
    let partition: Partition
    let tables: PartitionTables
    var state: PartitionState
    private var rows: RowAppender
    private var dead: [UInt32: [Int]] = [:]
    private let storedDigest: DigestRecord
    private var digest: DigestRecord
    /// Read when the first receipt is kept.
    var receiptTimes: ReceiptTimesRecord?
    var hasReceiptTimesChanged = false
    /// Found when the first receipt is set aside.
    var receiptPlaces = ReceiptPlaces()
    /// Read when the first remnant comes.
    private var remnants: RemnantRecord?
    private var haveRemnantsChanged = false
    /// Faces that came, went or got another row; see ``FaceChanges``.
    private(set) var changedFaces: [FaceID] = []

    init(_ partition: Partition, _ transaction: borrowing WriteTransaction) throws {
        self.partition = partition
        tables = partition.tables
        state = try partition.state(transaction.reading)
        rows = RowAppender(shape: partition.shape, firstRow: state.nextRow)
        storedDigest = try partition.digestRecord(transaction.reading)
        digest = storedDigest
    }

    /// Does a write that is in no log, unless its key was seen before; of one that is known in part, what is left.
    mutating func apply(
        _ batch: WriteBatch,
        epoch: UInt64,
        _ transaction: borrowing WriteTransaction
    ) throws -> WriteReceipt {
        let change = Change(batch.operation, shape: partition.shape)
        if change.leavesReceipt, let known = try partition.known(batch.key, transaction.reading, { change }) {
            guard let rest = known.rest else { return known.receipt }
            return known.completed(by: try apply(batch.rest(rest), epoch: epoch, transaction))
        }
        guard epoch >= state.promisedEpoch else {
            throw PartitionError.logRefused(.writeBelowPromise(epoch: epoch, promised: state.promisedEpoch))
        }
        try leaveLog(transaction)
        state.advance(epoch: epoch, key: batch.key)
        return try apply(change, key: batch.key, transaction)
    }

    /// Does what the next entry of the log says, unless its key was seen before: then the sequence goes on alone.
    ///
    /// Only the newest receipts of entries of this log count, the same on every replica. What else one remembers,
    /// earlier ones and those that came over from shards whose place this one took, is for the primary, which orders
    /// nothing that it knows, and of a write that it knows in part the rest, under another key. What it has forgotten
    /// and ordered is done, whoever still knows the key.
    mutating func apply(_ entry: LogEntry, _ transaction: borrowing WriteTransaction) throws -> WriteReceipt {
        let change = Change(entry.operation)
        state.advance(to: entry)
        if change.leavesReceipt, let known = try tables.receipt(of: entry.key, transaction.reading) {
            guard known.isInherited else {
                // Its faces may be gone since they were written; they are in the log again.
                if entry.operation.bringsFaces { try noteRemnants(transaction) }
                return change.answer(known)
            }
            try setAside(entry.key, transaction)
        }
        return try apply(change, key: entry.key, transaction)
    }

    /// From now on there are bytes of embeddings in the file that belong to no face.
    mutating func noteRemnants(_ transaction: borrowing WriteTransaction) throws {
        guard remnants == nil else { return }
        var record = try partition.remnants(transaction.reading) ?? RemnantRecord()
        haveRemnantsChanged = record.note(partition.moment)
        remnants = record
    }

    /// Writes what was gathered; returns the state as it will be committed.
    mutating func finish(_ transaction: borrowing WriteTransaction) throws -> PartitionState {
        try rows.finish(tables, transaction)
        for (piece, rows) in dead {
            let known = try unsafe transaction.reading.value(of: tables.tombstones, key: piece)
            let marked = try unsafe TombstonePiece.marking(rows, in: known, piece: piece)
            try transaction.put(tables.tombstones, key: piece, value: marked)
        }
        if digest != storedDigest {
            try transaction.put(tables.meta, key: MetaKey.digest, value: digest.encoded())
        }
        if hasReceiptTimesChanged, let receiptTimes {
            try transaction.put(tables.meta, key: MetaKey.receiptTimes, value: receiptTimes.encoded())
        }
        if haveRemnantsChanged, let remnants {
            try transaction.put(tables.meta, key: MetaKey.remnants, value: remnants.encoded())
        }
        try transaction.put(tables.meta, key: MetaKey.state, value: state.encoded())
        return state
    }

    // MARK: Operations

    /// An operation, wherever it comes from.
    enum Change {
        case enrol([EnrolRow], StoredEmbeddings)
        case delete([FaceID])
        case expire(at: Timestamp, [FaceID])
        case restore([ArchivedFaces.Row], StoredEmbeddings, isLast: Bool)
        case nothing

        init(_ operation: WriteBatch.Operation, shape: RowChunk.Shape) {
            switch operation {
            case .enrol(let rows, let embeddings):
                self = .enrol(rows, StoredEmbeddings(rounding: embeddings, to: shape))
            case .delete(let faces): self = .delete(faces)
            case .expire(let moment, let faces): self = .expire(at: moment, faces)
            case .beginEpoch: self = .nothing
            case .restore(let faces, let isLast):
                let embeddings = StoredEmbeddings(shape: shape, bytes: faces.embeddings[...])
                self = .restore(faces.rows, embeddings, isLast: isLast)
            }
        }

        init(_ operation: LogOperation) {
            switch operation {
            case .enrol(let rows, let embeddings): self = .enrol(rows, embeddings)
            case .delete(let faces): self = .delete(faces)
            case .expire(let moment, let faces): self = .expire(at: moment, faces)
            case .beginEpoch: self = .nothing
            case .restore(let rows, let embeddings, let isLast): self = .restore(rows, embeddings, isLast: isLast)
            }
        }

        var leavesReceipt: Bool {
            switch self {
            case .enrol, .delete: true
            // Repeated without harm: a version that is there is not put back again.
            case .expire, .restore, .nothing: false
            }
        }

        /// Of every row, as a receipt keeps them.
        ///
        /// - Precondition: it leaves one.
        var rowChecksums: [UInt32] {
            switch self {
            case .enrol(let rows, let embeddings):
                rows.indices.map { index in
                    let embedding = unsafe embeddings.row(index).withUnsafeBytes { unsafe CRC32C.checksum($0) }
                    return ReceiptRecord.checksum(of: rows[index], embeddingChecksum: embedding)
                }
            case .delete(let faces): faces.map { ReceiptRecord.checksum(ofDeletionOf: $0) }
            case .expire, .restore, .nothing: preconditionFailure("no receipt is left")
            }
        }

        var isEnrolment: Bool { if case .enrol = self { true } else { false } }

        /// That a row is of.
        ///
        /// - Precondition: it leaves a receipt.
        func face(_ row: Int) -> FaceID {
            switch self {
            case .enrol(let rows, _): rows[row].id
            case .delete(let faces): faces[row]
            case .expire, .restore, .nothing: preconditionFailure("no receipt is left")
            }
        }

        /// What it answers when it is an entry whose key was seen before.
        ///
        /// - Precondition: it leaves a receipt.
        func answer(_ known: ReceiptRecord) -> WriteReceipt {
            let outcome = known.outcome(ofRows: rowChecksums, isEnrolment: isEnrolment)
            return WriteReceipt(
                outcome: outcome.map { WriteReceipt.Outcome($0) } ?? .keyReused,
                sequence: known.sequence
            )
        }
    }

    private mutating func apply(
        _ change: Change,
        key: IdempotencyKey,
        _ transaction: borrowing WriteTransaction
    ) throws -> WriteReceipt {
        let outcome: WriteReceipt.Outcome =
            switch change {
            case .enrol(let faces, let embeddings): .enrolled(try enrol(faces, embeddings, transaction))
            case .delete(let ids): .deleted(try delete(ids, transaction))
            case .expire(let moment, let ids): .expired(faceCount: try expire(ids, at: moment, transaction))
            case .restore(let faces, let embeddings, let isLast):
                .enrolled(try restore(faces, embeddings, isLast: isLast, transaction))
            case .nothing: .epochBegun
            }
        let receipt = WriteReceipt(outcome: outcome, sequence: state.sequence)
        if change.leavesReceipt, let outcome = receipt.outcome.kept {
            let record = ReceiptRecord(
                sequence: state.sequence,
                outcome: outcome,
                rowChecksums: change.rowChecksums
            )
            try keepReceipt(key, record, transaction)
        }
        return receipt
    }

    private mutating func enrol(
        _ faces: [EnrolRow],
        _ embeddings: StoredEmbeddings,
        _ transaction: borrowing WriteTransaction
    ) throws -> [EnrolOutcome] {
        var lastPositions: [FaceID: Int] = [:]
        for (position, face) in faces.enumerated() { lastPositions[face.id] = position }
        var outcomes: [EnrolOutcome] = []
        for (position, face) in faces.enumerated() {
            guard lastPositions[face.id] == position else {
                // Its embedding is in the log.
                try noteRemnants(transaction)
                outcomes.append(.superseded)
                continue
            }
            outcomes.append(try remove(face.id, isNewLikely: true, transaction) ? .replaced : .accepted)
            let row = try takeRow()
            state.faceCount += 1
            let checksum = try unsafe embeddings.row(position).withUnsafeBytes { stored in
                try unsafe rows.append(stored: stored, tables, transaction)
            }
            let record = FaceRecord(
                row: row,
                version: FaceVersion(epoch: state.epoch, sequence: state.sequence),
                metadata: face.metadata,
                embeddingChecksum: checksum
            )
            try enter(record, of: face.id, transaction)
        }
        return outcomes
    }

    private mutating func delete(
        _ ids: [FaceID],
        _ transaction: borrowing WriteTransaction
    ) throws -> [DeleteOutcome] {
        var outcomes: [DeleteOutcome] = []
        var erased: Set<FaceID> = []
        for id in ids {
            outcomes.append(try remove(id, transaction) ? .deleted : .absent)
            // Of a face that is not there too: it may be in a backup, where it was lost here, or expired.
            guard erased.insert(id).inserted else { continue }
            try remember(partition.identity.erasureKey.pseudonym(of: id), as: erased.count - 1, transaction)
        }
        return outcomes
    }

    /// Puts an erasure by this write into the ledger.
    ///
    /// - Parameters:
    ///   - number: among those of the write, ascending from zero.
    ///   - earliest: when it was at the earliest, whatever the clock here says.
    private func remember(
        _ pseudonym: UInt128,
        as number: Int,
        noEarlierThan earliest: Timestamp? = nil,
        _ transaction: borrowing WriteTransaction
    ) throws {
        let position = ErasurePosition(sequence: state.sequence, index: UInt32(number))
        let time = partition.options.wallClock()
        let erasure = Erasure(
            pseudonym: pseudonym,
            version: FaceVersion(epoch: state.epoch, sequence: state.sequence),
            time: max(time, earliest ?? time)
        )
        try transaction.put(
            tables.erasures,
            key: position,
            value: ErasureRecord.encode(erasure, at: position),
            options: .append
        )
    }

    /// Stores faces under the versions that they had; one that is there in that version or a later one stays. Once the
    /// restoration has ended nothing is stored: what is not there then is gone since.
    private mutating func restore(
        _ faces: [ArchivedFaces.Row],
        _ embeddings: StoredEmbeddings,
        isLast: Bool,
        _ transaction: borrowing WriteTransaction
    ) throws -> [EnrolOutcome] {
        if try partition.restorationEnd(transaction.reading) != nil {
            // Their embeddings may be in the log.
            if !faces.isEmpty { try noteRemnants(transaction) }
            return faces.map { _ in .superseded }
        }
        var outcomes: [EnrolOutcome] = []
        for (position, face) in faces.enumerated() {
            if let bytes = try unsafe transaction.reading.value(of: tables.faces, key: face.id) {
                let record = try unsafe FaceRecord(bytes: bytes, face: face.id)
                guard record.version < face.version else {
                    try noteRemnants(transaction)
                    outcomes.append(.superseded)
                    continue
                }
            }
            outcomes.append(try remove(face.id, isNewLikely: true, transaction) ? .replaced : .accepted)
            let row = try takeRow()
            state.faceCount += 1
            let checksum = try unsafe embeddings.row(position).withUnsafeBytes { stored in
                try unsafe rows.append(stored: stored, tables, transaction)
            }
            let record = FaceRecord(
                row: row,
                version: face.version,
                metadata: face.metadata,
                embeddingChecksum: checksum
            )
            try enter(record, of: face.id, transaction)
        }
        if isLast {
            try transaction.delete(tables.meta, key: MetaKey.restoration)
            let end = RestorationEndRecord(sequence: state.sequence)
            try transaction.put(tables.meta, key: MetaKey.restorationEnd, value: end.encoded())
            if state.nextReceipt == 0 {
                // Keys of writes to what was backed up are not known here.
                receiptTimes = .ofOthers(until: partition.time)
                hasReceiptTimesChanged = true
            }
        } else {
            try transaction.put(tables.meta, key: MetaKey.restoration, value: RecordSeal.seal(ByteWriter()))
        }
        return outcomes
    }

    /// Removes those of the faces that are there and have expired by a moment; how many.
    private mutating func expire(
        _ faces: [FaceID],
        at moment: Timestamp,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        var count = 0
        for face in faces {
            guard let bytes = try unsafe tables.faceRecord(of: face, transaction.reading) else { continue }
            let record = try unsafe FaceRecord(bytes: bytes, face: face)
            guard let expires = record.metadata.expires, expires <= moment else { continue }
            guard try remove(face, transaction) else { continue }
            // A backup may have an earlier version of it, which expires later or never.
            let pseudonym = partition.identity.erasureKey.pseudonym(ofExpired: face)
            try remember(pseudonym, as: count, noEarlierThan: expires, transaction)
            count += 1
        }
        return count
    }

    // MARK: Faces and rows

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
        record.embeddingChecksum = try unsafe record.checksum(ofStored: stored)
        try leave(record, of: face, transaction)
        record.row = try takeRow()
        _ = try unsafe rows.append(stored: stored, tables, transaction)
        try enter(record, of: face, transaction)
    }

    /// Takes faces over from another partition, under the versions that they have there: rows in the order that they
    /// have there, and what is kept by face in that of the faces, which reads and writes every page of it once.
    ///
    /// - Parameters:
    ///   - newcomers: in the order of the faces, with their records of the other partition.
    ///   - stored: the bytes of a row of the other partition.
    /// - Returns: the row of each.
    mutating func adopt(
        _ newcomers: [(face: FaceID, record: FaceRecord)],
        _ transaction: borrowing WriteTransaction,
        stored: (_ row: UInt32) throws -> UnsafeRawBufferPointer
    ) throws -> [UInt32] {
        for (face, _) in newcomers { _ = try remove(face, isNewLikely: true, transaction) }
        var records = newcomers.map(\.record)
        for index in records.indices.sorted(by: { newcomers[$0].record.row < newcomers[$1].record.row }) {
            let bytes = try unsafe stored(records[index].row)
            records[index].row = try takeRow()
            state.faceCount += 1
            let checksum = try unsafe rows.append(stored: bytes, tables, transaction)
            try records[index].verify(storedChecksum: checksum)
            records[index].embeddingChecksum = checksum
            try list(records[index], of: newcomers[index].face, transaction)
        }
        for (newcomer, record) in zip(newcomers, records) {
            try transaction.put(tables.faces, key: newcomer.face, value: record.encoded(for: newcomer.face))
        }
        return records.map(\.row)
    }

    /// Removes a face that the partition it was taken over from has no more.
    mutating func disown(_ face: FaceID, _ transaction: borrowing WriteTransaction) throws {
        _ = try remove(face, isNewLikely: true, transaction)
    }

    private mutating func takeRow() throws -> UInt32 {
        let row = state.nextRow
        guard row < .max - UInt32(RowChunk.rowCount) else { throw PartitionError.rowIDsExhausted }
        state.nextRow += 1
        return row
    }

    /// Writes a face's record and lists its row, the newest one.
    private mutating func enter(
        _ record: FaceRecord,
        of face: FaceID,
        _ transaction: borrowing WriteTransaction
    ) throws {
        try list(record, of: face, transaction)
        try transaction.put(tables.faces, key: face, value: record.encoded(for: face))
    }

    /// Lists a face's row, the newest one; its record is not written.
    private mutating func list(
        _ record: FaceRecord,
        of face: FaceID,
        _ transaction: borrowing WriteTransaction
    ) throws {
        if record.row < digest.uncountedRow {
            digest.add(try partition.contribution(of: face, record, transaction.reading))
        }
        try unsafe face.withKeyBytes { bytes in
            try unsafe transaction.put(tables.rowFaces, key: record.row, value: bytes, options: .append)
        }
        if let expires = record.metadata.expires {
            try transaction.put(tables.byExpiry, key: ExpiryKey(expires: expires, row: record.row), value: [])
        }
        try tables.list(record.row, of: record.metadata, transaction)
        changedFaces.append(face)
    }

    /// Takes a face's row out of every list and marks it dead; the face's record stays.
    private mutating func leave(
        _ record: FaceRecord,
        of face: FaceID,
        _ transaction: borrowing WriteTransaction
    ) throws {
        if record.row < digest.uncountedRow {
            digest.remove(try partition.contribution(of: face, record, transaction.reading))
        }
        guard try transaction.delete(tables.rowFaces, key: record.row) else {
            throw PartitionStoreError.missing(table: "rowFaces", key: UInt64(record.row))
        }
        if let expires = record.metadata.expires,
            try !transaction.delete(tables.byExpiry, key: ExpiryKey(expires: expires, row: record.row))
        {
            throw PartitionStoreError.missing(table: "byExpiry", key: UInt64(record.row))
        }
        try tables.unlist(record.row, of: record.metadata, transaction)
        let rowsPerPiece = UInt32(TombstonePiece.rowCount)
        dead[record.row / rowsPerPiece, default: []].append(Int(record.row % rowsPerPiece))
        state.tombstoneCount += 1
        changedFaces.append(face)
    }

    /// Removes a face; whether it was there.
    ///
    /// - Parameter isNewLikely: takes a miss as it is, which a damaged key may cause; the next search then meets two
    ///   rows of one face, and says so. Otherwise a miss is checked, which would take a tenth of an import's time.
    private mutating func remove(
        _ id: FaceID,
        isNewLikely: Bool = false,
        _ transaction: borrowing WriteTransaction
    ) throws -> Bool {
        let stored =
            try unsafe isNewLikely
            ? transaction.reading.value(of: tables.faces, key: id) : tables.faceRecord(of: id, transaction.reading)
        guard let bytes = unsafe stored else { return false }
        let record = try unsafe FaceRecord(bytes: bytes, face: id)
        try leave(record, of: id, transaction)
        try transaction.delete(tables.faces, key: id)
        try state.removeFace()
        try noteRemnants(transaction)
        return true
    }
}
