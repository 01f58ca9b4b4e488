import ArgumentParser
import NodeConfiguration

/// A command that runs on a console and says in its failure how the process ends.
protocol ConsoleCommand: AsyncParsableCommand {
    func run(on console: Console) async throws(CommandFailure)
}

/// A command that runs a node: its configuration checks the environment, with everything else.
protocol NodeCommand: ConsoleCommand {}

extension ConsoleCommand {
    mutating func run() async throws {
        try await run(on: Console.process())
    }
}

/// Runs one command line from its arguments to its exit status.
package enum CommandRun {
    /// - Returns: the exit status; everything there is to say has been written to the console.
    @concurrent package static func status(arguments: [String], console: Console) async -> Int32 {
        let status = await run(arguments, console)
        guard let reason = console.outputFailure() else { return status }
        console.writeError("mien: the results could not be written to their end: \(reason)\n")
        // A yes or no is none without them.
        return status > ExitStatus.no.rawValue ? status : ExitStatus.fileSystem.rawValue
    }

    private static func run(_ arguments: [String], _ console: Console) async -> Int32 {
        let command: any ParsableCommand
        do {
            command = try Mien.parseAsRoot(arguments)
        } catch {
            return report(error, console)
        }
        guard let command = command as? any ConsoleCommand else {
            // Help, and the names that only group others.
            do {
                var command = command
                try command.run()
                return 0
            } catch {
                return report(error, console)
            }
        }
        do throws(CommandFailure) {
            if !(command is any NodeCommand) { try checkEnvironment(console.environment) }
            try await command.run(on: console)
            return 0
        } catch {
            if !error.message.isEmpty {
                for line in error.message.split(separator: "\n") { console.writeError("mien: \(line.shown())\n") }
            }
            return error.status.rawValue
        }
    }

    private static func checkEnvironment(_ environment: [String: String]) throws(CommandFailure) {
        let problems = EnvironmentVariables.problems(in: environment)
        guard problems.isEmpty else {
            throw CommandFailure(.configuration, problems.map(\.description).joined(separator: "\n"))
        }
    }

    /// What the parser has to say: help on the output with status 0, everything else as an error.
    private static func report(_ error: any Error, _ console: Console) -> Int32 {
        let status = Mien.exitCode(for: error).rawValue
        guard status != 0 else {
            console.writeOutput(Mien.fullMessage(for: error) + "\n")
            return 0
        }
        let text = Mien.fullMessage(for: error).shown()
        console.writeError((text.hasPrefix("Error: ") ? "mien: " + text.dropFirst(7) : text) + "\n")
        return status
    }
}
