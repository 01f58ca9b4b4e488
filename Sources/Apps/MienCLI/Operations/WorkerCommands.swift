import ArgumentParser
import MienClient

struct DrainCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Move all replicas off a worker and give it no others.",
        discussion: """
            EXAMPLE
              mien plan drain 10.0.0.5:7401
              mien drain 10.0.0.5:7401 --wait

            Searches and writes go on; a replica leaves only after another has every acknowledged write. The worker \
            stays in the cluster, empty, until 'mien recommission'. A restart of a worker needs no drain: asked to \
            stop, it hands over what others can take before it ends.
            """
    )

    @Argument(help: "Address or identity of the worker.")
    var worker: String
    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func request(in cluster: ClusterInfo) throws(CommandFailure) -> OperationRequest {
        .drain(worker: try WorkerName.find(worker, in: cluster))
    }
}

struct DecommissionCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "decommission",
        abstract: "Drain a worker and take it out of the cluster.",
        discussion: """
            EXAMPLE
              mien decommission 10.0.0.5:7401 --wait

            When it has ended the worker can be switched off and its data folder removed.
            """
    )

    @Argument(help: "Address or identity of the worker.")
    var worker: String
    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func request(in cluster: ClusterInfo) throws(CommandFailure) -> OperationRequest {
        .decommission(worker: try WorkerName.find(worker, in: cluster))
    }
}

struct RecommissionCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "recommission",
        abstract: "Let a drained or decommissioned worker have replicas again.",
        discussion: """
            EXAMPLE
              mien recommission 10.0.0.5:7401
              mien rebalance

            A drain that is under way is cancelled: what has left stays where it is now. Replicas come back with 'mien
            rebalance', or as collections are created.
            """
    )

    @Argument(help: "Address or identity of the worker.")
    var worker: String
    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func request(in cluster: ClusterInfo) throws(CommandFailure) -> OperationRequest {
        .recommission(worker: try WorkerName.find(worker, in: cluster))
    }
}

struct RebalanceCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebalance",
        abstract: "Divide replicas and primaries evenly among the workers.",
        discussion: """
            EXAMPLE
              mien plan rebalance
              mien rebalance --wait

            Moves replicas from workers with many bytes to workers with few, as long as that levels them by a tenth of
            what one has on average, then passes primaries on. To be called after workers have been added.
            """
    )

    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func request(in cluster: ClusterInfo) throws(CommandFailure) -> OperationRequest { .rebalance }
}
