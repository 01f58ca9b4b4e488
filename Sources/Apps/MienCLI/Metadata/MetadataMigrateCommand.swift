import ArgumentParser
import NodeConfiguration
import NodeServer

struct MetadataMigrateCommand: NodeCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Bring the metadata of a stopped coordinator from its data folder to etcd.",
        discussion: """
            Reads the coordinator's configuration: coordinator.data is where the metadata is, coordinator.etcd where \
            it goes. The records are read back and compared; after that the folder serves a coordinator with \
            coordinator.metadata: etcd, and no other. Cut short, it can be run again.

            EXAMPLE
              mien metadata migrate --config config/coordinator.yaml

            Ends with status 74 when the folder is in use or etcd holds something else, and changes nothing then.
            """
    )

    @OptionGroup var node: NodeOptions

    func run(on console: Console) async throws(CommandFailure) {
        let sources = node.sources(
            "coordinator",
            // Where it goes is what the command is for.
            [("coordinator.metadata", MetadataPlace.etcd.rawValue)],
            environment: console.environment
        )
        try await NodeOptions.run { () throws(NodeConfigurationError) in
            try CoordinatorConfiguration(from: sources)
        } _: { configuration in
            let moved = try await NodeServer.moveMetadataToEtcd(configuration)
            console.line(
                "Moved \(NumberText.counted(moved.recordCount, "record")) "
                    + "(\(NumberText.bytes(UInt64(moved.byteCount)))) of cluster \(moved.cluster) "
                    + "to \(moved.prefix) at \(moved.endpoints.joined(separator: ", ")); read back and equal."
            )
            console.line("Start the coordinator with coordinator.metadata: etcd from now on.")
        }
    }
}
