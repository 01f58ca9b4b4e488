/// What a load must keep to: `p99 <= 50ms, errors <= 0.1%`.
package struct LatencyObjective: Sendable, Equatable {
    package static let example = "p99 <= 50ms, errors <= 0.1%"

    /// Of all calls, 0…100: one that is not answered takes longer than any limit.
    package private(set) var percent = 99.0
    package private(set) var limit = Duration.milliseconds(50)
    /// Share of the calls that may fail, be partial or not be sent: 0…1.
    package private(set) var errorShare = 0.001

    package init(_ text: String) throws(LoadTextError) {
        var hasLatency = false
        for part in text.split(separator: ",") {
            let sides = part.split(separator: "<=", omittingEmptySubsequences: false).map { LoadText.trimmed($0) }
            guard sides.count == 2 else {
                throw LoadTextError("'\(part)' is no objective; write \(Self.example)")
            }
            if sides[0] == "errors" {
                guard sides[1].hasSuffix("%"), let share = Double(LoadText.trimmed(sides[1].dropLast())),
                    (0...100).contains(share)
                else { throw LoadTextError("errors must be a percentage, such as 0.1%, not '\(sides[1])'") }
                errorShare = share / 100
            } else {
                guard sides[0].hasPrefix("p"), let percent = Double(sides[0].dropFirst()), (1...100).contains(percent)
                else { throw LoadTextError("'\(sides[0])' is neither a percentile, such as p99, nor errors") }
                self.percent = percent
                limit = try LoadText.duration(sides[1].filter { $0 != " " })
                hasLatency = true
            }
        }
        guard hasLatency else { throw LoadTextError("the objective has no percentile; write \(Self.example)") }
    }

    package func isMet(by figures: CallFigures) -> Bool {
        guard figures.errorShare <= errorShare, let time = figures.percentileOfAll(percent) else { return false }
        return Double(time) <= limit / .microseconds(1)
    }

    /// Such as `p99 <= 50 ms, errors <= 0.1 %`; reads back as the same.
    package var description: String {
        "p\(FigureText.plain(percent)) <= \(FigureText.plain(limit / .milliseconds(1))) ms, "
            + "errors <= \(FigureText.plain(errorShare * 100)) %"
    }
}
