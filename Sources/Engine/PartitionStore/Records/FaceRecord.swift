internal import BinaryCoding
internal import Checksum
package import FaceModel
internal import FaceRecords

/// What is stored of a face besides its embedding.
///
/// | bytes | field |
/// |---|---|
/// | 4 | row id |
/// | 8, 8 | version: epoch, sequence |
/// | … | metadata, as ``MetadataCoding`` writes it |
/// | 4 | CRC-32C of the stored embedding, when bit 9 of the metadata's first two bytes is set |
/// | 4 | CRC-32C of the face's id (16 bytes, as the key) and everything before |
package struct FaceRecord: Hashable, Sendable {
    package var row: UInt32
    package var version: FaceVersion
    package var metadata: FaceMetadata
    /// Of the row's bytes; nil in what a partition of format 3 or earlier wrote.
    package var embeddingChecksum: UInt32?

    private static let embeddingChecksumBit: UInt16 = 1 << 9

    package init(row: UInt32, version: FaceVersion, metadata: FaceMetadata, embeddingChecksum: UInt32? = nil) {
        self.row = row
        self.version = version
        self.metadata = metadata
        self.embeddingChecksum = embeddingChecksum
    }

    package func encoded(for face: FaceID) -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 96)
        writer.write(row)
        writer.write(version.epoch)
        writer.write(version.sequence)
        MetadataCoding.write(
            metadata,
            marking: embeddingChecksum == nil ? 0 : Self.embeddingChecksumBit,
            to: &writer
        )
        if let embeddingChecksum { writer.write(embeddingChecksum) }
        return RecordSeal.seal(writer, under: face)
    }

    package init(bytes: UnsafeRawBufferPointer, face: FaceID) throws(PartitionStoreError) {
        let body = try unsafe RecordSeal.open(bytes, under: face, table: "faces", key: face.high)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            row = try reader.read()
            version = FaceVersion(epoch: try reader.read(), sequence: try reader.read())
            let (metadata, mark) = try MetadataCoding.read(&reader)
            self.metadata = metadata
            guard mark & ~Self.embeddingChecksumBit == 0 else {
                throw BinaryCodingError.invalidValue(field: "field bits", offset: 20)
            }
            if mark != 0 { embeddingChecksum = try reader.read() }
            try reader.finish()
        } catch {
            throw .malformed(table: "faces", reason: "\(error)")
        }
    }

    /// CRC-32C of the row's bytes, as they were read just now.
    ///
    /// - Throws: ``PartitionStoreError/contradiction(table:key:reason:)`` when the record is of another embedding.
    package func checksum(ofStored row: UnsafeRawBufferPointer) throws(PartitionStoreError) -> UInt32 {
        let checksum = unsafe CRC32C.checksum(row)
        try verify(storedChecksum: checksum)
        return checksum
    }

    /// The same for a checksum that is known.
    package func verify(storedChecksum checksum: UInt32) throws(PartitionStoreError) {
        guard embeddingChecksum ?? checksum == checksum else {
            throw .contradiction(table: "rows", key: UInt64(row), reason: "another embedding than its face's")
        }
    }
}
