import ArgumentParser
import MienClient

struct CollectionTrainCommand: OrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Give a collection its next codebook.",
        discussion: """
            EXAMPLE
              mien plan collection train people
              mien collection train people --wait

            A worker trains it on a sample of what the collection holds now; every replica installs it and codes its \
            rows by it. Searches and writes go on. Codebooks are trained without being asked as collections grow or \
            faces change. 'mien operation pause' holds the work up, and 'cancel' takes it back as long as the codebook \
            is not the collection's yet.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @OptionGroup var order: OrderOptions
    @OptionGroup var connection: ConnectionOptions

    func requests(in cluster: ClusterInfo) throws(CommandFailure) -> [OperationRequest] { [.train(collection: name)] }
}
