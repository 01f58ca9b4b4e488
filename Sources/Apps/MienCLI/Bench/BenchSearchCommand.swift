import ArgumentParser
import EmbeddingFiles
import MienClient

struct BenchSearchCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Compare an effort with exact search: time, and mates missed.",
        discussion: """
            EXAMPLE
              mien bench search people --probes gallery/probes.npy --truth gallery/probe-truth.jsonl

            Times single probes and photos of 100, exact and the effort in turn. A mate counts when exact \
            search ranks it first; it is missed when the effort does not find it among ten matches.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Option(help: ArgumentHelp("File of probes.", valueName: "file"))
    var probes: String
    @Option(help: ArgumentHelp("File with the truth of each probe, as 'mien generate' writes it.", valueName: "file"))
    var truth: String
    @Option(
        help: ArgumentHelp("Effort to compare with exact.", valueName: "effort"),
        transform: ArgumentText.effort
    )
    var effort = SearchOptions.Effort.recall(0.99)
    @Option(help: "Pairs of single-probe searches.")
    var singles = 60
    @Option(help: "Pairs of photo searches.")
    var photos = 7
    @OptionGroup var connection: ConnectionOptions

    private static let photoProbeCount = 100

    func validate() throws {
        guard singles > 0, photos > 0 else { throw ValidationError("--singles and --photos must be at least 1.") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let truth = try ProbeTruth(path: truth)
        let client = try connection.client(on: console)
        let collection = try await calling { () async throws(MienClientError) in try await client.describe(name) }
        let bench = SearchBench(
            client: client,
            collection: name,
            model: collection.options.embeddingModel,
            dimension: collection.options.dimension,
            probes: try readProbes(collection.options.dimension)
        )
        guard bench.probeCount >= Self.photoProbeCount else {
            throw CommandFailure(
                .badData,
                "\(probes) has \(bench.probeCount) probes; a photo needs \(Self.photoProbeCount)"
            )
        }
        let single = try await bench.times(effort, pairs: singles, probesPerSearch: 1)
        let photo = try await bench.times(effort, pairs: photos, probesPerSearch: Self.photoProbeCount)
        let bands = try await bench.misses(effort, truth: truth, photo: Self.photoProbeCount)
        await client.close()
        let report = SearchBenchReport(
            collection: collection,
            effort: effort,
            single: single,
            photo: photo,
            bands: bands
        )
        console.writeOutput(connection.json ? report.json.document : report.text)
    }

    private func readProbes(_ dimension: Int) throws(CommandFailure) -> [Float] {
        var values: [Float] = []
        var reader = try filing { () throws(EmbeddingFileError) in try EmbeddingFile.open(path: probes) }
        guard reader.dimension == dimension else {
            throw CommandFailure(.badData, "\(probes) has dimension \(reader.dimension), the collection \(dimension)")
        }
        while let batch = try filing({ () throws(EmbeddingFileError) in try reader.nextBatch(maximumRows: 1000) }) {
            values.append(contentsOf: batch.values)
        }
        return values
    }
}
