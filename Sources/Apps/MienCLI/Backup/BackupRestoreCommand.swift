import ArgumentParser
import Backups
import FaceModel
import MienClient

struct BackupRestoreCommand: ConsoleCommand {
    private static let retryDuration = Duration.seconds(60)

    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make a collection of a backup.",
        discussion: """
            EXAMPLE
              mien backup restore /backups --collection people
              mien backup restore /backups --collection people2 --from people --shards 8 --copies 3
              mien backup restore /backups --collection people --as-of people-20261126T231500123Z-3f2a9c1b
              mien backup restore /backups --collection people2 --from people --at 2026-11-26T23:41:00Z

            The collection must not exist; it may have any number of shards and copies, on any workers. Faces keep \
            their ids, embeddings to the bit, metadata and the order of their versions. Every block is verified as it \
            is read. At the end all that was stored is read again and compared with the backup; only then the \
            collection answers searches.

            Faces that were deleted after the backup stay deleted: the ledger of erasures says which, of every \
            collection here that was backed up so or restored from such a backup, or of those that --ledger names. \
            Without one that reaches back to the backup nothing is restored, unless --without-ledger says so.

            With --at the collection becomes what it was at that moment, where its log is archived \
            (coordinator.archive.place): the newest backup before it, and all that was written from there. Every \
            shard's moment is told by the clock of the worker that was its primary. --at-sequence names the last write \
            of a shard instead; the other shards come to the moment of that write. What was deleted after the moment \
            stays deleted here too, unless --undelete says that the deletion is what is to be undone.

            Of a backup that may lack faces that were given up so much is said, and the collection counts as having \
            lost them, too. Where backups of the name are of several clusters --as-of has to say which. While it reads \
            the place nobody prunes that.

            One that was cut off goes on when the same command is given again, or is removed by 'mien collection \
            delete'.
            """
    )

    @Argument(help: "Folder or s3://bucket/prefix of the backups.")
    var place: String
    @Option(help: "Name of the collection to make.")
    var collection: String
    @Option(help: "Collection whose backup it is; of the same name unless given.")
    var from: String?
    @Option(
        name: .customLong("as-of"),
        help: ArgumentHelp("The backup; the newest unless given.", valueName: "backup"),
        transform: BackupArgument.backup
    )
    var backup: String?
    @Option(
        name: .customLong("at"),
        help: ArgumentHelp("Moment to go to, such as 2026-11-26T23:41:00Z.", valueName: "time"),
        transform: PointInTime.time
    )
    var time: Timestamp?
    @Option(
        name: .customLong("at-sequence"),
        help: ArgumentHelp(
            "Last write of a shard to restore, such as 3:1042; may be given for more shards.",
            valueName: "shard:sequence"
        ),
        transform: PointInTime.ShardSequence.parse
    )
    var sequences: [PointInTime.ShardSequence] = []
    @Flag(help: "Bring back what was deleted after the moment that is restored.")
    var undelete = false
    @Option(parsing: .unconditional, help: "Shards; as many as were backed up unless given.")
    var shards: Int?
    @Option(parsing: .unconditional, help: "Copies of each shard; as many as were backed up unless given.")
    var copies: Int?
    @Option(
        name: .customLong("min-copies"),
        parsing: .unconditional,
        help: "Copies that must have a write before it is acknowledged."
    )
    var minCopies: Int?
    @Option(
        name: .customLong("ledger"),
        help: ArgumentHelp(
            "Ledger of erasures: a collection, or a file of 'mien backup ledger export'; may be given more than once.",
            valueName: "ledger"
        )
    )
    var ledgers: [String] = []
    @Flag(help: "Restore although nobody knows what was deleted after the backup.")
    var withoutLedger = false
    @Option(
        help: ArgumentHelp("Most bytes to send in a second, such as 64MiB.", valueName: "bytes"),
        transform: BackupArgument.rate
    )
    var rate: Int?
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        if time != nil, !sequences.isEmpty { throw ValidationError("Give --at or --at-sequence, not both.") }
        guard Set(sequences.map(\.shard)).count == sequences.count else {
            throw ValidationError("--at-sequence names a shard twice.")
        }
    }

    func run(on console: Console) async throws(CommandFailure) {
        try await withStore(place, on: console) { store async throws(CommandFailure) in
            try await holding(store, console) { () async throws(CommandFailure) in try await run(store, console) }
        }
    }

    private func run(_ store: any BackupStore, _ console: Console) async throws(CommandFailure) {
        let point = PointInTime(time: time, sequences: sequences)
        let entry: BackupCatalogue.Entry
        var plan: ArchivePlan?
        if let point {
            let chosen = try await point.choose(backup, of: from ?? collection, in: store)
            (entry, plan) = (chosen.entry, chosen.plan)
        } else {
            entry = try await BackupCatalogue.choose(backup, of: from ?? collection, in: store)
        }
        if let loss = BackupReport.loss(of: entry.manifest) {
            console.warn(
                "\(entry.name): \(loss), and in what is restored from it, whose answers say so until 'mien collection "
                    + "losses \(collection) --restored'; --as-of chooses another"
            )
        }
        var configuration = entry.manifest.collection.configuration
        configuration.name = collection
        if let shards { configuration.shardCount = shards }
        if let copies {
            configuration.replicationFactor = copies
            configuration.minimumInSync = min(2, copies)
        }
        if let minCopies { configuration.minimumInSync = minCopies }
        if let problem = configuration.problem { throw CommandFailure(.usage, "the \(problem)") }
        let client = try connection.client(on: console, bearing: Self.retryDuration)
        let filter = try await LedgerReading.filter(
            for: entry.manifest,
            from: ledgers,
            isGapAccepted: withoutLedger || undelete,
            client,
            console
        )
        var replay: RestoreReplay?
        if let plan {
            let progress = ByteProgress(console: console, title: "log", total: plan.byteCount)
            replay = try await keeping { () async throws(BackupError) in
                try await RestoreReplay(plan, of: entry.manifest.collection.id, in: store) { progress.add($0) }
            }
            progress.clear()
        }
        let restorer = BackupRestorer(
            client: client,
            store: store,
            console: console,
            bytesPerSecond: rate,
            filter: filter,
            undeletes: undelete,
            replay: replay
        )
        let outcome = try await restorer.restore(entry, as: configuration)
        await client.close()
        if connection.json {
            console.writeOutput(
                JSONValue.object([
                    ("collection", .string(collection)), ("backup", .string(entry.name)),
                    ("faces", .count(outcome.faceCount)), ("erased", .count(undelete ? 0 : outcome.erasedCount)),
                    ("undeleted", .count(undelete ? outcome.erasedCount : 0)),
                    ("at", .text(plan.map { PointInTime.text($0.time) })),
                    ("log_entries", .count(plan?.entryCount ?? 0)),
                    ("shards", .count(configuration.shardCount)),
                    ("bytes", .count(entry.manifest.byteCount)), ("has_loss", .flag(entry.manifest.loss != nil)),
                    ("seconds", .number(NumberText.seconds(outcome.time))),
                ]).document
            )
        } else {
            let writes = plan.map {
                ", and \(NumberText.counted($0.entryCount, "entry", plural: "entries")) of its log, as of "
                    + PointInTime.text($0.time)
            }
            let deleted =
                undelete
                ? "brought back although deleted since: \(outcome.erasedCount)"
                : "left out as deleted since: \(outcome.erasedCount)"
            console.line(
                "Restored \(collection) from \(entry.name)\(writes ?? ""): "
                    + "\(NumberText.counted(outcome.faceCount, "face")) in "
                    + "\(NumberText.counted(configuration.shardCount, "shard")), read again and compared; \(deleted). "
                    + "Took \(NumberText.duration(outcome.time))."
            )
        }
    }
}
