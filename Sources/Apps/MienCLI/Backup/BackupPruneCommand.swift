import ArgumentParser
import Backups
import FaceModel

/// An archived log whose list cannot be read.
private struct UnreadArchive {
    var collection: CollectionID
    var problem: BackupError
}

struct BackupPruneCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Remove old backups, and what no backup needs.",
        discussion: """
            EXAMPLE
              mien backup prune /backups --keep 14
              mien backup prune /backups --older-than 30d
              mien backup prune /backups --keep 0 --older-than 90d --dry-run
              mien backup prune /backups --backup people-20261126T231500123Z-3f2a9c1b
              mien backup prune /backups --archive-of people --yes

            With --keep the newest so many of each collection stay, of one that had its name before as well. A backup \
            that may lack faces that were given up is not counted, and goes when so many newer ones are. With \
            --older-than only those go that are at least so old; with both, those go that neither keeps. With neither \
            only blocks go that no backup needs: what backups that were cut off left behind. Of an archived log goes \
            what is older than every backup that stays, in volumes of some hundred segments. In an object store blocks \
            of the last day stay in any case. A place with a manifest that cannot be read is left as it is: what that \
            backup needs is not known. With --backup just the named ones go, such a one among them. The last backup of \
            a collection, the last one that lacks no faces that were given up, and one that cannot be read go with \
            --yes only. An archived log whose list cannot be read stays whole, and the command ends with 65 when all \
            else is done. It is refused while a restore reads the place. With --archive-of goes the whole archived log \
            of a collection that is gone, and nothing else: the newest volume of a log stays otherwise. That is \
            refused while a backup of that collection is there, and for an hour after the log was written to last.
            """
    )

    @Argument(help: "Folder or s3://bucket/prefix of the backups.")
    var place: String
    @Option(parsing: .unconditional, help: "Backups of each collection that stay in any case: 0 or more.")
    var keep: Int?
    @Option(
        name: .customLong("older-than"),
        help: ArgumentHelp("Least age of a backup that goes, such as 30d.", valueName: "age"),
        transform: BackupArgument.age
    )
    var age: Int?
    @Option(help: "Remove this backup, and no other; may be repeated.", transform: BackupArgument.backup)
    var backup: [String] = []
    @Option(
        name: .customLong("archive-of"),
        help: ArgumentHelp(
            "Remove the whole archived log of this collection, by its name or identity.",
            valueName: "collection"
        )
    )
    var archivedCollection: String?
    @Flag(help: "Remove the last backup of a collection, one that cannot be read, and a whole archived log, too.")
    var yes = false
    @Flag(help: "Only say what would go.")
    var dryRun = false
    @Flag(help: "Write JSON for programs.")
    var json = false

    func validate() throws {
        if let keep, keep < 0 { throw ValidationError("--keep must be 0 or more.") }
        if !backup.isEmpty, keep != nil || age != nil {
            throw ValidationError("Give either --backup, or --keep and --older-than.")
        }
        if archivedCollection != nil, !backup.isEmpty || keep != nil || age != nil {
            throw ValidationError("Give --archive-of without --backup, --keep and --older-than.")
        }
    }

    /// Age from which a block may go that may be a backup's under way.
    private static let leastBlockAge: Int64 = 86_400_000

    func run(on console: Console) async throws(CommandFailure) {
        try await withStore(place, on: console) { store async throws(CommandFailure) in
            if let archivedCollection { return try await pruneArchive(of: archivedCollection, store, console) }
            try await run(store, console)
        }
    }

    private func run(_ store: any BackupStore, _ console: Console) async throws(CommandFailure) {
        let (removed, blocks, logs, unread) = try await locking(store) { () async throws(CommandFailure) in
            let catalogue = try await BackupCatalogue.read(store)
            let remover = BackupRemover(store)
            let names = backup.isEmpty ? try leaving(catalogue, console) : try named(catalogue)
            let needed = Set(
                catalogue.entries.filter { !names.contains($0.name) }.flatMap { $0.manifest.objects.map(\.digest) }
            )
            let blocks = try await keeping { () async throws(BackupError) in
                // The manifest goes first: a backup without its blocks must not look like one.
                if !dryRun {
                    for name in names.sorted() { try await remover.remove(BackupName.manifest(of: name)) }
                }
                let all = try await store.list(BackupName.blockPrefix)
                let now = TimeText.milliseconds
                let unneeded = all.filter { object in
                    guard let digest = BackupName.digest(ofBlock: object.name), !needed.contains(digest) else {
                        return false
                    }
                    if store.hasLock { return true }
                    return object.modified.map { now - $0.milliseconds > Self.leastBlockAge } ?? false
                }
                if !dryRun {
                    for object in unneeded { try await remover.remove(object.name) }
                    _ = try await store.removePartial()
                }
                return unneeded
            }
            let kept = catalogue.entries.filter { !names.contains($0.name) }.map(\.manifest)
            // Whose backup one was that cannot be read nobody knows: its log may be all that is left.
            var (logs, unread): ([BackupObject], [UnreadArchive]) = ([], [])
            if catalogue.damaged.isEmpty {
                (logs, unread) = try await keeping { () async throws(BackupError) in
                    try await pruneArchives(store, keeping: kept, remover)
                }
            }
            return (names.sorted(), blocks, logs, unread)
        }
        let byteCount = blocks.reduce(0) { $0 + $1.byteCount }
        let logByteCount = logs.reduce(0) { $0 + $1.byteCount }
        if json {
            console.writeOutput(
                JSONValue.object([
                    ("removed", .array(removed.map { .string($0) })), ("blocks", .count(blocks.count)),
                    ("bytes", .count(byteCount)), ("log_segments", .count(logs.count)),
                    ("log_bytes", .count(logByteCount)), ("unread_archives", .count(unread.count)),
                    ("dry_run", .flag(dryRun)),
                ]).document
            )
        } else {
            for name in removed { console.line(name) }
            console.line(
                "\(dryRun ? "Would remove" : "Removed") \(NumberText.counted(removed.count, "backup")) and "
                    + "\(NumberText.counted(blocks.count, "block")) with \(NumberText.bytes(byteCount))"
                    + (logs.isEmpty
                        ? "."
                        : ", and \(NumberText.counted(logs.count, "log segment")) with "
                            + "\(NumberText.bytes(logByteCount)).")
            )
        }
        guard let first = unread.first else { return }
        var failure = CommandFailure(first.problem)
        failure.message = unread.map { "the archived log of \($0.collection) stays whole: \($0.problem)" }
            .joined(separator: "\n")
        throw failure
    }
}

