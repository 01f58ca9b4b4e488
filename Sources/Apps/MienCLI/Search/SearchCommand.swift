import ArgumentParser
import EmbeddingFiles
import MienClient

struct SearchCommand: ConsoleCommand {
    /// Probes of one request, at most: a photo.
    private static let requestProbeLimit = 100

    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Find the faces most similar to probes.",
        discussion: """
            EXAMPLE
              mien search people --probes probes.npy -k 3 --threshold 0.4
              mien search people --face-id 0b9f2c1e-6d3a-8c41-9a54-3f0c3b7e2d10
              mien search people --probes probes.npy --attribute gate=north
              mien search people --probes probes.npy --created-from 2026-01-31

            A filter leaves out faces before they are ranked, so that -k matches are found among those that pass. \
            All its conditions must hold; --person and --external-id may be repeated for one of several, \
            --attribute for several that must all hold.

            Probes go 100 in a request, and fewer where the answer would be too large: many matches with long metadata.

            With --json, one line for each probe, with what share of the faces its matches are from and which \
            shards are missing, and a last line with the summary: also when a request fails after others were \
            answered. Ends with status 69 when the cluster cannot cover as much as is asked for, which is \
            everything unless --min-coverage is given.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Option(help: ArgumentHelp("File of probes: .npy, .npz, .fvecs or .jsonl.", valueName: "file"))
    var probes: String?
    @Option(
        name: .customLong("face-id"),
        help: ArgumentHelp("Search with this stored face as the probe.", valueName: "id"),
        transform: ArgumentText.faceID
    )
    var faceID: Face.ID?
    @Option(
        name: [.customShort("k"), .customLong("matches")],
        parsing: .unconditional,
        help: "Matches for each probe: 1 to 1000."
    )
    var matchLimit = 10
    @Option(parsing: .unconditional, help: "Least similarity of a match: -1 to 1.")
    var threshold: Float?
    @Option(
        help: ArgumentHelp(
            "How much to visit: exact, full, lists:N or recall:R; recall:0.99 unless given.",
            valueName: "effort"
        ),
        transform: ArgumentText.effort
    )
    var effort = SearchOptions.Effort.recall(0.99)
    @Option(
        name: .customLong("min-coverage"),
        parsing: .unconditional,
        help: "Take an answer that covers at least this share (0 to 1) of the faces."
    )
    var minimumCoverage: Double?
    @Flag(help: "Miss nothing that was acknowledged before, to anybody.")
    var strong = false
    @Option(help: ArgumentHelp("File with the truth of each probe, as 'mien generate' writes it.", valueName: "file"))
    var truth: String?
    @Option(help: "Model that made the probes; the collection's unless given.")
    var model: String?
    @OptionGroup var filter: FilterOptions
    @OptionGroup var connection: ConnectionOptions

    private var options: SearchOptions {
        SearchOptions(
            matchLimit: matchLimit,
            threshold: threshold,
            effort: effort,
            coverage: minimumCoverage.map { .atLeast($0) } ?? .full,
            filter: filter.filter
        )
    }

    func validate() throws {
        guard (probes == nil) != (faceID == nil) else {
            throw ValidationError("Give either --probes or --face-id.")
        }
        guard truth == nil || probes != nil else { throw ValidationError("--truth needs --probes.") }
        if let problem = options.problem { throw ValidationError("The search cannot be done: \(problem).") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let truth = try truth.map { path throws(CommandFailure) in try ProbeTruth(path: path) }
        // A file of probes is not given up for a coordinator that has too much to do at the moment.
        let client = try connection.client(on: console, retryDuration: .seconds(5))
        var report = SearchReport(matchLimit: matchLimit, truth: truth)
        let start = ContinuousClock.now
        var failure: CommandFailure?
        do throws(CommandFailure) {
            if let faceID {
                try await search(faceID, client, &report, console)
            } else if let probes {
                try await search(fileOfProbes: probes, client, &report, console)
            }
        } catch {
            // Without an answer there is nothing to sum up.
            guard report.tally.requestCount > 0 else { throw error }
            failure = error
        }
        let elapsed = ContinuousClock.now - start
        await client.close()
        let summary = SearchSummary(
            tally: report.tally,
            effort: effort,
            matchLimit: matchLimit,
            elapsed: elapsed,
            isComplete: failure == nil
        )
        console.writeOutput(connection.json ? summary.json.line + "\n" : "\n" + summary.text)
        if let partial = summary.partialAnswer { console.warn(partial) }
        if let remark = report.tally.mates.remark { console.warn(remark) }
        if let failure { throw failure }
        let refused = report.tally.rejectedCount
        if refused > 0 { throw CommandFailure(.no, "\(NumberText.counted(refused, "probe")) refused") }
    }

    private func search(
        _ face: Face.ID,
        _ client: MienClient,
        _ report: inout SearchReport,
        _ console: Console
    ) async throws(CommandFailure) {
        let token = try await strong ? latestToken(of: name, client) : nil
        let results = try await calling { () async throws(MienClientError) in
            try await client.search(name, face: face, options: options, after: token)
        }
        let outcomes = results.outcomes.map { (face.description, 0, Self.outcome($0)) }
        console.writeOutput(report.text(outcomes, of: results.coverage, asJSON: connection.json))
        report.count(results)
    }

    private func search(
        fileOfProbes path: String,
        _ client: MienClient,
        _ report: inout SearchReport,
        _ console: Console
    ) async throws(CommandFailure) {
        var reader = try filing { () throws(EmbeddingFileError) in try EmbeddingFile.open(path: path) }
        var probeModel = model
        if probeModel == nil {
            let collection = try await calling { () async throws(MienClientError) in try await client.describe(name) }
            probeModel = collection.options.embeddingModel
            guard collection.options.dimension == reader.dimension else {
                throw CommandFailure(
                    .badData,
                    "\(path) has probes of \(reader.dimension) numbers; the collection \(name) has dimension "
                        + "\(collection.options.dimension)"
                )
            }
        }
        var probeLimit = Self.requestProbeLimit
        while let batch = try filing({ () throws(EmbeddingFileError) in
            try reader.nextBatch(maximumRows: Self.requestProbeLimit)
        }) {
            try await search(
                batch,
                dimension: reader.dimension,
                model: probeModel ?? "",
                probeLimit: &probeLimit,
                client,
                &report,
                console
            )
        }
        if report.tally.probeCount == 0 { throw CommandFailure(.badData, "\(path) holds no probe") }
    }

    /// - Parameter probeLimit: probes of one request; fewer after an answer that would have been too large.
    private func search(
        _ batch: EmbeddingBatch,
        dimension: Int,
        model: String,
        probeLimit: inout Int,
        _ client: MienClient,
        _ report: inout SearchReport,
        _ console: Console
    ) async throws(CommandFailure) {
        let problems = Dictionary(batch.problems.map { ($0.row - batch.firstRow, $0.reason) }) { first, _ in first }
        let readable = (0..<batch.rowCount).filter { problems[$0] == nil }
        let token = try await strong && !readable.isEmpty ? latestToken(of: name, client) : nil
        var remaining = readable[...]
        var firstOffset = 0
        repeat {
            let asked = remaining.prefix(probeLimit)
            var results: SearchResults?
            if !asked.isEmpty {
                let values = asked.flatMap { batch.values[$0 * dimension..<($0 + 1) * dimension] }
                do throws(MienClientError) {
                    results = try await client.search(
                        name,
                        probes: Embeddings(dimension: dimension, values: values),
                        model: model,
                        options: options,
                        after: token
                    )
                } catch {
                    guard error.code == .limitExceeded, asked.count > 1 else { throw CommandFailure(error) }
                    // An answer of fewer probes has room in a frame.
                    probeLimit = (asked.count + 1) / 2
                    continue
                }
            }
            remaining = remaining.dropFirst(asked.count)
            // Rows that could not be read are told of where they stand.
            let endOffset = remaining.first ?? batch.rowCount
            var outcomes = (firstOffset..<endOffset).compactMap { offset in
                problems[offset].map { Self.told(batch.firstRow + offset, .rejected($0)) }
            }
            if let results {
                report.count(results)
                for (offset, outcome) in zip(asked, results.outcomes) {
                    outcomes.append(Self.told(batch.firstRow + offset, Self.outcome(outcome)))
                }
            }
            firstOffset = endOffset
            outcomes.sort { $0.number < $1.number }
            console.writeOutput(report.text(outcomes, of: results?.coverage, asJSON: connection.json))
        } while !remaining.isEmpty
    }

    private static func told(
        _ row: Int,
        _ outcome: SearchReport.ProbeOutcome
    ) -> (probe: String, number: Int, outcome: SearchReport.ProbeOutcome) {
        ("\(row)", row, outcome)
    }

    private static func outcome(_ outcome: SearchResults.Outcome) -> SearchReport.ProbeOutcome {
        switch outcome {
        case .matches(let matches): .matches(matches)
        case .rejected(let refusal): .rejected(refusal.description)
        }
    }
}
