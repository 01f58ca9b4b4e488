import ArgumentParser
import MienClient

struct ShardPinCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "pin",
        abstract: "Keep the replicas of a shard on their workers.",
        discussion: """
            EXAMPLE
              mien shard pin people 0
              mien shard pin people 0 --workers 10.0.0.5:7401,10.0.0.6:7401 --primary 10.0.0.5:7401

            Without --workers all replicas stay where they are now. Balancing leaves them, begun by itself or not; a \
            drain or a move of one is refused and names the pin. With --primary balancing hands the primary back to \
            that worker. A worker that is away for too long is replaced all the same. Takes the place of an earlier \
            pin of the shard; 'mien explain' shows it.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: "Number of the shard.")
    var shard: Int
    @Option(help: ArgumentHelp("Workers whose replicas stay, separated by commas.", valueName: "workers"))
    var workers: String?
    @Option(help: ArgumentHelp("The one of them that is to have the primary.", valueName: "worker"))
    var primary: String?
    @OptionGroup var connection: ConnectionOptions

    func validate() throws { try ArgumentText.checkShards([shard]) }

    func run(on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            let cluster = try await calling { () async throws(MienClientError) in try await client.status() }
            var pinned: [String] = []
            for word in workers?.split(separator: ",") ?? [] {
                pinned.append(try WorkerName.find(String(word), in: cluster))
            }
            let (ids, leader) = (
                pinned,
                try primary.map { (text) throws(CommandFailure) in try WorkerName.find(text, in: cluster) }
            )
            let reasons = try await calling { () async throws(MienClientError) in
                try await client.pin(name, shard: shard, to: ids, primary: leader)
            }
            console.writeOutput(
                connection.json
                    ? ExplainCommand.json(reasons).document : ExplainCommand.text(reasons, in: cluster)
            )
        }
    }
}

struct ShardUnpinCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "unpin",
        abstract: "Let the replicas of a shard be moved again.",
        discussion: """
            EXAMPLE
              mien shard unpin people 0
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: "Number of the shard.")
    var shard: Int
    @OptionGroup var connection: ConnectionOptions

    func validate() throws { try ArgumentText.checkShards([shard]) }

    func run(on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            let reasons = try await calling { () async throws(MienClientError) in
                try await client.unpin(name, shard: shard)
            }
            let cluster = try await calling { () async throws(MienClientError) in try await client.status() }
            console.writeOutput(
                connection.json
                    ? ExplainCommand.json(reasons).document : ExplainCommand.text(reasons, in: cluster)
            )
        }
    }
}