extension BackupPruneCommand {
    /// Names of the backups that go by the rules; the last of each collection only where `--yes` says so.
    private func leaving(_ catalogue: BackupCatalogue, _ console: Console) throws(CommandFailure) -> Set<String> {
        if let problem = catalogue.problem { throw problem }
        var leaving = catalogue.leaving(keep: keep, leastAge: age.map { .seconds($0) })
        for last in lastOnes(leaving, of: catalogue) where !yes {
            leaving.removeAll { $0.name == last.name }
            console.warn("\(last.name) is \(Self.words(for: last, in: catalogue)) and stays; it goes with --yes")
        }
        return Set(leaving.map(\.name))
    }

    /// Names of the backups that are named.
    private func named(_ catalogue: BackupCatalogue) throws(CommandFailure) -> Set<String> {
        var others = catalogue
        others.damaged.removeAll { backup.contains($0.name) }
        if let problem = others.problem { throw problem }
        let known = Set(catalogue.entries.map(\.name) + catalogue.damaged.map(\.name))
        if let unknown = backup.first(where: { !known.contains($0) }) {
            throw CommandFailure(.no, "there is no backup \(unknown) in \(place)")
        }
        if !yes {
            if let one = catalogue.damaged.first {
                throw CommandFailure(
                    .usage,
                    "what \(one.name) holds cannot be told: \(one.problem); with --yes it is removed all the same"
                )
            }
            if let last = lastOnes(catalogue.entries.filter { backup.contains($0.name) }, of: catalogue).first {
                throw CommandFailure(
                    .usage,
                    "\(last.name) is \(Self.words(for: last, in: catalogue)); give --yes as well if that is to go"
                )
            }
        }
        return Set(backup)
    }

    /// The newest of each collection of which none would be left that lacks no faces that were given up; of one that
    /// has no such backup the newest, when none would be left.
    private func lastOnes(
        _ leaving: [BackupCatalogue.Entry],
        of catalogue: BackupCatalogue
    ) -> [BackupCatalogue.Entry] {
        let names = Set(leaving.map(\.name))
        let left = catalogue.entries.filter { !names.contains($0.name) }
        func last(where isMeant: (BackupCatalogue.Entry) -> Bool) -> [BackupCatalogue.Entry] {
            let safe = Set(left.filter(isMeant).map(\.manifest.collection.id))
            let lost = leaving.filter { isMeant($0) && !safe.contains($0.manifest.collection.id) }
            return Dictionary(grouping: lost, by: \.manifest.collection.id).values.compactMap(\.last)
        }
        let whole = last { $0.manifest.loss == nil }
        let ids = Set(whole.map(\.manifest.collection.id))
        let others = last { _ in true }.filter { !ids.contains($0.manifest.collection.id) }
        return (whole + others).sorted { $0.name < $1.name }
    }

