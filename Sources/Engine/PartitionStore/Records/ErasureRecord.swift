internal import BinaryCoding
package import FaceModel

/// One deletion or expiry in a partition's ledger.
///
/// | bytes | field |
/// |---|---|
/// | 16 | pseudonym: low half, high half |
/// | 8 | epoch of the write; its sequence is in the key |
/// | 8 | when, milliseconds since 1970 |
/// | 4 | CRC-32C of the key and everything before |
package enum ErasureRecord {
    package static func encode(_ erasure: Erasure, at position: ErasurePosition) -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 36)
        writer.write(erasure.pseudonym)
        writer.write(erasure.version.epoch)
        writer.write(erasure.time.milliseconds)
        return RecordSeal.seal(writer, under: position)
    }

    package static func decode(
        _ bytes: UnsafeRawBufferPointer,
        at position: ErasurePosition
    ) throws(PartitionStoreError) -> Erasure {
        let body = try unsafe RecordSeal.open(bytes, under: position, table: "erasures", key: position.sequence)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            let erasure = Erasure(
                pseudonym: try reader.read(),
                version: FaceVersion(epoch: try reader.read(), sequence: position.sequence),
                time: Timestamp(milliseconds: try reader.read())
            )
            try reader.finish()
            return erasure
        } catch {
            throw .malformed(table: "erasures", reason: "\(error)")
        }
    }

    /// The time of the newest erasure that was forgotten.
    package static func encode(forgotten time: Timestamp) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(time.milliseconds)
        return RecordSeal.seal(writer)
    }

    package static func decodeForgotten(_ bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) -> Timestamp {
        let body = try unsafe RecordSeal.open(bytes, table: "meta", key: 0)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            let time = Timestamp(milliseconds: try reader.read())
            try reader.finish()
            return time
        } catch {
            throw .malformed(table: "meta", reason: "\(error)")
        }
    }
}
