extension CoarseQuantizer {
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
        let ones = [Float](repeating: 1, count: listCount)
        return select(scores: scores, budget: count >= listCount ? .infinity : total, total: total, weights: ones)
    }

    private static let bucketCount = 512

    /// Sorts scores into buckets, so that only the buckets in which a round ends need a finer order.
    ///
    /// - Parameters:
    ///   - budget: weight to take; infinite takes every list.
    ///   - total: the weight that rounds are shares of.
    private func select(scores: [Int32], budget: Double, total: Double, weights: [Float]) -> ListSelection {
        precondition(scores.count == weights.count, "one score per list")
        if scores.isEmpty { return ListSelection(rounds: []) }
        var bucketWeights = [Double](repeating: 0, count: Self.bucketCount)
        var buckets = Self.buckets(scores, weights, &bucketWeights)

        // Behind the buckets of scores there is one for each round: lists whose bucket is divided move there.
        let roundCount = RoundFilling.roundCount
        var roundOfBucket = [UInt8](repeating: UInt8(roundCount), count: Self.bucketCount + roundCount)
        for round in 0..<roundCount { roundOfBucket[Self.bucketCount + round] = UInt8(round) }
        var filling = RoundFilling(budget: budget, total: total)
        fill: for bucket in 0..<Self.bucketCount {
            guard filling.goesOn() else { break }
            if filling.takesWhole(bucketWeights[bucket]) {
                roundOfBucket[bucket] = UInt8(filling.round)
                continue
            }
            let divided = scores.indices.filter { buckets[$0] == UInt16(bucket) }
            for list in divided.sorted(by: { (scores[$0], $1) > (scores[$1], $0) }) {
                guard let round = filling.take(Double(weights[list])) else { break fill }
                buckets[list] = UInt16(Self.bucketCount + round)
            }
        }
        return ListSelection(rounds: Self.rounds(buckets, roundOfBucket).filter { !$0.isEmpty })
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

    /// The lists of every round, ascending.
    private static func rounds(_ buckets: [UInt16], _ roundOfBucket: [UInt8]) -> [[UInt32]] {
        // Every list is written to every round and stays in its own: no branch to mispredict.
        let capacity = buckets.count
        return unsafe withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 3 * capacity) { lists in
            var counts = (0, 0, 0)
            unsafe buckets.withUnsafeBufferPointer { buckets in
                unsafe roundOfBucket.withUnsafeBufferPointer { roundOfBucket in
                    for list in 0..<capacity {
                        let round = unsafe roundOfBucket[Int(buckets[list])]
                        unsafe lists[counts.0] = UInt32(list)
                        unsafe lists[capacity + counts.1] = UInt32(list)
                        unsafe lists[2 * capacity + counts.2] = UInt32(list)
                        counts.0 += round == 0 ? 1 : 0
                        counts.1 += round == 1 ? 1 : 0
                        counts.2 += round == 2 ? 1 : 0
                    }
                }
            }
            return unsafe [
                Array(lists[0..<counts.0]),
                Array(lists[capacity..<capacity + counts.1]),
                Array(lists[2 * capacity..<2 * capacity + counts.2]),
            ]
        }
    }
}

/// Divides lists, offered from near to far, among the rounds by what they weigh.
private struct RoundFilling {
    static let roundCount = 3

    /// Weight at which each round ends.
    private let goals: [Double]
    private(set) var round = 0
    private var isRoundEmpty = true
    private var taken = 0.0

    /// - Parameters:
    ///   - budget: weight at which the last round ends.
    ///   - total: the weight of which the first round takes 3 % and the second ends at 15 %.
    init(budget: Double, total: Double) {
        // Rounding of the weights' sum must not cost the last list of a full visit.
        goals = [0.03 * total, 0.15 * total, budget - 1e-9]
    }

    /// Goes to the next round if the current one has what it takes; false when the budget is spent.
    mutating func goesOn() -> Bool {
        while taken >= goals[round], !isRoundEmpty || taken > 0 {
            if round == goals.count - 1 { return false }
            round += 1
            isRoundEmpty = true
        }
        return true
    }

    /// Takes the next lists into the current round if it does not end among them; they need no order then.
    mutating func takesWhole(_ weight: Double) -> Bool {
        guard taken + weight < goals[round] else { return false }
        taken += weight
        isRoundEmpty = false
        return true
    }

    /// The round that takes the next list; nil when the budget is spent.
    mutating func take(_ weight: Double) -> Int? {
        guard goesOn() else { return nil }
        taken += weight
        isRoundEmpty = false
        return round
    }
}
