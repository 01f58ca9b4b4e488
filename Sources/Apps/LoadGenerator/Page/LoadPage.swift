/// A report as one HTML file that needs nothing else.
package struct LoadPage {
    private let report: LoadReport

    package init(_ report: LoadReport) {
        self.report = report
    }

    package var html: String { "<html><body><pre>\(report.text)</pre></body></html>\n" }
}
