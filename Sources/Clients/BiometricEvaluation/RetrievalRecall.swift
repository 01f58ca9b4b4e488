internal import FaceModel

/// Recall@k: how far the matches of an index agree with those of exact search. A property of the index, not of people.
package struct RetrievalRecall: Sendable {
    private var sum = 0.0
    private var sumOfSquares = 0.0
    private var count = 0

    package init() {}

    /// The mean over the probes, 0…1; not a number without any.
    package var mean: Double { count == 0 ? .nan : sum / Double(count) }

    /// Half the width of the interval that holds the mean of all such probes with 95 % confidence, for many probes.
    package var halfWidth: Double {
        guard count > 1 else { return .nan }
        let variance = max(0, sumOfSquares - sum * sum / Double(count)) / Double(count - 1)
        return 1.96 * (variance / Double(count)).squareRoot()
    }

    /// The means of all such probes that do not contradict what was seen, with 95 % confidence: a normal interval where
    /// probes differ. Where all of them had everything, or nothing, Clopper and Pearson's of the share of others: a
    /// mean differs from 1 by no more than the share of probes that do. 0…1 for fewer than two probes.
    package var interval: ClosedRange<Double> {
        guard count > 1 else { return 0...1 }
        if mean == 1 { return (1 - Proportion(count: 0, total: count).interval().upperBound)...1 }
        if mean == 0 { return 0...Proportion(count: 0, total: count).interval().upperBound }
        return max(0, mean - halfWidth)...min(1, mean + halfWidth)
    }

    /// Counts one probe; one for which exact search finds nothing does not count.
    ///
    /// - Parameters:
    ///   - found: similarities of the matches, best first. They must be the same bits as exact search gives, so that a
    ///     face at least as similar as the last of the exact ones is among them or tied with it.
    ///   - exact: similarities of exact search, best first.
    package mutating func add(found: some Swift.Collection<Float>, exact: some BidirectionalCollection<Float>) {
        guard let last = exact.last else { return }
        let agreeing = min(exact.count, found.count { $0 >= last })
        let recall = Double(agreeing) / Double(exact.count)
        sum += recall
        sumOfSquares += recall * recall
        count += 1
    }
}
