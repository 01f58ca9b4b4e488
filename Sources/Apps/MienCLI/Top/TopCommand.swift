import ArgumentParser
import MienClient
import Threads

struct TopCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Watch the cluster: searches, writes, latencies, queues, memory.",
        discussion: """
            EXAMPLE
              mien top --coordinator 127.0.0.1:7400

            Asks a coordinator alone, which knows of the workers by their heartbeats: rates are those between two of \
            them, latencies those of the last ten seconds. Leave with q or Ctrl-C. When the output is no terminal, or \
            with --once, the view is printed once, after two looks at the cluster.
            """
    )

    /// Looks without a terminal, at most: a worker's second heartbeat may be as late as that.
    private static let lookLimit = 5
    /// Looks of which one asks for operations that do not get on, too.
    private static let operationsEvery = 5

    @Option(parsing: .unconditional, help: "Seconds between two looks: 0.05 to 60.")
    var interval = 1.0
    @Flag(help: "Print the view once, also on a terminal.")
    var once = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard (0.05...60).contains(interval) else { throw ValidationError("--interval must be from 0.05 to 60.") }
        if connection.json {
            throw ValidationError("mien top shows no JSON; ask mien status --json, whose counts give the same rates.")
        }
    }

    func run(on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            if console.outputIsTerminal, !once, let screen = Screen(console) {
                await watch(client, screen)
            } else {
                console.writeOutput(try await view(client))
            }
        }
    }

    /// Draws until a person leaves.
    private func watch(_ client: MienClient, _ screen: Screen) async {
        defer { screen.close() }
        screen.closeOnSignals()
        var view = TopView()
        var lookCount = 0
        while true {
            do throws(MienClientError) {
                view.update(try await client.status())
            } catch {
                view.note(failure: error.message)
            }
            if lookCount % Self.operationsEvery == 0 { await Self.lookAtOperations(client, &view) }
            lookCount += 1
            screen.draw(view.text + "\nq leaves")
            let pause = Duration.seconds(interval)
            let key = await WorkerThread.run(name: "keys") { Screen.key(within: pause) }
            if let key, Screen.leavingKeys.contains(key) { return }
        }
    }

    /// The view, once there are rates.
    private func view(_ client: MienClient) async throws(CommandFailure) -> String {
        var view = TopView()
        for look in 0..<Self.lookLimit {
            if look > 0 { try? await Task.sleep(for: .seconds(interval)) }
            view.update(try await calling { () async throws(MienClientError) in try await client.status() })
            if view.isComplete { break }
        }
        await Self.lookAtOperations(client, &view)
        return view.text
    }

    /// Without an answer what was known before stands.
    private static func lookAtOperations(_ client: MienClient, _ view: inout TopView) async {
        guard let overview = try? await client.operationOverview() else { return }
        view.note(standstills: StandstillReport.sentences(overview))
    }
}
