import ArgumentParser
import NodeConfiguration
import NodeServer

/// What the commands that run a node have in common: where its configuration comes from.
struct NodeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("YAML file with the options; see config/ for every key.", valueName: "file"))
    var config: String?
    @Option(help: ArgumentHelp("Address to listen on.", valueName: "host:port"))
    var listen: String?
    @Option(help: ArgumentHelp("Folder for the data.", valueName: "folder"))
    var data: String?
    @Option(help: ArgumentHelp("File with the cluster's token, mode 0600; or set MIEN_TOKEN.", valueName: "file"))
    var tokenFile: String?
    @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel: String?
    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("Set any key of the configuration; may be given more than once.", valueName: "key=value")
    )
    var settings: [String] = []

    func validate() throws {
        for setting in settings where !setting.contains("=") || setting.hasPrefix("=") {
            throw ValidationError("--set takes key=value, such as log.level=debug, not '\(setting)'.")
        }
    }

    /// - Parameters:
    ///   - section: of the keys for `listen` and `data`.
    ///   - flags: further keys of the role and what was given for them.
    func sources(
        _ section: String,
        _ flags: [(key: String, value: String?)],
        environment: [String: String]
    ) -> ConfigurationSources {
        let own: [(key: String, value: String?)] = [
            ("\(section).listen", listen), ("\(section).data", data), ("token_file", tokenFile),
            ("log.level", logLevel),
        ]
        var values: [String: String] = [:]
        for setting in settings {
            guard let equals = setting.firstIndex(of: "=") else { continue }
            values[String(setting[..<equals])] = String(setting[setting.index(after: equals)...])
        }
        for (key, value) in own + flags { if let value { values[key] = value } }
        return ConfigurationSources(file: config, environment: environment, flags: values)
    }

    /// Reads the configuration and runs the node with it until it stops.
    static func run<Configuration>(
        _ read: () throws(NodeConfigurationError) -> Configuration,
        _ node: (Configuration) async throws -> Void
    ) async throws(CommandFailure) {
        let configuration: Configuration
        do throws(NodeConfigurationError) {
            configuration = try read()
        } catch {
            throw CommandFailure(.configuration, error.description)
        }
        do {
            try await node(configuration)
        } catch let error as NodeConfigurationError {
            throw CommandFailure(.configuration, error.description)
        } catch let error as NodeStartError {
            throw CommandFailure(status(of: error), error.description)
        } catch {
            throw CommandFailure(.unavailable, String(describing: error))
        }
    }

    private static func status(of error: NodeStartError) -> ExitStatus {
        switch error {
        case .metadata, .worker: .fileSystem
        case .listen: .unavailable
        case .tls, .archive: .configuration
        }
    }

    /// What a node says when it serves.
    static func text(_ node: NodeServer.Readiness) -> String {
        let coordinator = node.coordinator.map { "coordinator on \($0)" }
        let workers = node.workers.isEmpty ? nil : "workers on " + node.workers.joined(separator: ", ")
        let roles = [coordinator, workers].compactMap(\.self).joined(separator: "; ")
        let admin = node.admin.map { "; metrics on \($0)/metrics" } ?? ""
        return "Serving: \(roles); data in \(node.data)\(admin)"
    }
}
