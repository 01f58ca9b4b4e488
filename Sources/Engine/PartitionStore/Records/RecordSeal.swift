package import BinaryCoding
internal import Checksum
package import LMDB

/// Small records end with the CRC-32C of the bytes before it.
package enum RecordSeal {
    /// The record's bytes with their checksum behind them.
    package static func seal(_ writer: consuming ByteWriter) -> [UInt8] {
        seal(writer, after: 0)
    }

    /// As ``seal(_:)``, with the key's bytes summed in front, so that the record passes under this key only.
    package static func seal(_ writer: consuming ByteWriter, under key: some Key) -> [UInt8] {
        seal(writer, after: checksum(of: key))
    }

    /// The bytes before the checksum, which is verified.
    ///
    /// - Parameter key: names the record in an error.
    package static func open(
        _ bytes: UnsafeRawBufferPointer,
        table: String,
        key: UInt64
    ) throws(PartitionStoreError) -> UnsafeRawBufferPointer {
        try unsafe open(bytes, after: 0, table: table, key: key)
    }

    /// As ``open(_:table:key:)``, of a record that was sealed under a key.
    package static func open(
        _ bytes: UnsafeRawBufferPointer,
        under sealedKey: some Key,
        table: String,
        key: UInt64
    ) throws(PartitionStoreError) -> UnsafeRawBufferPointer {
        try unsafe open(bytes, after: checksum(of: sealedKey), table: table, key: key)
    }

    private static func seal(_ writer: consuming ByteWriter, after start: UInt32) -> [UInt8] {
        let checksum = unsafe writer.bytes.withUnsafeBytes { unsafe CRC32C.extend(start, with: $0) }
        writer.write(checksum)
        return writer.bytes
    }

    private static func open(
        _ bytes: UnsafeRawBufferPointer,
        after start: UInt32,
        table: String,
        key: UInt64
    ) throws(PartitionStoreError) -> UnsafeRawBufferPointer {
        guard bytes.count >= 4 else { throw .malformed(table: table, reason: "\(bytes.count) bytes") }
        let body = unsafe UnsafeRawBufferPointer(rebasing: bytes.dropLast(4))
        let checksum = unsafe UInt32(
            littleEndian: bytes.loadUnaligned(fromByteOffset: body.count, as: UInt32.self)
        )
        guard unsafe CRC32C.extend(start, with: body) == checksum else {
            throw .checksumMismatch(table: table, key: key)
        }
        return unsafe body
    }

    private static func checksum(of key: some Key) -> UInt32 {
        unsafe key.withKeyBytes { unsafe CRC32C.checksum($0) }
    }
}
