package import FaceModel
internal import FaceRecords
internal import LMDB
internal import PartitionStore
internal import VectorMath

extension Partition {
    /// How far a read has got since it last asked whether it should go on.
    private struct ReadProgress {
        /// Entries that are passed over, between two questions. A face that is read counts as several.
        private static let entriesPerStep = 1024
        static let entriesPerFace = 32

        private var entryCount = 0

        mutating func advance(by count: Int, _ shouldStop: () -> Bool) throws {
            entryCount += count
            guard entryCount >= Self.entriesPerStep else { return }
            entryCount = 0
            if shouldStop() { throw PartitionError.stopped }
        }
    }

    /// The faces found among those asked for, in that order; expired faces that are still stored are among them.
    ///
    /// - Parameter shouldStop: asked every few dozen faces.
    /// - Throws: ``PartitionError/stopped`` when it said so.
    package func faces(
        _ ids: [FaceID],
        includesEmbeddings: Bool,
        shouldStop: () -> Bool = { false }
    ) throws(PartitionError) -> [StoredFace] {
        do {
            return try environment.read { transaction in
                let rows = RowReader(partition: self, state: try state(transaction), transaction: transaction.number)
                var faces: [StoredFace] = []
                var progress = ReadProgress()
                for id in ids {
                    try progress.advance(by: ReadProgress.entriesPerFace, shouldStop)
                    guard let bytes = try unsafe tables.faceRecord(of: id, transaction) else { continue }
                    faces.append(
                        try unsafe storedFace(id, bytes, rows: rows, includesEmbeddings, transaction)
                    )
                }
                return faces
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// The faces that follow `after` in order of id: up to `limit`, and fewer when they would take more than
    /// `byteLimit` bytes (one at least).
    ///
    /// - Parameters:
    ///   - places: on the ring, of the faces that are wanted; the others are passed over.
    ///   - shouldStop: asked every few dozen faces that are read, or about thousand that are passed over.
    /// - Throws: ``PartitionError/stopped`` when it said so: a page of those so far could be taken for the last one.
    package func page(
        after: FaceID?,
        places: ClosedRange<UInt64> = 0 ... .max,
        limit: Int,
        byteLimit: Int,
        includesEmbeddings: Bool,
        shouldStop: () -> Bool = { false }
    ) throws(PartitionError) -> [StoredFace] {
        do {
            return try environment.read { transaction in
                let rows = RowReader(partition: self, state: try state(transaction), transaction: transaction.number)
                var faces: [StoredFace] = []
                var progress = ReadProgress()
                var byteCount = 0
                let range = after.map { KeyRange.from($0) } ?? .all
                let isWhole = places.lowerBound <= identity.firstHash && identity.lastHash <= places.upperBound
                try unsafe transaction.forEach(in: tables.faces, range) { entry in
                    guard let id = unsafe FaceID(keyBytes: entry.key) else {
                        throw PartitionStoreError.malformed(table: "faces", reason: "a key that is no face id")
                    }
                    if id == after { return .next }
                    if !isWhole, !places.contains(FaceContribution.place(of: id, in: identity.collection.id)) {
                        try progress.advance(by: 1, shouldStop)
                        return .next
                    }
                    try progress.advance(by: ReadProgress.entriesPerFace, shouldStop)
                    byteCount += unsafe entry.value.count + (includesEmbeddings ? 4 * shape.dimension : 0)
                    if !faces.isEmpty, byteCount > byteLimit { return .stop }
                    faces.append(
                        try unsafe storedFace(id, entry.value, rows: rows, includesEmbeddings, transaction)
                    )
                    // Otherwise the next one of few would be looked for among many, for nothing.
                    return faces.count >= limit ? .stop : .next
                }
                return faces
            }
        } catch {
            throw PartitionError(error)
        }
    }

    private func storedFace(
        _ id: FaceID,
        _ bytes: UnsafeRawBufferPointer,
        rows: RowReader,
        _ includesEmbeddings: Bool,
        _ transaction: borrowing ReadTransaction
    ) throws -> StoredFace {
        let record = try unsafe FaceRecord(bytes: bytes, face: id)
        var face = StoredFace(id: id, metadata: record.metadata, version: record.version)
        if includesEmbeddings {
            let stored = try unsafe rows.stored(record, transaction)
            face.embedding = unsafe rows.shape.floats(stored.baseAddress!, count: 1)
        }
        return face
    }
}
