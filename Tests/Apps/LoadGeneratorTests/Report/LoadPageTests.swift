import Foundation
import FoundationXML
import LoadGenerator
import Testing

@Suite struct LoadPageTests {
    /// Reads a page as XML, and keeps what a reader would see.
    private final class Reader: NSObject, XMLParserDelegate {
        var elements: [String: Int] = [:]
        var text = ""
        var paths: [String] = []

        func parser(
            _ parser: XMLParser,
            didStartElement name: String,
            namespaceURI: String?,
            qualifiedName: String?,
            attributes: [String: String]
        ) {
            elements[name, default: 0] += 1
            if let path = attributes["d"] { paths.append(path) }
        }

        func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
    }

    private static func read(_ report: LoadReport) throws -> Reader {
        let parser = XMLParser(data: Data(LoadPage(report).html.utf8))
        let reader = Reader()
        parser.delegate = reader
        let isWellFormed = parser.parse()
        try #require(isWellFormed, "\(parser.parserError.map { "\($0)" } ?? "") in line \(parser.lineNumber)")
        return reader
    }

    @Test func thePageIsWellFormedAndHasEveryPart() throws {
        let report = try SampleReport.make()
        let page = try Self.read(report)
        #expect(page.elements["svg"] == 6)
        #expect(page.elements["script"] == nil && page.elements["link"] == nil && page.elements["img"] == nil)
        for part in [
            "Every answer was true", "worker 2 killed", "Latency over time", "Calls over time", "Rates that were tried",
            "A <fast> processor", "mien load people --mix 'search=80 & <more>'", "512 lists", "seed 1",
        ] {
            #expect(page.text.contains(part), "\(part) is missing")
        }
        #expect(page.paths.allSatisfy { !$0.contains("nan") && !$0.contains("inf") })
    }

    @Test func untrueAnswersAreShownAsSuch() throws {
        var report = try SampleReport.make()
        report.truth.findings.add(.lost, "face <1> & others")
        let page = try Self.read(report)
        #expect(page.text.contains("Not every answer was true"))
        #expect(page.text.contains("lost: face <1> & others"))
        #expect(LoadPage(report).html.contains("class=\"verdict bad\""))
    }

    @Test func aLoadWithoutASingleAnswerHasAPageToo() throws {
        var report = try SampleReport.make()
        report.totals = [:]
        report.truth = TruthReport()
        report.series = LoadSeries(window: .seconds(1), warmUp: .zero)
        report.faults = []
        report.ramp = nil
        let page = try Self.read(report)
        #expect(page.elements["svg"] == 3)
        #expect(page.text.contains("No search was answered, so nothing is known") && report.verdict == .unanswered)
        #expect(LoadPage(report).html.contains("class=\"verdict bad\""))
        #expect(report.text.contains("NO SEARCH WAS ANSWERED: 0 lost"))
        #expect(page.paths.allSatisfy { !$0.contains("nan") && !$0.contains("inf") })
    }

    @Test func aVeryLongLoadHasAPageOfBoundedSize() throws {
        var report = try SampleReport.make()
        var series = LoadSeries(window: .seconds(96), warmUp: .zero)
        for window in 0..<900 {
            for operation in LoadOperation.allCases {
                series.record(operation, .ok, at: .seconds(96 * window + 1), .milliseconds(window + 1))
            }
        }
        report.series = series
        report.load.durationSeconds = 86_400
        #expect(LoadPage(report).html.utf8.count < 2_000_000)
        _ = try Self.read(report)
    }
}
