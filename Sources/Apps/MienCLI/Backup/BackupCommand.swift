import ArgumentParser

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Back up collections, and restore them.",
        discussion: """
            EXAMPLE
              mien backup create people --to /backups
              mien backup list /backups
              mien backup verify /backups
              mien backup restore /backups --collection people --shards 8
            """,
        subcommands: [
            BackupCreateCommand.self, BackupListCommand.self, BackupVerifyCommand.self, BackupPruneCommand.self,
            BackupRestoreCommand.self, BackupLedgerCommand.self,
        ]
    )
}
