import ClusterController
import ClusterModel
import FaceModel
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// What whoever archives the logs knows of where those have ended whose shards are gone.
struct SuccessionEndsTests {
    private let shared = TemporaryFolder()
    private let own = TemporaryFolder()

    /// The store makes the commit by which shards take others' place, and goes away before it says so.
    @Test func aSuccessionWhoseAnswerWasLostLeavesTheEnds() async throws {
        let archive = ArchiveLedger()
        let store = FaultyStore(try await EmbeddedMetadataStore.open(at: shared.path))
        let cluster = try await ControlCluster.start(
            at: own.path,
            sharing: store,
            token: "secret-secret-secret",
            archive: archive
        )
        let worker = FakeControlWorker(1)
        try await worker.start(in: cluster)
        try await cluster.awaitWorkers([worker])
        let outcome = await Result {
            try await cluster.create("people", shards: 1)
            let shard = try #require(worker.shards.first)
            worker.state.withLock { $0.replicas[shard]?.sequence = 7 }
            let archiving = Task {
                while !Task.isCancelled {
                    let began = ContinuousClock.now
                    archive.reached([shard: 7], asOf: began, now: .now)
                    try? await Task.sleep(for: .milliseconds(20))
                }
            }
            defer { archiving.cancel() }
            store.set { faults in faults.goesAwayAfter = { changes in changes.contains { $0.key == "epoch" } } }
            let split = BeginOperation(id: .random(), order: .split(collection: "people", shardIndices: []))
            try await eventually("the split begins") {
                (try? await cluster.client.call(split, deadline: .after(.seconds(5)))) != nil
            }
            try await eventually("the commit is made, and the store away") { store.isAway }
            try await Task.sleep(for: .milliseconds(300))
            #expect(archive.ends(of: shard.collection) == [shard.index: 7])
            store.set { faults in
                faults.goesAwayAfter = nil
                faults.isAway = false
            }
            try await eventually("the new shards are there") {
                cluster.controller.shardMap.placements[shard.collection]?.count == 2
            }
            try await Task.sleep(for: .milliseconds(300))
            #expect(archive.ends(of: shard.collection) == [shard.index: 7])
        }
        await worker.stop()
        await cluster.stop()
        try outcome.get()
    }
}
