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

    /// The lists nearest a probe whose weights add up to `share`, at least one; in no particular order.
    ///
    /// - Parameters:
    ///   - scores: as given by ``scores(rotated:)``.
    ///   - share: 0…1 of the collection; 1 takes every list, those that were empty in the sample as well.
    package func selectLists(scores: [Int32], share: Double) -> ListSelection {
        if share >= 1 { return ListSelection(lists: scores.indices.map { UInt32($0) }) }
        return select(scores: scores, budget: share) { Double(weights[$0]) }
    }

    /// The `count` lists nearest a probe, or all when there are fewer.
    package func selectLists(scores: [Int32], count: Int) -> ListSelection {
        select(scores: scores, budget: Double(count)) { _ in 1 }
    }

    /// Buckets the scores so that only the bucket in which the budget ends needs sorting.
    private func select(scores: [Int32], budget: Double, weight: (Int) -> Double) -> ListSelection {
        guard let highest = scores.max(), let lowest = scores.min() else { return ListSelection(lists: []) }
        let bucketCount = 512
        let width = max(1, (Int(highest) - Int(lowest)) / (bucketCount - 1))
        var buckets = [Double](repeating: 0, count: bucketCount + 1)
        func bucket(_ list: Int) -> Int { min(bucketCount, (Int(highest) - Int(scores[list])) / width) }
        for list in 0..<scores.count { buckets[bucket(list)] += weight(list) }
        var taken = 0.0
        var last = 0
        // Rounding of the weights' sum must not cost the last list of a full visit.
        let goal = budget - 1e-9
        while last < bucketCount, taken + buckets[last] < goal {
            taken += buckets[last]
            last += 1
        }
        var chosen: [UInt32] = []
        var boundary: [UInt32] = []
        for list in 0..<scores.count {
            let place = bucket(list)
            if place < last { chosen.append(UInt32(list)) } else if place == last { boundary.append(UInt32(list)) }
        }
        boundary.sort { (scores[Int($0)], $1) > (scores[Int($1)], $0) }
        for list in boundary {
            if taken >= goal, !chosen.isEmpty { break }
            taken += weight(Int(list))
            chosen.append(list)
        }
        return ListSelection(lists: chosen)
    }

    /// Scales to ±127 and rounds to nearest.
    static func quantize(_ vector: some Swift.Collection<Float>) -> [Int8] {
        let largest = vector.reduce(0) { max($0, abs($1)) }
        guard largest > 0 else { return [Int8](repeating: 0, count: vector.count) }
        let factor = 127 / largest
        return vector.map { Int8(($0 * factor).rounded()) }
    }
}

/// The lists one probe visits.
package struct ListSelection: Sendable {
    /// Without repetition.
    package var lists: [UInt32]

    package init(lists: [UInt32]) {
        self.lists = lists
    }
}
