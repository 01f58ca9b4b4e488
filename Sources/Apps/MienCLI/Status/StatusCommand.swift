import ArgumentParser
import MienClient

struct StatusCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the cluster: workers, collections, what is missing.",
        discussion: """
            EXAMPLE
              mien status --coordinator 127.0.0.1:7400

            Ends with status 69 when a worker is missing or short of memory, a shard is not served, a replica has \
            failed or there is no worker at all.
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
        await client.close()
        console.writeOutput(
            connection.json
                ? StatusReport.json(cluster).document : StatusReport.text(cluster, showsMemory: memory)
        )
        let problems = StatusReport.problems(cluster, leastWorkerCount: workers ?? 1, wantsWarm: warm)
        if !problems.isEmpty { throw CommandFailure(.unavailable, problems.joined(separator: "\n")) }
    }
}
