import ArgumentParser
import MienClient

struct CollectionListCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the collections of the cluster.",
        discussion: """
            EXAMPLE
              mien collection list

            With --json, one line for each collection.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console)
        let collections = try await calling { () async throws(MienClientError) in try await client.collections() }
        if connection.json {
            for collection in collections { console.line(CollectionReport.json(collection).line) }
        } else if collections.isEmpty {
            console.line("There is no collection yet; make one with: mien collection create")
        } else {
            console.writeOutput(CollectionReport.table(collections))
        }
        await client.close()
    }
}
