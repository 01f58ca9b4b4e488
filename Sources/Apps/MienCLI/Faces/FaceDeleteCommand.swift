import ArgumentParser
import MienClient

struct FaceDeleteCommand: ConsoleCommand {
    /// Ids of one request.
    static let batchCount = 1000
    private static let retryDuration = Duration.seconds(30)

    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete faces; the next search does not find them.",
        discussion: """
            EXAMPLE
              mien face delete people 0b9f2c1e-6d3a-8c41-9a54-3f0c3b7e2d10

            Ends with status 1 when a face was not there. Its deletion is remembered all the same: no restore from a \
            backup that has the face brings it back.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: ArgumentHelp("Ids of the faces (UUIDs).", valueName: "id"), transform: ArgumentText.faceID)
    var ids: [Face.ID]
    @OptionGroup var connection: ConnectionOptions

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console, retryDuration: Self.retryDuration)
        var absent: [Face.ID] = []
        var hasLoss = false
        for first in stride(from: 0, to: ids.count, by: Self.batchCount) {
            let batch = Array(ids[first..<min(ids.count, first + Self.batchCount)])
            let receipt = try await calling { () async throws(MienClientError) in
                try await client.deleteFaces(batch, from: name)
            }
            absent += zip(batch, receipt.wasPresent).filter { !$0.1 }.map(\.0)
            hasLoss = hasLoss || receipt.hasLoss
        }
        await client.close()
        let deletedCount = ids.count - absent.count
        if connection.json {
            let document = JSONValue.object([
                ("deleted", .count(deletedCount)), ("absent", .array(absent.map { .string($0.description) })),
            ])
            console.writeOutput(document.document)
        } else {
            console.line("Deleted \(NumberText.counted(deletedCount, "face")) from \(name).")
        }
        if !absent.isEmpty {
            if hasLoss {
                console.warn(
                    "faces of \(name) were given up with every copy of them, perhaps those that were not there; "
                        + "a restore leaves them out as deleted"
                )
            }
            throw CommandFailure(.no, absent.map { "the face \($0) was not in \(name)" }.joined(separator: "\n"))
        }
    }
}
