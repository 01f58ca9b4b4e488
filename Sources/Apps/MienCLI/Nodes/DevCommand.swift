import ArgumentParser
import NodeConfiguration
import NodeServer

struct DevCommand: NodeCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Run a whole cluster in one process: a coordinator and some workers.",
        discussion: """
            EXAMPLE
              mien dev --data data/dev --listen 127.0.0.1:7400

            Runs until it is interrupted. Ends with status 78 and every problem when the configuration is wrong.
            """
    )

    @Option(parsing: .unconditional, help: "Number of workers: 1 to 64; 3 unless given.")
    var workers: Int?
    @OptionGroup var node: NodeOptions

    func run(on console: Console) async throws(CommandFailure) {
        let sources = node.sources(
            "dev",
            [("dev.workers", workers.map(String.init))],
            environment: console.environment
        )
        try await NodeOptions.run { () throws(NodeConfigurationError) in
            try DevConfiguration(from: sources)
        } _: {
            NodeServer.settleDevLoops()
            try await NodeServer.run($0) { console.line(NodeOptions.text($0)) }
        }
    }
}
