import Glibc
import ReportPage

/// How the times of answered calls are distributed, whenever they were.
struct DistributionPlots {
    private static let width = 510.0
    private static let height = 300.0
    private static let barCount = 48

    private let report: LoadReport

    init(_ report: LoadReport) {
        self.report = report
    }

    /// Bars of equal width on a logarithmic scale.
    var histogram: String {
        var plot = Plot(width: Self.width, height: Self.height)
        let times = report.all.times
        let least = Double(max(1, times.percentile(0.1)))
        let greatest = Double(max(times.longestMicroseconds, UInt64(least) + 1))
        let axis = PlotScale.logarithmic(least...greatest, from: plot.plotLeft, to: plot.plotRight)
        let barWidth = (plot.plotRight - plot.plotLeft) / Double(Self.barCount)
        var counts = [Double](repeating: 0, count: Self.barCount)
        for entry in times.entries {
            let x = axis.position(Double(max(1, entry.microseconds)))
            counts[min(Self.barCount - 1, Int((x - plot.plotLeft) / barWidth))] += Double(entry.count)
        }
        let total = max(1, Double(times.count))
        let scale = PlotScale.linear(
            to: (counts.max() ?? 1) / total,
            from: plot.plotBottom,
            to: plot.plotTop
        )
        plot.addVerticalAxis(scale) { FigureText.share($0) }
        for (index, count) in counts.enumerated() where count > 0 {
            let left = plot.plotLeft + Double(index) * barWidth
            plot.addRectangle(
                from: left + 0.7,
                to: left + barWidth - 0.7,
                top: min(scale.position(count / total), plot.plotBottom - 1),
                bottom: plot.plotBottom,
                "bar"
            )
        }
        for (percent, name, style) in [(50.0, "p50", "p1"), (99, "p99", "p3")] {
            let x = axis.position(Double(times.percentile(percent)))
            plot.addLine([(x, plot.plotTop), (x, plot.plotBottom)], "\(style) thin")
            plot.addMark(name, x: x, y: plot.plotTop + 11)
        }
        plot.addHorizontalAxis(axis) { FigureText.tick($0) }
        plot.addLegend([("share of answered calls", "bar")])
        return plot.svg("Histogram of latency on a logarithmic scale")
    }

    /// A line for each operation: the further right, the rarer.
    var percentiles: String {
        // Room for a second row of names.
        var plot = Plot(width: Self.width, height: Self.height, top: Plot.top + 18)
        let operations = LoadOperation.allCases.filter { !(report.totals[$0]?.times.isEmpty ?? true) }
        let histograms = operations.compactMap { report.totals[$0]?.times }
        let count = histograms.map(\.count).max() ?? 1
        // As many nines as there are calls to tell them.
        let nines = min(5, max(2, Int(log10(Double(max(count, 1))).rounded(.down))))
        let axis = PlotScale.logarithmic(1...pow(10, Double(nines)), from: plot.plotLeft, to: plot.plotRight)
        let least = histograms.map { Double(max(1, $0.percentile(1))) }.min() ?? 1
        let greatest = histograms.map { Double($0.longestMicroseconds) }.max() ?? 10
        let scale = PlotScale.logarithmic(
            least...max(least, greatest),
            from: plot.plotBottom,
            to: plot.plotTop
        )
        plot.addVerticalAxis(scale) { FigureText.tick($0) }
        var legend: [(name: String, style: String)] = []
        for (operation, times) in zip(operations, histograms) {
            let style = "o\(LoadOperation.allCases.firstIndex(of: operation) ?? 0)"
            var points: [(x: Double, y: Double)?] = []
            for step in 0...(nines * 20) {
                let rarity = pow(10, Double(step) / 20)
                guard rarity <= Double(times.count) else { break }
                let value = Double(max(1, times.percentile(100 - 100 / rarity)))
                points.append((axis.position(rarity), scale.position(value)))
            }
            plot.addLine(points, style)
            legend.append((operation.title, style))
        }
        for exponent in 0...nines {
            let x = axis.position(pow(10, Double(exponent)))
            plot.addLine([(x, plot.plotTop), (x, plot.plotBottom)], "gridline")
            let name = exponent == 0 ? "0 %" : Self.nines(exponent) + " %"
            plot.addText(name, x: x, y: plot.plotBottom + 18, exponent == nines ? "tick end" : "tick middle")
        }
        plot.addLegend(legend)
        return plot.svg("Latency by percentile for each operation")
    }

    /// 90, 99, 99.9, …
    private static func nines(_ count: Int) -> String {
        switch count {
        case 1: "90"
        case 2: "99"
        default: "99." + String(repeating: "9", count: count - 2)
        }
    }
}
