internal import Glibc

/// What a number of misses among independent trials says of the rate behind them.
///
/// - SeeAlso: Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial"
///   (1934).
package enum BinomialBound {
    /// The most misses among `trials` that still show, with the confidence, that the miss rate is at most `missRate`;
    /// nil when not even none would.
    package static func missesAllowed(trials: Int, missRate: Double, confidence: Double) -> Int? {
        guard trials > 0, missRate > 0, missRate < 1 else { return nil }
        // P(X = m) from m to m + 1, summed until it passes 1 − confidence.
        var logProbability = Double(trials) * log1p(-missRate)
        var cumulative = exp(logProbability)
        var misses: Int? = nil
        while cumulative <= 1 - confidence {
            let next = (misses ?? -1) + 1
            guard next < trials else { break }
            misses = next
            logProbability += log(Double(trials - next) / Double(next + 1)) + log(missRate) - log1p(-missRate)
            cumulative += exp(logProbability)
        }
        return misses
    }
}
