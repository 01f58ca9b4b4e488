import ArgumentParser
import MienClient

struct CollectionDescribeCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Show what is known of a collection.",
        discussion: """
            EXAMPLE
              mien collection describe people --json

            Ends with status 1 when there is no such collection.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @OptionGroup var connection: ConnectionOptions

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console)
        let collection = try await calling { () async throws(MienClientError) in try await client.describe(name) }
        if connection.json {
            console.writeOutput(CollectionReport.json(collection).document)
        } else {
            let names = await WorkerName.addresses(by: client)
            console.writeOutput(CollectionReport.text(collection, names).shown())
        }
        await client.close()
    }
}
