/// The figures of one load: of all of its measured time, and over time.
package struct LoadFigures: Sendable {
    /// Without the warm-up.
    package var totals: [LoadOperation: CallFigures] = [:]
    /// How late calls began, against their intended times.
    package var pacing = LatencyHistogram()
    /// With the warm-up.
    package var series: LoadSeries

    package init(window: Duration, warmUp: Duration) {
        series = LoadSeries(window: window, warmUp: warmUp)
    }

    /// Of the measured time, all operations together.
    package var all: CallFigures { totals.values.reduce(into: CallFigures()) { $0.add($1) } }
}
