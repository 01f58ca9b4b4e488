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

    /// Every probe against the rows of one chunk: `[probeCount × 128]`.
    static func similarities(
        probes: EmbeddingMatrix,
        chunk: UnsafeRawPointer,
        shape: RowChunk.Shape,
        into out: inout [Float]
    ) {
        let componentCount = RowChunk.rowCount * shape.dimension
        unsafe probes.values.withUnsafeBufferPointer { probes in
            unsafe out.withUnsafeMutableBufferPointer { out in
                switch shape.precision {
                case .float16:
                    unsafe VectorKernels.dotFloat16(
                        probes: probes,
                        rows: UnsafeBufferPointer(
                            start: chunk.assumingMemoryBound(to: UInt16.self),
                            count: componentCount
                        ),
                        dimension: shape.dimension,
                        out: out
                    )
                case .float32:
                    unsafe VectorKernels.dotFloat32(
                        probes: probes,
                        rows: UnsafeBufferPointer(
                            start: chunk.assumingMemoryBound(to: Float.self),
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
