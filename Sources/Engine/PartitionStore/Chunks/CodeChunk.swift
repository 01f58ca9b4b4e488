internal import VectorMath

/// One value of the `codes` table: 1008 slots of packed codes, laid out as `vector_kernels.h` says.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | magic `MCOD` |
/// | 4 | 2 | layout, 3: heads in groups of 16 slots, then records; 2: the same with 1024 slots, before format 5 |
/// | 6 | 2 | planes P |
/// | 8 | 4 | codebook generation |
/// | 12 | 4, 4 | run, chunk |
/// | 20 | 4 | slots in use |
/// | 24 | 20 | zero |
/// | 44 | 4 | CRC-32C of bytes 0 ..< 44 and everything from 48 |
/// | 48 | 16 128 min(P, 2) | heads: the first two planes of every code |
/// | … | 1008 records | the further planes, row id (all bits set in a slot without a row), factor (float16), zeros |
///
/// A record has 16 bytes for each further plane and 16 more. An LMDB value of this size begins 16 bytes into a page, so
/// heads lie on 64-byte lines, and so do the records of a code of five planes. A slot of a code of five planes takes 96
/// bytes: 1024 of them and the two headers end 64 bytes behind a page, of which nothing else could use the rest.
@safe
package struct CodeChunk {
    /// Slots of the chunks that are written.
    package static let slotCount = 1008
    /// Slots of chunks that were written before format 5.
    package static let earlierSlotCount = 1024
    package static let headerByteCount = ChunkHeader.byteCount
    private static let magic: UInt32 = 0x444f_434d

    /// Bytes of a chunk of `planeCount` planes.
    package static func byteCount(planeCount: Int, slotCount: Int = slotCount) -> Int {
        recordsOffset(planeCount, slotCount) + slotCount * VectorKernels.recordByteCount(planeCount: planeCount)
    }

    /// Slots of a chunk that has one of the two sizes; of a run, all chunks have the same.
    package static func slotCount(of bytes: UnsafeRawBufferPointer, planeCount: Int) -> Int {
        bytes.count == byteCount(planeCount: planeCount, slotCount: earlierSlotCount) ? earlierSlotCount : slotCount
    }

    private static func recordsOffset(_ planeCount: Int, _ slotCount: Int) -> Int {
        headerByteCount + VectorKernels.headCount(planeCount: planeCount) * slotCount * VectorKernels.planeByteCount
    }

    private let bytes: UnsafeRawBufferPointer
    private let planeCount: Int
    package let slotCount: Int

    /// A view of a stored chunk, valid as long as its bytes; its size is checked, its content by ``verify(_:)``.
    ///
    /// - Parameter expected: slots of the run's chunks; nil for what the size says.
    package init(
        _ bytes: UnsafeRawBufferPointer,
        planeCount: Int,
        slotCount expected: Int? = nil,
        key: CodeChunkKey
    ) throws(PartitionStoreError) {
        slotCount = unsafe expected ?? Self.slotCount(of: bytes, planeCount: planeCount)
        guard bytes.count == Self.byteCount(planeCount: planeCount, slotCount: slotCount) else {
            throw .malformed(table: "codes", reason: "a chunk of \(bytes.count) bytes")
        }
        unsafe self.bytes = unsafe bytes
        self.planeCount = planeCount
    }

    /// Bytes of one head.
    package var headByteCount: Int { slotCount * VectorKernels.planeByteCount }

    /// First group of the first head; the next head begins ``headByteCount`` later.
    package var heads: UnsafePointer<UInt8> {
        unsafe (bytes.baseAddress! + Self.headerByteCount).assumingMemoryBound(to: UInt8.self)
    }

    /// Record of the first slot.
    package var records: UnsafePointer<UInt8> {
        unsafe (bytes.baseAddress! + Self.recordsOffset(planeCount, slotCount)).assumingMemoryBound(to: UInt8.self)
    }

    /// What a scan of some slots may read: of each head, and of the records.
    package func parts(ofSlots slots: Range<Int>) -> [UnsafeRawBufferPointer] {
        precondition(slots.lowerBound >= 0 && slots.upperBound <= slotCount, "slots of the chunk")
        let recordByteCount = VectorKernels.recordByteCount(planeCount: planeCount)
        var parts: [UnsafeRawBufferPointer] = unsafe []
        for head in 0..<VectorKernels.headCount(planeCount: planeCount) {
            let first = Self.headerByteCount + head * headByteCount + slots.lowerBound * VectorKernels.planeByteCount
            let count = slots.count * VectorKernels.planeByteCount
            unsafe parts.append(UnsafeRawBufferPointer(rebasing: bytes[first..<first + count]))
        }
        let first = Self.recordsOffset(planeCount, slotCount) + slots.lowerBound * recordByteCount
        let count = slots.count * recordByteCount
        unsafe parts.append(UnsafeRawBufferPointer(rebasing: bytes[first..<first + count]))
        return unsafe parts
    }

    /// Checks magic, place and checksum.
    package func verify(_ key: CodeChunkKey) throws(PartitionStoreError) {
        let header = [Self.magic, Self.shape(planeCount, slotCount), nil, key.run, key.chunk]
        try unsafe ChunkHeader.verify(bytes, header, table: "codes", key: key.number)
    }

    /// The same of a chunk of any shape.
    package static func verify(_ bytes: UnsafeRawBufferPointer, _ key: CodeChunkKey) throws(PartitionStoreError) {
        guard bytes.count >= headerByteCount else {
            throw .malformed(table: "codes", reason: "a chunk of \(bytes.count) bytes")
        }
        try unsafe ChunkHeader.verify(bytes, [magic, nil, nil, key.run, key.chunk], table: "codes", key: key.number)
    }

    private static func shape(_ planeCount: Int, _ slotCount: Int) -> UInt32 {
        (slotCount == earlierSlotCount ? 2 : 3) | UInt32(planeCount) << 16
    }

    /// Packs row-major codes into the slots of a chunk, the last of which may be without a row, and seals it.
    ///
    /// - Parameters:
    ///   - codes: `[slotCount × 16 planeCount]`.
    ///   - rowIDs, factors: `[slotCount]`, ``slotCount`` or, for tests, ``earlierSlotCount``.
    package static func write(
        into bytes: UnsafeMutableRawBufferPointer,
        planeCount: Int,
        generation: UInt32,
        key: CodeChunkKey,
        slotsInUse: Int,
        codes: [UInt8],
        rowIDs: [UInt32],
        factors: [UInt16]
    ) {
        let slotCount = rowIDs.count
        precondition(slotCount == Self.slotCount || slotCount == earlierSlotCount, "a chunk has 1008 slots")
        precondition(bytes.count == byteCount(planeCount: planeCount, slotCount: slotCount), "a chunk has one size")
        precondition(codes.count == slotCount * planeCount * VectorKernels.planeByteCount, "a code for each slot")
        let start = unsafe bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
        unsafe codes.withUnsafeBufferPointer { codes in
            let rowCodes = unsafe (0..<slotCount).map { slot in
                unsafe Optional(codes.baseAddress! + slot * planeCount * VectorKernels.planeByteCount)
            }
            unsafe rowCodes.withUnsafeBufferPointer { rowCodes in
                unsafe rowIDs.withUnsafeBufferPointer { rowIDs in
                    unsafe factors.withUnsafeBufferPointer { factors in
                        unsafe VectorKernels.packCodes(
                            rowCodes: rowCodes,
                            rowIDs: rowIDs,
                            factors: factors,
                            planeCount: planeCount,
                            heads: start + headerByteCount,
                            headStride: slotCount * VectorKernels.planeByteCount,
                            records: start + recordsOffset(planeCount, slotCount)
                        )
                    }
                }
            }
        }
        unsafe ChunkHeader.seal(
            bytes,
            [magic, shape(planeCount, slotCount), generation, key.run, key.chunk, UInt32(slotsInUse)]
        )
    }
}
