package import FaceModel
internal import FaceRecords
internal import LMDB
internal import PartitionStore

/// The faces of a partition slice by slice of the ring, in the order of their places on it, each as it is stored.
///
/// For a copy that nobody writes: places are gathered once for a window of slices, by a pass over all face records, and
/// stay in memory until another window is wanted. Slices are best asked for in ascending order. One thread at a time.
package struct RingReader: Sendable {
    /// Faces whose places are in memory at once, about: 24 bytes each.
    private static let windowFaceLimit = 500_000

    private struct Place {
        var hash: UInt64
        var face: FaceID
    }

    private let partition: Partition
    private let windowFaceLimit: Int
    private var window = 0..<0
    private var places: [Place] = []

    package init(_ partition: Partition) {
        self.init(partition, windowFaceLimit: Self.windowFaceLimit)
    }

    package init(_ partition: Partition, windowFaceLimit: Int) {
        self.partition = partition
        self.windowFaceLimit = windowFaceLimit
    }

    /// The faces of a slice from a position on.
    ///
    /// - Parameters:
    ///   - slice: high byte of the faces' places, 0…255.
    ///   - offset: faces of the slice to leave out: those that came before.
    ///   - limit: most faces, at least 1.
    ///   - byteLimit: bytes of records and embeddings after which no more are added.
    /// - Returns: the faces, and whether the slice ends with them.
    /// - Throws: what was damaged: every record and embedding is verified.
    package mutating func page(
        slice: Int,
        offset: Int,
        limit: Int,
        byteLimit: Int
    ) throws(PartitionError) -> (faces: ArchivedFaces, isLast: Bool) {
        do {
            if !window.contains(slice) { try gather(from: slice) }
            let first = position(of: slice)
            let end = position(of: slice + 1)
            let start = min(first + max(0, offset), end)
            let faces = try read(places[start..<min(end, start + max(1, limit))], byteLimit: byteLimit)
            return (faces, start + faces.count == end)
        } catch {
            throw PartitionError(error)
        }
    }

    /// Of the first place at or behind a slice.
    private func position(of slice: Int) -> Int {
        if slice >= window.upperBound { return places.count }
        var low = 0
        var high = places.count
        while low < high {
            let middle = (low + high) / 2
            if Int(places[middle].hash >> 56) < slice { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Gathers the places of as many slices as fit.
    private mutating func gather(from slice: Int) throws {
        let identity = partition.identity
        let collection = identity.collection.id
        places = []
        window = 0..<0
        let gathered = try partition.environment.read { transaction in
            let state = try partition.state(transaction)
            let sliceCount = UInt64(identity.lastHash >> 56) - UInt64(identity.firstHash >> 56) + 1
            let facesPerSlice = max(1, Int(clamping: state.faceCount / sliceCount))
            let end = min(FaceContribution.sliceCount, slice + max(1, windowFaceLimit / facesPerSlice))
            var places: [Place] = []
            try unsafe transaction.forEach(in: partition.tables.faces) { entry in
                guard let face = unsafe FaceID(keyBytes: entry.key) else {
                    throw PartitionStoreError.malformed(table: "faces", reason: "a key that is no face id")
                }
                let hash = FaceContribution.place(of: face, in: collection)
                if (slice..<end).contains(Int(hash >> 56)) { places.append(Place(hash: hash, face: face)) }
                return .next
            }
            places.sort { ($0.hash, $0.face) < ($1.hash, $1.face) }
            return (places: places, window: slice..<end)
        }
        places = gathered.places
        window = gathered.window
    }

    private func read(_ places: ArraySlice<Place>, byteLimit: Int) throws -> ArchivedFaces {
        let shape = partition.shape
        return try partition.environment.read { transaction in
            let rows = RowReader(
                partition: partition,
                state: try partition.state(transaction),
                transaction: transaction.number
            )
            var records: [(face: FaceID, record: FaceRecord)] = []
            var byteCount = 0
            for place in places {
                guard let bytes = try unsafe transaction.value(of: partition.tables.faces, key: place.face) else {
                    throw PartitionStoreError.missing(table: "faces", key: place.face.high)
                }
                byteCount += bytes.count + shape.rowByteCount
                if !records.isEmpty, byteCount > byteLimit { break }
                records.append((place.face, try unsafe FaceRecord(bytes: bytes, face: place.face)))
            }
            var faces = ArchivedFaces(dimension: shape.dimension, precision: shape.precision)
            var ahead = RowReadAhead(records.map { $0.record.row }, of: rows)
            for (index, (face, record)) in records.enumerated() {
                try ahead.willRead(index, transaction)
                let embedding = try unsafe rows.stored(record, transaction)
                unsafe faces.append(
                    ArchivedFaces.Row(id: face, version: record.version, metadata: record.metadata),
                    embedding: embedding
                )
            }
            return faces
        }
    }
}
