import ArgumentParser
import MienClient

struct ShardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shard",
        abstract: "Move the replicas of one shard, or keep them where they are.",
        subcommands: [
            ShardMoveCommand.self, ShardLeadCommand.self, ShardPinCommand.self, ShardUnpinCommand.self,
        ]
    )
}

struct ShardMoveCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Move a replica from one worker to another.",
        discussion: """
            EXAMPLE
              mien shard move people 0 --from 10.0.0.5:7401 --to 10.0.0.6:7401 --wait

            Without --to the worker with the fewest replicas gets it.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: "Number of the shard.")
    var shard: Int
    @Option(help: ArgumentHelp("Worker that has the replica.", valueName: "worker"))
    var from: String
    @Option(help: ArgumentHelp("Worker that gets it.", valueName: "worker"))
    var to: String?
    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func request(in cluster: ClusterInfo) throws(CommandFailure) -> OperationRequest {
        .move(
            collection: name,
            shard: shard,
            from: try WorkerName.find(from, in: cluster),
            to: try to.map { (text) throws(CommandFailure) in try WorkerName.find(text, in: cluster) }
        )
    }
}

struct ShardLeadCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "lead",
        abstract: "Make a worker's replica the primary of its shard.",
        discussion: """
            EXAMPLE
              mien shard lead people 0 --worker 10.0.0.6:7401
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: "Number of the shard.")
    var shard: Int
    @Option(help: ArgumentHelp("Worker that has a replica in sync.", valueName: "worker"))
    var worker: String
    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func request(in cluster: ClusterInfo) throws(CommandFailure) -> OperationRequest {
        .lead(collection: name, shard: shard, worker: try WorkerName.find(worker, in: cluster))
    }
}

struct CollectionCopiesCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "copies",
        abstract: "Give every shard of a collection another number of copies.",
        discussion: """
            EXAMPLE
              mien collection copies people --copies 3 --min-copies 2 --wait

            Fewer copies in sync are enough at once when --min-copies falls; when it rises, more are asked for as soon \
            as they are there.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Option(help: "Copies of every shard, each on another worker.")
    var copies: Int
    @Option(help: "Least copies in sync for writes; 2 without it, or 1 for a single copy.")
    var minCopies: Int?
    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func request(in cluster: ClusterInfo) throws(CommandFailure) -> OperationRequest {
        .copies(collection: name, count: copies, minimumInSync: minCopies ?? min(copies, 2))
    }
}
