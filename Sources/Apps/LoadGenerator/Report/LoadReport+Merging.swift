import MienClient

extension LoadReport {
    /// Behind an objective that faults are not held against.
    static let faultsLeftOut = ", faults left out"

    /// The report of several processes that made parts of one load at the same time.
    ///
    /// - Throws: when they are not parts of one load.
    package static func merged(_ reports: [LoadReport]) throws(LoadTextError) -> LoadReport {
        guard var sum = reports.first else { throw LoadTextError("there is no report to merge") }
        for report in reports.dropFirst() {
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

    private static func adding<Number: AdditiveArithmetic>(_ left: Number?, _ right: Number?) -> Number? {
        guard let left, let right else { return left ?? right }
        return left + right
    }
}
