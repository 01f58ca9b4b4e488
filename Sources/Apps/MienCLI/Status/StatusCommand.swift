import ArgumentParser
import MienClient

struct StatusCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the cluster: workers, collections, what is missing.",
        discussion: """
            EXAMPLE
              mien status --coordinator 127.0.0.1:7400

            Ends with status 69 when a worker is missing, short of memory or disk or has a failed replica, a shard is \
            not served, has fewer copies in sync than it should have or copies in sync that differ, no coordinator is \
            the controller, the metadata store does not answer or knows less than workers do, workers refuse this \
            coordinator, or there is no worker at all. An operation that has not got on for a minute is told of, and \
            is no reason for that status.
            """
    )

    @Option(parsing: .unconditional, help: "Also end with status 69 while fewer workers than these are live.")
    var workers: Int?
    @Flag(
        help: """
            Also end with status 69 while a worker has less than nine tenths of the codes that every search reads in \
            memory, as after a start.
            """
    )
    var warm = false
    @Flag(help: "Also show what the workers hold memory for, how much they may, and shards that are being made.")
    var memory = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        if let workers, workers < 0 { throw ValidationError("--workers must not be negative.") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console)
        let cluster = try await calling { () async throws(MienClientError) in try await client.status() }
        // Without it the cluster is told of all the same.
        let overview = try? await client.operationOverview()
        await client.close()
        let standstills = overview.map { StandstillReport.sentences($0) } ?? []
        console.writeOutput(
            connection.json
                ? StatusReport.json(cluster, standstills: standstills).document
                : (StatusReport.text(cluster, showsMemory: memory) + standstills.map { "! \($0)\n" }.joined()).shown()
        )
        let problems = StatusReport.problems(cluster, leastWorkerCount: workers ?? 1, wantsWarm: warm)
        if !problems.isEmpty { throw CommandFailure(.unavailable, problems.joined(separator: "\n")) }
    }
}
