internal import BinaryCoding
package import FaceModel
internal import FaceRecords

/// What an entry of the log does when it is applied: the same on every replica.
package enum LogOperation: Hashable, Sendable {
    /// Nothing: behind it every replica looks at what it holds.
    case beginEpoch
    /// As many rows as embeddings.
    case enrol(rows: [EnrolRow], embeddings: StoredEmbeddings)
    case delete([FaceID])
    /// Removes those of the faces that have expired by a moment: named one by one, since replicas may keep the faces of
    /// one moment in any order.
    case expire(at: Timestamp, faces: [FaceID])
    /// Puts faces of a backup back under the versions that they had; as many rows as embeddings. The last one, which
    /// may bring none, ends the restoration: from then on faces expire, and another one changes nothing.
    case restore(rows: [ArchivedFaces.Row], embeddings: StoredEmbeddings, isLast: Bool)

    /// Whether the disk holds more after it.
    package var bringsFaces: Bool {
        switch self {
        case .enrol, .restore: true
        case .beginEpoch, .delete, .expire: false
        }
    }

    /// Embeddings that it brings.
    package var embeddings: StoredEmbeddings? {
        switch self {
        case .enrol(_, let embeddings), .restore(_, let embeddings, _): embeddings
        case .beginEpoch, .delete, .expire: nil
        }
    }
}

/// Embeddings as they are stored, one after the other.
package struct StoredEmbeddings: Hashable, Sendable {
    package let shape: RowChunk.Shape
    /// `[rowCount × shape.rowByteCount]`.
    package let bytes: ArraySlice<UInt8>

    /// - Precondition: whole rows.
    package init(shape: RowChunk.Shape, bytes: ArraySlice<UInt8>) {
        precondition(bytes.count % shape.rowByteCount == 0, "embeddings are whole rows")
        self.shape = shape
        self.bytes = bytes
    }

    package var rowCount: Int { bytes.count / shape.rowByteCount }

    package func row(_ index: Int) -> ArraySlice<UInt8> {
        let first = bytes.startIndex + index * shape.rowByteCount
        return bytes[first..<first + shape.rowByteCount]
    }

    /// Whether no component is NaN or infinite.
    var isFinite: Bool {
        unsafe bytes.withUnsafeBytes { bytes in
            switch shape.precision {
            case .float16:
                stride(from: 0, to: bytes.count, by: 2).allSatisfy {
                    unsafe UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt16.self)) & 0x7c00
                        != 0x7c00
                }
            case .float32:
                stride(from: 0, to: bytes.count, by: 4).allSatisfy {
                    unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self)) & 0x7f80_0000
                        != 0x7f80_0000
                }
            }
        }
    }
}

/// The payload of an entry, by kind:
///
/// | kind | payload |
/// |---|---|
/// | 0, begin an epoch | none |
/// | 1, enrol | rows n (4), dimension (2), precision (1), zero (1); n faces: id (16), metadata; n stored embeddings |
/// | 2, delete | n (4), n ids (16) |
/// | 3, expire | moment (8), n (4), n ids (16) |
/// | 4, restore | rows n (4), dimension (2), precision (1), 1 for the last or 0 (1); n faces: id (16), epoch and
///   sequence of its version (8 each), metadata; n stored embeddings |
///
/// An id is two numbers of 8, the high one first.
extension LogOperation {
    var kind: UInt8 {
        switch self {
        case .beginEpoch: 0
        case .enrol: 1
        case .delete: 2
        case .expire: 3
        case .restore: 4
        }
    }

    func write(to writer: inout ByteWriter) {
        switch self {
        case .beginEpoch: break
        case .enrol(let rows, let embeddings):
            writer.write(UInt32(rows.count))
            writer.write(UInt16(embeddings.shape.dimension))
            writer.write(embeddings.shape.precision.rawValue)
            writer.write(UInt8(0))
            for row in rows {
                Self.write(row.id, to: &writer)
                MetadataCoding.write(row.metadata, to: &writer)
            }
            writer.write(bytes: embeddings.bytes)
        case .restore(let rows, let embeddings, let isLast):
            writer.write(UInt32(rows.count))
            writer.write(UInt16(embeddings.shape.dimension))
            writer.write(embeddings.shape.precision.rawValue)
            writer.write(UInt8(isLast ? 1 : 0))
            for row in rows {
                Self.write(row.id, to: &writer)
                writer.write(row.version.epoch)
                writer.write(row.version.sequence)
                MetadataCoding.write(row.metadata, to: &writer)
            }
            writer.write(bytes: embeddings.bytes)
        case .delete(let faces): Self.write(faces, to: &writer)
        case .expire(let moment, let faces):
            writer.write(moment.milliseconds)
            Self.write(faces, to: &writer)
        }
    }

