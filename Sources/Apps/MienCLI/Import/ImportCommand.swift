import ArgumentParser
import EmbeddingFiles
import MienClient

struct ImportCommand: ConsoleCommand {
    /// How long a batch is sent again while the cluster is away for a moment.
    private static let retryDuration = Duration.seconds(60)

    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Enrol the faces of a file: .npy, .npz, .fvecs or JSON Lines.",
        discussion: """
            EXAMPLE
              mien import people --embeddings faces.npy --ids ids.txt --persons persons.txt
              mien import people --embeddings faces.jsonl --report refused.jsonl

            Labels are text files with one label per line and no heading, or .npy arrays. Ids are UUIDs or whole \
            numbers; rows without ids get one made of their number and content, so that the same file imported twice, \
            or again after an interruption, ends in the same collection. A bad row is told of and the rest \
            goes on; the command then ends with status 1.

            JSON Lines hold one face per line:

              {"id":7,"embedding":[0.12,-0.5],"person":"alice","attributes":{"gate":"4"}}

            Keys; all but embedding may be left out, and no others are taken:
              embedding     as many numbers as the collection's dimension
              id            UUID or whole number, as in --ids
              person        person id
              external_id   your own name of the image
              image_id      id of the image that the face was found in
              bounding_box  [left, top, width, height] as shares of the image
              quality       number
              confidence    number
              created       time: 2026-01-31T12:00:00Z, or seconds since 1970
              expires       time
              attributes    object of strings
              model         model that made the embedding; must be the collection's
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Option(help: ArgumentHelp("File of embeddings: .npy, .npz, .fvecs or .jsonl.", valueName: "file"))
    var embeddings: String
    @Option(help: ArgumentHelp("Array of a .npz archive, where it has several.", valueName: "array"))
    var array: String?
    @Option(help: ArgumentHelp("Id of each row.", valueName: "file"))
    var ids: String?
    @Option(help: ArgumentHelp("Person id of each row; a blank line for none.", valueName: "file"))
    var persons: String?
    @Option(
        name: .customLong("external-ids"),
        help: ArgumentHelp("Your own name of each row's image.", valueName: "file")
    )
    var externalIDs: String?
    @Option(help: "Model that made the embeddings; the collection's unless given.")
    var model: String?
    @Option(parsing: .unconditional, help: ArgumentHelp("Begin at this row, counted from 0.", valueName: "row"))
    var fromRow = 0
    @Option(
        help: ArgumentHelp(
            "File for every refused row, as JSON Lines; with --from-row they are added to what is there, which may "
                + "have some of them already.",
            valueName: "file"
        )
    )
    var report: String?
    @Option(
        name: .customLong("batch"),
        parsing: .unconditional,
        help: ArgumentHelp("Rows of one request.", valueName: "rows")
    )
    var batchRowCount = 1000
    @Option(
        name: .customLong("in-flight"),
        parsing: .unconditional,
        help: ArgumentHelp("Requests under way at once.", valueName: "count")
    )
    var inFlightLimit = 4
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard fromRow >= 0 else { throw ValidationError("--from-row must not be negative.") }
        guard (1...4096).contains(batchRowCount) else { throw ValidationError("--batch must be from 1 to 4096.") }
        guard (1...64).contains(inFlightLimit) else { throw ValidationError("--in-flight must be from 1 to 64.") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console, bearing: Self.retryDuration)
        let collection = try await calling { () async throws(MienClientError) in
            try await client.with(calls: .init(timeout: .seconds(connection.timeout), retryDuration: .zero))
                .describe(name)
        }
        let model = model ?? collection.options.embeddingModel
        var rows = try open(model: model, dimension: collection.options.dimension)
        var rejections = try RejectionReport(
            console: console,
            path: report,
            appends: fromRow > 0,
            inputs: [files.embeddings] + files.labels
        )
        let start = ContinuousClock.now
        var line = ProgressLine(console: console, noun: "rows", total: rows.rowCount.map { max(0, $0 - fromRow) })
        let importer = Importer(
            client: client,
            collection: name,
            model: model,
            batchRowCount: batchRowCount,
            inFlightLimit: inFlightLimit
        )
        let tally: ImportTally
        do throws(Importer.Interruption) {
            tally = try await importer.run(&rows) {
                line.update(done: $0)
            } refused: { refusals throws(CommandFailure) in
                if rejections.showsNext { line.clear() }
                try rejections.add(refusals)
            }
        } catch {
            line.clear()
            // What stopped the import is told first, which may be the report's own failure.
            let unfinished = Self.failure { () throws(CommandFailure) in try rejections.finish() }
            var message = error.failure.message
            if let unfinished, unfinished != error.failure { message += "\n" + unfinished.message }
            throw CommandFailure(
                error.failure.status,
                "\(message)\nthe import stopped; go on with --from-row "
                    + "\(max(fromRow, error.firstUnknownRow)), or run the same command again, which stores "
                    + "nothing twice"
            )
        }
        line.clear()
        await client.close()
        let unfinished = Self.failure { () throws(CommandFailure) in try rejections.finish() }
        let elapsed = ContinuousClock.now - start
        console.writeOutput(
            connection.json
                ? tally.json(collection: name, elapsed: elapsed).document
                : tally.text(collection: name, elapsed: elapsed)
        )
        // What is stored is told all the same.
        if let unfinished { throw unfinished }
        guard tally.rejected > 0 else { return }
        let refused = "\(NumberText.counted(tally.rejected, "row")) refused"
        throw CommandFailure(
            .no,
            tally.rejected < tally.rowCount ? refused : "\(embeddings) has no row that can be imported: \(refused)"
        )
    }

    private var files: FaceFiles {
        FaceFiles(embeddings: embeddings, member: array, ids: ids, persons: persons, externalIDs: externalIDs)
    }

    private static func failure(_ body: () throws(CommandFailure) -> Void) -> CommandFailure? {
        do throws(CommandFailure) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    private func open(model: String, dimension: Int) throws(CommandFailure) -> FaceRows {
        var rows = try filing { () throws(EmbeddingFileError) in try FaceRows(files, model: model, dimension: dimension)
        }
        guard rows.dimension == dimension else {
            throw CommandFailure(
                .badData,
                "\(embeddings) has rows of \(rows.dimension) numbers; the collection \(name) has dimension \(dimension)"
            )
        }
        if fromRow > 0 { try filing { () throws(EmbeddingFileError) in try rows.skip(toRow: fromRow) } }
        return rows
    }
}
