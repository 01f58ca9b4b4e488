import ArgumentParser
import Foundation
import LoadGenerator

struct LoadMergeCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Make one report of those of several processes.",
        discussion: """
            EXAMPLE
              mien load merge a.json b.json --report both.html

            The reports must be of loads of one length against one collection at the same time, each written \
            with --json-file. Histograms add up without loss.
            """
    )

    @Argument(help: ArgumentHelp("Reports, as --json-file wrote them.", valueName: "file"))
    var files: [String]
    @OptionGroup var output: LoadOutputOptions
    @Flag(help: "Write JSON for programs.")
    var json = false

    func run(on console: Console) async throws(CommandFailure) {
        var reports: [LoadReport] = []
        for file in files { reports.append(try Self.read(file)) }
        let merged: LoadReport
        do throws(LoadTextError) {
            merged = try LoadReport.merged(reports)
        } catch {
            throw CommandFailure(.badData, error.description)
        }
        try output.finish(merged, asJSON: json, console)
    }

    static func read(_ file: String) throws(CommandFailure) -> LoadReport {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw CommandFailure(.fileSystem, "\(file) cannot be read")
        }
        do throws(LoadTextError) {
            return try LoadReport(json: data)
        } catch {
            throw CommandFailure(.badData, "\(file): \(error)")
        }
    }
}
