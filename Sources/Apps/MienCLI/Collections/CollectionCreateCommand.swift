import ArgumentParser
import MienClient

struct CollectionCreateCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Create a collection.",
        discussion: """
            EXAMPLE
              mien collection create people --dimension 512 --model my-model-512

            Everything given here is fixed for the collection's life.
            """
    )

    @Argument(help: "Name: 1-64 characters of a-z, 0-9, '_' and '-', beginning with a letter or digit.")
    var name: String
    @Option(parsing: .unconditional, help: "Numbers of each embedding: a multiple of 8 from 64 to 2048.")
    var dimension: Int
    @Option(help: "Name of the model that makes the embeddings; those of another are refused.")
    var model: String
    @Option(
        parsing: .unconditional,
        help: "Shards to divide the collection into; as many as there are live workers unless given."
    )
    var shards: Int?
    @Option(name: .customLong("copies"), parsing: .unconditional, help: "Copies of each shard, on as many workers.")
    var copies = 1
    @Option(
        name: .customLong("min-copies"),
        parsing: .unconditional,
        help: "Copies that must have a write before it is acknowledged; 2 unless given, or 1 of a single copy."
    )
    var minCopies: Int?
    @Option(help: "How embeddings are stored: float16 or float32.", transform: ArgumentText.precision)
    var precision = CollectionOptions.Precision.float16
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        try ArgumentText.checkCopies(copies, least: minCopies)
        if let problem = options(shardCount: shards ?? 1).problem { throw ValidationError("The \(problem).") }
    }

    private func options(shardCount: Int) -> CollectionOptions {
        CollectionOptions(
            name: name,
            dimension: dimension,
            embeddingModel: model,
            shardCount: shardCount,
            replicationFactor: copies,
            minimumInSync: minCopies,
            storedPrecision: precision
        )
    }

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console)
        let collection = try await calling { () async throws(MienClientError) in
            var shardCount = shards
            if shardCount == nil { shardCount = try await client.status().placeableWorkerCount }
            return try await client.createCollection(options(shardCount: max(1, shardCount ?? 1)))
        }
        if connection.json {
            console.writeOutput(CollectionReport.json(collection).document)
        } else {
            let shards = NumberText.counted(collection.shards.count, "shard")
            let copies = copies > 1 ? " of \(copies) copies" : ""
            console.line("Created the collection \(name): dimension \(dimension), model \(model), \(shards)\(copies).")
        }
        await client.close()
    }
}

extension ClusterInfo {
    /// Workers that replicas of a new collection may come to: not those that are gone, or are to go.
    var placeableWorkerCount: Int { workers.count { $0.isLive && $0.standing == .active } }
}
