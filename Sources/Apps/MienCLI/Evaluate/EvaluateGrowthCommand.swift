import ArgumentParser
import EmbeddingFiles
import Foundation
import MienClient

struct EvaluateGrowthCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "growth",
        abstract: "Let a new collection grow, and measure times and misses at several sizes.",
        discussion: """
            EXAMPLE
              mien evaluate growth trial --gallery gallery --faces 100000 --faces 300000 --faces 1000000
              mien evaluate growth trial --embeddings mine.npy --persons mine.txt --probes probes.npy \
                --probe-persons probes.txt --faces 100000 --faces 300000

            Creates the collection, enrols the gallery up to each size in turn, waits until what was enrolled is in \
            lists (finalisation), and evaluates; then fits a · N^b to the times and says at which N a time is \
            reached; N is faces, the persons of the labels are told beside it. The collection is deleted at the end \
            unless --keep is given. The gallery is a folder as 'mien generate' writes it, or files of yours: \
            embeddings and probes (.npy, .npz, .fvecs), the person of each (a text file, a blank line for nobody, \
            or an array), and ids if you like. Probes must not be among the embeddings. A probe is mated at a size \
            when its person is among the faces by then.
            """
    )

    @Argument(help: "Name of the collection, which must not exist.")
    var name: String
    @Option(help: ArgumentHelp("Folder of the gallery, as 'mien generate' writes it.", valueName: "folder"))
    var gallery: String?
    @Option(help: ArgumentHelp("Embeddings to enrol, without a gallery.", valueName: "file"))
    var embeddings: String?
    @Option(help: ArgumentHelp("Person of each embedding.", valueName: "file"))
    var persons: String?
    @Option(help: ArgumentHelp("Id of each embedding; made of its number and content unless given.", valueName: "file"))
    var ids: String?
    @Option(help: ArgumentHelp("Probes, without a gallery.", valueName: "file"))
    var probes: String?
    @Option(help: ArgumentHelp("Person of each probe; a blank line for nobody.", valueName: "file"))
    var probePersons: String?
    @Option(parsing: .unconditionalSingleValue, help: "A number of faces to evaluate at; repeated for each.")
    var faces: [Int] = []
    @Option(help: "Shards of the collection.")
    var shards: Int = 1
    @Option(help: ArgumentHelp("Milliseconds whose N is told; may be repeated.", valueName: "milliseconds"))
    var within: [Double] = [10, 100]
    @Option(help: ArgumentHelp("Longest wait for the index at each size, in seconds.", valueName: "seconds"))
    var settle: Double = 1800
    @Option(
        help: ArgumentHelp("How long the index must have stayed the same to count as ready.", valueName: "seconds")
    )
    var steady: Double = 8
    @Flag(help: "Leave the collection at the end.")
    var keep = false
    @Option(help: ArgumentHelp("Write a page with plots: one HTML file.", valueName: "file"))
    var report: String?
    @OptionGroup var evaluation: EvaluationOptions
    @OptionGroup var connection: ConnectionOptions

    private static let model = "evaluation"

    func validate() throws {
        let own = [embeddings, persons, probes, probePersons]
        guard gallery == nil ? !own.contains(nil) : (own + [ids]).allSatisfy({ $0 == nil }) else {
            throw ValidationError(
                "Give either --gallery, or --embeddings, --persons, --probes and --probe-persons."
            )
        }
        guard !faces.isEmpty, faces == Array(Set(faces)).sorted(), faces[0] > 0 else {
            throw ValidationError("--faces must be given for each size, smallest first, each once.")
        }
        guard within.allSatisfy({ $0 > 0 && $0 <= 604_800_000 }) else {
            throw ValidationError("--within must be above 0 and at most 604800000 milliseconds.")
        }
        guard steady >= 0, steady <= settle else {
            throw ValidationError("--steady must be from 0 to --settle.")
        }
        guard settle > 0, settle <= 604_800 else { throw ValidationError("--settle must be from 0 to 604800 seconds.") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let files = faceFiles
        let probes = try ProbeSet(path: probes ?? "\(gallery ?? ".")/probes.npy", dimension: nil)
        let truth = try readTruth(of: probes)
        let rows = try filing { () throws(EmbeddingFileError) in
            try FaceRows(files, model: Self.model, dimension: probes.dimension)
        }
        guard rows.dimension == probes.dimension, rows.rowCount ?? .max >= faces.last ?? 0 else {
            throw CommandFailure(
                .badData,
                "\(files.embeddings) has \(rows.rowCount ?? 0) rows of dimension \(rows.dimension); "
                    + "\(faces.last ?? 0) of dimension \(probes.dimension) are needed"
            )
        }
        let client = try connection.client(on: console, bearing: .seconds(60))
        _ = try await calling { () async throws(MienClientError) in
            try await client.createCollection(
                CollectionOptions(
                    name: name,
                    dimension: probes.dimension,
                    embeddingModel: Self.model,
                    shardCount: shards
                )
            )
        }
        let outcome: Result<GrowthReport, CommandFailure>
        do throws(CommandFailure) {
            outcome = .success(try await grow(rows, persons: files.persons, probes, truth, client, console))
        } catch {
            outcome = .failure(error)
        }
        if !keep {
            try await calling { () async throws(MienClientError) in _ = try await client.deleteCollection(name) }
        }
        await client.close()
        let growth = try outcome.get()
        if let report {
            let page = GrowthPage(
                report: growth,
                name: name,
                command: EvaluationOptions.commandLine,
                date: TimeText.now
            )
            try ReportFile.write(Data(page.html.utf8), to: report)
        }
        console.writeOutput(connection.json ? growth.json.document : growth.text)
    }

    private var faceFiles: FaceFiles {
        guard let gallery else { return FaceFiles(embeddings: embeddings ?? "", ids: ids, persons: persons) }
        return FaceFiles(
            embeddings: "\(gallery)/embeddings.npy",
            ids: "\(gallery)/ids.txt",
            persons: "\(gallery)/persons.txt"
        )
    }

    private func readTruth(of probes: ProbeSet) throws(CommandFailure) -> ProbeTruth {
        if let gallery { return try ProbeTruth(path: "\(gallery)/probe-truth.jsonl") }
        return try ProbeTruth(personsFile: probePersons ?? "", probeCount: probes.count)
    }

    private func grow(
        _ rows: FaceRows,
        persons: String?,
        _ probes: ProbeSet,
        _ truth: ProbeTruth,
        _ client: MienClient,
        _ console: Console
    ) async throws(CommandFailure) -> GrowthReport {
        var rows = rows
        var report = GrowthReport(
            matchLimit: evaluation.matchLimit,
            limits: within.map { .milliseconds($0) },
            timesNote: evaluation.timesNote(probeCount: probes.count)
        )
        var enrolled = PersonCount()
        var labels: LabelReader?
        if let persons {
            labels = try filing { () throws(EmbeddingFileError) in
                try LabelReader(path: persons, expectedRowCount: rows.rowCount)
            }
        }
        for faceCount in faces {
            let first = rows.nextRow
            let start = ContinuousClock.now
            try await enrol(&rows, upTo: faceCount, client, console)
            let importTime = ContinuousClock.now - start
            for label in try filing({ () throws(EmbeddingFileError) in try labels?.next(faceCount - first) ?? [] }) {
                enrolled.add(label)
            }
            let wait = IndexWait(
                steadyTime: .seconds(steady),
                limit: .seconds(settle),
                advice: "give it longer with --settle"
            )
            let (collection, finalisationTime) = try await wait.run(for: name, client)
            let run = Evaluation(
                client: client,
                collection: collection,
                probes: probes,
                truth: truth.limited(toPersons: enrolled.all),
                options: evaluation
            )
            var line = ProgressLine(console: console, noun: "probes", total: probes.count)
            defer { line.clear() }
            report.steps.append(
                GrowthReport.Step(
                    collection: collection,
                    persons: enrolled,
                    importRate: Double(faceCount - first) / NumberText.seconds(importTime),
                    finalisationTime: finalisationTime,
                    results: try await run.run { done, _ in line.update(done: done) }
                )
            )
        }
        return report
    }

    private func enrol(
        _ rows: inout FaceRows,
        upTo faceCount: Int,
        _ client: MienClient,
        _ console: Console
    ) async throws(CommandFailure) {
        var line = ProgressLine(console: console, noun: "faces", total: faceCount - rows.nextRow)
        defer { line.clear() }
        let importer = Importer(
            client: client,
            collection: name,
            model: Self.model,
            batchRowCount: 1000,
            inFlightLimit: 4,
            endRow: faceCount
        )
        do throws(Importer.Interruption) {
            _ = try await importer.run(&rows) {
                line.update(done: $0)
            } refused: { refusals throws(CommandFailure) in
                guard let (row, reason) = refusals.first else { return }
                throw CommandFailure(.badData, "\(faceFiles.embeddings) row \(row) is refused: \(reason)")
            }
        } catch {
            throw error.failure
        }
    }
}
