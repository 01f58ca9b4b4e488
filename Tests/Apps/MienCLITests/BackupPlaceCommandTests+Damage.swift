import Backups
import ClusterModel
import FaceModel
import Testing

extension BackupPlaceCommandTests {
    /// One archived log whose newest list is damaged keeps nothing else from being listed and pruned, and its segments
    /// stay: nobody knows what it names.
    @Test func anArchivedLogThatIsDamagedKeepsNoOtherFromBeingPruned() async throws {
        let folder = try ScratchFolder()
        let store = try FolderStore(folder.path, createsFolder: false)
        let (damaged, sound) = (CollectionID(high: 1, low: 2), CollectionID(high: 1, low: 3))
        try archive(damaged, named: "people", at: Self.old, in: store)
        let volume = try #require(try store.list(BackupName.archivePrefix).first?.name)
        var bytes = try store.get(volume, limit: ArchiveVolume.longestByteCount)
        bytes[30] ^= 1
        try store.put(volume, bytes)
        let segments = try store.list(BackupName.segmentPrefix).map(\.name)

        // Of the other the first volume is full, and no backup needs it.
        try archive(sound, named: "staff", at: Self.old, in: store)
        let cluster = NodeID(high: 1, low: 2)
        let (book, problem) = try await ArchiveBook.read(sound, named: "staff", of: cluster, in: store)
        let page = book.page(adding: [], standings: [], now: .wallClock)
        #expect(problem == nil && page.name.number == 2)
        try store.put(BackupName.volume(page.name), page.bytes)

        let list = await mienCommand(["backup", "list", folder.path])
        #expect(list.status == 65 && list.error.contains(volume), "\(list)")
        #expect(list.output.contains("staff"), "\(list)")
        let json = await mienCommand(["backup", "list", folder.path, "--archive", "--json"])
        #expect(json.status == 65 && json.output.contains("\(sound)"), "\(json)")

        let old = try BackupFixture.put(BackupFixture.manifest(of: damaged, created: Self.old), in: folder)
        let later = Timestamp(milliseconds: Self.old.milliseconds + 1000)
        try BackupFixture.put(BackupFixture.manifest(of: damaged, created: later), in: folder)
        let pruned = await mienCommand(["backup", "prune", folder.path, "--keep", "1"])
        #expect(pruned.status == 65, "\(pruned)")
        #expect(pruned.output.contains(old) && pruned.output.contains("1 log segment with"), "\(pruned)")
        #expect(pruned.error.contains("the archived log of \(damaged) stays whole"), "\(pruned)")
        #expect(try store.list(BackupName.segmentPrefix).map(\.name) == segments)
        #expect(try await store.volumes(of: sound) == [page.name])
    }
}
