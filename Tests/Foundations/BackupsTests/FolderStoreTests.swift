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

    @Test func objectsAreKeptAndRead() async throws {
        try await Self.withFolder { folder in
            let store = try FolderStore(folder, createsFolder: true)
            let (manifest, blocks) = BackupSamples.manifest(of: BackupSamples.faces(700))
            for (block, bytes) in zip(manifest.blocks, blocks) { try store.put(BackupName.block(block.digest), bytes) }
            try store.put(BackupName.manifest(of: "gallery-1"), manifest.encoded())
            #expect(try await store.backups() == ["gallery-1"])
            #expect(try await store.manifest(of: "gallery-1") == manifest)
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
}
