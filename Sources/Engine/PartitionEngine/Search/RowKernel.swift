internal import FaceModel
internal import PartitionStore
internal import VectorMath

/// Inner products of probes and stored rows, whatever the stored precision. One order of summation, so a row's
/// similarity is the same bits however it is reached.
enum RowKernel {
    /// One probe against scattered rows.
    static func similarities(
        probe: ArraySlice<Float>,
        rows: [UnsafeRawPointer],
        shape: RowChunk.Shape
    ) -> [Float] {
        unsafe [Float](unsafeUninitializedCapacity: rows.count) { out, initialized in
            let out = unsafe UnsafeMutableBufferPointer(rebasing: out[0..<rows.count])
            unsafe probe.withUnsafeBufferPointer { probe in
                switch shape.precision {
                case .float16:
                    let pointers = unsafe rows.map { unsafe Optional($0.assumingMemoryBound(to: UInt16.self)) }
                    unsafe pointers.withUnsafeBufferPointer {
                        unsafe VectorKernels.dotFloat16Gather(probe: probe, rows: $0, out: out)
                    }
                case .float32:
                    let pointers = unsafe rows.map { unsafe Optional($0.assumingMemoryBound(to: Float.self)) }
                    unsafe pointers.withUnsafeBufferPointer {
                        unsafe VectorKernels.dotFloat32Gather(probe: probe, rows: $0, out: out)
                    }
                }
            }
            initialized = unsafe rows.count
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
