import ArgumentParser
import Foundation
import LoadGenerator

/// Where the report of a load goes besides the terminal.
struct LoadOutputOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Write a page with plots: one HTML file.", valueName: "file"))
    var report: String?
    @Option(help: ArgumentHelp("Write the report as JSON, for programs and 'mien load merge'.", valueName: "file"))
    var jsonFile: String?

    /// Writes what is asked for, and shows the report.
    ///
    /// - Throws: also when the answers were not true or the objective was not met.
    func finish(_ report: LoadReport, asJSON: Bool, _ console: Console) throws(CommandFailure) {
        let json: Data
        do {
            json = try report.json
        } catch {
            throw CommandFailure(.internalError, "the report cannot be written as JSON: \(error)")
        }
        if let jsonFile { try ReportFile.write(json, to: jsonFile) }
        if let path = self.report { try ReportFile.write(Data(LoadPage(report).html.utf8), to: path) }
        console.writeOutput(asJSON ? String(decoding: json, as: UTF8.self) + "\n" : report.text)
        let places = [self.report, jsonFile].compactMap(\.self)
        if !places.isEmpty, !asJSON { console.line("\nReport in \(places.joined(separator: " and "))") }
        switch report.verdict {
        case .untrue:
            throw CommandFailure(.no, "\(NumberText.counted(report.truth.findings.totalCount, "answer")) not true")
        case .unanswered:
            throw CommandFailure(
                .unavailable,
                "no search was answered, so nothing is known of the answers; see why in the table, and ask for less, "
                    + "or allow more time with --deadline"
            )
        case .unchecked: throw CommandFailure(.unavailable, "not all that was written could be checked")
        case .sound: break
        }
        if report.objectiveIsMet == false { throw CommandFailure(.no, "the objective was not met") }
    }
}
