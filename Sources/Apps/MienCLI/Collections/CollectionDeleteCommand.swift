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
        let faceCount = try await calling { () async throws(MienClientError) in
            try await client.deleteCollection(name, id: shown)
        }
        if connection.json {
            let deleted = faceCount.map { JSONValue.count($0) } ?? .null
            console.writeOutput(JSONValue.object([("name", .string(name)), ("faces_deleted", deleted)]).document)
        } else {
            let faces = faceCount.map { " and its " + NumberText.counted($0, "face") } ?? ""
            console.line("Deleted the collection \(name)\(faces).")
        }
        await client.close()
    }
}
