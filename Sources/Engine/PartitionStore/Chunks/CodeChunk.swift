internal import VectorMath

/// One value of the `codes` table: 1024 slots of packed codes, laid out as `vector_kernels.h` says.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | magic `MCOD` |
/// | 4 | 2 | layout, 2: heads in groups of 16 slots, then records |
/// | 6 | 2 | planes P |
/// | 8 | 4 | codebook generation |
/// | 12 | 4, 4 | run, chunk |
/// | 20 | 4 | slots in use |
/// | 24 | 20 | zero |
/// | 44 | 4 | CRC-32C of bytes 0 ..< 44 and everything from 48 |
/// | 48 | 16 384 min(P, 2) | heads: the first two planes of every code |
/// | … | 1024 records | the further planes, row id (all bits set in a slot without a row), factor (float16), zeros |
///
/// A record has 16 bytes for each further plane and 16 more. An LMDB value of this size begins 16 bytes into a page, so
/// heads lie on 64-byte lines, and so do the records of a code of five planes.
@safe
package struct CodeChunk {
    package static let slotCount = 1024
    /// Bytes of one head.
    package static let headByteCount = 16 * slotCount
    package static let headerByteCount = ChunkHeader.byteCount
    private static let magic: UInt32 = 0x444f_434d
    private static let layout: UInt16 = 2

    /// Bytes of a chunk of `planeCount` planes.
    package static func byteCount(planeCount: Int) -> Int {
        recordsOffset(planeCount: planeCount) + slotCount * VectorKernels.recordByteCount(planeCount: planeCount)
    }

    private static func recordsOffset(planeCount: Int) -> Int {
        headerByteCount + VectorKernels.headCount(planeCount: planeCount) * headByteCount
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

    /// First group of the first head; the next head begins ``headByteCount`` later.
    package var heads: UnsafePointer<UInt8> {
        unsafe (bytes.baseAddress! + Self.headerByteCount).assumingMemoryBound(to: UInt8.self)
    }

    /// Record of the first slot.
    package var records: UnsafePointer<UInt8> {
        unsafe (bytes.baseAddress! + Self.recordsOffset(planeCount: planeCount)).assumingMemoryBound(to: UInt8.self)
    }

    /// Checks magic, place and checksum.
    package func verify(_ key: CodeChunkKey) throws(PartitionStoreError) {
        let header = [Self.magic, Self.shape(planeCount: planeCount), nil, key.run, key.chunk]
        try unsafe ChunkHeader.verify(bytes, header, table: "codes", key: key.number)
    }

    private static func shape(planeCount: Int) -> UInt32 { UInt32(layout) | UInt32(planeCount) << 16 }

    /// Packs row-major codes into the slots of a chunk, the last of which may be without a row, and seals it.
    ///
    /// - Parameters:
    ///   - codes: `[1024 × 16 planeCount]`.
    ///   - rowIDs, factors: `[1024]`.
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
        precondition(bytes.count == byteCount(planeCount: planeCount), "a chunk has one size")
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
                            headStride: headByteCount,
                            records: start + recordsOffset(planeCount: planeCount)
                        )
                    }
                }
            }
        }
        unsafe ChunkHeader.seal(
            bytes,
            [magic, shape(planeCount: planeCount), generation, key.run, key.chunk, UInt32(slotsInUse)]
        )
    }
}
