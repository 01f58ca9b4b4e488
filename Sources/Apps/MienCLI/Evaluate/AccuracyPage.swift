import BiometricEvaluation
import FaceModel
import Glibc
import MienClient
import ReportPage

/// An evaluation of one collection as a page: a detection error trade-off, recall against time, and misses by band.
struct AccuracyPage {
    let report: AccuracyReport
    /// The command line.
    let command: String
    let date: String

    private static let plotWidth = 520.0
    private static let plotHeight = 320.0

    /// Well-formed as XML too.
    var html: String {
        let name = report.collection.options.name
        return Page.html(
            title: "mien evaluate: \(name), \(date)",
            heading: "Accuracy on \(name)",
            subtitle: report.headLines.joined(separator: "; "),
            body: tiles + "<div class=\"pair\">\n\(tradeOffs)\(recallAgainstTime)</div>\n" + accuracy + times + misses
                + facts,
            footer: "Thresholds are those of exact search, so that efforts differ by what the index misses and by "
                + "nothing else. Intervals hold the true rate with 95 % confidence."
        )
    }

    /// Efforts that are plotted, exact first, with the style of each.
    private var plotted: [(result: EffortResult, style: String)] {
        report.results.enumerated().map { ($1, "o\($0 % 7)") }
    }

    private var tiles: String {
        let exact = report.results[0]
        let chosen = report.results.first { $0.effort == .recall(0.99) } ?? report.results.last ?? exact
        let (first, missed) = (exact.identification.falseNegatives(withinRank: 1), chosen.missed())
        let tiles: [(value: String, name: String)] = [
            (NumberText.fixed(first.rate, 4), "FNIR(N, 1, 0), exact \(Self.text(first.interval()))"),
            (
                "\(missed.count) of \(missed.total)",
                "mates missed by \(chosen.effort) \(Self.text(missed.interval()))"
            ),
            (
                NumberText.fixed(chosen.recall.mean, 4),
                "recall@\(report.matchLimit) of \(chosen.effort) \(Self.text(chosen.recall.interval))"
            ),
            ("\(NumberText.fixed(chosen.singleMilliseconds, 2)) ms", "single probe, \(chosen.effort)"),
            ("\(NumberText.fixed(exact.singleMilliseconds, 2)) ms", "single probe, exact"),
        ]
        return Page.tiles(tiles.map { ($0.value, $0.name, false) })
    }

    /// Such as `(0.0049–0.0117)`.
    private static func text(_ interval: ClosedRange<Double>) -> String {
        "(\(NumberText.fixed(interval.lowerBound, 4))–\(NumberText.fixed(interval.upperBound, 4)))"
    }

    private var tradeOffs: String {
        let curves = plotted.map { ($0.result.identification.tradeOffs(), $0.style, "\($0.result.effort)") }
        let points = curves.flatMap(\.0)
        let rates = points.flatMap { [$0.falsePositiveRate, $0.falseNegativeRate] }.filter { $0 > 0 }
        guard let least = rates.min() else { return "" }
        var plot = Plot(width: Self.plotWidth, height: Self.plotHeight, top: 44, hasAxisTitles: true)
        let x = PlotScale.logarithmic(least...1, from: plot.plotLeft, to: plot.plotRight)
        let shown = points.map(\.falseNegativeRate).filter { $0 > 0 }
        let y = PlotScale.logarithmic(
            (shown.min() ?? least)...(shown.max() ?? 1),
            from: plot.plotBottom,
            to: plot.plotTop
        )
        plot.addVerticalAxis(y, label: NumberText.short)
        plot.addHorizontalAxis(x, withGrid: true, label: NumberText.short)
        plot.addLegend(curves.map { (name: $0.2, style: $0.1) })
        for (curve, style, _) in curves {
            plot.addLine(
                curve.map { (x: x.position($0.falsePositiveRate), y: y.position($0.falseNegativeRate)) },
                style
            )
        }
        for (result, style) in plotted {
            for (target, point) in report.operatingPoints(result) {
                plot.addDot(
                    x: x.position(point.falsePositives.rate),
                    y: y.position(point.falseNegatives.rate),
                    "key \(style)",
                    tip: "\(result.effort) at the threshold for an FPIR of \(target): "
                        + "FPIR \(AccuracyReport.text(point.falsePositives)), "
                        + "FNIR \(AccuracyReport.text(point.falseNegatives))"
                )
            }
        }
        plot.addAxisTitles(horizontal: "FPIR(N, T)", vertical: "FNIR(N, L, T)")
        return """
            <section><h2>Detection error trade-off</h2>
            <p>FNIR(N, L, T) against FPIR(N, T) as the threshold T falls to the right; lower is better. Dots are the \
            thresholds of the table below.</p>
            \(plot.svg("False negative against false positive identification rates"))</section>

            """
    }