    /// Reads a payload, of which nothing is believed: counts are held against the bytes that are there before anything
    /// is allocated.
    ///
    /// - Parameters:
    ///   - entry: the whole entry, whose bytes the embeddings go on to be.
    ///   - range: where the payload lies in it.
    init(kind: UInt8, of entry: [UInt8], in range: Range<Int>) throws(LogEntryError) {
        do throws(BinaryCodingError) {
            self = try unsafe entry.span.bytes.withUnsafeBytes { bytes throws(BinaryCodingError) in
                var reader = unsafe ByteReader(UnsafeRawBufferPointer(rebasing: bytes[range]))
                let operation: LogOperation
                switch kind {
                case 0: operation = .beginEpoch
                case 1: operation = try Self.readEnrolment(&reader, of: entry, in: range)
                case 2: operation = .delete(try Self.readFaces(&reader))
                case 3:
                    operation = .expire(
                        at: Timestamp(milliseconds: try reader.read()),
                        faces: try Self.readFaces(&reader)
                    )
                case 4: operation = try Self.readRestoration(&reader, of: entry, in: range)
                default: throw BinaryCodingError.invalidValue(field: "kind", offset: 6)
                }
                try reader.finish()
                return operation
            }
        } catch {
            throw .malformed(reason: "\(error)")
        }
        if let embeddings, !embeddings.isFinite {
            throw .malformed(reason: "an embedding that is not finite")
        }
    }

    private static func readEnrolment(
        _ reader: inout ByteReader,
        of entry: [UInt8],
        in range: Range<Int>
    ) throws(BinaryCodingError) -> LogOperation {
        let (count, shape, mark) = try readShape(&reader, leastFaceByteCount: 18)
        guard mark == 0 else { throw .invalidValue(field: "zero", offset: 7) }
        var rows: [EnrolRow] = []
        rows.reserveCapacity(count)
        for _ in 0..<count {
            let face = FaceID(high: try reader.read(), low: try reader.read())
            let offset = reader.offset
            let (metadata, mark) = try MetadataCoding.read(&reader)
            guard mark == 0, metadata.problem == nil else { throw .invalidValue(field: "metadata", offset: offset) }
            rows.append(EnrolRow(id: face, metadata: metadata))
        }
        return .enrol(rows: rows, embeddings: try readEmbeddings(&reader, count, shape, of: entry, in: range))
    }

    private static func readRestoration(
        _ reader: inout ByteReader,
        of entry: [UInt8],
        in range: Range<Int>
    ) throws(BinaryCodingError) -> LogOperation {
        let (count, shape, mark) = try readShape(&reader, leastFaceByteCount: 34)
        guard mark <= 1 else { throw .invalidValue(field: "mark of the last", offset: 7) }
        var rows: [ArchivedFaces.Row] = []
        rows.reserveCapacity(count)
        for _ in 0..<count {
            let face = FaceID(high: try reader.read(), low: try reader.read())
            let version = FaceVersion(epoch: try reader.read(), sequence: try reader.read())
            let offset = reader.offset
            let (metadata, mark) = try MetadataCoding.read(&reader)
            guard mark == 0, metadata.problem == nil else { throw .invalidValue(field: "metadata", offset: offset) }
            rows.append(ArchivedFaces.Row(id: face, version: version, metadata: metadata))
        }
        return .restore(
            rows: rows,
            embeddings: try readEmbeddings(&reader, count, shape, of: entry, in: range),
            isLast: mark == 1
        )
    }

    /// Rows, the shape of their embeddings, and the byte behind it.
    private static func readShape(
        _ reader: inout ByteReader,
        leastFaceByteCount: Int
    ) throws(BinaryCodingError) -> (count: Int, shape: RowChunk.Shape, mark: UInt8) {
        let count = Int(try reader.read(UInt32.self))
        let dimension = Int(try reader.read(UInt16.self))
        let precision = StoredPrecision(rawValue: try reader.read())
        guard let precision, dimension > 0 else { throw .invalidValue(field: "shape", offset: 4) }
        let mark = try reader.read(UInt8.self)
        let shape = RowChunk.Shape(dimension: dimension, precision: precision)
        // Neither factor is beyond 2³², so the product is a number.
        guard count * (leastFaceByteCount + shape.rowByteCount) <= reader.remainingByteCount else {
            throw .invalidValue(field: "row count", offset: 0)
        }
        return (count, shape, mark)
    }

    private static func readEmbeddings(
        _ reader: inout ByteReader,
        _ count: Int,
        _ shape: RowChunk.Shape,
        of entry: [UInt8],
        in range: Range<Int>
    ) throws(BinaryCodingError) -> StoredEmbeddings {
        let first = range.lowerBound + reader.offset
        try reader.skip(byteCount: count * shape.rowByteCount)
        return StoredEmbeddings(shape: shape, bytes: entry[first..<first + count * shape.rowByteCount])
    }

    private static func readFaces(_ reader: inout ByteReader) throws(BinaryCodingError) -> [FaceID] {
        let offset = reader.offset
        let count = Int(try reader.read(UInt32.self))
        guard count * 16 <= reader.remainingByteCount else { throw .invalidValue(field: "count", offset: offset) }
        var faces: [FaceID] = []
        faces.reserveCapacity(count)
        for _ in 0..<count { faces.append(FaceID(high: try reader.read(), low: try reader.read())) }
        return faces
    }

    private static func write(_ faces: [FaceID], to writer: inout ByteWriter) {
        writer.write(UInt32(faces.count))
        for face in faces { write(face, to: &writer) }
    }

    private static func write(_ face: FaceID, to writer: inout ByteWriter) {
        writer.write(face.high)
        writer.write(face.low)
    }
}
