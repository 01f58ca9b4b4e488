import ClusterController
import ClusterModel
import Foundation
import Testing
import WireProtocol

/// A store of which nobody knows how a commit ended, and which cannot be read as it is since.
struct FencedStoreTests {
    private let shared = TemporaryFolder()
    private let own = TemporaryFolder()

    /// Has commits fail in which the store's file is written to for the last time, for `body`: by a descriptor that
    /// LMDB has for that write alone, which returns when it is on the disk.
    private func withoutLastWrites(in folder: String, _ body: () async throws -> Void) async throws {
        let file = "\(folder)/data.mdb"
        let synchronous: Int32 = 0o10000
        let numbers = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }
        let descriptor = try #require(
            numbers.first { number in
                let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")
                return path == file && fcntl(number, F_GETFL) & synchronous != 0
            }
        )
        let kept = dup(descriptor)
        defer { close(kept) }
        let readOnly = open(file, O_RDONLY | O_CLOEXEC)
        defer { close(readOnly) }
        let taken = dup2(readOnly, descriptor)
        try #require(taken == descriptor)
        // Before anybody closes the file.
        let outcome = await Result { try await body() }
        let restored = dup2(kept, descriptor)
        #expect(restored == descriptor)
        try outcome.get()
    }

    /// Nobody has to commit before it is read again.
    @Test func aStoreWhoseLastWriteFailedIsReadAgainOnceTheDiskIsWell() async throws {
        let store = try await EmbeddedMetadataStore.open(at: shared.path)
        let revision = try await store.commit([], [.put(key: "a", value: [1])])
        try await withoutLastWrites(in: shared.path) {
            await #expect {
                try await store.commit([], [.put(key: "a", value: [2])])
            } throws: { error in
                guard case MetadataError.outcomeUnknown = error else { return false }
                return true
            }
        }
        let record = MetadataRecord(key: "a", value: [1], version: revision)
        #expect(try await store.list(prefix: "") == MetadataListing(records: [record], revision: revision))
        #expect(try await store.read("a") == record)
        #expect(try await store.clusterElsewhere() == nil)
        let next = try await store.commit([], [.put(key: "a", value: [3])])
        #expect(next > revision)
        #expect(try await store.read("a")?.value == [3])
        await store.close()
    }

    /// It is not opened anew by whoever comes late.
    @Test func aStoreThatWasClosedStaysClosed() async throws {
        let store = try await EmbeddedMetadataStore.open(at: shared.path)
        try await withoutLastWrites(in: shared.path) {
            _ = await #expect(throws: MetadataError.self) { try await store.commit([], [.put(key: "a", value: [1])]) }
        }
        await store.close()
        for _ in 0..<2 {
            let failure = await #expect(throws: MetadataError.self) { try await store.read("a") }
            guard case .unavailable? = failure else {
                Issue.record("\(String(describing: failure))")
                continue
            }
        }
        let other = try await EmbeddedMetadataStore.open(at: shared.path)
        #expect(try await other.read("a") == nil)
        await other.close()
    }

    /// It is told of, and tried until it writes again.
    @Test func aStoreThatCannotBeReadAfterACommitIsToldOf() async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 1, isExclusive: true) {
            store,
            cluster,
            _ in
            try await cluster.create("people", shards: 1)
            #expect(cluster.controller.storeProblem == nil)
            store.set { faults in
                faults.goesAwayAfter = { changes in changes.contains { $0.key.hasPrefix("deleted/") } }
            }
            let failure = await #expect(throws: WireStatus.self) { try await cluster.delete("people") }
            #expect(failure?.code == .unavailable)
            let problem = try #require(cluster.controller.storeProblem)
            #expect(problem.contains("The answer was lost."), "\(problem)")
            store.set { faults in
                faults.goesAwayAfter = nil
                faults.isAway = false
            }
            try await cluster.create("others", shards: 1)
            #expect(cluster.controller.storeProblem == nil)
        }
    }
}
