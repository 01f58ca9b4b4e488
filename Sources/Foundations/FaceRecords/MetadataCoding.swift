package import BinaryCoding
internal import Checksum
package import FaceModel

/// The stored form of a face's metadata, in face records, in entries of the log and in backups.
///
/// | bytes | field |
/// |---|---|
/// | 2 | which fields follow, bit by bit in this order |
/// | string | person id (bit 0), external image id (1), image id (2) |
/// | 16 | bounding box (3): left, top, width, height, float32 |
/// | 4 | quality (4), confidence (5), float32 each |
/// | 8 | created (6), expires (7), milliseconds since 1970 each |
/// | 1 + strings | attributes (8): count, then key and value each, by key |
package enum MetadataCoding {
    /// The bits that the fields of metadata have; a record may use the others.
    private static let fieldBits: UInt16 = 0x1ff

    /// - Parameter mark: bits that the record sets besides.
    package static func write(_ metadata: FaceMetadata, marking mark: UInt16 = 0, to writer: inout ByteWriter) {
        writer.write(mark | bits(metadata))
        if let text = metadata.personID { writer.write(string: text) }
        if let text = metadata.externalImageID { writer.write(string: text) }
        if let text = metadata.imageID { writer.write(string: text) }
        if let box = metadata.boundingBox { writer.write(floats: [box.left, box.top, box.width, box.height]) }
        if let value = metadata.quality { writer.write(value) }
        if let value = metadata.confidence { writer.write(value) }
        if let moment = metadata.created { writer.write(moment.milliseconds) }
        if let moment = metadata.expires { writer.write(moment.milliseconds) }
        if !metadata.attributes.isEmpty {
            writer.write(UInt8(metadata.attributes.count))
            for (key, value) in metadata.attributes.sorted(by: { $0.key < $1.key }) {
                writer.write(string: key)
                writer.write(string: value)
            }
        }
    }

    /// Which fields there are.
    private static func bits(_ metadata: FaceMetadata) -> UInt16 {
        var bits: UInt16 = 0
        if metadata.personID != nil { bits |= 1 << 0 }
        if metadata.externalImageID != nil { bits |= 1 << 1 }
        if metadata.imageID != nil { bits |= 1 << 2 }
        if metadata.boundingBox != nil { bits |= 1 << 3 }
        if metadata.quality != nil { bits |= 1 << 4 }
        if metadata.confidence != nil { bits |= 1 << 5 }
        if metadata.created != nil { bits |= 1 << 6 }
        if metadata.expires != nil { bits |= 1 << 7 }
        if !metadata.attributes.isEmpty { bits |= 1 << 8 }
        return bits
    }

    /// The metadata, and the bits that are none of its fields'.
    package static func read(
        _ reader: inout ByteReader
    ) throws(BinaryCodingError) -> (metadata: FaceMetadata, mark: UInt16) {
        let flags = try reader.read(UInt16.self)
        func has(_ bit: UInt16) -> Bool { flags & 1 << bit != 0 }
        var metadata = FaceMetadata()
        if has(0) { metadata.personID = try reader.readString() }
        if has(1) { metadata.externalImageID = try reader.readString() }
        if has(2) { metadata.imageID = try reader.readString() }
        if has(3) {
            metadata.boundingBox = BoundingBox(
                left: try reader.readFloat(),
                top: try reader.readFloat(),
                width: try reader.readFloat(),
                height: try reader.readFloat()
            )
        }
        if has(4) { metadata.quality = try reader.readFloat() }
        if has(5) { metadata.confidence = try reader.readFloat() }
        if has(6) { metadata.created = Timestamp(milliseconds: try reader.read()) }
        if has(7) { metadata.expires = Timestamp(milliseconds: try reader.read()) }
        if has(8) {
            for _ in 0..<(try reader.read(UInt8.self)) {
                let key = try reader.readString()
                metadata.attributes[key] = try reader.readString()
            }
        }
        return (metadata, flags & ~fieldBits)
    }

    /// CRC-32C of the stored form.
    package static func checksum(of metadata: FaceMetadata) -> UInt32 {
        var writer = ByteWriter(reservingByteCount: 64)
        write(metadata, to: &writer)
        return unsafe writer.bytes.withUnsafeBytes { unsafe CRC32C.checksum($0) }
    }
}
