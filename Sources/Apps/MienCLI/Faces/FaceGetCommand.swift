import ArgumentParser
import MienClient

struct FaceGetCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Show what is stored of faces; embeddings are not shown.",
        discussion: """
            EXAMPLE
              mien face get people 0b9f2c1e-6d3a-8c41-9a54-3f0c3b7e2d10

            With --json, one line for each face. Ends with status 1 when a face is not there. A warning tells \
            whether it may be one of those that were given up.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: ArgumentHelp("Ids of the faces (UUIDs).", valueName: "id"), transform: ArgumentText.faceID)
    var ids: [Face.ID]
    @Flag(help: "Miss nothing that was acknowledged before, to anybody.")
    var strong = false
    @OptionGroup var connection: ConnectionOptions

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console)
        let token = try await strong ? latestToken(of: name, client) : nil
        var absent: [Face.ID] = []
        var isFirst = true
        var hasLoss = false
        for first in stride(from: 0, to: ids.count, by: FaceDeleteCommand.batchCount) {
            let batch = Array(ids[first..<min(ids.count, first + FaceDeleteCommand.batchCount)])
            let faces = try await calling { () async throws(MienClientError) in
                try await client.faces(batch, in: name, after: token)
            }
            for face in faces {
                if connection.json {
                    console.line(FaceReport.json(face).line)
                } else {
                    console.writeOutput((isFirst ? "" : "\n") + FaceReport.text(face))
                }
                isFirst = false
            }
            hasLoss = hasLoss || faces.hasLoss
            let found = Set(faces.map(\.id))
            absent += batch.filter { !found.contains($0) }
        }
        await client.close()
        if !absent.isEmpty {
            if hasLoss { console.warn(FaceReport.loss(of: name)) }
            throw CommandFailure(.no, absent.map { "the face \($0) is not in \(name)" }.joined(separator: "\n"))
        }
    }
}
