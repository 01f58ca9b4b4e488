import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Records are made by a controller; here their reading is tested against what else may lie in a store.
struct ClusterRecordsTests {
    let folder = TemporaryFolder()

    @Test func aNewStoreGetsAnIdentityOnce() async throws {
        let store = try await EmbeddedMetadataStore.open(at: folder.path)
        let first = try await ClusterRecords.load(from: store)
        let second = try await ClusterRecords.load(from: store)
        #expect(first.metadata == second.metadata)
        #expect(first.metadata.epoch == Epoch(0))
        #expect(first.revision == second.revision)
        await store.close()
    }

    @Test(arguments: [
        ("cluster", [9] + [UInt8](repeating: 0, count: 16), "its layout is 9, not 1"),
        ("cluster", [1, 2], "8 bytes are wanted at offset 1 and 1 are there"),
        ("cluster", [1] + [UInt8](repeating: 0, count: 17), "1 bytes follow the last field"),
        ("epoch", [], "1 bytes are wanted at offset 0 and 0 are there"),
        ("epoch", [1] + [UInt8](repeating: 255, count: 8), "the epoch at offset 1 has a value that is not known"),
        (
            "deleted/00000000-0000-0000-0000-000000000001", [1, 1, 0, 0, 0, 0, 0, 0, 64],
            "the epoch at offset 1 has a value that is not known"
        ),
        ("worker/x", [1], "its key is no worker id"),
        ("deleted/x", [1], "its key is no collection id"),
        ("other", [1], "its kind is unknown"),
        ("collection/00000000-0000-0000-0000-000000000001", [3, 0], "8 bytes are wanted at offset 1 and 1 are there"),
    ])
    func damagedRecordsAreNamed(key: String, value: [UInt8], reason: String) async throws {
        let store = try await EmbeddedMetadataStore.open(at: folder.path)
        _ = try await ClusterRecords.load(from: store)
        try await store.commit([], [.put(key: key, value: value)])
        await #expect(throws: MetadataError.corrupt(key: key, reason: reason)) {
            try await ClusterRecords.load(from: store)
        }
        await store.close()
    }
}
