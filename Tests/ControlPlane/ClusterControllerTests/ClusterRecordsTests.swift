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
        ("cluster", [0] + [UInt8](repeating: 0, count: 16), "its layout is 0, not 1"),
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
        ("collection/00000000-0000-0000-0000-000000000001", [3, 0], "8 bytes are wanted at offset 1 and 1 are there"),
        ("collection/00000000-0000-0000-0000-000000000001", [2, 0], "its layout is 2, not 8"),
        ("operation/00000000-0000-0000-0000-000000000001", [], "1 bytes are wanted at offset 0 and 0 are there"),
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

    /// Whoever started an earlier version by mistake is not to put an old copy in the place of sound records.
    @Test(
        arguments: [
            ("cluster", 1), ("epoch", 1), ("worker/00000000-0000-0000-0000-000000000001", 2),
            ("collection/00000000-0000-0000-0000-000000000001", 8),
            ("operation/00000000-0000-0000-0000-000000000001", 2), ("pin/00000000-0000-0000-0000-000000000001", 1),
            ("name/people", 1), ("deleted/00000000-0000-0000-0000-000000000001", 1),
            ("coordinator/00000000-0000-0000-0000-000000000001", 1), ("controller", 1), ("other", nil),
        ] as [(String, UInt8?)]
    )
    func recordsOfALaterVersionAreNotCalledDamaged(key: String, newest: UInt8?) async throws {
        let store = try await EmbeddedMetadataStore.open(at: folder.path)
        _ = try await ClusterRecords.load(from: store)
        let layout = (newest ?? 0) + 1
        try await store.commit([], [.put(key: key, value: [layout, 0])])
        let reason =
            newest.map { "its layout is \(layout), and those up to \($0) are known here" } ?? "its kind is unknown"
        let failure = MetadataError.newerRecord(key: key, reason: reason)
        await #expect(throws: failure) { try await ClusterRecords.load(from: store) }
        #expect("\(failure)".contains("nothing is damaged") && !"\(failure)".contains("copy"))
        await store.close()
    }
}
