import Backups
import FaceModel

/// The archived log of one collection, to be removed whole.
private struct LeavingArchive {
    var collection: CollectionID
    /// As its newest volume has it; nil where that cannot be read.
    var name: String?
    /// When its list was written last; nil where nothing tells.
    var written: Timestamp?
    /// The objects of its list, the oldest first.
    var list: [BackupName.Volume] = []
    /// What the volumes that can be read name.
    var digests: Set<BackupDigest> = []

    /// What people read of it: two collections may have had one name.
    var text: String {
        "\(collection)\(name.map { ", '\($0)'" } ?? "")"
            + (written.map { ", written last at \(PointInTime.text($0))" } ?? "")
    }
}

extension BackupPruneCommand {
    /// Time since an archive's list was written last after which its collection is gone, or not archived any more: of
    /// one that is there it is written every few seconds, unless the place is away.
    private static let leastArchiveAge: Int64 = 3_600_000

    /// Removes the whole archived log of a collection that is gone; with `--yes` only.
    ///
    /// - Parameter text: the collection's name, or its identity where several had that name.
    func pruneArchive(
        of text: String,
        _ store: any BackupStore,
        _ console: Console
    ) async throws(CommandFailure) {
        let isRemoved = yes && !dryRun
        let (archive, segments) = try await locking(store) { () async throws(CommandFailure) in
            let (archive, others) = try await leavingArchive(of: text, in: store)
            let catalogue = try await BackupCatalogue.read(store)
            // Whose backup one was that cannot be read nobody knows: its log may be all that is left.
            if let problem = catalogue.problem { throw problem }
            if let backup = catalogue.entries.first(where: { $0.manifest.collection.id == archive.collection }) {
                throw CommandFailure(
                    .no,
                    "\(backup.name) is a backup of that collection, and may need the log: remove it first, with "
                        + "--backup \(backup.name) --yes"
                )
            }
            try checkAge(of: archive)
            let segments = try await keeping { () async throws(BackupError) in
                let segments = try await Self.segments(of: archive, besideThoseOf: others, in: store)
                if isRemoved {
                    let remover = BackupRemover(store)
                    // The list goes last: as long as it is there the same command goes on with what is left.
                    for object in segments { try await remover.remove(object.name) }
                    for volume in archive.list { try await remover.remove(BackupName.volume(volume)) }
                    _ = try await store.removePartial()
                    _ = try await store.removePartial(ofArchive: archive.collection)
                }
                return segments
            }
            return (archive, segments)
        }
        let byteCount = segments.reduce(0) { $0 + $1.byteCount }
        if json {
            console.writeOutput(
                JSONValue.object([
                    ("collection", .text(archive.name)), ("collection_id", .string(archive.collection.description)),
                    ("volumes", .count(archive.list.count)), ("log_segments", .count(segments.count)),
                    ("log_bytes", .count(byteCount)), ("dry_run", .flag(!isRemoved)),
                ]).document
            )
            return
        }
        let sentence =
            "\(isRemoved ? "Removed" : "Would remove") the archived log of \(archive.text): "
            + "\(NumberText.counted(segments.count, "log segment")) with \(NumberText.bytes(byteCount))"
            + (isRemoved || dryRun ? "." : "; it goes with --yes.")
        console.line(sentence.shown())
    }

    /// The log segments of a collection: those that its list names, and of those that no list names the ones that say
    /// so themselves. One is written before the list that names it, and where it comes to be named by none it stays.
    ///
    /// - Parameter others: what the lists of other collections name.
    private static func segments(
        of archive: LeavingArchive,
        besideThoseOf others: Set<BackupDigest>,
        in store: any BackupStore
    ) async throws(BackupError) -> [BackupObject] {
        var segments: [BackupObject] = []
        for object in try await store.list(BackupName.segmentPrefix) {
            guard let digest = BackupName.digest(ofSegment: object.name) else { continue }
            if archive.digests.contains(digest) {
                segments.append(object)
            } else if !others.contains(digest), try await collection(of: object, in: store) == archive.collection {
                segments.append(object)
            }
        }
        return segments
    }

    /// Of whose log a segment is; nil for one that does not tell.
    private static func collection(
        of segment: BackupObject,
        in store: any BackupStore
    ) async throws(BackupError) -> CollectionID? {
        do throws(BackupError) {
            return LogSegment.collection(of: try await store.get(segment.name, limit: LogSegment.longestByteCount))
        } catch {
            if case .storeFailed = error { throw error }
            return nil
        }
    }

    /// The one that is named, and what the others' lists name.
    private func leavingArchive(
        of text: String,
        in store: any BackupStore
    ) async throws(CommandFailure) -> (archive: LeavingArchive, others: Set<BackupDigest>) {
        let all = try await keeping { () async throws(BackupError) in
            var all: [LeavingArchive] = []
            for collection in try await store.archives() {
                all.append(try await Self.leavingArchive(of: collection, in: store))
            }
            return all
        }
        let found = all.filter { $0.name == text || $0.collection.description == text }
        guard found.count < 2 else {
            throw CommandFailure(
                .usage,
                "\(found.count) collections with an archived log were called '\(text)'; give the identity of one:\n"
                    + found.map(\.text).joined(separator: "\n")
            )
        }
        guard let archive = found.first else {
            throw CommandFailure(
                .no,
                "there is no archived log of a collection '\(text)' in \(place); 'mien backup list --archive' shows "
                    + "those there are, and with --json their identities"
            )
        }
        let others = all.filter { $0.collection != archive.collection }
        return (archive, others.reduce(into: []) { $0.formUnion($1.digests) })
    }

    /// What there is of a collection's archive, as far as it can be read: what is damaged can be removed, too.
    private static func leavingArchive(
        of collection: CollectionID,
        in store: any BackupStore
    ) async throws(BackupError) -> LeavingArchive {
        var archive = LeavingArchive(collection: collection)
        var modified: [BackupName.Volume: Timestamp] = [:]
        for object in try await store.list(BackupName.archive(of: collection)) {
            guard let name = BackupName.volume(of: object.name) else { continue }
            archive.list.append(name)
            modified[name] = object.modified
        }
        archive.list.sort()
        for name in archive.list {
            var written = modified[name]
            do throws(BackupError) {
                let volume = try await store.volume(name)
                archive.digests.formUnion(volume.parts.compactMap(\.segment?.digest))
                archive.name = volume.name
                written = volume.written
            } catch {
                // Of a list that is being written a revision goes meanwhile.
                if case .storeFailed = error { throw error }
            }
            if let written { archive.written = max(archive.written ?? written, written) }
        }
        return archive
    }

    private func checkAge(of archive: LeavingArchive) throws(CommandFailure) {
        guard let written = archive.written else { return }
        guard TimeText.milliseconds - written.milliseconds < Self.leastArchiveAge else { return }
        throw CommandFailure(
            .no,
            "the log of that collection was archived until less than an hour ago, at \(PointInTime.text(written)): the "
                + "collection may be there; where it was deleted, try again an hour after that"
        )
    }
}