    private var recallAgainstTime: String {
        let results = plotted
        let times = results.map { $0.result.singleMilliseconds }.filter { $0 > 0 }
        guard let least = times.min(), let greatest = times.max() else { return "" }
        var plot = Plot(width: Self.plotWidth, height: Self.plotHeight, top: 44, hasAxisTitles: true)
        let x = PlotScale.logarithmic(least...greatest, from: plot.plotLeft, to: plot.plotRight)
        let lost = results.map { 1 - $0.result.recall.mean }.filter { $0 > 0 }
        // A logarithm has no place for nothing lost: what has a recall of 1 lies at the edge, a decade with a label.
        let edge = pow(10, ((log10(lost.min() ?? 0.01) - 0.3).rounded(.down)))
        let y = PlotScale.logarithmic(
            edge...(lost.max() ?? 0.1),
            from: plot.plotTop,
            to: plot.plotBottom
        )
        plot.addVerticalAxis(y) { $0 <= edge * 1.001 ? "1" : Self.recall(losing: $0) }
        plot.addHorizontalAxis(x, withGrid: true) { "\(NumberText.short($0)) ms" }
        plot.addLegend(results.map { (name: "\($0.result.effort)", style: $0.style) })
        for curve in curves(results.map(\.result)) {
            plot.addLine(
                curve.map { (x: x.position($0.singleMilliseconds), y: y.position(1 - $0.recall.mean)) },
                "joining"
            )
        }
        for (result, style) in results {
            plot.addDot(
                x: x.position(result.singleMilliseconds),
                y: y.position(1 - result.recall.mean),
                "key \(style)",
                tip: "\(result.effort): recall \(NumberText.fixed(result.recall.mean, 4)), "
                    + "\(NumberText.fixed(result.singleMilliseconds, 2)) ms"
            )
        }
        plot.addAxisTitles(horizontal: "median time of a search", vertical: "recall@\(report.matchLimit)")
        return """
            <section><h2>Recall against time</h2>
            <p>recall@\(report.matchLimit) against the median time of a search with one probe; up and left is \
            better. Exact search has a recall of 1, at the upper edge. A line joins what a search with a recall \
            target can be set to, up to all codes.</p>
            \(plot.svg("Recall of each effort against its time"))</section>

            """
    }

    /// A recall with as many decimals as what it lacks of 1 needs.
    private static func recall(losing share: Double) -> String {
        NumberText.fixed(1 - share, max(2, Int((-log10(share) - 1e-9).rounded(.up))))
    }

    /// Efforts that differ by one setting, in its order: recall targets up to all codes, and numbers of lists.
    private func curves(_ results: [EffortResult]) -> [[EffortResult]] {
        let setting: (EffortResult) -> (isByRecall: Bool, value: Double)? = { result in
            switch result.effort {
            case .exact: nil
            case .recall(let target): (true, target)
            case .full: (true, 1)
            case .lists(let count): (false, Double(count))
            }
        }
        let known = results.compactMap { result in setting(result).map { (result: result, setting: $0) } }
        return [true, false].map { isByRecall in
            known.filter { $0.setting.isByRecall == isByRecall }.sorted { $0.setting.value < $1.setting.value }
                .map(\.result)
        }.filter { $0.count > 1 }
    }

    private var accuracy: String {
        "<section><h2>Error rates</h2>\n" + Self.html(report.accuracyTable)
            + (report.noteLines + [report.templateLine]).map { "<p>\(Markup.escaped($0))</p>\n" }.joined()
            + "</section>\n"
    }

    private var times: String {
        """
        <section><h2>Times</h2>
        \(Self.html(report.timeTable))<p>\(Markup.escaped(report.timesNote))</p></section>

        """
    }

    private var misses: String {
        """
        <section><h2>Mates that the index misses</h2>
        <p>Of the mates that exact search ranks first, by their similarity: how many there are, how many each effort \
        does not return, and in brackets what the share of missed ones may be, with 95 % confidence.</p>
        \(Self.html(report.missTable))</section>

        """
    }

    private var facts: String {
        """
        <section><h2>What was measured</h2>
        \(Markup.command(command))</section>

        """
    }

    private static func html(_ table: TextTable) -> String {
        Markup.table(table.titles, table.cells, ofWords: table.leftColumns)
    }
}
