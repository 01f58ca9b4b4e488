internal import FaceModel
internal import FaceRecords
internal import LMDB
internal import PartitionStore

/// A pass over all rows in the order in which they lie: each live row belongs to one face, whose record, lists and
/// checksum agree with it, and no face is without a row.
struct FaceVerification {
    private let partition: Partition
    private let tables: PartitionTables
    private let state: PartitionState
    private let sealedRow: UInt32
    private var digest = DigestRecord(uncountedRow: .max)
    private var faceCount = 0
    private var expiryCount = 0
    private var personCount = 0
    private var imageCount = 0

    init(_ partition: Partition, _ state: PartitionState) {
        self.partition = partition
        self.state = state
        tables = partition.tables
        sealedRow = state.sealedRow
    }

    /// The digest of what was found.
    consuming func run(
        _ transaction: borrowing ReadTransaction,
        _ shouldStop: () -> Bool
    ) throws -> PartitionDigest {
        try verifyChunks(transaction, shouldStop)
        try verifyTail(transaction, shouldStop)
        try verifyCounts(transaction)
        return PartitionDigest(sequence: state.sequence, faceCount: state.faceCount, slices: digest.slices)
    }

    private mutating func verifyChunks(
        _ transaction: borrowing ReadTransaction,
        _ shouldStop: () -> Bool
    ) throws {
        let rowsPerChunk = UInt32(RowChunk.rowCount)
        let shape = partition.shape
        var roundedCount = 0
        try unsafe transaction.forEach(in: tables.rows) { entry in
            if shouldStop() { throw Partition.Stopped() }
            guard let chunk = unsafe entry.uint32Key, chunk < sealedRow / rowsPerChunk else {
                throw PartitionStoreError.malformed(table: "rows", reason: "a key that is no chunk")
            }
            let view = try unsafe RowChunk(entry.value, shape: shape)
            try view.verify(chunk: chunk)
            if let bytes = try unsafe transaction.value(of: tables.roundedRows, key: chunk) {
                try unsafe RoundedRowChunk(bytes, dimension: shape.dimension).verify(chunk: chunk)
                roundedCount += 1
            }
            try Self.forEachFace(of: tables, in: chunk * rowsPerChunk..<(chunk + 1) * rowsPerChunk, transaction) {
                row,
                face in
                let first = Int(row % rowsPerChunk) * shape.rowByteCount
                let bytes = unsafe UnsafeRawBufferPointer(rebasing: view.rows[first..<first + shape.rowByteCount])
                try unsafe verify(face, inRow: row, bytes, transaction)
            }
            return .next
        }
        guard try transaction.count(of: tables.roundedRows) == roundedCount else {
            throw PartitionStoreError.contradiction(table: "roundedRows", key: 0, reason: "chunks without rows")
        }
    }

    private mutating func verifyTail(_ transaction: borrowing ReadTransaction, _ shouldStop: () -> Bool) throws {
        for row in sealedRow..<state.nextRow {
            if shouldStop() { throw Partition.Stopped() }
            let bytes = try unsafe tables.tailRow(row, shape: partition.shape, transaction)
            try Self.forEachFace(of: tables, in: row..<row + 1, transaction) { row, face in
                try unsafe verify(face, inRow: row, bytes, transaction)
            }
        }
        guard try transaction.count(of: tables.tailRows) == Int(state.nextRow - sealedRow) else {
            throw PartitionStoreError.contradiction(table: "tailRows", key: 0, reason: "rows of a full chunk")
        }
    }

    private static func forEachFace(
        of tables: PartitionTables,
        in rows: Range<UInt32>,
        _ transaction: borrowing ReadTransaction,
        _ body: (UInt32, FaceID) throws -> Void
    ) throws {
        try unsafe transaction.forEach(in: tables.rowFaces, .from(rows.lowerBound, before: rows.upperBound)) { entry in
            guard let row = unsafe entry.uint32Key, let face = unsafe FaceID(keyBytes: entry.value) else {
                throw PartitionStoreError.malformed(table: "rowFaces", reason: "an entry that is no row and face")
            }
            try body(row, face)
            return .next
        }
    }

    /// Holds a live row against its face's record, and the record against the lists it is to be in.
    private mutating func verify(
        _ face: FaceID,
        inRow row: UInt32,
        _ bytes: UnsafeRawBufferPointer,
        _ transaction: borrowing ReadTransaction
    ) throws {
        let record = try tables.record(of: face, inRow: row, transaction)
        let checksum = try unsafe record.checksum(ofStored: bytes)
        faceCount += 1
        digest.add(
            DigestRecord.Contribution(
                of: face,
                version: record.version,
                metadata: record.metadata,
                embeddingChecksum: checksum,
                in: partition.identity.collection.id
            )
        )
        if let expires = record.metadata.expires {
            guard try transaction.contains(tables.byExpiry, key: ExpiryKey(expires: expires, row: row)) else {
                throw PartitionStoreError.missing(table: "byExpiry", key: UInt64(row))
            }
            expiryCount += 1
        }
        if let person = record.metadata.personID {
            try verify(NameKey(name: person, row: row), in: tables.byPerson, named: "byPerson", transaction)
            personCount += 1
        }
        if let image = record.metadata.externalImageID {
            try verify(
                NameKey(name: image, row: row),
                in: tables.byExternalImage,
                named: "byExternalImage",
                transaction
            )
            imageCount += 1
        }
    }

    private func verify(
        _ key: NameKey,
        in table: Table,
        named name: String,
        _ transaction: borrowing ReadTransaction
    ) throws {
        guard let seal = try unsafe transaction.value(of: table, key: key) else {
            throw PartitionStoreError.missing(table: name, key: UInt64(key.row))
        }
        _ = try unsafe RecordSeal.open(seal, under: key, table: name, key: UInt64(key.row))
    }

    /// As many entries as were met, so none is left over, and no row without a face that is not dead.
    private func verifyCounts(_ transaction: borrowing ReadTransaction) throws {
        let counts = [
            ("rowFaces", tables.rowFaces, faceCount), ("faces", tables.faces, faceCount),
            ("byExpiry", tables.byExpiry, expiryCount), ("byPerson", tables.byPerson, personCount),
            ("byExternalImage", tables.byExternalImage, imageCount),
        ]
        for (name, table, count) in counts {
            let found = try transaction.count(of: table)
            guard found == count else {
                throw PartitionStoreError.contradiction(
                    table: name,
                    key: 0,
                    reason: "\(found) entries, of which \(count) belong to faces with rows"
                )
            }
        }
        let tombstones = try Tombstones(transaction, tables: tables, rowCount: state.nextRow)
        let liveness = RowLiveness(tombstones, hidden: [])
        let liveCount = (0..<state.nextRow).count { liveness.isLive($0) }
        guard UInt64(faceCount) == state.faceCount, liveCount == faceCount else {
            throw PartitionStoreError.contradiction(
                table: "faces",
                key: 0,
                reason: "\(faceCount) faces and \(liveCount) live rows where the state says \(state.faceCount)"
            )
        }
        try Self.forEachFace(of: tables, in: 0..<state.nextRow, transaction) { row, _ in
            guard liveness.isLive(row) else { throw contradiction("tombstones", row, "a face's row is dead") }
        }
    }

    private func contradiction(_ table: String, _ row: UInt32, _ reason: String) -> PartitionStoreError {
        .contradiction(table: table, key: UInt64(row), reason: reason)
    }
}
