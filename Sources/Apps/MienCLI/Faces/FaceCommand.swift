import ArgumentParser

struct FaceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "face",
        abstract: "Get, list and delete faces.",
        discussion: """
            EXAMPLE
              mien face list people --limit 5
              mien face get people 0b9f2c1e-6d3a-8c41-9a54-3f0c3b7e2d10
            """,
        subcommands: [FaceGetCommand.self, FaceListCommand.self, FaceDeleteCommand.self]
    )
}
