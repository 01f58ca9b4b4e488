import ArgumentParser
import NodeConfiguration
import NodeServer

struct CoordinatorCommand: NodeCommand {
    static let configuration = CommandConfiguration(
        commandName: "coordinator",
        abstract: "Run a coordinator.",
        discussion: """
            EXAMPLE
              mien coordinator --config config/coordinator.yaml --listen 127.0.0.1:7400

            Runs until it is interrupted. Ends with status 78 and every problem when the configuration is wrong.
            """
    )

    @Option(
        help: ArgumentHelp(
            "Address that others connect to, when it is not the one listened on.",
            valueName: "host:port"
        )
    )
    var advertise: String?
    @OptionGroup var node: NodeOptions

    func run(on console: Console) async throws(CommandFailure) {
        let sources = node.sources(
            "coordinator",
            [("coordinator.advertise", advertise)],
            environment: console.environment
        )
        try await NodeOptions.run { () throws(NodeConfigurationError) in
            try CoordinatorConfiguration(from: sources)
        } _: {
            try await NodeServer.run($0) { console.line(NodeOptions.text($0)) }
        }
    }
}
