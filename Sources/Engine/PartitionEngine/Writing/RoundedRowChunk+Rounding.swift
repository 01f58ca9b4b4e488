internal import PartitionStore
internal import VectorMath

extension RoundedRowChunk {
    /// Rounds the rows of a full chunk.
    ///
    /// - Parameters:
    ///   - value: `byteCount(dimension:)`, to be stored.
    ///   - rows: `[128 × rowByteCount]`.
    static func write(
        into value: UnsafeMutableRawBufferPointer,
        rounding rows: UnsafeRawBufferPointer,
        shape: RowChunk.Shape,
        chunk: UInt32
    ) {
        precondition(rows.count == rowCount * shape.rowByteCount, "a chunk has 128 rows")
        guard let start = rows.baseAddress else { preconditionFailure("a chunk has rows") }
        let floats = unsafe shape.floats(start, count: rowCount)
        unsafe write(into: value, dimension: shape.dimension, chunk: chunk) { rounded, scales, errors, norms in
            unsafe floats.withUnsafeBufferPointer { floats in
                unsafe VectorKernels.roundRows(
                    floats,
                    dimension: shape.dimension,
                    into: rounded,
                    scales: scales,
                    errors: errors,
                    norms: norms
                )
            }
        }
    }
}
