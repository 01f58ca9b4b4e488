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

    /// Faces whose records were read; their embeddings come after that.
    private struct FoundFaces {
        let includesEmbeddings: Bool
        var faces: [StoredFace] = []
        /// Of the faces; none where no embeddings are wanted.
        private(set) var records: [FaceRecord] = []

        init(includesEmbeddings: Bool) {
            self.includesEmbeddings = includesEmbeddings
        }

        /// What reading one of them counts as.
        var entriesPerRecord: Int { includesEmbeddings ? ReadProgress.entriesPerFace / 2 : ReadProgress.entriesPerFace }

        mutating func append(_ record: FaceRecord, of id: FaceID) {
            faces.append(StoredFace(id: id, metadata: record.metadata, version: record.version))
            if includesEmbeddings { records.append(record) }
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
                var found = FoundFaces(includesEmbeddings: includesEmbeddings)
                var progress = ReadProgress()
                for id in ids {
                    try progress.advance(by: found.entriesPerRecord, shouldStop)
                    guard let bytes = try unsafe tables.faceRecord(of: id, transaction) else { continue }
                    found.append(try unsafe FaceRecord(bytes: bytes, face: id), of: id)
                }
                try readEmbeddings(of: &found, &progress, shouldStop, transaction)
                return found.faces
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
                var found = FoundFaces(includesEmbeddings: includesEmbeddings)
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
                    try progress.advance(by: found.entriesPerRecord, shouldStop)
                    byteCount += unsafe entry.value.count + (includesEmbeddings ? 4 * shape.dimension : 0)
                    if !found.faces.isEmpty, byteCount > byteLimit { return .stop }
                    found.append(try unsafe FaceRecord(bytes: entry.value, face: id), of: id)
                    // Otherwise the next one of few would be looked for among many, for nothing.
                    return found.faces.count >= limit ? .stop : .next
                }
                try readEmbeddings(of: &found, &progress, shouldStop, transaction)
                return found.faces
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Reads the embeddings, where they are wanted, together from the disk as far as they are not in memory: faces lie
    /// in the order in which they came, and are asked for in another.
    private func readEmbeddings(
        of found: inout FoundFaces,
        _ progress: inout ReadProgress,
        _ shouldStop: () -> Bool,
        _ transaction: borrowing ReadTransaction
    ) throws {
        guard found.includesEmbeddings, !found.records.isEmpty else { return }
        let rows = RowReader(partition: self, state: try state(transaction), transaction: transaction.number)
        var ahead = RowReadAhead(found.records.map(\.row), of: rows)
        for (index, record) in found.records.enumerated() {
            try progress.advance(by: ReadProgress.entriesPerFace - found.entriesPerRecord, shouldStop)
            try ahead.willRead(index, transaction)
            let stored = try unsafe rows.stored(record, transaction)
            found.faces[index].embedding = unsafe rows.shape.floats(stored.baseAddress!, count: 1)
        }
    }
}
