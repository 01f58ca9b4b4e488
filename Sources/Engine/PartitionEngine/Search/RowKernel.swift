internal import FaceModel
internal import PartitionStore
internal import VectorMath

/// Inner products of probes and stored rows, whatever the stored precision. One order of summation, so a row's
/// similarity is the same bits however it is reached.
enum RowKernel {
    /// One probe against scattered rows.
    ///
    /// - Parameter out: `[rows.count]`.
    static func similarities(
        probe: UnsafeBufferPointer<Float>,
        rows: UnsafeBufferPointer<UnsafeRawPointer?>,
        shape: RowChunk.Shape,
        into out: UnsafeMutableBufferPointer<Float>
    ) {
        switch shape.precision {
        case .float16:
            unsafe rows.withMemoryRebound(to: UnsafePointer<UInt16>?.self) { rows in
                unsafe VectorKernels.dotFloat16Gather(probe: probe, rows: rows, out: out)
            }
        case .float32:
            unsafe rows.withMemoryRebound(to: UnsafePointer<Float>?.self) { rows in
                unsafe VectorKernels.dotFloat32Gather(probe: probe, rows: rows, out: out)
            }
        }
    }

    /// Every probe against rows side by side.
    ///
    /// - Parameter out: `[probeCount × rowCount]`, and what lies behind is left alone.
    static func similarities(
        probes: EmbeddingMatrix,
        rows: UnsafeRawPointer,
        rowCount: Int,
        shape: RowChunk.Shape,
        into out: inout [Float]
    ) {
        let componentCount = rowCount * shape.dimension
        let similarityCount = probes.rowCount * rowCount
        unsafe probes.values.withUnsafeBufferPointer { probes in
            unsafe out.withUnsafeMutableBufferPointer { out in
                let out = unsafe UnsafeMutableBufferPointer(rebasing: out[0..<similarityCount])
                switch shape.precision {
                case .float16:
                    unsafe VectorKernels.dotFloat16(
                        probes: probes,
                        rows: UnsafeBufferPointer(
                            start: rows.assumingMemoryBound(to: UInt16.self),
                            count: componentCount
                        ),
                        dimension: shape.dimension,
                        out: out
                    )
                case .float32:
                    unsafe VectorKernels.dotFloat32(
                        probes: probes,
                        rows: UnsafeBufferPointer(
                            start: rows.assumingMemoryBound(to: Float.self),
                            count: componentCount
                        ),
                        dimension: shape.dimension,
                        out: out
                    )
                }
            }
        }
    }
}
