import EmbeddingFiles
import MienClient

extension LoadReport {
    /// Behind an objective that faults are not held against.
    static let faultsLeftOut = ", faults left out"

    /// The report of several processes that made parts of one load at the same time.
    ///
    /// - Throws: when they are not parts of one load.
    package static func merged(_ reports: [LoadReport]) throws(LoadTextError) -> LoadReport {
        guard var sum = reports.first else { throw LoadTextError("there is no report to merge") }
        for (number, report) in reports.enumerated().dropFirst() {
            guard !reports[..<number].contains(report) else {
                throw LoadTextError("a report is given twice: it would be counted twice")
            }
            try sum.checkPart(report)
            guard report.series.windowSeconds == sum.series.windowSeconds,
                abs(report.load.durationSeconds - sum.load.durationSeconds) <= sum.series.windowSeconds,
                report.load.warmUpSeconds == sum.load.warmUpSeconds
            else { throw LoadTextError("the reports are of loads of different lengths") }
            guard report.cluster.collection == sum.cluster.collection,
                report.cluster.faceCount == sum.cluster.faceCount
            else { throw LoadTextError("the reports are of different collections") }
            try sum.checkRoom(for: report)
            // Parts that were interrupted ended within a moment of each other.
            sum.load.durationSeconds = max(sum.load.durationSeconds, report.load.durationSeconds)
            sum.totals.merge(report.totals) { own, other in
                var figures = own
                figures.add(other)
                return figures
            }
            sum.resends = sum.resends.flatMap { own in report.resends.map { own + $0 } }
            sum.writeResends = sum.writeResends.flatMap { own in report.writeResends.map { own + $0 } }
            sum.pacing.add(report.pacing)
            sum.series.add(report.series)
            sum.truth.add(report.truth)
            sum.faults += report.faults.filter { !sum.faults.contains($0) }
            sum.load.ratePerSecond = adding(sum.load.ratePerSecond, report.load.ratePerSecond)
            sum.load.callerCount = adding(sum.load.callerCount, report.load.callerCount)
            sum.load.connectionCount += report.load.connectionCount
            sum.load.inFlightLimit += report.load.inFlightLimit
            sum.load.processCount += report.load.processCount
        }
        // What one of them was held against says nothing of all, and rates that one tried are not those of all.
        let objectives = Set(reports.map { $0.objective?.replacing(faultsLeftOut, with: "") })
        sum.ramp = reports.count > 1 ? nil : sum.ramp
        if reports.count > 1 { (sum.objective, sum.objectiveIsMet) = (nil, nil) }
        if objectives.count == 1, let objective = objectives.first, let text = objective, reports.count > 1 {
            sum.judge(try LatencyObjective(text))
        }
        // What has become too much is no report that can be read again.
        try sum.checkBounds()
        return sum
    }

    /// - Throws: when the other is of a load that did something else, or at another time.
    private func checkPart(_ other: LoadReport) throws(LoadTextError) {
        let same: [(name: String, own: String, other: String)] = [
            ("mixes", load.mix, other.load.mix),
            ("efforts", load.effort, other.load.effort),
            ("numbers of matches", "\(load.matchLimit)", "\(other.load.matchLimit)"),
            ("least coverages", Self.text(load.leastCoverage), Self.text(other.load.leastCoverage)),
            ("deadlines", Self.text(load.timeoutSeconds), Self.text(other.load.timeoutSeconds)),
            ("times of sending again", Self.text(load.retrySeconds), Self.text(other.load.retrySeconds)),
            ("kinds of arrivals", load.process?.rawValue ?? "closed", other.load.process?.rawValue ?? "closed"),
        ]
        for part in same where part.own != part.other {
            throw LoadTextError("the reports are of loads of different \(part.name): \(part.own) and \(part.other)")
        }
        guard let start = TimestampText.milliseconds(rfc3339: startedAt),
            let otherStart = TimestampText.milliseconds(rfc3339: other.startedAt)
        else {
            throw LoadTextError("a report does not tell when its load began")
        }
        // Then most of their measured times is the same.
        let most = max(series.windowSeconds, load.warmUpSeconds)
        guard abs(Double(start) - Double(otherStart)) / 1000 <= most else {
            throw LoadTextError(
                "the loads did not run at the same time: they began at \(startedAt) and \(other.startedAt), and may "
                    + "be apart by their warm-up, \(FigureText.seconds(most))"
            )
        }
    }

    private static func text(_ number: Double?) -> String { number.map { "\($0)" } ?? "full" }

    private static func adding<Number: AdditiveArithmetic>(_ left: Number?, _ right: Number?) -> Number? {
        guard let left, let right else { return left ?? right }
        return left + right
    }
}
