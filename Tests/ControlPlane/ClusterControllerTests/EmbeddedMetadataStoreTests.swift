import ClusterController
import ClusterModel
import Glibc
import LMDB
import Testing

struct EmbeddedMetadataStoreTests {
    let folder = TemporaryFolder()

    @Test(arguments: MetadataStoreContract.stories)
    func keepsTheContract(_ story: MetadataStoreContract) async throws {
        let store = try await EmbeddedMetadataStore.open(at: folder.path + "/metadata")
        try await story.tell(store)
        await store.close()
    }

    @Test func recordsRevisionAndNodeSurviveAReopening() async throws {
        let first = try await EmbeddedMetadataStore.open(at: folder.path)
        let revision = try await first.commit([], [.put(key: "a", value: [1, 2])])
        await first.close()
        let second = try await EmbeddedMetadataStore.open(at: folder.path)
        #expect(second.node == first.node)
        #expect(try await second.read("a") == MetadataRecord(key: "a", value: [1, 2], version: revision))
        #expect(try await second.commit([], [.remove(key: "a")]) > revision)
        await second.close()
    }

    @Test func aFolderInUseIsRefusedWithOneSentence() async throws {
        let store = try await EmbeddedMetadataStore.open(at: folder.path)
        let error = await #expect(throws: MetadataError.self) { try await EmbeddedMetadataStore.open(at: folder.path) }
        #expect("\(error!)".contains("already open in this process"))
        await store.close()
    }

    @Test func aFolderInUseByAnotherProcessIsRefused() async throws {
        let store = try await EmbeddedMetadataStore.open(at: folder.path)
        await store.close()
        // The lock of another process, as this one sees it: flock belongs to the open file, not to the process.
        let file = open(folder.path + "/mien.lock", O_RDWR)
        #expect(flock(file, LOCK_EX | LOCK_NB) == 0)
        let error = await #expect(throws: MetadataError.self) { try await EmbeddedMetadataStore.open(at: folder.path) }
        #expect("\(error!)".contains("is in use by process"))
        close(file)
        await (try EmbeddedMetadataStore.open(at: folder.path)).close()
    }

    @Test func aFolderThatCannotBeMadeIsRefusedWithOneSentence() async throws {
        close(open(folder.path + "/file", O_CREAT | O_WRONLY, 0o600))
        let error = await #expect(throws: MetadataError.self) {
            try await EmbeddedMetadataStore.open(at: folder.path + "/file/metadata")
        }
        #expect("\(error!)".contains(folder.path + "/file"))
    }

    @Test func aNewerFormatIsRefused() async throws {
        await (try EmbeddedMetadataStore.open(at: folder.path)).close()
        try withTable("about") { environment, table in
            try environment.write { transaction in try transaction.put(table, key: "format", value: [3, 0, 0, 0]) }
        }
        await #expect(throws: MetadataError.newerFormat(path: folder.path, found: 3, supported: 2)) {
            try await EmbeddedMetadataStore.open(at: folder.path)
        }
    }

    @Test func aFolderRemembersThatItsRecordsAreElsewhere() async throws {
        let cluster = NodeID(high: 1, low: 2)
        let store = try await EmbeddedMetadataStore.open(at: folder.path + "/metadata")
        try await store.commit([], [.put(key: "cluster", value: [1])])
        #expect(try await store.clusterElsewhere() == nil)
        await store.close()
        await #expect(throws: MetadataError.recordsHere(path: folder.path)) {
            try await CoordinatorFolder.open(at: folder.path, records: .elsewhere)
        }
        let again = try await EmbeddedMetadataStore.open(at: folder.path + "/metadata")
        try await again.leave(for: cluster)
        await again.close()
        await #expect(throws: MetadataError.recordsElsewhere(path: folder.path)) {
            try await CoordinatorFolder.open(at: folder.path)
        }
        let left = try await CoordinatorFolder.open(at: folder.path, records: .elsewhere)
        #expect(try await left.store.clusterElsewhere() == cluster)
        #expect(left.store.node == store.node, "the coordinator stays who it is")
        await left.store.close()
    }

    @Test func aFlippedBitIsFoundAndNamed() async throws {
        let store = try await EmbeddedMetadataStore.open(at: folder.path)
        try await store.commit([], [.put(key: "a", value: [1]), .put(key: "b", value: [2])])
        await store.close()
        try withTable("records") { environment, table in
            try environment.write { transaction in
                var stored = try transaction.reading.withValue(of: table, key: "b") { span in
                    span.withUnsafeBytes { Array($0) }
                }!
                stored[stored.count - 1] ^= 1
                try transaction.put(table, key: "b", value: stored)
            }
        }
        let damaged = try await EmbeddedMetadataStore.open(at: folder.path)
        #expect(try await damaged.read("a")?.value == [1])
        let expected = MetadataError.corrupt(key: "b", reason: "its checksum is wrong")
        await #expect(throws: expected) { try await damaged.read("b") }
        await #expect(throws: expected) { try await damaged.list(prefix: "") }
        await damaged.close()
    }

    /// The revision has no checksum: one behind which there is none is no revision.
    @Test(arguments: [[UInt8](repeating: 255, count: 8), [1, 2, 3]])
    func aRevisionThatCannotBeIsDamage(bytes: [UInt8]) async throws {
        let store = try await EmbeddedMetadataStore.open(at: folder.path)
        try await store.commit([], [.put(key: "a", value: [1])])
        await store.close()
        try withTable("about") { environment, table in
            try environment.write { transaction in try transaction.put(table, key: "revision", value: bytes) }
        }
        let damaged = try await EmbeddedMetadataStore.open(at: folder.path)
        let expected = MetadataError.corrupt(key: "revision", reason: "it is none that can have been reached")
        await #expect(throws: expected) { try await damaged.list(prefix: "") }
        await #expect(throws: expected) { try await damaged.commit([], [.put(key: "b", value: [2])]) }
        #expect(try await damaged.read("a")?.value == [1])
        await damaged.close()
    }

    @Test func aClosedStoreSaysSo() async throws {
        let store = try await EmbeddedMetadataStore.open(at: folder.path)
        await store.close()
        let error = await #expect(throws: MetadataError.self) { try await store.read("a") }
        #expect("\(error!)".contains("is closed"))
    }

    private func withTable(_ name: String, _ body: (Environment, Table) throws -> Void) throws {
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 34
        let environment = try Environment(path: folder.path, options: options)
        defer { environment.close() }
        try body(environment, try environment.openTable(named: name))
    }
}
