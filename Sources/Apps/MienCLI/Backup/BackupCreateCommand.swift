import ArgumentParser
import Backups
import MienClient

struct BackupCreateCommand: ConsoleCommand {
    /// How long a request is sent again while the cluster is away for a moment.
    private static let retryDuration = Duration.seconds(60)

    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Back up a collection, or all of them, to a folder or an object store.",
        discussion: """
            EXAMPLE
              mien backup create people --to /backups
              mien backup create --all --to /backups --rate 64MiB
              mien backup create people --to s3://bucket/mien

            All shards are cut at one moment: everything acknowledged before is in the backup, and with each write \
            everything acknowledged before that one was sent. Writes wait some milliseconds for it, a second at \
            most; searches do not. Each worker needs as much free disk as its primaries' partitions take.

            With --all a collection that cannot be backed up leaves the others theirs; the command ends with its \
            error. A place takes any number of backups of any collections. Only what has changed since the last one is \
            read and written. A backup that is cut off is none; what it wrote serves the next one, and \
            'mien backup prune' removes it. One of a collection of which faces were given up, and are not back, says \
            so, and so does what is restored from it.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String?
    @Flag(help: "Back up every collection, one after the other.")
    var all = false
    @Option(
        name: .customLong("to"),
        help: ArgumentHelp("Folder (made when missing) or s3://bucket/prefix.", valueName: "place")
    )
    var place: String
    @Option(
        help: ArgumentHelp("Most bytes to read in a second, such as 64MiB.", valueName: "bytes"),
        transform: BackupArgument.rate
    )
    var rate: Int?
    @Flag(help: "Read every face, whatever the last backup has, and write every block, whatever is there.")
    var full = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard (name != nil) != all else { throw ValidationError("Name a collection, or give --all.") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console, bearing: Self.retryDuration)
        let (outcomes, failures) = try await withStore(place, on: console, createsFolder: true) {
            store async throws(CommandFailure) in
            let writer = BackupWriter(
                client: client,
                store: store,
                console: console,
                isFull: full,
                bytesPerSecond: rate
            )
            return try await locking(store, for: .writing) { () async throws(CommandFailure) in
                var names = name.map { [$0] } ?? []
                if all {
                    let collections = try await calling { () async throws(MienClientError) in
                        try await client.collections()
                    }
                    // One that is being restored is not whole, and its backup exists.
                    names = collections.filter { $0.restoredFrom == nil }.map(\.options.name)
                }
                var outcomes: [BackupOutcome] = []
                var failures: [CommandFailure] = []
                for name in names {
                    do throws(CommandFailure) {
                        let outcome = try await writer.write(name)
                        outcomes.append(outcome)
                        if !connection.json { console.line(BackupReport.text(outcome, in: place)) }
                        if let loss = BackupReport.loss(of: outcome.manifest) {
                            console.warn(
                                "\(outcome.name): \(loss); keep the backups from before that until they are back, as "
                                    + "'mien collection losses \(name) --restored' says"
                            )
                        }
                    } catch {
                        // One that cannot be backed up leaves the others theirs.
                        guard all, !Task.isCancelled else { throw error }
                        failures.append(CommandFailure(error.status, "\(name) has no backup: \(error.message)"))
                    }
                }
                return (outcomes, failures)
            }
        }
        await client.close()
        if connection.json { console.writeOutput(JSONValue.array(outcomes.map(BackupReport.json)).document) }
        if let first = failures.first {
            throw CommandFailure(first.status, failures.map(\.message).joined(separator: "\n"))
        }
    }
}
