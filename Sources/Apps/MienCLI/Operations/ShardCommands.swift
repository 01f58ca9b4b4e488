import ArgumentParser
import MienClient

struct ShardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shard",
        abstract: "Move the replicas of a shard, keep them where they are, split shards, merge and recover them.",
        subcommands: [
            ShardMoveCommand.self, ShardLeadCommand.self, ShardPinCommand.self, ShardUnpinCommand.self,
            ShardSplitCommand.self, ShardMergeCommand.self, ShardRecoverCommand.self,
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

    func validate() throws { try ArgumentText.checkShards([shard]) }

    func requests(in cluster: ClusterInfo) throws(CommandFailure) -> [OperationRequest] {
        let target = try to.map { (text) throws(CommandFailure) in try WorkerName.find(text, in: cluster) }
        return [.move(collection: name, shard: shard, from: try WorkerName.find(from, in: cluster), to: target)]
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

    func validate() throws { try ArgumentText.checkShards([shard]) }

    func requests(in cluster: ClusterInfo) throws(CommandFailure) -> [OperationRequest] {
        [.lead(collection: name, shard: shard, worker: try WorkerName.find(worker, in: cluster))]
    }
}

struct ShardSplitCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "split",
        abstract: "Make two shards of one, or of each of a collection's.",
        discussion: """
            EXAMPLES
              mien shard split people 0 --wait
              mien plan shard split people --all

            Both halves are made beside the shard, on the workers that have it, from its own rows and codes; nothing \
            is trained. Searches go on all the while. Writes wait for a moment, when the halves take its place. The \
            halves are on the same workers: 'mien rebalance' divides them.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: "Numbers of the shards.")
    var shards: [Int] = []
    @Flag(help: "Split every shard.")
    var all = false
    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard shards.isEmpty == all else { throw ValidationError("Name the shards that are to be split, or --all.") }
        try ArgumentText.checkShards(shards)
    }

    func requests(in cluster: ClusterInfo) throws(CommandFailure) -> [OperationRequest] {
        [.split(collection: name, shards: shards)]
    }
}

struct ShardMergeCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Make one shard of two neighbours, or of each two of a collection's.",
        discussion: """
            EXAMPLES
              mien shard merge people 3 4 --wait
              mien plan shard merge people --all

            Shards are neighbours when the one begins on the ring where the other ends; 'mien collection describe' \
            lists them in that order. Replicas that are on other workers than the first shard's move there before. \
            With --all the first and the second become one, the third and the fourth, and so on.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: "Numbers of the shards, two for each that is to be made.")
    var shards: [Int] = []
    @Flag(help: "Merge every two neighbours.")
    var all = false
    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard shards.isEmpty == all else { throw ValidationError("Name two shards that are to be merged, or --all.") }
        guard shards.count % 2 == 0 else {
            throw ValidationError("Shards are merged in pairs: name two for each that is to be made.")
        }
        try ArgumentText.checkShards(shards)
    }

    func requests(in cluster: ClusterInfo) throws(CommandFailure) -> [OperationRequest] {
        [.merge(collection: name, shards: shards)]
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
            as they are there. Where a worker is lost that was to have a copy, another is made as workers allow: the \
            operation is done then, and lists what it did not make.
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

    func validate() throws { try ArgumentText.checkCopies(copies, least: minCopies) }

    func requests(in cluster: ClusterInfo) throws(CommandFailure) -> [OperationRequest] {
        [.copies(collection: name, count: copies, minimumInSync: minCopies ?? min(copies, 2))]
    }
}