    /// What one of ``lastOnes(_:of:)`` is.
    private static func words(for last: BackupCatalogue.Entry, in catalogue: BackupCatalogue) -> String {
        let hasLossyOnes = catalogue.entries.contains {
            $0.manifest.collection.id == last.manifest.collection.id && $0.manifest.loss != nil
        }
        let isWhole = last.manifest.loss == nil && hasLossyOnes
        return "the last backup of '\(last.collection)'" + (isWhole ? " that lacks no faces that were given up" : "")
    }

    /// Removes what of archived logs no restore of these backups needs.
    ///
    /// The archive may be written meanwhile: what no list names yet, and is young, may be named by the next one.
    ///
    /// - Returns: the segments, and the logs that are left as they are.
    private func pruneArchives(
        _ store: any BackupStore,
        keeping backups: [BackupManifest],
        _ remover: BackupRemover
    ) async throws(BackupError) -> ([BackupObject], [UnreadArchive]) {
        let now = TimeText.milliseconds
        func isOld(_ object: BackupObject) -> Bool {
            object.modified.map { now - $0.milliseconds > Self.leastBlockAge } ?? false
        }
        var leaving: [BackupName.Volume] = []
        var left: Set<BackupDigest> = []
        var needed: Set<BackupDigest> = []
        var unread: [UnreadArchive] = []
        for collection in try await store.archives() {
            let read: ArchiveChain?
            do throws(BackupError) {
                read = try await ArchiveChain.read(collection, in: store)
            } catch {
                unread.append(UnreadArchive(collection: collection, problem: error))
                continue
            }
            guard let chain = read else { continue }
            let pruned = chain.volumesToPrune(keeping: backups)
            let names = Set(pruned.map(\.name))
            for (name, volume) in chain.volumes {
                let digests = volume.parts.compactMap(\.segment?.digest)
                if names.contains(name) { left.formUnion(digests) } else { needed.formUnion(digests) }
            }
            // One that was replaced goes before what took its place: alone it would be taken for a hole in the chain.
            let (strays, last) = (Set(chain.strays), pruned.last?.name.number ?? 0)
            for object in try await store.list(BackupName.archive(of: collection)) {
                guard let name = BackupName.volume(of: object.name), strays.contains(name) else { continue }
                if isOld(object) || name.number <= last { leaving.append(name) }
            }
            // The oldest goes first: what is cut off in between leaves no hole.
            leaving += pruned.map(\.name)
        }
        let segments = try await store.list(BackupName.segmentPrefix).filter { object in
            guard let digest = BackupName.digest(ofSegment: object.name), !needed.contains(digest) else { return false }
            // What a list names that cannot be read nobody knows.
            return left.contains(digest) || unread.isEmpty && isOld(object)
        }
        if !dryRun {
            for name in leaving { try await remover.remove(BackupName.volume(name)) }
            for object in segments { try await remover.remove(object.name) }
        }
        return (segments, unread)
    }
}

extension BackupCatalogue {
    /// The backups that a rule does away with.
    ///
    /// - Parameters:
    ///   - keep: the newest of each collection that stay in any case; nil for none by this rule. One that may lack
    ///     faces that were given up takes no other's place.
    ///   - leastAge: age from which one may go; nil for any.
    func leaving(keep: Int?, leastAge: Duration?) -> [Entry] {
        guard keep != nil || leastAge != nil else { return [] }
        var kept: [CollectionID: Int] = [:]
        var leaving: [Entry] = []
        for entry in entries.reversed() {
            let count = kept[entry.manifest.collection.id, default: 0]
            let isKept = count < (keep ?? 0)
            kept[entry.manifest.collection.id] = entry.manifest.loss == nil ? count + 1 : count
            let isOld = leastAge.map { BackupReport.age(entry.manifest) >= $0 } ?? true
            if !isKept, isOld { leaving.append(entry) }
        }
        return leaving.reversed()
    }
}
