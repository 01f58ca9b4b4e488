internal import Checksum

/// One value of the `tombstones` table: a bitmap of dead rows over 16 384 consecutive row ids.
///
/// CRC-32C of what follows (4), piece number (4), bitmap (2048): bit `row % 8` of byte `row / 8` is set for a dead row.
package enum TombstonePiece {
    package static let rowCount = 16_384
    package static let byteCount = 8 + rowCount / 8

    /// Checks size, checksum and place.
    package static func verify(_ bytes: UnsafeRawBufferPointer, piece: UInt32) throws(PartitionStoreError) {
        guard bytes.count == byteCount else {
            throw .malformed(table: "tombstones", reason: "a piece of \(bytes.count) bytes")
        }
        guard unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[4...])) == checksum(bytes) else {
            throw .checksumMismatch(table: "tombstones", key: UInt64(piece))
        }
        guard unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)) == piece else {
            throw .malformed(table: "tombstones", reason: "a piece that belongs elsewhere")
        }
    }

    /// The checksum that a piece of the right size says it has.
    package static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        unsafe UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self))
    }

    /// Whether row `row` of the piece (0 ..< 16 384) is dead.
    package static func isDead(_ bytes: UnsafeRawBufferPointer, row: Int) -> Bool {
        unsafe bytes[8 + row / 8] & 1 << UInt8(row % 8) != 0
    }

    /// Which of 64 rows of the piece from `first` on, a multiple of 64, are dead: bit `k` is of row `first + k`.
    package static func deadBits(_ bytes: UnsafeRawBufferPointer, first: Int) -> UInt64 {
        unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 + first / 8, as: UInt64.self))
    }

    /// Dead rows among the piece's rows `first` to `first + count − 1`; both are multiples of 64.
    package static func deadCount(_ bytes: UnsafeRawBufferPointer, first: Int, count: Int) -> Int {
        stride(from: first / 8, to: (first + count) / 8, by: 8).reduce(0) { sum, byte in
            unsafe sum + bytes.loadUnaligned(fromByteOffset: 8 + byte, as: UInt64.self).nonzeroBitCount
        }
    }

    /// The piece with more dead rows.
    ///
    /// - Parameter bytes: the stored piece, which is verified; nil for one without dead rows.
    package static func marking(
        _ rows: some Sequence<Int>,
        in bytes: UnsafeRawBufferPointer?,
        piece: UInt32
    ) throws(PartitionStoreError) -> [UInt8] {
        if let bytes = unsafe bytes { try unsafe verify(bytes, piece: piece) }
        var marked = unsafe bytes.map { unsafe Array($0) } ?? [UInt8](repeating: 0, count: byteCount)
        for row in rows { marked[8 + row / 8] |= 1 << UInt8(row % 8) }
        for byte in 0..<4 { marked[4 + byte] = UInt8(truncatingIfNeeded: piece >> UInt32(8 * byte)) }
        let checksum = unsafe marked.withUnsafeBytes {
            unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[4...]))
        }
        for byte in 0..<4 { marked[byte] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * byte)) }
        return marked
    }
}
