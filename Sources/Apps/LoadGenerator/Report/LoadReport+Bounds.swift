import MienClient

/// What a report may hold: others made it, and what is beyond any load would end the program that adds it up.
extension LoadReport {
    /// Calls, which one bucket of a histogram has to bear.
    private static let mostCalls = UInt64(UInt32.max)
    /// Faces, bytes apart, and whatever else is counted.
    private static let mostCounted = 1 << 40
    /// Seconds of a load, and calls in one of them.
    private static let mostSeconds = 1e7
    private static let mostPerSecond = 1e9

    /// - Throws: for numbers that no load has.
    func checkBounds() throws(LoadTextError) {
        try checkCalls()
        try checkTimes()
        try checkCounts()
    }

    /// - Throws: for calls of both that one report does not hold.
    func checkRoom(for other: LoadReport) throws(LoadTextError) {
        guard callCount + other.callCount <= Self.mostCalls else {
            throw LoadTextError("the reports are of more than \(Self.mostCalls) calls, which one report does not hold")
        }
    }

    /// The most that any part of the report says of calls.
    private var callCount: UInt64 {
        let windows = series.windows.flatMap(\.operations.values)
        return max(
            pacing.count,
            totals.values.reduce(0) { $0 + $1.times.count },
            windows.reduce(0) { $0 + $1.times.count },
            totals.values.reduce(0) { $0 + UInt64($1.count) },
            windows.reduce(0) { $0 + UInt64($1.count) },
            series.windows.reduce(0) { $0 + UInt64($1.mostInFlight) }
        )
    }

    private func checkCalls() throws(LoadTextError) {
        let windows = series.windows.flatMap(\.operations.values)
        // One after the other, since each is what the next may be added up by.
        let areCounts =
            (Array(totals.values) + windows).allSatisfy { figures in
                figures.statuses.count <= 1000
                    && figures.statuses.values.allSatisfy { (0...Int(Self.mostCalls)).contains($0) }
                    && figures.times.count <= Self.mostCalls
            } && series.windows.allSatisfy { (0...Int(Self.mostCalls)).contains($0.mostInFlight) }
        guard areCounts, pacing.count <= Self.mostCalls, callCount <= Self.mostCalls else {
            throw LoadTextError("it tells of more than \(Self.mostCalls) calls, or of fewer than none")
        }
        guard pacing.precision == .thousandth, totals.values.allSatisfy({ $0.times.precision == .thousandth }),
            windows.allSatisfy({ $0.times.precision == .hundredth })
        else { throw LoadTextError("its times are not as precise as those of a load: 3 digits, 2 in windows") }
    }

    private func checkTimes() throws(LoadTextError) {
        let seconds: [Double?] =
            [
                load.durationSeconds, load.warmUpSeconds, load.timeoutSeconds, load.retrySeconds, fill?.seconds,
                series.warmUpSeconds, series.windowSeconds,
            ] + faults.flatMap { [$0.fromSeconds, $0.toSeconds] }
        let rates: [Double?] =
            [load.ratePerSecond, ramp?.foundRatePerSecond]
            + (ramp?.steps ?? []).flatMap { [$0.ratePerSecond, $0.answeredPerSecond] }
        let shares: [Double?] = [load.leastCoverage] + (ramp?.steps ?? []).map(\.errorShare)
        guard seconds.allSatisfy({ (0...Self.mostSeconds).contains($0 ?? 0) }), series.windowSeconds >= 0.001,
            Double(series.windows.count) * series.windowSeconds <= 3 * Self.mostSeconds,
            (0...1e6 * Self.mostSeconds).contains(ramp?.limitMicroseconds ?? 0)
        else { throw LoadTextError("its times are not between 0 and \(Int(Self.mostSeconds)) seconds") }
        guard rates.allSatisfy({ (0...Self.mostPerSecond).contains($0 ?? 0) }) else {
            throw LoadTextError("its rates are not between 0 and \(Int(Self.mostPerSecond)) calls a second")
        }
        guard shares.allSatisfy({ (0...1).contains($0 ?? 0) }) else {
            throw LoadTextError("its shares are not between 0 and 1")
        }
    }

    private func checkCounts() throws(LoadTextError) {
        let counts: [Int?] =
            [
                machine.processorCount, cluster.dimension, cluster.shardCount, cluster.replicationFactor,
                cluster.faceCount, load.callerCount, load.matchLimit, load.connectionCount, load.inFlightLimit,
                load.processCount, resends?.callCount, resends?.sendingCount, writeResends?.callCount,
                writeResends?.sendingCount, fill?.faceCount, fill?.sentCount,
                truth.writtenFaceCount, truth.uncertainFaceCount,
                truth.checkedAnswerCount, truth.checkedMatchCount, truth.flaggedPartialCount, truth.matedSearchCount,
                truth.mateFoundCount, truth.comparedAnswerCount, truth.requiredMatchCount, truth.foundMatchCount,
                truth.requiredMateCount, truth.foundMateCount, truth.readBackCount, truth.embeddingCount,
                truth.readableCount, truth.deletedSearchCount, truth.finalFaceCount,
                truth.deletedFaceCount, truth.deletedExactCount, truth.ownSearches?.knownCount,
                truth.ownSearches?.searchCount, truth.ownSearches?.foundCount, truth.lossAnswerCount,
                truth.start?.removedCount, truth.start?.restoredCount,
                truth.leastFaceChange.map { abs(max($0, -.max)) }, truth.mostFaceChange.map { abs(max($0, -.max)) },
            ] + TruthFindings.Kind.allCases.map { truth.findings.counts[$0] }
            + series.windows.flatMap { [$0.requiredMatchCount, $0.foundMatchCount] }
        guard counts.allSatisfy({ (0...Self.mostCounted).contains($0 ?? 0) }) else {
            throw LoadTextError("a count in it is below 0, or above \(Self.mostCounted)")
        }
    }
}
