internal import BinaryCoding
internal import Checksum
package import FaceModel
package import FaceRecords

/// Faces that lie together on the ring, as logical records: no page, no row and no deleted face is in it.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | magic `MBLK` |
/// | 4 | 2 | layout, 1 |
/// | 6 | 1 | stored precision: 1 float16, 2 float32 |
/// | 7 | 1 | zero |
/// | 8 | 4 | dimension |
/// | 12 | 4 | faces n |
/// | 16 | … | n faces: id (16: two numbers of 8, the high one first), version (epoch, sequence: 8 each), metadata |
/// | … | … | n embeddings, each dimension × 2 or 4 bytes, as they are stored |
/// | … | 4 | CRC-32C of everything before |
package enum BackupBlock {
    /// Most faces of a block, and bytes after which it ends.
    package static let faceLimit = 4096
    package static let byteLimit = 8 << 20
    /// Longest that any block may be: a face more than the limit.
    package static let longestByteCount = 12 << 20
    private static let magic: UInt32 = 0x4b4c_424d
    private static let layout: UInt16 = 1
    private static let dimensionRange = 1...65_536

    package static func encode(_ faces: ArchivedFaces) -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 64 + faces.count * 96 + faces.embeddings.count)
        writer.write(magic)
        writer.write(layout)
        writer.write(faces.precision.rawValue)
        writer.write(UInt8(0))
        writer.write(UInt32(faces.dimension))
        writer.write(UInt32(faces.count))
        for row in faces.rows {
            writer.write(row.id.high)
            writer.write(row.id.low)
            writer.write(row.version.epoch)
            writer.write(row.version.sequence)
            MetadataCoding.write(row.metadata, to: &writer)
        }
        writer.write(bytes: faces.embeddings)
        let checksum = unsafe writer.bytes.withUnsafeBytes { unsafe CRC32C.checksum($0) }
        writer.write(checksum)
        return writer.bytes
    }

    /// Reads a block from anywhere; nothing in it is believed.
    ///
    /// - Parameter object: names it in an error.
    package static func decode(_ bytes: [UInt8], object: String) throws(BackupError) -> ArchivedFaces {
        guard bytes.count >= 20, bytes.count <= longestByteCount else {
            throw .damaged(object: object, reason: "it has \(bytes.count) bytes")
        }
        let isSound = unsafe bytes.withUnsafeBytes { bytes in
            unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)]))
                == UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self))
        }
        guard isSound else { throw .damaged(object: object, reason: "its checksum is wrong") }
        do throws(BinaryCodingError) {
            let faces = try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(BinaryCodingError) in
                var reader = unsafe ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)]))
                let faces = try read(&reader)
                try reader.finish()
                return faces
            }
            if let problem = faces.problem { throw BinaryCodingError.invalidValue(field: problem, offset: 16) }
            return faces
        } catch {
            throw .damaged(object: object, reason: "\(error)")
        }
    }

    private static func read(_ reader: inout ByteReader) throws(BinaryCodingError) -> ArchivedFaces {
        guard try reader.read() == magic, try reader.read() == layout else {
            throw .invalidValue(field: "layout", offset: 0)
        }
        let precision = StoredPrecision(rawValue: try reader.read())
        guard let precision, try reader.read(UInt8.self) == 0 else {
            throw .invalidValue(field: "precision", offset: 6)
        }
        let dimension = Int(try reader.read(UInt32.self))
        guard dimensionRange.contains(dimension) else { throw .invalidValue(field: "dimension", offset: 8) }
        let count = Int(try reader.read(UInt32.self))
        let rowByteCount = dimension * precision.byteCount
        // A face has 34 bytes at least.
        guard count <= faceLimit, count * (34 + rowByteCount) <= reader.remainingByteCount else {
            throw .invalidValue(field: "face count", offset: 12)
        }
        var rows: [ArchivedFaces.Row] = []
        rows.reserveCapacity(count)
        for _ in 0..<count {
            let id = FaceID(high: try reader.read(), low: try reader.read())
            let version = FaceVersion(epoch: try reader.read(), sequence: try reader.read())
            let offset = reader.offset
            let (metadata, mark) = try MetadataCoding.read(&reader)
            guard mark == 0 else { throw .invalidValue(field: "metadata", offset: offset) }
            rows.append(ArchivedFaces.Row(id: id, version: version, metadata: metadata))
        }
        return ArchivedFaces(
            dimension: dimension,
            precision: precision,
            rows: rows,
            embeddings: try reader.readBytes(count: count * rowByteCount)
        )
    }
}

extension ArchivedFaces {
    /// What each face adds to the digest of a collection, in order.
    package func contributions(in collection: CollectionID) -> [FaceContribution] {
        rows.indices.map { row in
            FaceContribution(
                of: rows[row].id,
                version: rows[row].version,
                metadata: rows[row].metadata,
                embeddingChecksum: unsafe embedding(row).withUnsafeBytes { unsafe CRC32C.checksum($0) },
                in: collection
            )
        }
    }
}
