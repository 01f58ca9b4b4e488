import ArgumentParser

struct MetadataCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metadata",
        abstract: "Move what a cluster has agreed on to another store, or go on from an older state of it.",
        discussion: """
            EXAMPLE
              mien metadata migrate --config config/coordinator.yaml
              mien metadata accept people
            """,
        subcommands: [MetadataMigrateCommand.self, MetadataAcceptCommand.self]
    )
}
