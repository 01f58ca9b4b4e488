internal import Checksum
internal import LMDB

/// The first 48 bytes of every chunk: words, little-endian, of which each kind of chunk says what they mean; zeros;
/// and, last, the CRC-32C of the words before it and of everything behind the header.
///
/// An LMDB value of a chunk's size begins 16 bytes into a page, so what follows the header begins on a 64-byte line.
enum ChunkHeader {
    static let byteCount = 48
    private static let checksumOffset = 44

    /// Writes the header of a chunk whose content is in place.
    static func seal(_ bytes: UnsafeMutableRawBufferPointer, _ words: [UInt32]) {
        for index in 0..<checksumOffset / 4 {
            unsafe store(index < words.count ? words[index] : 0, in: bytes, at: 4 * index)
        }
        unsafe store(checksum(UnsafeRawBufferPointer(bytes)), in: bytes, at: checksumOffset)
    }

    /// Checks the checksum, then those words that are given.
    static func verify(
        _ bytes: UnsafeRawBufferPointer,
        _ words: [UInt32?],
        table: String,
        key: UInt64
    ) throws(PartitionStoreError) {
        // All of it is looked at, and pages that are missing in memory would be read one by one.
        unsafe MappedPages.readAhead(bytes)
        guard unsafe checksum(bytes) == word(bytes, at: checksumOffset) else {
            throw .checksumMismatch(table: table, key: key)
        }
        for (index, expected) in words.enumerated() {
            guard let expected else { continue }
            guard unsafe word(bytes, at: 4 * index) == expected else {
                throw .malformed(table: table, reason: "a chunk that belongs elsewhere")
            }
        }
    }

    private static func store(_ value: UInt32, in bytes: UnsafeMutableRawBufferPointer, at offset: Int) {
        unsafe bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self)
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt32 {
        unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let head = unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<checksumOffset]))
        return unsafe CRC32C.extend(head, with: UnsafeRawBufferPointer(rebasing: bytes[byteCount...]))
    }
}
