import ArgumentParser
import MienClient

struct CollectionDeleteCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete a collection and all its faces.",
        discussion: """
            EXAMPLE
              mien collection delete people --yes

            Without --yes the name has to be typed once more.

            Waits for some seconds until the workers have dropped it. Those that have not, or are silent, are named: a \
            coordinator that is cut off from the metadata store may go on answering from them, and taking faces into \
            them, until they are heard of again. The collection is deleted all the same.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Flag(help: "Do not ask.")
    var yes = false
    @OptionGroup var connection: ConnectionOptions

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console)
        var id: String?
        if !yes {
            let collection = try await calling { () async throws(MienClientError) in try await client.describe(name) }
            id = collection.id
            let faces = NumberText.counted(collection.faceCount, "face")
            console.writeError("This deletes \(faces) for ever. Type the collection's name to go on: ")
            guard console.readLine() == name else {
                throw CommandFailure(.no, "nothing was deleted, because another name was typed")
            }
        }
        let shown = id
        let deletion = try await calling { () async throws(MienClientError) in
            try await client.deleteCollection(name, id: shown)
        }
        let workers = deletion.unconfirmedWorkers
        // An earlier try of this deleted it, and its answer was lost.
        let wasHeard = deletion.faceCount != nil
        if connection.json {
            let deleted = deletion.faceCount.map { JSONValue.count($0) } ?? .null
            console.writeOutput(
                JSONValue.object([
                    ("name", .string(name)), ("faces_deleted", deleted),
                    ("unconfirmed_workers", wasHeard ? .array(workers.map { .string($0.id) }) : .null),
                ]).document
            )
        } else {
            let faces = deletion.faceCount.map { " and its " + NumberText.counted($0, "face") } ?? ""
            console.line("Deleted the collection \(name)\(faces).")
        }
        if !wasHeard {
            console.warn(
                "an earlier try deleted it, and its answer was lost: 'mien status' tells of workers that are silent, "
                    + "which may have what they had of \(name)"
            )
        }
        if !workers.isEmpty {
            let names = workers.map { $0.address ?? $0.id }.joined(separator: ", ")
            let have = workers.count == 1 ? "has" : "have"
            console.warn(
                "nobody has heard that what \(names) \(have) of \(name) is dropped: until that is said, a coordinator "
                    + "that is cut off from the metadata store may go on answering from it, and taking faces into it"
            )
        }
        await client.close()
    }
}
