import Backups
import ClusterModel
import FaceModel
import Foundation
import Testing

/// What is in a place of backups is listed; the archived log of a collection that is gone can be removed whole, and no
/// other.
struct BackupPlaceCommandTests {
    private static let shard = ArchiveVolume.Shard(index: 0, range: .all)
    static let old = Timestamp(milliseconds: 1_767_225_600_000)

    /// Archives an entry of a collection.
    func archive(
        _ collection: CollectionID,
        named name: String,
        at time: Timestamp,
        in store: FolderStore
    ) throws {
        var book = ArchiveBook(collection: collection, name: name, cluster: NodeID(high: 1, low: 2), head: nil)
        let start = ArchivePosition(sequence: 7, epoch: 3, chain: 5, time: time)
        let end = ArchivePosition(sequence: 8, epoch: 3, chain: 6, time: time)
        let bytes = LogSegment(
            collection: collection,
            shardIndex: 0,
            firstSequence: 8,
            entries: [ArchivedEntry(time: time, effect: .applied, bytes: [1, 2, 3])]
        ).encoded()
        let segment = BackupDigest(of: bytes)
        try store.put(BackupName.segment(segment), bytes)
        let page = book.page(
            adding: [
                .init(shard: Self.shard, start: start, end: start, continues: false, segment: nil),
                .init(
                    shard: Self.shard,
                    start: start,
                    end: end,
                    continues: true,
                    segment: .init(entryCount: 1, byteCount: UInt32(bytes.count), digest: segment)
                ),
            ],
            standings: [.init(shard: Self.shard, position: end, until: time)],
            ends: [:],
            now: time
        )
        try store.put(BackupName.volume(page.name), page.bytes)
        book.stored(page)
    }

    private func objects(_ store: FolderStore) throws -> [String] {
        try [BackupName.archivePrefix, BackupName.segmentPrefix].flatMap { try store.list($0) }.map(\.name)
    }

    @Test func theArchivedLogOfACollectionThatIsGoneIsRemovedWhole() async throws {
        let folder = try ScratchFolder()
        let store = try FolderStore(folder.path, createsFolder: false)
        let (gone, kept) = (CollectionID(high: 1, low: 2), CollectionID(high: 1, low: 3))
        try archive(kept, named: "staff", at: Self.old, in: store)
        let keptObjects = try objects(store)
        try archive(gone, named: "people", at: Self.old, in: store)
        let prune = ["backup", "prune", folder.path, "--archive-of"]

        let asked = await mienCommand(prune + ["people"])
        #expect(asked.status == 0 && asked.output.contains("Would remove the archived log of \(gone)"), "\(asked)")
        #expect(asked.output.contains("1 log segment with") && asked.output.contains("with --yes"), "\(asked)")
        #expect(try objects(store).count == 2 * keptObjects.count)
        let unknown = await mienCommand(prune + ["nobody", "--yes"])
        #expect(unknown.status == 1 && unknown.error.contains("no archived log of a collection 'nobody'"), "\(unknown)")

        let removed = await mienCommand(prune + ["people", "--yes"])
        #expect(removed.status == 0 && removed.output.contains("Removed the archived log of \(gone)"), "\(removed)")
        #expect(Set(try objects(store)) == Set(keptObjects))
    }

    @Test func anArchivedLogThatABackupMayNeedOrThatIsWrittenStays() async throws {
        let folder = try ScratchFolder()
        let store = try FolderStore(folder.path, createsFolder: false)
        let (old, young) = (CollectionID(high: 1, low: 2), CollectionID(high: 1, low: 3))
        try archive(old, named: "people", at: Self.old, in: store)
        try archive(young, named: "people", at: .wallClock, in: store)
        let all = try objects(store)
        let prune = ["backup", "prune", folder.path, "--yes", "--archive-of"]

        // Two were called so.
        let ambiguous = await mienCommand(prune + ["people"])
        #expect(ambiguous.status == 64 && ambiguous.error.contains("give the identity of one"), "\(ambiguous)")
        #expect(ambiguous.error.contains("\(old)") && ambiguous.error.contains("\(young)"), "\(ambiguous)")
        let written = await mienCommand(prune + ["\(young)"])
        #expect(written.status == 1 && written.error.contains("less than an hour ago"), "\(written)")

        let backup = try BackupFixture.put(BackupFixture.manifest(of: old, created: Self.old), in: folder)
        let needed = await mienCommand(prune + ["\(old)"])
        #expect(needed.status == 1 && needed.error.contains("\(backup) is a backup of that collection"), "\(needed)")
        #expect(Set(try objects(store)) == Set(all))

        // Without the backup it goes, by its identity.
        try store.remove(BackupName.manifest(of: backup))
        let removed = await mienCommand(prune + ["\(old)"])
        #expect(removed.status == 0, "\(removed)")
        #expect(try objects(store).count == all.count / 2)
    }

