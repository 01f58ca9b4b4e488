/// The lists of one probe from near to far, taken in portions: each portion the nearest of those that are left.
///
/// The order is by score, lower lists first among equals. Scores are sorted into buckets, and only the buckets in which
/// a portion ends get a finer order.
package struct ListWalk: Sendable {
    private static let bucketCount = 512
    /// In place of a bucket: taken by the portion at hand, and by an earlier one or waiting in `divided`.
    private static let taken = UInt16(bucketCount)
    private static let apart = UInt16(bucketCount + 1)

    private let scores: [Int32]
    private let weights: [Float]
    private var buckets: [UInt16]
    private let bucketWeights: [Double]
    private var nextBucket = 0
    /// Lists of the bucket before `nextBucket` that no portion took yet, nearest first.
    private var divided: ArraySlice<UInt32> = []
    /// Sum of the weights of what was taken.
    package private(set) var visitedWeight = 0.0
    /// Sum of the weights of all lists.
    package var totalWeight: Double { bucketWeights.reduce(0, +) }
    private var isAtStart = true

    /// - Parameters:
    ///   - scores: `[listCount]`, higher is nearer.
    ///   - weights: `[listCount]`, what each list adds to a portion; none negative.
    init(scores: [Int32], weights: [Float]) {
        precondition(scores.count == weights.count, "one score per list")
        self.scores = scores
        self.weights = weights
        var bucketWeights = [Double](repeating: 0, count: Self.bucketCount)
        buckets = Self.buckets(scores, weights, &bucketWeights)
        self.bucketWeights = bucketWeights
    }

    /// Takes lists until the weight of all that were taken reaches `goal`; ascending.
    ///
    /// The first portion has a list at least. An infinite goal takes every list that is left, those without weight as
    /// well.
    package mutating func next(until goal: Double) -> [UInt32] {
        let firstBucket = nextBucket
        var singles: [Int] = []
        while isAtStart || visitedWeight < goal {
            if let list = divided.popFirst().map(Int.init) {
                buckets[list] = Self.taken
                singles.append(list)
                visitedWeight += Double(weights[list])
                isAtStart = false
                continue
            }
            guard nextBucket < Self.bucketCount else { break }
            if visitedWeight + bucketWeights[nextBucket] < goal {
                visitedWeight += bucketWeights[nextBucket]
                isAtStart = isAtStart && visitedWeight == 0
            } else {
                divide(UInt16(nextBucket))
            }
            nextBucket += 1
        }
        let lists = lists(inBuckets: UInt16(firstBucket)..<UInt16(nextBucket))
        for list in singles { buckets[list] = Self.apart }
        return lists
    }

    private mutating func divide(_ bucket: UInt16) {
        let lists = scores.indices.filter { buckets[$0] == bucket }
        divided = lists.sorted { (scores[$0], $1) > (scores[$1], $0) }.map { UInt32($0) }[...]
        for list in lists { buckets[list] = Self.apart }
    }

    private func lists(inBuckets range: Range<UInt16>) -> [UInt32] {
        unsafe [UInt32](unsafeUninitializedCapacity: buckets.count + 1) { lists, initialized in
            // Every list is written and only those wanted are counted: no branch to mispredict.
            var count = 0
            let span = range.upperBound - range.lowerBound
            unsafe buckets.withUnsafeBufferPointer { buckets in
                for list in buckets.indices {
                    let bucket = unsafe buckets[list]
                    unsafe lists[count] = UInt32(truncatingIfNeeded: list)
                    count &+= (bucket &- range.lowerBound < span ? 1 : 0) | (bucket == Self.taken ? 1 : 0)
                }
            }
            initialized = count
        }
    }

    /// The bucket of every list, the highest scores in the first, and the weight of every bucket.
    private static func buckets(
        _ scores: [Int32],
        _ weights: [Float],
        _ bucketWeights: inout [Double]
    ) -> [UInt16] {
        unsafe [UInt16](unsafeUninitializedCapacity: scores.count) { buckets, initialized in
            unsafe scores.withUnsafeBufferPointer { scores in
                var (highest, lowest) = (Int32.min, Int32.max)
                for list in scores.indices {
                    unsafe highest = max(highest, scores[list])
                    unsafe lowest = min(lowest, scores[list])
                }
                // A power of two is a shift where a quotient would be a division for every list.
                let range = UInt32(bitPattern: highest &- lowest)
                let shift = UInt32(
                    max(0, UInt32.bitWidth - range.leadingZeroBitCount - bucketCount.trailingZeroBitCount)
                )
                for list in scores.indices {
                    unsafe buckets[list] = UInt16(
                        truncatingIfNeeded: UInt32(bitPattern: highest &- scores[list]) &>> shift
                    )
                }
            }
            unsafe weights.withUnsafeBufferPointer { weights in
                unsafe bucketWeights.withUnsafeMutableBufferPointer { bucketWeights in
                    for list in weights.indices {
                        unsafe bucketWeights[Int(buckets[list])] += Double(weights[list])
                    }
                }
            }
            initialized = scores.count
        }
    }
}
