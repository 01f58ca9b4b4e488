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
    package func scores(rotated: ArraySlice<Float>) -> [Int32] {
        products(Self.quantize(rotated.prefix(dimension))[...])
    }

    /// Rotated vectors `[n × rowStride]` as ``scores(quantized:)`` takes them: `[n × dimension]`.
    func quantized(rotated: [Float], rowStride: Int) -> [Int8] {
        stride(from: 0, to: rotated.count, by: rowStride).flatMap { Self.quantize(rotated[$0..<$0 + dimension]) }
    }

    /// The same as ``scores(rotated:)`` for vectors `[n × dimension]` of ``quantized(rotated:rowStride:)``:
    /// `[n][listCount]`.
    func scores(quantized vectors: ArraySlice<Int8>) -> [[Int32]] {
        let all = products(vectors)
        return stride(from: 0, to: all.count, by: listCount).map { Array(all[$0..<$0 + listCount]) }
    }

    /// `[n × listCount]` from vectors `[n × dimension]`.
    private func products(_ vectors: ArraySlice<Int8>) -> [Int32] {
        let count = vectors.count / dimension * listCount
        return unsafe [Int32](unsafeUninitializedCapacity: count) { out, initialized in
            unsafe vectors.withUnsafeBufferPointer { vectors in
                unsafe centroids.withUnsafeBufferPointer { centroids in
                    unsafe VectorKernels.dotInt8(
                        probes: vectors,
                        rows: centroids,
                        dimension: dimension,
                        out: UnsafeMutableBufferPointer(rebasing: out[0..<count])
                    )
                }
            }
            initialized = count
        }
    }

    /// The lists from near to far, weighed by the share of the collection that is in them.
    ///
    /// - Parameter scores: as given by ``scores(rotated:)``.
    package func walk(scores: [Int32]) -> ListWalk { ListWalk(scores: scores, weights: weights) }

    /// The lists from near to far, each of weight 1.
    package func walkCountingLists(scores: [Int32]) -> ListWalk {
        ListWalk(scores: scores, weights: [Float](repeating: 1, count: listCount))
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

    /// Scales to ±127 and rounds to nearest, ties to even.
    static func quantize(_ vector: ArraySlice<Float>) -> [Int8] {
        unsafe vector.withUnsafeBufferPointer { vector in
            var largest: Float = 0
            for index in vector.indices { largest = unsafe max(largest, abs(vector[index])) }
            let factor = largest > 0 ? 127 / largest : 0
            return unsafe [Int8](unsafeUninitializedCapacity: vector.count) { out, initialized in
                for index in vector.indices {
                    // Behind this sum lies the rounded number, in the last bits, and no call into a library.
                    let shifted = unsafe vector[index] * factor + 0x1.8p23
                    unsafe out[index] = Int8(truncatingIfNeeded: shifted.bitPattern)
                }
                initialized = vector.count
            }
        }
    }
}
