import ArgumentParser
import EmbeddingFiles
import MienClient

enum ExportFormat: String, CaseIterable, ExpressibleByArgument {
    case npy
    case jsonLines = "jsonl"
}

struct ExportCommand: ConsoleCommand {
    /// How long a page is asked for again while the cluster is away for a moment.
    private static let retryDuration = Duration.seconds(60)

    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write the faces of a collection to files that 'mien import' reads.",
        discussion: """
            EXAMPLE
              mien export people people.jsonl
              mien export people folder --format npy

            JSON Lines hold everything that is stored of a face. The npy format is a folder with \
            embeddings.npy, ids.txt, persons.txt, external-ids.txt and metadata.jsonl. What is written appears \
            whole or not at all, and nothing is written over. Nobody but their owner may read the files. Faces \
            written during the export may or may not be in it. Where the collection is deleted meanwhile, and another \
            gets its name, nothing is written and the status is 1.

            What is not whole is beside the path, as people.jsonl.<digits>.partial. One that was left behind, which \
            nothing was written to for an hour, is removed by the next export to the same path.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: ArgumentHelp("File (jsonl) or folder (npy) to write.", valueName: "path"))
    var path: String
    @Option(help: "npy or jsonl; jsonl for a path that ends in .jsonl, otherwise npy.")
    var format: ExportFormat?
    @OptionGroup var connection: ConnectionOptions

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console, bearing: Self.retryDuration)
        let collection = try await calling { () async throws(MienClientError) in try await client.describe(name) }
        var file: any FaceExport
        switch format ?? (path.hasSuffix(".jsonl") ? .jsonLines : .npy) {
        case .jsonLines: file = try JSONLinesExport(path: path, model: collection.options.embeddingModel)
        case .npy: file = try NpyExport(path: path, dimension: collection.options.dimension)
        }
        var line = ProgressLine(console: console, noun: "faces", total: Int(clamping: collection.faceCount))
        var faceCount = 0
        var hasLoss = false
        do throws(CommandFailure) {
            var pages = client.allFaces(in: name, includesEmbeddings: true).makeAsyncIterator()
            while true {
                let page: [Face]?
                do throws(MienClientError) { page = try await pages.next() } catch {
                    // Pages are refused so when another collection has the name.
                    if error.code == .invalidRequest { try await collection.checkHasName(client) }
                    throw CommandFailure(error)
                }
                guard let page else { break }
                for face in page { try file.append(face) }
                faceCount += page.count
                line.update(done: faceCount)
            }
            hasLoss = pages.hasLoss
            line.clear()
            try await collection.checkHasName(client)
            try file.finish()
        } catch {
            line.clear()
            file.discard()
            throw error
        }
        await client.close()
        if connection.json {
            let document = JSONValue.object([
                ("collection", .string(name)), ("faces", .count(faceCount)), ("path", .string(path)),
                ("has_loss", .flag(hasLoss)),
            ])
            console.writeOutput(document.document)
        } else {
            console.line("Exported \(NumberText.counted(faceCount, "face")) of \(name) to \(path).")
        }
        if hasLoss { console.warn(FaceReport.loss(of: name)) }
    }
}
