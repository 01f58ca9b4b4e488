import ReportPage

/// The plots of a load over time; all have one time axis, on which warm-up and faults are marked.
struct TimePlots {
    static let width = 1040.0
    /// With the styles of their lines, from the lowest to the highest.
    private static let percentiles: [(percent: Double, name: String, style: String)] = [
        (50, "p50", "p1"), (90, "p90", "p2"), (99, "p99", "p3"), (100, "longest", "p4"),
    ]

    private let report: LoadReport
    private let windows: [CallFigures]
    private let seconds: Double

    init(_ report: LoadReport) {
        self.report = report
        windows = report.series.windows.map(\.all)
        seconds = max(
            report.load.warmUpSeconds + report.load.durationSeconds,
            Double(report.series.windows.count) * report.series.windowSeconds
        )
    }

    private var window: Double { report.series.windowSeconds }

    private func timeScale(_ plot: Plot) -> PlotScale {
        .time(to: seconds, from: plot.plotLeft, to: plot.plotRight)
    }

    // MARK: What all have

    private func begin(height: Double) -> (Plot, PlotScale) {
        var plot = Plot(width: Self.width, height: height)
        let time = timeScale(plot)
        plot.addRectangle(
            from: time.position(0),
            to: time.position(report.load.warmUpSeconds),
            top: plot.plotTop,
            bottom: plot.plotBottom,
            "warmup"
        )
        for fault in report.faults {
            let left = time.position(fault.fromSeconds)
            plot.addRectangle(
                from: left,
                to: max(left + 1.5, time.position(fault.toSeconds)),
                top: plot.plotTop,
                bottom: plot.plotBottom,
                "fault"
            )
        }
        return (plot, time)
    }

    /// Names of what is marked, above the lines.
    private func addMarkNames(to plot: inout Plot, _ time: PlotScale) {
        if time.position(report.load.warmUpSeconds) - plot.plotLeft > 60 {
            plot.addText("warm-up", x: plot.plotLeft + 5, y: plot.plotTop + 13, "mark")
        }
        for fault in report.faults {
            plot.addMark(fault.what, x: time.position(fault.fromSeconds), y: plot.plotTop + 13, "mark hot")
        }
    }

    private func end(_ plot: inout Plot, _ time: PlotScale) {
        plot.addHorizontalAxis(time) { FigureText.seconds($0) }
        for (index, figures) in windows.enumerated() {
            let start = Double(index) * window
            plot.addTip(from: time.position(start), to: time.position(start + window), tip(figures, at: start, index))
        }
    }

    private func tip(_ figures: CallFigures, at start: Double, _ index: Int) -> String {
        var lines = ["\(FigureText.seconds(start)) to \(FigureText.seconds(start + window))"]
        lines.append(
            "\(FigureText.rate(Double(figures.count) / window)), \(FigureText.share(1 - figures.errorShare)) ok"
        )
        if figures.errorShare > 0 { lines.append(report.problemText(figures)) }
        for entry in Self.percentiles where !figures.times.isEmpty {
            lines.append("\(entry.name) \(FigureText.time(figures.times.percentile(entry.percent)))")
        }
        lines.append("at most \(report.series.windows[index].mostInFlight) under way")
        return lines.joined(separator: "\n")
    }

    private func middle(_ index: Int) -> Double { (Double(index) + 0.5) * window }

    // MARK: Plots

    var latency: String {
        var (plot, time) = begin(height: 320)
        let lowest = windows.filter { !$0.times.isEmpty }.map { Double(max(1, $0.times.percentile(50))) }.min() ?? 1
        let highest = windows.map { Double($0.times.longestMicroseconds) }.max() ?? 10
        let scale = PlotScale.logarithmic(
            lowest...max(lowest, highest),
            from: plot.plotBottom,
            to: plot.plotTop
        )
        plot.addVerticalAxis(scale) { FigureText.tick($0) }
        for entry in Self.percentiles.reversed() {
            let points = windows.enumerated().map { index, figures -> (x: Double, y: Double)? in
                guard !figures.times.isEmpty else { return nil }
                let value = Double(figures.times.percentile(entry.percent))
                return (time.position(middle(index)), scale.position(value))
            }
            plot.addLine(points, entry.style)
        }
        addMarkNames(to: &plot, time)
        plot.addLegend(Self.percentiles.map { ($0.name, $0.style) })
        end(&plot, time)
        return plot.svg("Latency of answered calls over time, by percentile, on a logarithmic scale")
    }

    var throughput: String {
        var (plot, time) = begin(height: 240)
        let intended = report.load.ratePerSecond
        let top = max(windows.map { Double($0.count) / window }.max() ?? 1, intended ?? 0)
        let scale = PlotScale.linear(to: top * 1.05, from: plot.plotBottom, to: plot.plotTop)
        plot.addVerticalAxis(scale) { "\(FigureText.count(Int($0.rounded())))/s" }
        let parts: [(name: String, style: String, count: (CallFigures) -> Int)] = [
            ("answered", "ok", \.okCount), ("partial", "partial", \.partialCount),
            ("failed", "failed", \.failedCount), ("not sent", "unsent", \.notSentCount),
        ]
        for (index, figures) in windows.enumerated() {
            let start = Double(index) * window
            let gap = windows.count > 200 ? 0 : 0.6
            var below = 0.0
            for part in parts {
                let value = Double(part.count(figures)) / window
                guard value > 0 else { continue }
                plot.addRectangle(
                    from: time.position(start) + gap,
                    to: time.position(start + window) - gap,
                    top: scale.position(below + value),
                    bottom: scale.position(below),
                    part.style
                )
                below += value
            }
        }
        var legend = parts.filter { part in windows.contains { part.count($0) > 0 } }.map { ($0.name, $0.style) }
        if let intended, report.load.streams == nil {
            let y = scale.position(intended)
            plot.addLine([(plot.plotLeft, y), (plot.plotRight, y)], "intended")
            legend.append(("intended rate", "intended"))
        }
        plot.addLegend(legend)
        end(&plot, time)
        return plot.svg("Calls a second over time, by how they ended")
    }

    var inFlight: String {
        var (plot, time) = begin(height: 150)
        let values = report.series.windows.map { Double($0.mostInFlight) }
        let scale = PlotScale.linear(
            to: max(1, values.max() ?? 1),
            from: plot.plotBottom,
            to: plot.plotTop,
            tickCount: 3
        )
        plot.addVerticalAxis(scale) { FigureText.count(Int($0.rounded())) }
        plot.addLine(
            values.enumerated().map { (time.position(middle($0.offset)), scale.position($0.element)) },
            "p2"
        )
        plot.addLegend([("most calls under way at once", "p2")])
        end(&plot, time)
        return plot.svg("Calls under way over time")
    }
}
