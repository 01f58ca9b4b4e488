import Checksum

/// A record's form in the embedded store: version u64, CRC-32C u32 of (key, version, bytes), bytes.
enum StoredRecord {
    static let headerByteCount = 12

    static func encode(key: String, value: [UInt8], version: MetadataRevision) -> [UInt8] {
        let crc = checksum(key: key, version: version, value: value)
        return version.number.littleEndianBytes + crc.littleEndianBytes + value
    }

    static func decode(key: String, _ stored: UnsafeRawBufferPointer) -> Result<MetadataRecord, MetadataError> {
        guard stored.count >= headerByteCount else {
            return .failure(.corrupt(key: key, reason: "it has only \(stored.count) bytes"))
        }
        let version = unsafe MetadataRevision(UInt64(littleEndian: stored.loadUnaligned(as: UInt64.self)))
        let crc = unsafe UInt32(littleEndian: stored.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        let value = unsafe Array(stored.dropFirst(headerByteCount))
        guard crc == checksum(key: key, version: version, value: value) else {
            return .failure(.corrupt(key: key, reason: "its checksum is wrong"))
        }
        return .success(MetadataRecord(key: key, value: value, version: version))
    }

    private static func checksum(key: String, version: MetadataRevision, value: [UInt8]) -> UInt32 {
        let head = Array(key.utf8) + version.number.littleEndianBytes
        let crc = unsafe head.withUnsafeBytes { unsafe CRC32C.checksum($0) }
        return unsafe value.withUnsafeBytes { unsafe CRC32C.extend(crc, with: $0) }
    }
}
