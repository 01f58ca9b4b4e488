import ArgumentParser

struct CollectionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collection",
        abstract: "Create, describe, list, train and delete collections.",
        discussion: """
            EXAMPLE
              mien collection create people --dimension 512 --model my-model-512
              mien collection describe people
            """,
        subcommands: [
            CollectionCreateCommand.self, CollectionDescribeCommand.self, CollectionListCommand.self,
            CollectionCopiesCommand.self, CollectionTrainCommand.self, CollectionLossesCommand.self,
            CollectionDeleteCommand.self,
        ]
    )
}
