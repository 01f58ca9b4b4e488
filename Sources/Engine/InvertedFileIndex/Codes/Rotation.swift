internal import VectorMath

/// The one way vectors are rotated while serving: lane sums, so that every machine gives the same bits.
enum Rotation {
    /// `[n × rowCount]` from vectors `[n × dimension]` and rows `[rowCount × dimension]`.
    static func project(_ vectors: [Float], rows: [Float], dimension: Int) -> [Float] {
        precondition(vectors.count % dimension == 0 && rows.count % dimension == 0, "whole rows")
        let count = vectors.count / dimension * (rows.count / dimension)
        return unsafe [Float](unsafeUninitializedCapacity: count) { out, initialized in
            unsafe vectors.withUnsafeBufferPointer { vectors in
                unsafe rows.withUnsafeBufferPointer { rows in
                    unsafe VectorKernels.dotFloat32(
                        probes: vectors,
                        rows: rows,
                        dimension: dimension,
                        out: UnsafeMutableBufferPointer(rebasing: out[0..<count])
                    )
                }
            }
            initialized = count
        }
    }
}
