import ArgumentParser
import Backups
import FaceModel

struct BackupVerifyCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read backups and archived logs whole, and say what of them cannot be relied on.",
        discussion: """
            EXAMPLE
              mien backup verify /backups
              mien backup verify /backups --backup people-20261126T231500123Z-3f2a9c1b

            Every manifest and every block is read: its digest must be right, and the faces of all blocks together \
            must be those that the cluster counted at the cut. Of an archived log every volume and segment is read, \
            and every entry must continue the one before. What is cut short, changed, missing or from elsewhere \
            is named; what is pruned meanwhile is left out. No cluster is needed. Ends with 65 when something was \
            found, with 1 when nothing is there.
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
        /// Of an archived log, whose collection has the name.
        var isArchive = false
        var faceCount: UInt64?
        /// Nil for a backup that lacks no faces that were given up.
        var loss: String?
        /// What is said of one that is sound.
        var remark: String?
        /// Nil for a backup that is sound.
        var problem: String?
    }

    func run(on console: Console) async throws(CommandFailure) {
        try await withStore(place, on: console) { store async throws(CommandFailure) in
            try await run(store, console)
        }
    }

    private func run(_ store: any BackupStore, _ console: Console) async throws(CommandFailure) {
        let catalogue = try await BackupCatalogue.read(store, backup.map { [$0] })
        let entries = catalogue.entries
        var findings = catalogue.damaged.map { Finding(name: $0.name, problem: "\($0.problem)") }
        var reading = BackupReading()
        let total = Dictionary(
            entries.flatMap(\.manifest.blocks).map { ($0.digest, UInt64($0.byteCount)) },
            uniquingKeysWith: { first, _ in first }
        ).values.reduce(0, +)
        let progress = ByteProgress(console: console, title: "blocks", total: total)
        for entry in entries {
            do throws(BackupError) {
                try await reading.verify(entry, in: store) { progress.add(Int($0.byteCount)) }
                findings.append(
                    Finding(
                        name: entry.name,
                        faceCount: entry.manifest.faceCount,
                        loss: BackupReport.loss(of: entry.manifest)
                    )
                )
            } catch {
                if case .storeFailed = error { throw CommandFailure(error) }
                // One that was pruned meanwhile is no backup any more.
                let isThere = try await keeping { () async throws(BackupError) in
                    try await store.backups().contains(entry.name)
                }
                if isThere || backup != nil { findings.append(Finding(name: entry.name, problem: "\(error)")) }
            }
        }
        progress.clear()
        findings.sort { $0.name < $1.name }
        if backup == nil { findings += try await archives(store, console) }
        if json {
            console.writeOutput(JSONValue.array(findings.map(json)).document)
        } else {
            for finding in findings { console.line(text(finding).shown()) }
            if findings.isEmpty { console.line("There are no backups in \(place).") }
        }
        guard findings.allSatisfy({ $0.problem == nil }) else { throw CommandFailure(.badData) }
        // A place that was wiped, or is not mounted, is no sound backup.
        if findings.isEmpty { throw CommandFailure(.no) }
    }

    /// Reads every archived log.
    private func archives(_ store: any BackupStore, _ console: Console) async throws(CommandFailure) -> [Finding] {
        var findings: [Finding] = []
        let collections = try await keeping { () async throws(BackupError) in try await store.archives() }
        for collection in collections {
            var finding = Finding(name: collection.description, isArchive: true)
            do throws(BackupError) {
                guard var chain = try await ArchiveChain.read(collection, in: store) else { continue }
                finding.name = chain.name
                while let newer = try await verify(chain, store, console) { chain = newer }
                finding.remark =
                    NumberText.counted(chain.entryCount, "entry", plural: "entries")
                    + (chain.until.map { " until \(PointInTime.text($0))" } ?? "")
                    + (chain.gapCount > 0 ? ", with \(NumberText.counted(chain.gapCount, "gap"))" : "")
            } catch {
                guard case .storeFailed = error else {
                    finding.problem = "\(error)"
                    findings.append(finding)
                    continue
                }
                throw CommandFailure(error)
            }
            findings.append(finding)
        }
        return findings
    }

    /// Reads an archived log whole.
    ///
    /// - Returns: what is left of it, to be read instead, where its oldest volumes were pruned meanwhile.
    private func verify(
        _ chain: ArchiveChain,
        _ store: any BackupStore,
        _ console: Console
    ) async throws(BackupError) -> ArchiveChain? {
        let progress = ByteProgress(console: console, title: "log", total: chain.byteCount)
        defer { progress.clear() }
        do throws(BackupError) {
            try await ArchiveReading.verify(chain, in: store) { progress.add($0) }
            return nil
        } catch {
            guard case .missing = error, let newer = try await ArchiveChain.read(chain.collection, in: store),
                let first = newer.volumes.first?.name.number, let former = chain.volumes.first?.name.number,
                first > former
            else { throw error }
            return newer
        }
    }

    private func text(_ finding: Finding) -> String {
        let finding = named(finding)
        if let remark = finding.remark { return "\(finding.name): sound, \(remark)" }
        if let problem = finding.problem { return "\(finding.name): \(problem)" }
        return "\(finding.name): sound, \(NumberText.counted(finding.faceCount ?? 0, "face"))"
            + (finding.loss.map { "; \($0)" } ?? "")
    }

    private func named(_ finding: Finding) -> Finding {
        guard finding.isArchive else { return finding }
        var finding = finding
        finding.name = "archived log of \(finding.name)"
        return finding
    }

    private func json(_ finding: Finding) -> JSONValue {
        .object([
            (finding.isArchive ? "archive" : "backup", .string(finding.name)), ("sound", .flag(finding.problem == nil)),
            ("faces", finding.faceCount.map { .count($0) } ?? .null),
            ("has_loss", finding.faceCount == nil ? .null : .flag(finding.loss != nil)),
            ("problem", .text(finding.problem)),
        ])
    }
}
