internal import VectorMath

/// The map from rotated vectors to inverted lists: int8 centroids under one scale, ranked by inner product.
///
/// Integer arithmetic, so every machine and instruction set gives the same lists. Ties go to the lower list.
package struct CoarseQuantizer: Sendable {
    /// Components of a centroid: the leading ones of a rotated vector.
    package let dimension: Int
    /// `[listCount × dimension]`.
    package let centroids: [Int8]
    /// `[listCount]`: share of the training sample nearest each centroid; sums to 1.
    package let weights: [Float]

    package init(dimension: Int, centroids: [Int8], weights: [Float]) {
        precondition(centroids.count == weights.count * dimension, "one weight per centroid")
        self.dimension = dimension
        self.centroids = centroids
        self.weights = weights
    }

    package var listCount: Int { weights.count }

    /// Inner products of one rotated vector with every centroid, up to a positive factor.
    package func scores(rotated: some RandomAccessCollection<Float>) -> [Int32] {
        let vector = Self.quantize(rotated.prefix(dimension))
        return unsafe [Int32](unsafeUninitializedCapacity: listCount) { out, initialized in
            unsafe vector.withUnsafeBufferPointer { vector in
                unsafe centroids.withUnsafeBufferPointer { centroids in
                    unsafe VectorKernels.dotInt8(
                        probes: vector,
                        rows: centroids,
                        dimension: dimension,
                        out: UnsafeMutableBufferPointer(rebasing: out[0..<listCount])
                    )
                }
            }
            initialized = listCount
        }
    }

    /// The nearest list of each row.
    ///
    /// - Parameter rotated: `[n × rowStride]`; the first `dimension` components of each row are used.
    package func assign(rotated: [Float], rowStride: Int) -> [UInt32] {
        (0..<rotated.count / rowStride).map { row in
            let scores = scores(rotated: rotated[row * rowStride..<(row + 1) * rowStride])
            var best = 0
            for list in 1..<max(1, listCount) where scores[list] > scores[best] { best = list }
            return UInt32(best)
        }
    }

    /// Scales to ±127 and rounds to nearest.
    static func quantize(_ vector: some Swift.Collection<Float>) -> [Int8] {
        let largest = vector.reduce(0) { max($0, abs($1)) }
        guard largest > 0 else { return [Int8](repeating: 0, count: vector.count) }
        let factor = 127 / largest
        return vector.map { Int8(($0 * factor).rounded()) }
    }
}
