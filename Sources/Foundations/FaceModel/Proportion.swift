internal import Glibc

/// How many of independent trials went one way, and what that says of the rate behind them.
///
/// All bounds are exact ones: what they say holds at least as often as it promises, however few the trials.
///
/// - SeeAlso: Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial"
///   (1934).
package struct Proportion: Hashable, Sendable {
    package var count: Int
    package var total: Int

    /// - Precondition: `0 ≤ count ≤ total`.
    package init(count: Int, total: Int) {
        precondition(count >= 0 && count <= total, "\(count) of \(total) is no proportion")
        self.count = count
        self.total = total
    }

    /// 0…1; not a number without trials.
    package var rate: Double { total == 0 ? .nan : Double(count) / Double(total) }

    /// The rates that do not contradict what was seen: at most `1 − confidence` of such intervals miss the true rate.
    /// 0…1 without trials.
    package func interval(confidence: Double = 0.95) -> ClosedRange<Double> {
        let tail = (1 - confidence) / 2
        let lower = lowerBound(confidence: 1 - tail)
        let upper = count == total ? 1 : Self.root { Self.cumulative(count, total, $0) <= tail }
        return min(lower, upper)...max(lower, upper)
    }

    /// The rate that the true one exceeds with this confidence; 0 without a count.
    package func lowerBound(confidence: Double) -> Double {
        count == 0 ? 0 : Self.root { 1 - Self.cumulative(count - 1, total, $0) >= 1 - confidence }
    }

    /// The most that may be counted among `total` to show, with the confidence, that the rate is at most this; nil when
    /// not even none would.
    package static func mostCount(
        of total: Int,
        showingRateAtMost rate: Double,
        confidence: Double
    ) -> Int? {
        guard total > 0, rate > 0, rate < 1 else { return nil }
        // P(X = m) from m to m + 1, summed until it passes 1 − confidence.
        var logProbability = Double(total) * log1p(-rate)
        var cumulative = exp(logProbability)
        var most: Int?
        while cumulative <= 1 - confidence {
            let next = (most ?? -1) + 1
            guard next < total else { break }
            most = next
            logProbability += log(Double(total - next) / Double(next + 1)) + log(rate) - log1p(-rate)
            cumulative += exp(logProbability)
        }
        return most
    }

    /// The least rate for which a condition holds that, once true, stays true up to 1.
    private static func root(_ holds: (Double) -> Bool) -> Double {
        var (low, high) = (0.0, 1.0)
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if holds(middle) { high = middle } else { low = middle }
        }
        return (low + high) / 2
    }

    /// P(X ≤ count) of a binomial variable. Sums the smaller tail, away from the mode, so that terms only fall.
    private static func cumulative(_ count: Int, _ total: Int, _ rate: Double) -> Double {
        guard count < total else { return 1 }
        guard rate > 0 else { return 1 }
        guard rate < 1 else { return 0 }
        let odds = rate / (1 - rate)
        if Double(count + 1) > Double(total) * rate {
            var term = exp(logProbability(count + 1, total, rate))
            var sum = term
            var successes = count + 1
            while successes < total, term > sum * 1e-17 {
                term *= odds * Double(total - successes) / Double(successes + 1)
                successes += 1
                sum += term
            }
            return 1 - sum
        }
        var term = exp(logProbability(count, total, rate))
        var sum = term
        var successes = count
        while successes > 0, term > sum * 1e-17 {
            term *= Double(successes) / (odds * Double(total - successes + 1))
            successes -= 1
            sum += term
        }
        return sum
    }

    private static func logProbability(_ count: Int, _ total: Int, _ rate: Double) -> Double {
        let ways = lgamma(Double(total + 1)) - lgamma(Double(count + 1)) - lgamma(Double(total - count + 1))
        return ways + Double(count) * log(rate) + Double(total - count) * log1p(-rate)
    }
}
