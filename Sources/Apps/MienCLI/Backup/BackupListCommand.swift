import ArgumentParser
import Backups

struct BackupListCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the backups in a folder, the oldest first.",
        discussion: """
            EXAMPLE
              mien backup list /backups
              mien backup list /backups --json
            """
    )

    @Argument(help: "Folder of the backups.")
    var place: String
    @Flag(help: "Write JSON for programs.")
    var json = false

    func run(on console: Console) async throws(CommandFailure) {
        let catalogue = try await BackupCatalogue.read(try BackupPlace.open(place))
        console.writeOutput(json ? BackupReport.json(catalogue).document : BackupReport.table(catalogue))
    }
}
