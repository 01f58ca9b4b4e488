import ReportPage

/// The steps of a ramp: which rate had which latency, and which of them met the objective.
struct RampPlot {
    private let ramp: LoadReport.Ramp

    init(_ ramp: LoadReport.Ramp) {
        self.ramp = ramp
    }

    var svg: String {
        var plot = Plot(width: TimePlots.width, height: 260)
        let steps = ramp.steps.sorted { $0.ratePerSecond < $1.ratePerSecond }
        let latencies = steps.map { Double(max(1, $0.atObjective)) } + [ramp.limitMicroseconds]
        let rates = PlotScale.linear(
            to: steps.map(\.ratePerSecond).max() ?? 1,
            from: plot.plotLeft,
            to: plot.plotRight,
            tickCount: 10
        )
        let scale = PlotScale.logarithmic(
            (latencies.min() ?? 1)...(latencies.max() ?? 10),
            from: plot.plotBottom,
            to: plot.plotTop
        )
        plot.addVerticalAxis(scale) { FigureText.tick($0) }
        let limit = scale.position(ramp.limitMicroseconds)
        plot.addLine([(plot.plotLeft, limit), (plot.plotRight, limit)], "intended")
        plot.addLine(
            steps.map { (rates.position($0.ratePerSecond), scale.position(Double(max(1, $0.atObjective)))) },
            "p2 thin"
        )
        for step in steps {
            plot.addDot(
                x: rates.position(step.ratePerSecond),
                y: scale.position(Double(max(1, step.atObjective))),
                step.isMet ? "ok" : "failed",
                tip: "\(FigureText.rate(step.ratePerSecond)): \(FigureText.time(step.atObjective)), "
                    + "\(FigureText.share(step.errorShare)) failed"
            )
        }
        plot.addHorizontalAxis(rates) { "\(FigureText.count(Int($0.rounded())))/s" }
        plot.addLegend([("objective met", "ok"), ("not met", "failed"), ("limit", "intended")])
        return plot.svg("Latency at the objective's percentile by rate")
    }

    var table: String {
        Markup.table(
            ["rate", "answered", "p50", "at the objective", "failed", "objective"],
            ramp.steps.map { step in
                [
                    FigureText.rate(step.ratePerSecond), FigureText.rate(step.answeredPerSecond),
                    FigureText.time(step.p50), FigureText.time(step.atObjective), FigureText.share(step.errorShare),
                    step.isMet ? "met" : "not met",
                ]
            }
        ) { ramp.steps[$0].isMet ? "" : "hot" }
    }
}
