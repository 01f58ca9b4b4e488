import Backups
import FaceModel
import Foundation
import Testing

@Suite struct FolderStoreTests {
    private static func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "mien-backups-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    private struct NotMounted: Error {}

    /// Runs a body with a folder of a file system that is mounted read-only; needs root and the right to mount.
    private static func withReadOnlyFolder(_ body: (String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "mien-read-only-\(UUID())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        guard mount("tmpfs", folder, "tmpfs", UInt(MS_RDONLY), "size=1m") == 0 else { throw NotMounted() }
        defer { umount2(folder, Int32(MNT_DETACH)) }
        try body(folder)
    }

    static let mayMount: Bool = {
        do {
            try withReadOnlyFolder { _ in }
            return true
        } catch {
            return false
        }
    }()

    /// As nearly all of a host is for a service of systemd.
    @Test(.enabled(if: FolderStoreTests.mayMount, "no file system may be mounted"))
    func aFolderThatIsMountedReadOnlyIsRefused() throws {
        try FolderStore(NSTemporaryDirectory(), createsFolder: false).checkIsWritable()
        try Self.withReadOnlyFolder { folder in
            let store = try FolderStore(folder, createsFolder: false)
            let error = #expect(throws: BackupError.self) { try store.checkIsWritable() }
            #expect("\(error!)".contains(folder) && "\(error!)".contains("ReadWritePaths="))
        }
    }

    /// A disk that is not mounted any more, of which the place was a folder.
    @Test func aPlaceThatHasGoneIsNoEmptyPlace() async throws {
        try await Self.withFolder { folder in
            let store = try FolderStore(folder, createsFolder: true)
            #expect(try store.list(BackupName.archivePrefix).isEmpty)
            try FileManager.default.removeItem(atPath: folder)
            let listing = #expect(throws: BackupError.self) { try store.list(BackupName.archivePrefix) }
            #expect("\(listing!)" == "\(folder): it cannot be opened: no such file or directory")
            let reading = #expect(throws: BackupError.self) { try store.get(BackupName.manifest(of: "a"), limit: 9) }
            #expect(reading == listing)
        }
    }

    @Test func objectsAreKeptAndRead() async throws {
        try await Self.withFolder { folder in
            let store = try FolderStore(folder, createsFolder: true)
            let (manifest, blocks) = BackupSamples.manifest(of: BackupSamples.faces(700))
            for (block, bytes) in zip(manifest.blocks, blocks) { try store.put(BackupName.block(block.digest), bytes) }
            let name = BackupSamples.backup
            try store.put(BackupName.manifest(of: name), manifest.encoded())
            #expect(try await store.backups() == [name])
            #expect(try await store.manifest(of: name) == manifest)
            let objects = try store.list(BackupName.blockPrefix)
            #expect(Set(objects.map(\.name)) == Set(manifest.blocks.map { BackupName.block($0.digest) }))
            var count = 0
            for block in manifest.blocks { count += try await store.faces(of: block, in: manifest).count }
            #expect(count == 700)
            let gone = manifest.blocks[2]
            try store.remove(BackupName.block(gone.digest))
            try store.remove(BackupName.block(gone.digest))
            let error = await #expect(throws: BackupError.self) { try await store.faces(of: gone, in: manifest) }
            #expect(error == .missing(object: "\(folder)/\(BackupName.block(gone.digest))"))
        }
    }

    @Test func aBlockThatIsNotWhatItsNameSaysIsRefused() async throws {
        try await Self.withFolder { folder in
            let store = try FolderStore(folder, createsFolder: true)
            let (manifest, blocks) = BackupSamples.manifest(of: BackupSamples.faces(700))
            let (first, second) = (manifest.blocks[0], manifest.blocks[1])
            // A sound block in the place of another.
            try store.put(BackupName.block(first.digest), blocks[1])
            try store.put(BackupName.block(second.digest), Array(blocks[1].dropLast()))
            for block in [first, second] {
                let error = await #expect(throws: BackupError.self) { try await store.faces(of: block, in: manifest) }
                #expect("\(error!)".contains("\(folder)/blocks/") && "\(error!)".contains("is damaged"))
            }
        }
    }

    /// Both are sound, and were exchanged.
    @Test func theManifestOfAnotherBackupIsRefused() async throws {
        try await Self.withFolder { folder in
            let store = try FolderStore(folder, createsFolder: true)
            let (first, _) = BackupSamples.manifest(of: BackupSamples.faces(9))
            var second = first
            second.created = Timestamp(milliseconds: first.created.milliseconds + 86_400_001)
            let names = [first, second].map {
                BackupName.make(collection: "gallery", time: BackupName.text(of: $0.created), number: 0x2a)
            }
            #expect(names == ["gallery-20261118T110640000Z-0000002a", "gallery-20261119T110640001Z-0000002a"])
            for (name, manifest) in zip(names, [first, second]) {
                try store.put(BackupName.manifest(of: name), manifest.encoded())
                #expect(try await store.manifest(of: name) == manifest)
            }
            for (name, manifest) in zip(names, [second, first]) {
                try store.put(BackupName.manifest(of: name), manifest.encoded())
                let error = await #expect(throws: BackupError.self) { try await store.manifest(of: name) }
                let path = store.path(of: BackupName.manifest(of: name))
                #expect("\(error!)".hasPrefix("\(path) is damaged: it is that of a backup of gallery taken at 2026"))
            }
            // One of another collection, and one whose name has no milliseconds, as names once had none.
            let other = "people-20261118T110640000Z-0000002a"
            let former = "gallery-20261118T110640Z-0000002a"
            for name in [other, former] { try store.put(BackupName.manifest(of: name), first.encoded()) }
            await #expect(throws: BackupError.self) { try await store.manifest(of: other) }
            #expect(try await store.manifest(of: former) == first)
        }
    }

    @Test func linksAndOtherThingsAreNotFollowed() async throws {
        try await Self.withFolder { folder in
            let store = try FolderStore(folder, createsFolder: true)
            let files = FileManager.default
            try store.put("manifests/a-1", [1])
            try files.createSymbolicLink(atPath: "\(folder)/manifests/a-2", withDestinationPath: "a-1")
            #expect(throws: BackupError.self) { try store.get("manifests/a-2", limit: 100) }
            #expect(throws: BackupError.self) { try store.list("manifests/") }
            try files.removeItem(atPath: "\(folder)/manifests/a-2")
            #expect(try store.list("manifests/").map(\.name) == ["manifests/a-1"])
            #expect(throws: BackupError.self) { try store.get("manifests/a-1", limit: 0) }
            try files.createDirectory(atPath: "\(folder)/elsewhere", withIntermediateDirectories: false)
            try files.createSymbolicLink(atPath: "\(folder)/blocks", withDestinationPath: "elsewhere")
            let name = BackupName.block(BackupDigest(of: [1]))
            #expect(throws: BackupError.self) { try store.put(name, [1]) }
            #expect(throws: BackupError.self) { try store.get(name, limit: 100) }
            #expect(throws: BackupError.self) { try store.remove(name) }
            #expect(try files.contentsOfDirectory(atPath: "\(folder)/elsewhere").isEmpty)
        }
    }

    /// Whoever may write in the backup's folder may not have others' files listed or removed.
    @Test func aLinkInAFoldersPlaceLeadsNowhere() throws {
        let root = NSTemporaryDirectory() + "mien-linked-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: root) }
        let files = FileManager.default
        let other = "\(root)/other"
        try files.createDirectory(atPath: "\(other)/ab", withIntermediateDirectories: true)
        let names = ["a-1", "a-2.partial", "ab/cd", "ab/ce.partial"]
        for name in names { #expect(files.createFile(atPath: "\(other)/\(name)", contents: Data([1]))) }
        let folder = "\(root)/backups"
        let store = try FolderStore(folder, createsFolder: true)
        try store.put("blocks/aa/aa", [1])
        for linked in ["manifests", "archives", "blocks/ab"] {
            try files.createSymbolicLink(atPath: "\(folder)/\(linked)", withDestinationPath: other)
        }
        try store.lock()
        for prefix in ["manifests/", "archives/", "archives/ab/", "blocks/", "blocks/ab/", "blocks/ab/ab/"] {
            #expect(throws: BackupError.self, "\(prefix)") { try store.list(prefix) }
        }
        for name in ["manifests/a-1", "archives/ab/cd", "blocks/ab/a-1"] {
            #expect(throws: BackupError.self, "\(name)") { try store.get(name, limit: 100) }
            #expect(throws: BackupError.self, "\(name)") { try store.remove(name) }
            #expect(throws: BackupError.self, "\(name)") { try store.put(name, [2]) }
        }
        #expect(try store.removePartial() == 0)
        for name in names { #expect(files.contents(atPath: "\(other)/\(name)") == Data([1]), "\(name)") }
        #expect(try files.contentsOfDirectory(atPath: "\(other)/ab").count == 2)
        // The place itself may be one: whoever names it has chosen so.
        try files.createSymbolicLink(atPath: "\(root)/place", withDestinationPath: folder)
        let placed = try FolderStore("\(root)/place", createsFolder: false)
        #expect(try placed.get("blocks/aa/aa", limit: 100) == [1])
        try placed.remove("blocks/aa/aa")
        #expect(try placed.list("blocks/aa/").isEmpty)
    }

    @Test func whatWasCutOffIsNoObject() async throws {
        try await Self.withFolder { folder in
            let store = try FolderStore(folder, createsFolder: true)
            let name = BackupName.block(BackupDigest(of: [1]))
            try store.put(name, [1])
            let partial = "\(folder)/\(name).partial"
            #expect(FileManager.default.createFile(atPath: partial, contents: Data([1, 2])))
            #expect(try store.list(BackupName.blockPrefix).map(\.name) == [name])
            try store.put(name, [1])
            #expect(FileManager.default.createFile(atPath: partial, contents: Data([1, 2])))
            #expect(try store.removePartial() == 1)
            #expect(!FileManager.default.fileExists(atPath: partial))
        }
    }

    /// Two coordinators archive the same segment for a moment: what has its name is whole.
    @Test func twoThatWriteTheSameObjectDoNotDisturbEachOther() async throws {
        try await Self.withFolder { folder in
            let stores = [try FolderStore(folder, createsFolder: true), try FolderStore(folder, createsFolder: false)]
            let name = BackupName.segment(BackupDigest(of: [1]))
            let contents = [[UInt8](repeating: 7, count: 300_000), [UInt8](repeating: 8, count: 200_000)]
            try stores[0].put(name, contents[0])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (store, bytes) in zip(stores, contents) {
                    group.addTask {
                        for _ in 0..<20 {
                            try store.put(name, bytes)
                            let found = try store.get(name, limit: 1 << 20)
                            #expect(contents.contains(found))
                        }
                    }
                }
                try await group.waitForAll()
            }
            let beside = URL(fileURLWithPath: "\(folder)/\(name)").deletingLastPathComponent().path
            #expect(try FileManager.default.contentsOfDirectory(atPath: beside).count == 1)
        }
    }

    @Test func whatWritesOfALedgerLeftBehindGoesWithTheNextWhenItIsOld() throws {
        let folder = NSTemporaryDirectory() + "mien-ledgers-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try FolderStore(folder, createsFolder: true)
        let files = FileManager.default
        let old = ["people.ledger.partial", "people.ledger.1f2e.partial"]
        let stays = ["people.ledger", "people.ledger.77.partial", "staff.ledger.1f2e.partial"]
        for name in old + stays { #expect(files.createFile(atPath: "\(folder)/\(name)", contents: Data([1]))) }
        let time = Date(timeIntervalSinceNow: -7200)
        for name in old + ["staff.ledger.1f2e.partial"] {
            try files.setAttributes([.modificationDate: time], ofItemAtPath: "\(folder)/\(name)")
        }
        store.removePartial(of: "people.ledger")
        #expect(Set(try files.contentsOfDirectory(atPath: folder)) == Set(stays))
    }

    @Test func oneWritesAtATime() async throws {
        try await Self.withFolder { folder in
            let first = try FolderStore(folder, createsFolder: true)
            let second = try FolderStore(folder + "/", createsFolder: false)
            try first.lock()
            #expect(throws: BackupError.inUse(object: folder)) { try second.lock() }
            first.unlock()
            try second.lock()
            #expect(throws: BackupError.self) { try FolderStore(folder + "/absent", createsFolder: false) }
        }
    }

    @Test func restoresGoTogetherWithBackupsAndNotWithPrunes() async throws {
        try await Self.withFolder { folder in
            let stores = try (0..<3).map { _ in try FolderStore(folder, createsFolder: true) }
            let taken = BackupError.inUse(object: folder)
            try stores[0].lock(for: .reading)
            try stores[1].lock(for: .reading)
            try stores[2].lock(for: .writing)
            stores[2].unlock()
            #expect(throws: taken) { try stores[2].lock(for: .pruning) }
            stores[0].unlock()
            #expect(throws: taken) { try stores[2].lock(for: .pruning) }
            // What is refused keeps nothing.
            try stores[0].lock(for: .writing)
            stores[0].unlock()
            stores[1].unlock()
            try stores[2].lock(for: .pruning)
            for use in [StoreUse.reading, .writing, .pruning] {
                #expect(throws: taken) { try stores[0].lock(for: use) }
            }
        }
    }
}
