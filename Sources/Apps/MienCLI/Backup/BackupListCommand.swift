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
              mien backup list /backups --archive

            Below them are the archived logs, where there are any: which moments can be restored, and how far behind \
            the archive is. With --archive there are only these. A backup whose manifest cannot be read, or an \
            archived log whose list cannot, is named on standard error, and the command ends with 65. Where one name \
            has backups of several collections, or the place those of several clusters, the list says of which each \
            is; and where faces had been given up that had not come back, when that was.
            """
    )

    @Argument(help: "Folder or s3://bucket/prefix of the backups.")
    var place: String
    @Flag(help: "List archived logs, not backups.")
    var archive = false
    @Flag(help: "Write JSON for programs.")
    var json = false

    func run(on console: Console) async throws(CommandFailure) {
        let (catalogue, archives) = try await withStore(place, on: console) { store async throws(CommandFailure) in
            (
                try await BackupCatalogue.read(store),
                archive || !json ? try await ArchiveReport.read(store) : (chains: [], problems: [])
            )
        }
        let chains = archives.chains
        if json {
            let document = archive ? ArchiveReport.json(chains, catalogue) : BackupReport.json(catalogue)
            console.writeOutput(document.document)
        } else {
            if !archive {
                if catalogue.entries.isEmpty, catalogue.damaged.isEmpty {
                    console.line("There are no backups in \(place).")
                } else {
                    console.writeOutput(BackupReport.table(catalogue))
                }
            }
            if !chains.isEmpty {
                if !archive { console.line("") }
                console.writeOutput(ArchiveReport.table(chains, catalogue))
            } else if archive, archives.problems.isEmpty {
                console.line("There is no archived log in \(place).")
            }
        }
        let problems = catalogue.damaged.map(\.problem) + archives.problems
        if let problem = CommandFailure(problems) { throw problem }
    }
}
