import ArgumentParser
import MienClient

struct FaceListCommand: ConsoleCommand {
    /// How long a page of the whole list is asked for again while the cluster is away for a moment.
    private static let retryDuration = Duration.seconds(30)

    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the faces of a collection, shard after shard.",
        discussion: """
            EXAMPLE
              mien face list people --limit 5

            With --json, one line for each face. A warning tells of faces that were given up. A list that was cut off \
            ends with another status than 0; in a pipe of bash only 'set -o pipefail' shows that. Where the collection \
            is deleted meanwhile, and another gets its name, the status is 1.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Option(parsing: .unconditional, help: "Faces to list: 1 or more.")
    var limit = 20
    @Flag(help: "List every face.")
    var all = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard limit > 0 else { throw ValidationError("--limit must be at least 1.") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console, retryDuration: all ? Self.retryDuration : .zero)
        let wanted = all ? Int.max : limit
        var listed = 0
        var pages = client.allFaces(in: name, pageLimit: min(wanted, 1000)).makeAsyncIterator()
        while listed < wanted {
            let page: [Face]?
            do throws(MienClientError) { page = try await pages.next() } catch {
                var failure = CommandFailure(error)
                // Pages after the first are refused so when another collection has the name.
                if error.code == .invalidRequest, listed > 0 { failure.status = .no }
                throw failure
            }
            guard let page else { break }
            let faces = page.prefix(wanted - listed)
            if connection.json {
                for face in faces { console.line(FaceReport.json(face).line) }
            } else {
                console.writeOutput(FaceReport.table(faces, withTitles: listed == 0))
            }
            listed += faces.count
        }
        if listed == 0, !connection.json { console.line("The collection \(name) is empty.") }
        if pages.hasLoss { console.warn(FaceReport.loss(of: name)) }
        await client.close()
    }
}
