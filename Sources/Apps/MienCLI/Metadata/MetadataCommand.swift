import ArgumentParser

struct MetadataCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metadata",
        abstract: "Move what a cluster has agreed on from one store to another.",
        discussion: """
            EXAMPLE
              mien metadata migrate --config config/coordinator.yaml
            """,
        subcommands: [MetadataMigrateCommand.self]
    )
}
