package import BinaryCoding
internal import Checksum

/// Small records end with the CRC-32C of the bytes before it.
package enum RecordSeal {
    /// The record's bytes with their checksum behind them.
    package static func seal(_ writer: consuming ByteWriter) -> [UInt8] {
        let checksum = unsafe writer.bytes.withUnsafeBytes { unsafe CRC32C.checksum($0) }
        writer.write(checksum)
        return writer.bytes
    }

    /// The bytes before the checksum, which is verified.
    package static func open(
        _ bytes: UnsafeRawBufferPointer, table: String, key: UInt64
    ) throws(PartitionStoreError) -> UnsafeRawBufferPointer {
        guard bytes.count >= 4 else { throw .malformed(table: table, reason: "\(bytes.count) bytes") }
        let body = unsafe UnsafeRawBufferPointer(rebasing: bytes.dropLast(4))
        let checksum = unsafe UInt32(
            littleEndian: bytes.loadUnaligned(fromByteOffset: body.count, as: UInt32.self))
        guard unsafe CRC32C.checksum(body) == checksum else { throw .checksumMismatch(table: table, key: key) }
        return unsafe body
    }
}
