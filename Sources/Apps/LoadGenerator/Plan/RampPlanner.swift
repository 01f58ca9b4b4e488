/// Looks for the highest rate that meets an objective: by factors until one fails, then by halves between.
///
/// A rate fails when two steps of it miss the objective: a machine has its moments.
package struct RampPlanner: Sendable, Equatable {
    package static let example = "from=200,factor=1.5,each=10s"
    /// So that a share of what is found is a rate.
    private static let leastRate = 0.001

    /// Calls a second of the first step.
    package private(set) var firstRate = 100.0
    /// Of the next rate over the last, while the objective is met.
    package private(set) var factor = 1.5
    /// Time of one step.
    package private(set) var stepDuration = Duration.seconds(10)
    /// Highest rate that is tried.
    package private(set) var rateLimit = 100_000.0
    /// The search ends when the lowest rate that failed is at most this much above the highest that did not.
    package private(set) var precision = 0.05

    private var highestMet: Double?
    private var lowestFailed: Double?
    /// A rate that missed the objective once.
    private var doubtful: Double?

    package init(_ text: String) throws(LoadTextError) {
        for (key, value) in try LoadText.pairs(text, what: "the ramp", example: Self.example) {
            switch key {
            case "from":
                firstRate = try LoadText.rate(value)
                guard firstRate >= Self.leastRate else { throw LoadTextError("from must be at least 0.001") }
            case "to": rateLimit = try LoadText.rate(value)
            case "factor":
                guard let factor = Double(value), factor > 1, factor <= 10 else {
                    throw LoadTextError("factor must be above 1 and at most 10, not '\(value)'")
                }
                self.factor = factor
            case "each":
                stepDuration = try LoadText.duration(value)
                guard stepDuration >= .seconds(1), stepDuration <= .seconds(86_400 * 7) else {
                    throw LoadTextError("each must be from 1s to 168h")
                }
            case "within":
                guard value.hasSuffix("%"), let percent = Double(value.dropLast()), percent >= 1, percent <= 50 else {
                    throw LoadTextError("within must be from 1% to 50%, not '\(value)'")
                }
                precision = percent / 100
            default:
                throw LoadTextError("'\(key)' is no part of the ramp; there are from, to, factor, each and within")
            }
        }
        guard rateLimit >= firstRate else { throw LoadTextError("the ramp ends below where it begins") }
    }

    /// The next rate to try; nil when the search is over.
    package var nextRate: Double? {
        if let doubtful { return doubtful }
        return switch (highestMet, lowestFailed) {
        case (nil, nil): firstRate
        case (let met?, nil): met >= rateLimit ? nil : min(rateLimit, met * factor)
        case (nil, let failed?): failed / 2 < max(1, firstRate / 64) ? nil : failed / 2
        case (let met?, let failed?): failed <= met * (1 + precision) ? nil : (met * failed).squareRoot()
        }
    }

    package mutating func note(rate: Double, isMet: Bool) {
        if isMet {
            doubtful = nil
            highestMet = max(rate, highestMet ?? rate)
        } else if doubtful == nil {
            doubtful = rate
        } else {
            doubtful = nil
            lowestFailed = min(rate, lowestFailed ?? rate)
        }
    }

    /// The highest rate that met the objective so far.
    package var found: Double? { highestMet }
}
