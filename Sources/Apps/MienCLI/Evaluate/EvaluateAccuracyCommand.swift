import ArgumentParser
import Foundation
import MienClient

struct EvaluateAccuracyCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "accuracy",
        abstract: "Error rates of a collection's searches, and what each effort costs and misses.",
        discussion: """
            EXAMPLE
              mien evaluate accuracy people --probes gallery/probes.npy --truth gallery/probe-truth.jsonl
              mien evaluate accuracy people --probes mine.npy --probe-persons mine.txt --effort recall:0.99

            Searches every probe with exact and with each effort in turn. Thresholds are those that exact search \
            needs for an FPIR of 0.003 and 0.001, so that efforts differ by what the index misses and by nothing \
            else; a probe of nobody who is enrolled is needed for each false positive that a rate allows, 1000 \
            for 0.001. N is the number of faces; the persons that they are of are told beside it, as far as the \
            collection names them. Without --truth, probes of persons that the collection does not hold are nonmated.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Option(help: ArgumentHelp("File of probes: .npy, .npz, .fvecs or .jsonl.", valueName: "file"))
    var probes: String
    @Option(help: ArgumentHelp("File with the truth of each probe, as 'mien generate' writes it.", valueName: "file"))
    var truth: String?
    @Option(help: ArgumentHelp("Person id of each probe; a blank line for nobody.", valueName: "file"))
    var probePersons: String?
    @Option(help: ArgumentHelp("Write a page with plots: one HTML file.", valueName: "file"))
    var report: String?
    @OptionGroup var evaluation: EvaluationOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard (truth == nil) != (probePersons == nil) else {
            throw ValidationError("Give either --truth or --probe-persons.")
        }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console)
        let collection = try await calling { () async throws(MienClientError) in try await client.describe(name) }
        guard collection.faceCount > 0 else { throw CommandFailure(.badData, "the collection \(name) holds no face") }
        let probes = try ProbeSet(path: probes, dimension: collection.options.dimension)
        let truth = try await readTruth(probes, collection, client)
        var line = ProgressLine(console: console, noun: "probes", total: probes.count)
        let run = Evaluation(
            client: client,
            collection: collection,
            probes: probes,
            truth: truth,
            options: evaluation
        )
        let results: [EffortResult]
        do throws(CommandFailure) {
            results = try await run.run { done, _ in line.update(done: done) }
        } catch {
            line.clear()
            throw error
        }
        line.clear()
        // After the searches, whose times should not depend on it.
        let persons = try await PersonCount.reading(name, client)
        await client.close()
        let accuracy = AccuracyReport(
            collection: collection,
            persons: persons,
            matchLimit: evaluation.matchLimit,
            timesNote: evaluation.timesNote(probeCount: probes.count),
            results: results
        )
        if let report {
            let page = AccuracyPage(report: accuracy, command: EvaluationOptions.commandLine, date: TimeText.now)
            try ReportFile.write(Data(page.html.utf8), to: report)
        }
        console.writeOutput(connection.json ? accuracy.json.document : accuracy.text)
    }

    private func readTruth(
        _ probes: ProbeSet,
        _ collection: CollectionInfo,
        _ client: MienClient
    ) async throws(CommandFailure) -> ProbeTruth {
        if let truth { return try ProbeTruth(path: truth) }
        let named = try ProbeTruth(personsFile: probePersons ?? "", probeCount: probes.count)
        var enrolled: Set<String> = []
        for person in named.persons {
            let first = try await calling { () async throws(MienClientError) in
                try await client.search(
                    name,
                    probes: probes[0..<1],
                    model: collection.options.embeddingModel,
                    options: SearchOptions(
                        matchLimit: 1,
                        effort: .exact,
                        filter: SearchOptions.Filter(personIDs: [person])
                    )
                )
            }
            if case .matches(let matches)? = first.outcomes.first, !matches.isEmpty { enrolled.insert(person) }
        }
        return named.limited(toPersons: enrolled)
    }
}
