internal import CVectorKernels

extension VectorKernels {
    /// Inner products of every probe with every row of float16.
    ///
    /// - Parameters:
    ///   - probes: `[probeCount × dimension]`; the dimension is a multiple of 8.
    ///   - rows: `[rowCount × dimension]` float16 bits.
    ///   - out: `[probeCount × rowCount]`.
    package static func dotFloat16(
        probes: UnsafeBufferPointer<Float>,
        rows: UnsafeBufferPointer<UInt16>,
        dimension: Int,
        out: UnsafeMutableBufferPointer<Float>
    ) {
        let shape = blockShape(
            probes: probes.count,
            rows: rows.count,
            dimension: dimension,
            out: out.count
        )
        unsafe vk_dot_f16(
            probes.baseAddress,
            shape.probes,
            rows.baseAddress,
            shape.rows,
            dimension,
            out.baseAddress
        )
    }

    /// Inner products of every probe with every row of float; shapes as ``dotFloat16(probes:rows:dimension:out:)``.
    package static func dotFloat32(
        probes: UnsafeBufferPointer<Float>,
        rows: UnsafeBufferPointer<Float>,
        dimension: Int,
        out: UnsafeMutableBufferPointer<Float>
    ) {
        let shape = blockShape(
            probes: probes.count,
            rows: rows.count,
            dimension: dimension,
            out: out.count
        )
        unsafe vk_dot_f32(
            probes.baseAddress,
            shape.probes,
            rows.baseAddress,
            shape.rows,
            dimension,
            out.baseAddress
        )
    }

    /// Exact inner products of every probe with every row of int8; shapes as
    /// ``dotFloat16(probes:rows:dimension:out:)``, dimension at most 65536.
    package static func dotInt8(
        probes: UnsafeBufferPointer<Int8>,
        rows: UnsafeBufferPointer<Int8>,
        dimension: Int,
        out: UnsafeMutableBufferPointer<Int32>
    ) {
        let shape = blockShape(
            probes: probes.count,
            rows: rows.count,
            dimension: dimension,
            out: out.count
        )
        precondition(dimension <= 65_536, "an int8 inner product must fit 32 bits")
        unsafe vk_dot_i8(
            probes.baseAddress,
            shape.probes,
            rows.baseAddress,
            shape.rows,
            dimension,
            out.baseAddress
        )
    }

    /// Inner products of one probe with scattered rows of float16.
    ///
    /// - Parameters:
    ///   - probe: `[dimension]`, a multiple of 8.
    ///   - rows: one pointer per row to `dimension` float16 bits.
    ///   - out: `[rows.count]`.
    package static func dotFloat16Gather(
        probe: UnsafeBufferPointer<Float>,
        rows: UnsafeBufferPointer<UnsafePointer<UInt16>?>,
        out: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(probe.count.isMultiple(of: 8), "dimension must be a multiple of 8")
        precondition(out.count == rows.count, "one inner product per row")
        unsafe vk_dot_f16_gather(probe.baseAddress, rows.baseAddress, rows.count, probe.count, out.baseAddress)
    }

    /// Inner products of one probe with scattered rows of float; shapes as ``dotFloat16Gather(probe:rows:out:)``.
    package static func dotFloat32Gather(
        probe: UnsafeBufferPointer<Float>,
        rows: UnsafeBufferPointer<UnsafePointer<Float>?>,
        out: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(probe.count.isMultiple(of: 8), "dimension must be a multiple of 8")
        precondition(out.count == rows.count, "one inner product per row")
        unsafe vk_dot_f32_gather(probe.baseAddress, rows.baseAddress, rows.count, probe.count, out.baseAddress)
    }

    /// Checks the shapes of a block of inner products and returns its numbers of probes and rows.
    private static func blockShape(
        probes: Int,
        rows: Int,
        dimension: Int,
        out: Int
    ) -> (probes: Int, rows: Int) {
        precondition(dimension > 0 && dimension.isMultiple(of: 8), "dimension must be a multiple of 8")
        precondition(probes.isMultiple(of: dimension), "probes must be probeCount × dimension")
        precondition(rows.isMultiple(of: dimension), "rows must be rowCount × dimension")
        let shape = (probes: probes / dimension, rows: rows / dimension)
        precondition(out == shape.probes * shape.rows, "out must be probeCount × rowCount")
        return shape
    }
}
