import Backups
import ClusterModel
import FaceModel
import Foundation
import Testing

/// What is in a place of backups is listed; the archived log of a collection that is gone can be removed whole, and no
/// other.
struct BackupPlaceCommandTests {
    private static let shard = ArchiveVolume.Shard(index: 0, range: .all)
    private static let old = Timestamp(milliseconds: 1_767_225_600_000)

    /// Archives an entry of a collection.
    private func archive(
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

        let backup = BackupName.make(collection: "people", time: "20260101T000000000Z", number: 1)
        let manifest = BackupManifest(
            prefixBits: 8,
            created: Self.old,
            softwareVersion: "0.1",
            cluster: NodeID(high: 1, low: 2),
            collection: Collection(
                id: old,
                configuration: CollectionConfiguration(
                    name: "people",
                    dimension: 64,
                    embeddingModel: "m",
                    shardCount: 1,
                    replicationFactor: 1
                ),
                created: Self.old
            ),
            erasureKey: ErasureKey(high: 7, low: 8),
            shards: [.init(index: 0, range: .all, epoch: 1, sequence: 0, faceCount: 0, sum: 0)],
            faceCount: 0,
            slices: [UInt128](repeating: 0, count: 256),
            blocks: []
        )
        try store.put(BackupName.manifest(of: backup), manifest.encoded())
        let needed = await mienCommand(prune + ["\(old)"])
        #expect(needed.status == 1 && needed.error.contains("\(backup) is a backup of that collection"), "\(needed)")
        #expect(Set(try objects(store)) == Set(all))

        // Without the backup it goes, by its identity.
        try store.remove(BackupName.manifest(of: backup))
        let removed = await mienCommand(prune + ["\(old)"])
        #expect(removed.status == 0, "\(removed)")
        #expect(try objects(store).count == all.count / 2)
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
        #expect(removed.status == 0 && removed.output.contains("0 log segments"), "\(removed)")
        #expect(try store.list(BackupName.archivePrefix).isEmpty)
    }

    @Test func aPlaceWithoutBackupsSaysSo() async throws {
        let folder = try ScratchFolder()
        let list = ["backup", "list", folder.path]
        #expect(await mienCommand(list).output == "There are no backups in \(folder.path).\n")
        #expect(await mienCommand(list + ["--archive"]).output == "There is no archived log in \(folder.path).\n")
        #expect(await mienCommand(list + ["--json"]).output.filter { !$0.isWhitespace } == "[]")
    }
}
