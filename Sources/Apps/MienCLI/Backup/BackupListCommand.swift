import ArgumentParser
import Backups

struct BackupListCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the backups of a place, the oldest first.",
        discussion: """
            EXAMPLE
              mien backup list /backups
              mien backup list /backups --json
            """
    )

    @Argument(help: "Folder or s3://bucket/prefix of the backups.")
    var place: String
    @Flag(help: "Write JSON for programs.")
    var json = false

    func run(on console: Console) async throws(CommandFailure) {
        let catalogue = try await withStore(place, on: console) { store async throws(CommandFailure) in
            try await BackupCatalogue.read(store)
        }
        console.writeOutput(json ? BackupReport.json(catalogue).document : BackupReport.table(catalogue))
    }
}
