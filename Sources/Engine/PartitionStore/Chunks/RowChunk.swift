package import FaceModel

/// One value of the `rows` table: 128 stored embeddings of consecutive row ids.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | magic `MROW` |
/// | 4 | 2 | precision: 1 float16, 2 float32 |
/// | 6 | 2 | rows, 128 |
/// | 8 | 4 | dimension |
/// | 12 | 4 | chunk |
/// | 16 | 28 | zero |
/// | 44 | 4 | CRC-32C of bytes 0 ..< 44 and everything from 48 |
/// | 48 | … | rows; a dead row may be zero |
@safe
package struct RowChunk {
    package static let rowCount = 128
    package static let headerByteCount = ChunkHeader.byteCount
    private static let magic: UInt32 = 0x574f_524d

    /// The shape that every chunk of a partition has.
    package struct Shape: Hashable, Sendable {
        package let dimension: Int
        package let precision: StoredPrecision

        package init(dimension: Int, precision: StoredPrecision) {
            self.dimension = dimension
            self.precision = precision
        }

        package var rowByteCount: Int { dimension * precision.byteCount }
        package var chunkByteCount: Int { RowChunk.headerByteCount + RowChunk.rowCount * rowByteCount }
    }

    private let bytes: UnsafeRawBufferPointer
    private let shape: Shape

    /// A view of a stored chunk, valid as long as its bytes; its size is checked, its content by ``verify(chunk:)``.
    package init(_ bytes: UnsafeRawBufferPointer, shape: Shape) throws(PartitionStoreError) {
        guard bytes.count == shape.chunkByteCount else {
            throw .malformed(table: "rows", reason: "a chunk of \(bytes.count) bytes")
        }
        unsafe self.bytes = unsafe bytes
        self.shape = shape
    }

    /// `[128 × rowByteCount]`.
    package var rows: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: bytes[Self.headerByteCount...])
    }

    /// Checks magic, place, shape and checksum.
    package func verify(chunk: UInt32) throws(PartitionStoreError) {
        try unsafe ChunkHeader.verify(bytes, Self.header(shape, chunk: chunk), table: "rows", key: UInt64(chunk))
    }

    /// Writes the header of a chunk whose rows are in place.
    package static func seal(_ bytes: UnsafeMutableRawBufferPointer, shape: Shape, chunk: UInt32) {
        precondition(bytes.count == shape.chunkByteCount, "a chunk has one size")
        unsafe ChunkHeader.seal(bytes, header(shape, chunk: chunk))
    }

    private static func header(_ shape: Shape, chunk: UInt32) -> [UInt32] {
        [magic, UInt32(shape.precision.rawValue) | UInt32(rowCount) << 16, UInt32(shape.dimension), chunk]
    }
}
