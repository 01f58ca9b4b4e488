/// What a number of hits among independent trials says of the share behind them: an estimate, and the bounds that hold
/// with 95 % confidence.
///
/// - SeeAlso: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
package struct RateInterval: Hashable, Sendable {
    package let estimate: Double
    package let low: Double
    package let high: Double

    /// Nil without a trial.
    package init?(hits: UInt64, trials: UInt64) {
        guard trials > 0, hits <= trials else { return nil }
        let deviations = 1.959964
        let count = Double(trials)
        let square = deviations * deviations
        estimate = Double(hits) / count
        let centre = (estimate + square / (2 * count)) / (1 + square / count)
        let spread =
            deviations / (1 + square / count)
            * (estimate * (1 - estimate) / count + square / (4 * count * count)).squareRoot()
        low = max(0, centre - spread)
        high = min(1, centre + spread)
    }
}
