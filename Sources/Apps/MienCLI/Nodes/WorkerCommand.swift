import ArgumentParser
import NodeConfiguration
import NodeServer

struct WorkerCommand: NodeCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Run a worker.",
        discussion: """
            EXAMPLE
              mien worker --data data/worker-1 --coordinator 127.0.0.1:7400

            Runs until it is interrupted. Ends with status 78 and every problem when the configuration is wrong.
            """
    )

    @Option(
        name: .customLong("coordinator"),
        help: ArgumentHelp("Coordinator to register with; may be given more than once.", valueName: "host:port")
    )
    var coordinators: [String] = []
    @Option(
        help: ArgumentHelp(
            "Address that others connect to, when it is not the one listened on.",
            valueName: "host:port"
        )
    )
    var advertise: String?
    @OptionGroup var node: NodeOptions

    func run(on console: Console) async throws(CommandFailure) {
        let list = coordinators.isEmpty ? nil : coordinators.joined(separator: ",")
        let sources = node.sources(
            "worker",
            [("worker.advertise", advertise), ("worker.coordinators", list)],
            environment: console.environment
        )
        try await NodeOptions.run { () throws(NodeConfigurationError) in
            try WorkerConfiguration(from: sources)
        } _: {
            try await NodeServer.run($0) { console.line(NodeOptions.text($0)) }
        }
    }
}
