package import BinaryCoding
internal import Checksum
package import FaceModel

/// Small records end with the CRC-32C of the bytes before it.
package enum RecordSeal {
    /// The record's bytes with their checksum behind them.
    ///
    /// - Parameter face: the face whose record it is, if it is one's; its id is part of what is summed, in front, so
    ///   that the record passes under this id only.
    package static func seal(_ writer: consuming ByteWriter, of face: FaceID? = nil) -> [UInt8] {
        let checksum = unsafe writer.bytes.withUnsafeBytes { unsafe CRC32C.extend(start(face), with: $0) }
        writer.write(checksum)
        return writer.bytes
    }

    /// The bytes before the checksum, which is verified.
    package static func open(
        _ bytes: UnsafeRawBufferPointer,
        of face: FaceID? = nil,
        table: String,
        key: UInt64
    ) throws(PartitionStoreError) -> UnsafeRawBufferPointer {
        guard bytes.count >= 4 else { throw .malformed(table: table, reason: "\(bytes.count) bytes") }
        let body = unsafe UnsafeRawBufferPointer(rebasing: bytes.dropLast(4))
        let checksum = unsafe UInt32(
            littleEndian: bytes.loadUnaligned(fromByteOffset: body.count, as: UInt32.self)
        )
        guard unsafe CRC32C.extend(start(face), with: body) == checksum else {
            throw .checksumMismatch(table: table, key: key)
        }
        return unsafe body
    }

    /// The checksum of what is summed in front of a record.
    private static func start(_ face: FaceID?) -> UInt32 {
        guard let face else { return 0 }
        return unsafe face.withKeyBytes { unsafe CRC32C.checksum($0) }
    }
}
