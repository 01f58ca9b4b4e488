internal import CChecksum

/// CRC-32C (Castagnoli) of stored and sent bytes; detects accidents, not attackers.
package enum CRC32C {
    /// The checksum of `bytes`; 0 for none.
    package static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        unsafe ck_crc32c(0, bytes.baseAddress, bytes.count)
    }

    /// The checksum of some bytes, whose own is `crc`, followed by `bytes`.
    package static func extend(_ crc: UInt32, with bytes: UnsafeRawBufferPointer) -> UInt32 {
        unsafe ck_crc32c(crc, bytes.baseAddress, bytes.count)
    }
}
