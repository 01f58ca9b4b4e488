package import FaceModel

/// What a replica's searches have been costing: tells beforehand which will be short. Pure: told the time, never asks.
///
/// A search's work is counted in rows: those it compares, rows × probes, and what its transaction and its matches take
/// the time of. Rows and time per row come from the searches before it, so that dimension, stored precision, processor
/// and page cache are all in it. There is no estimate while nothing was measured lately: the pages may have left
/// memory, the replica may have grown. Searches with a filter are no measure and get no estimate: what one takes
/// depends on what the filter lets through, and on whether its rows are known.
package struct SearchPace: Sendable {
    /// How long a measurement counts.
    static let memory = Duration.seconds(10)
    /// Rows that take the time of a search's fixed part, and of looking up one match: measured, within a factor of two.
    private static let rowsPerSearch = 256.0
    private static let rowsPerMatch = 8.0

    private struct Latest {
        var effort: SearchEffort
        var rowsPerProbe: Double
        var time: ContinuousClock.Instant
    }

    private var latest: Latest?
    private var nanosecondsPerRow = 0.0
    /// Rows of all searches so far.
    package private(set) var rowCount: UInt64 = 0

    package init() {}

    /// A search has been done.
    ///
    /// The time per row follows a slower search at once, at most doubling, since the next one may be as slow; it
    /// follows a faster one by an eighth.
    package mutating func searched(
        _ parameters: SearchParameters,
        probeCount: Int,
        rowsVisited: UInt64,
        took time: Duration,
        now: ContinuousClock.Instant
    ) {
        let rowsPerProbe = Double(rowsVisited) / Double(max(1, probeCount))
        let rows = Self.rows(parameters, probeCount: probeCount, rowsPerProbe: rowsPerProbe)
        rowCount &+= UInt64(rows)
        guard parameters.filter == nil else { return }
        let measured = time / .nanoseconds(1) / rows
        if latest == nil {
            nanosecondsPerRow = measured
        } else if measured > nanosecondsPerRow {
            nanosecondsPerRow = min(measured, 2 * nanosecondsPerRow)
        } else {
            nanosecondsPerRow += (measured - nanosecondsPerRow) / 8
        }
        latest = Latest(effort: parameters.effort, rowsPerProbe: rowsPerProbe, time: now)
    }

    /// An estimate was wrong: there is none before the next measurement.
    package mutating func forget() { latest = nil }

    /// How long a search will take; nil when the latest one was long ago or of another effort, or it has a filter.
    package func estimate(
        _ parameters: SearchParameters,
        probeCount: Int,
        now: ContinuousClock.Instant
    ) -> Duration? {
        guard let latest, parameters.filter == nil, latest.effort == parameters.effort, now - latest.time < Self.memory
        else { return nil }
        let rows = Self.rows(parameters, probeCount: probeCount, rowsPerProbe: latest.rowsPerProbe)
        return .nanoseconds(1) * (nanosecondsPerRow * rows)
    }

    private static func rows(_ parameters: SearchParameters, probeCount: Int, rowsPerProbe: Double) -> Double {
        rowsPerSearch + Double(probeCount) * (rowsPerProbe + rowsPerMatch * Double(parameters.matchLimit))
    }
}
