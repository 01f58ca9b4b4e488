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

    /// The lists nearest a probe whose weights add up to `share`, at least one.
    ///
    /// - Parameters:
    ///   - scores: as given by ``scores(rotated:)``.
    ///   - share: 0…1 of the collection; 1 takes every list, those that were empty in the sample as well.
    package func selectLists(scores: [Int32], share: Double) -> ListSelection {
        select(scores: scores, budget: share >= 1 ? .infinity : share, total: min(1, share), weights: weights)
    }

    /// The `count` lists nearest a probe, or all when there are fewer.
    package func selectLists(scores: [Int32], count: Int) -> ListSelection {
        let total = Double(min(count, listCount))
        return select(scores: scores, budget: count >= listCount ? .infinity : total, total: total, weights: nil)
    }

    /// Shares of a selection's weight at which its rounds end; the last round takes the rest.
    private static let roundEnds = [0.03, 0.15]
    private static let bucketCount = 512

    /// Sorts scores into buckets, so that only the buckets in which a round ends need a finer order.
    ///
    /// - Parameters:
    ///   - budget: weight to take; infinite takes every list.
    ///   - total: the weight that rounds are shares of.
    ///   - weights: nil counts lists.
    private func select(scores: [Int32], budget: Double, total: Double, weights: [Float]?) -> ListSelection {
        guard let highest = scores.max(), let lowest = scores.min() else { return ListSelection(rounds: []) }
        let width = max(1, (Int(highest) - Int(lowest)) / (Self.bucketCount - 1))
        func bucket(_ list: Int) -> Int { min(Self.bucketCount, (Int(highest) - Int(scores[list])) / width) }
        var ends = [Int](repeating: 0, count: Self.bucketCount + 2)
        let buckets = scores.indices.map { UInt16(bucket($0)) }
        for place in buckets { ends[Int(place) + 1] += 1 }
        for place in 1..<ends.count { ends[place] += ends[place - 1] }
        var order = [UInt32](repeating: 0, count: scores.count)
        var next = ends
        for (list, place) in buckets.enumerated() {
            order[next[Int(place)]] = UInt32(list)
            next[Int(place)] += 1
        }

        // Rounding of the weights' sum must not cost the last list of a full visit.
        let goals = Self.roundEnds.map { $0 * total } + [budget - 1e-9]
        var roundOfList = [UInt8](repeating: UInt8.max, count: scores.count)
        var counts = [Int](repeating: 0, count: goals.count)
        var round = 0
        var taken = 0.0
        fill: for place in 0...Self.bucketCount {
            let range = ends[place]..<ends[place + 1]
            let weight = range.reduce(0) { $0 + Double(weights?[Int(order[$1])] ?? 1) }
            // A whole bucket of one round needs no order.
            if taken + weight >= goals[round] {
                order[range].sort { (scores[Int($0)], $1) > (scores[Int($1)], $0) }
            }
            for position in range {
                while taken >= goals[round], counts[round] > 0 || taken > 0 {
                    if round == goals.count - 1 { break fill }
                    round += 1
                }
                let list = Int(order[position])
                taken += Double(weights?[list] ?? 1)
                roundOfList[list] = UInt8(round)
                counts[round] += 1
            }
        }
        var rounds = counts.map { count in
            var lists: [UInt32] = []
            lists.reserveCapacity(count)
            return lists
        }
        for (list, round) in roundOfList.enumerated() where round != UInt8.max {
            rounds[Int(round)].append(UInt32(list))
        }
        return ListSelection(rounds: rounds.filter { !$0.isEmpty })
    }

    /// Scales to ±127 and rounds to nearest.
    static func quantize(_ vector: some Swift.Collection<Float>) -> [Int8] {
        let largest = vector.reduce(0) { max($0, abs($1)) }
        guard largest > 0 else { return [Int8](repeating: 0, count: vector.count) }
        let factor = 127 / largest
        return vector.map { Int8(($0 * factor).rounded()) }
    }
}

/// The lists one probe visits, the nearest in an early round, so that what they give can rule out much of the rest.
package struct ListSelection: Sendable {
    /// None empty; each ascending, no list twice.
    package var rounds: [[UInt32]]

    package init(rounds: [[UInt32]]) {
        self.rounds = rounds
    }

    package var listCount: Int { rounds.reduce(0) { $0 + $1.count } }
}