    /// A segment is written before the list that names it, and a coordinator may be killed before either is whole.
    @Test func whatNoListNamesOfALogAndWhatWasCutOffGoesWithIt() async throws {
        let folder = try ScratchFolder()
        let store = try FolderStore(folder.path, createsFolder: false)
        let (gone, kept) = (CollectionID(high: 1, low: 2), CollectionID(high: 1, low: 3))
        try archive(gone, named: "people", at: Self.old, in: store)
        try archive(kept, named: "staff", at: Self.old, in: store)
        var paths: [CollectionID: [String]] = [:]
        for collection in [gone, kept] {
            let bytes = LogSegment(
                collection: collection,
                shardIndex: 0,
                firstSequence: 9,
                entries: [ArchivedEntry(time: Self.old, effect: .applied, bytes: [4, 5])]
            ).encoded()
            let name = BackupName.segment(BackupDigest(of: bytes))
            try store.put(name, bytes)
            let whole = [name, BackupName.archive(of: collection) + "00000002"]
            let partials = whole.map { folder.file("\($0).1f.partial") }
            for partial in partials {
                #expect(FileManager.default.createFile(atPath: partial, contents: Data(bytes.prefix(50))))
                // Of today: nobody else would remove it yet.
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSinceNow: -7200)],
                    ofItemAtPath: partial
                )
            }
            paths[collection] = partials + [folder.file(name)]
        }
        let prune = ["backup", "prune", folder.path, "--archive-of", "people"]
        let asked = await mienCommand(prune)
        #expect(asked.status == 0 && asked.output.contains("2 log segments with"), "\(asked)")
        #expect(paths.values.joined().allSatisfy { FileManager.default.fileExists(atPath: $0) })
        let removed = await mienCommand(prune + ["--yes"])
        #expect(removed.status == 0 && removed.output.contains("2 log segments with"), "\(removed)")
        for path in paths[gone]! { #expect(!FileManager.default.fileExists(atPath: path), "\(path)") }
        for path in paths[kept]! { #expect(FileManager.default.fileExists(atPath: path), "\(path)") }
    }

    /// What cannot be read is in the way of every other prune.
    @Test func anArchivedLogThatIsDamagedIsRemovedByItsIdentity() async throws {
        let folder = try ScratchFolder()
        let store = try FolderStore(folder.path, createsFolder: false)
        let gone = CollectionID(high: 1, low: 2)
        try archive(gone, named: "people", at: Self.old, in: store)
        let volume = try #require(try store.list(BackupName.archivePrefix).first)
        try store.remove(volume.name)
        try store.put(volume.name, [1, 2, 3])
        let path = folder.file(volume.name)
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: 1_767_225_600)],
            ofItemAtPath: path
        )
        let refused = await mienCommand(["backup", "prune", folder.path, "--keep", "1"])
        #expect(refused.status == 65, "\(refused)")
        let removed = await mienCommand(["backup", "prune", folder.path, "--archive-of", "\(gone)", "--yes"])
        // Whose its segment is that segment tells itself.
        #expect(removed.status == 0 && removed.output.contains("1 log segment with"), "\(removed)")
        #expect(try objects(store).isEmpty)
    }

    @Test func aPlaceWithoutBackupsSaysSo() async throws {
        let folder = try ScratchFolder()
        let list = ["backup", "list", folder.path]
        #expect(await mienCommand(list).output == "There are no backups in \(folder.path).\n")
        #expect(await mienCommand(list + ["--archive"]).output == "There is no archived log in \(folder.path).\n")
        #expect(await mienCommand(list + ["--json"]).output.filter { !$0.isWhitespace } == "[]")
    }
}
