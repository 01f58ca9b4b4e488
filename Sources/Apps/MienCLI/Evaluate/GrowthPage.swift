import BiometricEvaluation
import MienClient
import ReportPage

/// A collection's growth as a page: times against N with their fits.
struct GrowthPage {
    let report: GrowthReport
    let name: String
    /// The command line.
    let command: String
    let date: String

    private static let width = 520.0
    private static let height = 320.0

    /// Well-formed as XML too.
    var html: String {
        let sizes = report.steps.map { NumberText.short(Double($0.collection.faceCount) / 1000) + " k" }
        return Page.html(
            title: "mien evaluate: growth of \(name), \(date)",
            heading: "Growth of \(name)",
            subtitle: "\(sizes.joined(separator: ", ")) faces",
            body: "<div class=\"pair\">\n"
                + GrowthReport.Batch.allCases.map(plot).joined() + "</div>\n"
                + Self.section("Sizes", report.stepTable, [report.timesNote])
                + Self.section("What was found", report.accuracyTable, report.mateRemarks)
                + (report.fitTable.map { Self.section("Fits", $0, [GrowthReport.fitNote]) } ?? "")
                + "<section><h2>What was measured</h2>\n\(Markup.command(command))</section>\n",
            footer: "N is faces. Lines are fits of a · N^b to the medians, dots the medians themselves."
        )
    }

    private static func section(_ title: String, _ table: TextTable, _ notes: [String] = []) -> String {
        "<section><h2>\(title)</h2>\n\(Markup.table(table.titles, table.cells, ofWords: table.leftColumns))"
            + notes.map { "<p>\(Markup.escaped($0))</p>\n" }.joined() + "</section>\n"
    }

    private func plot(_ batch: GrowthReport.Batch) -> String {
        let times = report.steps.flatMap { $0.results.map(batch.milliseconds) }.filter { $0 > 0 }
        let sizes = report.steps.map { Double($0.collection.faceCount) }
        guard let least = times.min(), let greatest = times.max(), let small = sizes.min(), let large = sizes.max()
        else {
            return ""
        }
        var plot = Plot(width: Self.width, height: Self.height, top: 44, hasAxisTitles: true)
        let x = PlotScale.logarithmic(small...max(large, small * 2), from: plot.plotLeft, to: plot.plotRight)
        let y = PlotScale.logarithmic(least...greatest, from: plot.plotBottom, to: plot.plotTop)
        plot.addVerticalAxis(y) { "\(NumberText.short($0)) ms" }
        plot.addHorizontalAxis(x, withGrid: true) {
            $0 >= 1e6 ? "\(NumberText.short($0 / 1e6)) M" : "\(NumberText.short($0 / 1e3)) k"
        }
        plot.addLegend(report.efforts.enumerated().map { (name: "\($1)", style: "o\($0 % 7)") })
        for effort in report.efforts.indices {
            if let law = report.law(effort, batch) {
                plot.addLine(
                    [small, large].map { (x: x.position($0), y: y.position(law.time(size: $0))) },
                    "o\(effort % 7)"
                )
            }
            for step in report.steps {
                let time = batch.milliseconds(step.results[effort])
                plot.addDot(
                    x: x.position(Double(step.collection.faceCount)),
                    y: y.position(time),
                    "key o\(effort % 7)",
                    tip: "\(report.efforts[effort]), \(step.collection.faceCount) faces: "
                        + "\(NumberText.fixed(time, 2)) ms"
                )
            }
        }
        plot.addAxisTitles(horizontal: "faces, N", vertical: "median time")
        return """
            <section><h2>\(Markup.escaped(batch.heading))</h2>
            \(plot.svg("Time against the number of faces"))</section>

            """
    }
}
