internal import Checksum

/// One value of the `codes` table: 1024 slots of codes in group-major planes, with what belongs to each slot.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | magic `MCOD` |
/// | 4 | 2 | layout, 1: groups of 16 rows, planes of 16 bytes a code |
/// | 6 | 2 | planes P |
/// | 8 | 4 | codebook generation |
/// | 12 | 4, 4 | run, chunk |
/// | 20 | 4 | slots in use |
/// | 24 | 4 | greatest factor, float32 |
/// | 28 | 16 | zero |
/// | 44 | 4 | CRC-32C of bytes 0 ..< 44 and everything from 48 |
/// | 48 | 16 384 P | planes |
/// | … | 2048 | factors, float16 |
/// | … | 4096 | row ids; all bits set in a slot without a row |
///
/// An LMDB value of this size begins 16 bytes into a page, so the first plane lies on a 64-byte line.
@safe
package struct CodeChunk {
    package static let slotCount = 1024
    package static let planeByteCount = 16 * slotCount
    package static let headerByteCount = 48
    package static let absentRow = UInt32.max
    private static let magic: UInt32 = 0x444f_434d
    private static let layout: UInt16 = 1

    /// Bytes of a chunk of `planeCount` planes.
    package static func byteCount(planeCount: Int) -> Int {
        headerByteCount + planeCount * planeByteCount + 6 * slotCount
    }

    private let bytes: UnsafeRawBufferPointer
    private let planeCount: Int

    /// A view of a stored chunk, valid as long as its bytes; its size is checked, its content by
    /// ``verify(run:chunk:)``.
    package init(
        _ bytes: UnsafeRawBufferPointer,
        planeCount: Int,
        key: CodeChunkKey
    ) throws(PartitionStoreError) {
        guard bytes.count == Self.byteCount(planeCount: planeCount) else {
            throw .malformed(table: "codes", reason: "a chunk of \(bytes.count) bytes")
        }
        unsafe self.bytes = unsafe bytes
        self.planeCount = planeCount
    }

    package var planes: UnsafePointer<UInt8> {
        unsafe (bytes.baseAddress! + Self.headerByteCount).assumingMemoryBound(to: UInt8.self)
    }

    package var factors: UnsafePointer<UInt16> {
        unsafe (bytes.baseAddress! + Self.headerByteCount + planeCount * Self.planeByteCount)
            .assumingMemoryBound(to: UInt16.self)
    }

    package var rowIDs: UnsafePointer<UInt32> {
        unsafe (bytes.baseAddress! + Self.headerByteCount + planeCount * Self.planeByteCount + 2 * Self.slotCount)
            .assumingMemoryBound(to: UInt32.self)
    }

    package var greatestFactor: Float { unsafe bytes.loadUnaligned(fromByteOffset: 24, as: Float.self) }

    /// Checks magic, place and checksum.
    package func verify(_ key: CodeChunkKey) throws(PartitionStoreError) {
        let stored = unsafe bytes.loadUnaligned(fromByteOffset: 44, as: UInt32.self)
        guard unsafe Self.checksum(bytes) == UInt32(littleEndian: stored) else {
            throw .checksumMismatch(table: "codes", key: key.number)
        }
        func word(_ offset: Int) -> UInt32 {
            unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
        guard word(0) == Self.magic, word(4) == UInt32(Self.layout) | UInt32(planeCount) << 16,
            word(12) == key.run, word(16) == key.chunk
        else { throw .malformed(table: "codes", reason: "a chunk that belongs elsewhere") }
    }

    /// Writes the header of a chunk whose planes, factors and row ids are in place.
    package static func seal(
        _ bytes: UnsafeMutableRawBufferPointer,
        planeCount: Int,
        generation: UInt32,
        key: CodeChunkKey,
        slotsInUse: Int,
        greatestFactor: Float
    ) {
        precondition(bytes.count == byteCount(planeCount: planeCount), "a chunk has one size")
        func store(_ value: some FixedWidthInteger, _ offset: Int) {
            unsafe bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: type(of: value))
        }
        store(magic, 0)
        store(layout, 4)
        store(UInt16(planeCount), 6)
        store(generation, 8)
        store(key.run, 12)
        store(key.chunk, 16)
        store(UInt32(slotsInUse), 20)
        store(greatestFactor.bitPattern, 24)
        store(unsafe checksum(UnsafeRawBufferPointer(bytes)), 44)
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let head = unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<44]))
        return unsafe CRC32C.extend(head, with: UnsafeRawBufferPointer(rebasing: bytes[headerByteCount...]))
    }
}
