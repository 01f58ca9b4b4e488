import Checksum

/// A record's form in etcd: CRC-32C u32 of (key, bytes), bytes. The version is etcd's own.
enum SealedValue {
    private static let headerByteCount = 4

    static func seal(key: String, _ value: [UInt8]) -> [UInt8] {
        checksum(key: key, value[...]).littleEndianBytes + value
    }

    static func open(key: String, _ sealed: [UInt8]) throws(MetadataError) -> [UInt8] {
        guard sealed.count >= headerByteCount else {
            throw .corrupt(key: key, reason: "it has only \(sealed.count) bytes")
        }
        let value = sealed[headerByteCount...]
        guard UInt32(littleEndianBytes: sealed[..<headerByteCount]) == checksum(key: key, value) else {
            throw .corrupt(key: key, reason: "its checksum is wrong")
        }
        return Array(value)
    }

    private static func checksum(key: String, _ value: ArraySlice<UInt8>) -> UInt32 {
        let crc = unsafe Array(key.utf8).withUnsafeBytes { unsafe CRC32C.checksum($0) }
        return unsafe value.withUnsafeBytes { unsafe CRC32C.extend(crc, with: $0) }
    }
}
