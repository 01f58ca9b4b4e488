import ArgumentParser
import Backups

struct BackupVerifyCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read backups whole, and say what of them cannot be relied on.",
        discussion: """
            EXAMPLE
              mien backup verify /backups
              mien backup verify /backups --backup people-20261126T231500123Z-3f2a9c1b

            Every manifest and every block is read: its digest must be right, and the faces of all blocks together \
            must be those that the cluster counted at the cut. What is cut short, changed, missing or from elsewhere \
            is named. No cluster is needed. Ends with 65 when something was found.
            """
    )

    @Argument(help: "Folder or s3://bucket/prefix of the backups.")
    var place: String
    @Option(help: "Verify this backup only.", transform: BackupArgument.backup)
    var backup: String?
    @Flag(help: "Write JSON for programs.")
    var json = false

    private struct Finding {
        var name: String
        var faceCount: UInt64?
        /// Nil for a backup that is sound.
        var problem: String?
    }

    func run(on console: Console) async throws(CommandFailure) {
        try await withStore(place, on: console) { store async throws(CommandFailure) in
            try await run(store, console)
        }
    }

    private func run(_ store: any BackupStore, _ console: Console) async throws(CommandFailure) {
        let names: [String]
        if let backup {
            names = [backup]
        } else {
            names = try await keeping { () async throws(BackupError) in try await store.backups() }
        }
        var entries: [BackupCatalogue.Entry] = []
        var findings: [Finding] = []
        for name in names {
            do throws(BackupError) {
                entries.append(BackupCatalogue.Entry(name: name, manifest: try await store.manifest(of: name)))
            } catch {
                guard case .storeFailed = error else {
                    findings.append(Finding(name: name, problem: "\(error)"))
                    continue
                }
                throw CommandFailure(error)
            }
        }
        var reading = BackupReading()
        let total = Dictionary(
            entries.flatMap(\.manifest.blocks).map { ($0.digest, UInt64($0.byteCount)) },
            uniquingKeysWith: { first, _ in first }
        ).values.reduce(0, +)
        let progress = ByteProgress(console: console, title: "blocks", total: total)
        for entry in entries {
            do throws(BackupError) {
                try await reading.verify(entry, in: store) { progress.add(Int($0.byteCount)) }
                findings.append(Finding(name: entry.name, faceCount: entry.manifest.faceCount))
            } catch {
                guard case .storeFailed = error else {
                    findings.append(Finding(name: entry.name, problem: "\(error)"))
                    continue
                }
                throw CommandFailure(error)
            }
        }
        progress.clear()
        findings.sort { $0.name < $1.name }
        if json {
            console.writeOutput(JSONValue.array(findings.map(json)).document)
        } else {
            for finding in findings { console.line(text(finding)) }
            if findings.isEmpty { console.line("There are no backups in \(place).") }
        }
        guard findings.allSatisfy({ $0.problem == nil }) else { throw CommandFailure(.badData) }
    }

    private func text(_ finding: Finding) -> String {
        if let problem = finding.problem { return "\(finding.name): \(problem)" }
        return "\(finding.name): sound, \(NumberText.counted(finding.faceCount ?? 0, "face"))"
    }

    private func json(_ finding: Finding) -> JSONValue {
        .object([
            ("backup", .string(finding.name)), ("sound", .flag(finding.problem == nil)),
            ("faces", finding.faceCount.map { .count($0) } ?? .null), ("problem", .text(finding.problem)),
        ])
    }
}
