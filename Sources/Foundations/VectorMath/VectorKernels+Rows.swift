internal import CVectorKernels

/// What normalisation found in one row.
package enum RowStatus: UInt8, Sendable {
    /// Scaled to unit length.
    case normalised = 0
    /// A component is NaN or infinite; the row is unchanged.
    case notFinite = 1
    /// The norm is below 1e-6 or above 1e6; the row is unchanged.
    case badNorm = 2
}

extension VectorKernels {
    /// Scales rows to unit length in place; a rejected row keeps its values.
    ///
    /// - Parameters:
    ///   - rows: `[status.count × dimension]`.
    ///   - status: `[rowCount]`, raw values of ``RowStatus``.
    package static func normalise(
        rows: UnsafeMutableBufferPointer<Float>,
        dimension: Int,
        status: UnsafeMutableBufferPointer<UInt8>
    ) {
        precondition(dimension > 0 && rows.count == status.count * dimension, "rows must be rowCount × dimension")
        unsafe vk_normalise(rows.baseAddress, status.count, dimension, status.baseAddress)
    }

    /// Rounds floats to float16 bits, to nearest even; beyond 65519 becomes infinity.
    package static func convertToFloat16(
        _ values: UnsafeBufferPointer<Float>,
        into out: UnsafeMutableBufferPointer<UInt16>
    ) {
        precondition(out.count == values.count, "one output per value")
        unsafe vk_f32_to_f16(values.baseAddress, values.count, out.baseAddress)
    }

    /// Widens float16 bits to floats, exactly.
    package static func convertToFloat32(
        _ values: UnsafeBufferPointer<UInt16>,
        into out: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(out.count == values.count, "one output per value")
        unsafe vk_f16_to_f32(values.baseAddress, values.count, out.baseAddress)
    }
}
