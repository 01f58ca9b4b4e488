import ArgumentParser
import MienClient

struct DrainCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Move all replicas off workers and give them no others.",
        discussion: """
            EXAMPLE
              mien plan drain 10.0.0.5:7401
              mien drain 10.0.0.5:7401 --wait

            Searches and writes go on; a replica leaves only after another has every acknowledged write. The worker \
            stays in the cluster, empty, until 'mien recommission'. Of several workers, which begin one after the \
            other at once, none gets what another gives away. It is refused where the other workers have too little \
            disk or memory for all of its replicas, unless it is not heard of. A restart of a worker needs no drain: \
            asked to stop, it hands over what others can take before it ends.
            """
    )

    @Argument(help: "Addresses or identities of the workers.")
    var workers: [String]
    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func requests(in cluster: ClusterInfo) throws(CommandFailure) -> [OperationRequest] {
        try WorkerName.find(workers, in: cluster).map { .drain(worker: $0) }
    }
}

struct DecommissionCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "decommission",
        abstract: "Drain workers and take them out of the cluster.",
        discussion: """
            EXAMPLE
              mien decommission 10.0.0.5:7401 10.0.0.6:7401 --wait

            When it has ended the workers can be switched off and their data folders removed.
            """
    )

    @Argument(help: "Addresses or identities of the workers.")
    var workers: [String]
    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func requests(in cluster: ClusterInfo) throws(CommandFailure) -> [OperationRequest] {
        try WorkerName.find(workers, in: cluster).map { .decommission(worker: $0) }
    }
}

struct RecommissionCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "recommission",
        abstract: "Let drained or decommissioned workers have replicas again.",
        discussion: """
            EXAMPLE
              mien recommission 10.0.0.5:7401
              mien rebalance

            A drain that is under way is cancelled: what has left stays where it is now. Replicas come back with 'mien
            rebalance', or as collections are created.
            """
    )

    @Argument(help: "Addresses or identities of the workers.")
    var workers: [String]
    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func requests(in cluster: ClusterInfo) throws(CommandFailure) -> [OperationRequest] {
        try WorkerName.find(workers, in: cluster, passesOverDecommissioned: false).map { .recommission(worker: $0) }
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

    func requests(in cluster: ClusterInfo) throws(CommandFailure) -> [OperationRequest] { [.rebalance] }
}
