extension LoadReport {
    /// The report of several processes that made parts of one load at the same time.
    ///
    /// - Throws: when they are not parts of one load.
    package static func merged(_ reports: [LoadReport]) throws(LoadTextError) -> LoadReport {
        guard var sum = reports.first else { throw LoadTextError("there is no report to merge") }
        for report in reports.dropFirst() {
            guard report.series.windowSeconds == sum.series.windowSeconds,
                report.load.durationSeconds == sum.load.durationSeconds,
                report.load.warmUpSeconds == sum.load.warmUpSeconds
            else { throw LoadTextError("the reports are of loads of different lengths") }
            guard report.cluster.collection == sum.cluster.collection,
                report.cluster.faceCount == sum.cluster.faceCount
            else { throw LoadTextError("the reports are of different collections") }
            sum.totals.merge(report.totals) { own, other in
                var figures = own
                figures.add(other)
                return figures
            }
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
        return sum
    }

    private static func adding<Number: AdditiveArithmetic>(_ left: Number?, _ right: Number?) -> Number? {
        guard let left, let right else { return left ?? right }
        return left + right
    }
}
