/// One value of the `roundedRows` table: the 128 embeddings of a row chunk, rounded to int8.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | magic `MRND` |
/// | 4 | 2 | layout, 1 |
/// | 6 | 2 | rows, 128 |
/// | 8 | 4 | dimension D |
/// | 12 | 4 | chunk |
/// | 16 | 28 | zero |
/// | 44 | 4 | CRC-32C of bytes 0 ..< 44 and everything from 48 |
/// | 48 | 128 D | int8, row by row |
/// | | 512 | scale of each row, float32 |
/// | | 512 | error of each row, float32 |
/// | | 512 | norm of each row, float32 |
///
/// A row that is dead may be zero in all four. What error and norm bound is stated in `vector_kernels.h`.
@safe
package struct RoundedRowChunk {
    package static let rowCount = RowChunk.rowCount
    private static let headerByteCount = ChunkHeader.byteCount
    private static let magic: UInt32 = 0x444e_524d
    private static let layout: UInt16 = 1

    package let bytes: UnsafeRawBufferPointer
    private let dimension: Int

    package static func byteCount(dimension: Int) -> Int {
        headerByteCount + rowCount * (dimension + 3 * MemoryLayout<Float>.size)
    }

    /// A view of a stored chunk, valid as long as its bytes; its size is checked, its content by ``verify(chunk:)``.
    package init(_ bytes: UnsafeRawBufferPointer, dimension: Int) throws(PartitionStoreError) {
        guard bytes.count == Self.byteCount(dimension: dimension) else {
            throw .malformed(table: "roundedRows", reason: "a chunk of \(bytes.count) bytes")
        }
        unsafe self.bytes = unsafe bytes
        self.dimension = dimension
    }

    /// A view of a chunk whose size was checked.
    package init(start: UnsafeRawPointer, dimension: Int) {
        unsafe bytes = UnsafeRawBufferPointer(start: start, count: Self.byteCount(dimension: dimension))
        self.dimension = dimension
    }

    /// `[128 × dimension]`.
    package var rows: UnsafeBufferPointer<Int8> {
        unsafe elements(at: Self.headerByteCount, count: Self.rowCount * dimension)
    }

    package var scales: UnsafeBufferPointer<Float> { unsafe floats(0) }
    package var errors: UnsafeBufferPointer<Float> { unsafe floats(1) }
    package var norms: UnsafeBufferPointer<Float> { unsafe floats(2) }

    /// The bytes that what is known of one row lies in: its int8, then its scale, error and norm.
    package func parts(ofRow row: Int) -> [UnsafeRawBufferPointer] {
        precondition((0..<Self.rowCount).contains(row), "a row of the chunk")
        let values = Self.headerByteCount + row * dimension
        let floats = (0..<3).map {
            Self.firstFloat(ofArray: $0, dimension: dimension) + row * MemoryLayout<Float>.size
        }
        return unsafe [UnsafeRawBufferPointer(rebasing: bytes[values..<values + dimension])]
            + floats.map { unsafe UnsafeRawBufferPointer(rebasing: bytes[$0..<$0 + MemoryLayout<Float>.size]) }
    }

    private func floats(_ array: Int) -> UnsafeBufferPointer<Float> {
        unsafe elements(at: Self.firstFloat(ofArray: array, dimension: dimension), count: Self.rowCount)
    }

    private func elements<Element>(at offset: Int, count: Int) -> UnsafeBufferPointer<Element> {
        unsafe UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count * MemoryLayout<Element>.size])
            .assumingMemoryBound(to: Element.self)
    }

    /// Checks magic, place, shape and checksum.
    package func verify(chunk: UInt32) throws(PartitionStoreError) {
        let header = Self.header(dimension: dimension, chunk: chunk)
        try unsafe ChunkHeader.verify(bytes, header, table: "roundedRows", key: UInt64(chunk))
    }

    /// Fills and seals a chunk.
    ///
    /// - Parameters:
    ///   - bytes: `byteCount(dimension:)`, aligned for floats.
    ///   - fill: writes rows, scales, errors and norms, in this order.
    package static func write(
        into bytes: UnsafeMutableRawBufferPointer,
        dimension: Int,
        chunk: UInt32,
        _ fill: (
            UnsafeMutableBufferPointer<Int8>, UnsafeMutableBufferPointer<Float>, UnsafeMutableBufferPointer<Float>,
            UnsafeMutableBufferPointer<Float>
        ) -> Void
    ) {
        precondition(bytes.count == byteCount(dimension: dimension), "a chunk has one size")
        func floats(_ array: Int) -> UnsafeMutableBufferPointer<Float> {
            let first = firstFloat(ofArray: array, dimension: dimension)
            return unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[first..<first + floatsByteCount])
                .bindMemory(to: Float.self)
        }
        let rows = unsafe UnsafeMutableRawBufferPointer(
            rebasing: bytes[headerByteCount..<headerByteCount + rowCount * dimension]
        )
        unsafe fill(rows.bindMemory(to: Int8.self), floats(0), floats(1), floats(2))
        unsafe ChunkHeader.seal(bytes, header(dimension: dimension, chunk: chunk))
    }

    /// Overwrites some rows of a chunk, and what is known of them, with zeros, and seals it again.
    package static func clear(
        _ rows: [Int],
        in bytes: UnsafeMutableRawBufferPointer,
        dimension: Int,
        chunk: UInt32
    ) {
        precondition(bytes.count == byteCount(dimension: dimension), "a chunk has one size")
        for row in rows {
            let first = headerByteCount + row * dimension
            let values = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[first..<first + dimension])
            unsafe values.initializeMemory(as: UInt8.self, repeating: 0)
            for array in 0..<3 {
                let place = firstFloat(ofArray: array, dimension: dimension) + row * MemoryLayout<Float>.size
                unsafe bytes.storeBytes(of: 0, toByteOffset: place, as: Float.self)
            }
        }
        unsafe ChunkHeader.seal(bytes, header(dimension: dimension, chunk: chunk))
    }

    private static let floatsByteCount = rowCount * MemoryLayout<Float>.size

    private static func firstFloat(ofArray array: Int, dimension: Int) -> Int {
        headerByteCount + rowCount * dimension + array * floatsByteCount
    }

    private static func header(dimension: Int, chunk: UInt32) -> [UInt32] {
        [magic, UInt32(layout) | UInt32(rowCount) << 16, UInt32(dimension), chunk]
    }
}
