internal import BinaryCoding
package import FaceModel

/// What is stored of a face besides its embedding.
///
/// | bytes | field |
/// |---|---|
/// | 4 | row id |
/// | 8, 8 | version: epoch, sequence |
/// | 2 | which fields follow, bit by bit in this order |
/// | string | person id (bit 0), external image id (1), image id (2) |
/// | 16 | bounding box (3): left, top, width, height, float32 |
/// | 4 | quality (4), confidence (5), float32 each |
/// | 8 | created (6), expires (7), milliseconds since 1970 each |
/// | 1 + strings | attributes (8): count, then key and value each, by key |
/// | 4 | CRC-32C of the face's id (16 bytes, as the key) and everything before |
package struct FaceRecord: Hashable, Sendable {
    package var row: UInt32
    package var version: FaceVersion
    package var metadata: FaceMetadata

    package init(row: UInt32, version: FaceVersion, metadata: FaceMetadata) {
        self.row = row
        self.version = version
        self.metadata = metadata
    }

    package func encoded(for face: FaceID) -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 96)
        writer.write(row)
        writer.write(version.epoch)
        writer.write(version.sequence)
        let present: [Bool] = [
            metadata.personID != nil, metadata.externalImageID != nil, metadata.imageID != nil,
            metadata.boundingBox != nil, metadata.quality != nil, metadata.confidence != nil,
            metadata.created != nil, metadata.expires != nil, !metadata.attributes.isEmpty,
        ]
        var flags: UInt16 = 0
        for (bit, isPresent) in present.enumerated() where isPresent { flags |= 1 << UInt16(bit) }
        writer.write(flags)
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
        return RecordSeal.seal(writer, under: face)
    }

    package init(bytes: UnsafeRawBufferPointer, face: FaceID) throws(PartitionStoreError) {
        let body = try unsafe RecordSeal.open(bytes, under: face, table: "faces", key: face.high)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            row = try reader.read()
            version = FaceVersion(epoch: try reader.read(), sequence: try reader.read())
            let flags = try reader.read(UInt16.self)
            func has(_ bit: UInt16) -> Bool { flags & 1 << bit != 0 }
            metadata = FaceMetadata()
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
            try reader.finish()
        } catch {
            throw .malformed(table: "faces", reason: "\(error)")
        }
    }
}
