import ArgumentParser
import Backups
import MienClient

struct BackupLedgerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger",
        abstract: "Keep a copy of the ledger of erasures, for a restore without the cluster.",
        discussion: """
            EXAMPLE
              mien backup ledger export people /safe/people.ledger
            """,
        subcommands: [BackupLedgerExportCommand.self]
    )
}

struct BackupLedgerExportCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a collection's ledger of erasures to a file; an earlier export of it is replaced.",
        discussion: """
            EXAMPLE
              mien backup ledger export people /safe/people.ledger

            The ledger has a pseudonym, the write and the time of every deletion, and no face id. \
            'mien backup restore --ledger' leaves out what was deleted after the backup. Keep it somewhere else than \
            the backups: who has both can tell which of a backup's faces were deleted.

            A file that is there is replaced when it is an earlier export of the same collection. It ends with 1, and \
            changes nothing, where it is of another collection, is none or is a link, or tells what the ledger may \
            lack: where it is from before faces were given up (a restore needs it then), or has erasures that the \
            ledger should have and has not. Keep it, and name another file from then on.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: "File to write.")
    var file: String
    @OptionGroup var connection: ConnectionOptions

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console, bearing: .seconds(60))
        let collection = try await calling { () async throws(MienClientError) in try await client.describe(name) }
        let ledger = try await LedgerReading.ledger(of: collection, client)
        // After the ledger was read, so that no loss is passed over.
        let loss = try await calling { () async throws(MienClientError) in try await client.latestLoss(of: name) }
        try LedgerReading.write(ledger, toFile: file, latestLoss: loss)
        await client.close()
        if connection.json {
            console.writeOutput(
                JSONValue.object([
                    ("collection", .string(name)), ("erasures", .count(ledger.erasures.count)),
                    ("file", .string(file)),
                ]).document
            )
        } else {
            console.line("Wrote \(NumberText.counted(ledger.erasures.count, "erasure")) of \(name) to \(file).")
        }
    }
}
