import ClusterController
import ClusterModel
import ClusterState
import NIOCore
import NIOPosix
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// When a coordinator whose store others may change reads all records, and how old it says that they are.
struct RecordReadingTests {
    private let shared = TemporaryFolder()
    private let own = TemporaryFolder()

    /// Another coordinator may change them while this one begins: what it tells workers is as old as its reading.
    @Test func theFirstRecordsAreAsOldAsTheirReading() async throws {
        let store = FaultyStore(try await EmbeddedMetadataStore.open(at: shared.path))
        let worker = FakeControlWorker(1)
        let address = NodeAddress(host: "10.0.0.1", port: 7400)
        var metadata = try await ClusterRecords.load(from: store).metadata
        metadata.workers[worker.id] = address
        let changes = ClusterRecords.records(of: metadata).map { MetadataChange.put(key: $0.key, value: $0.value) }
        _ = try await store.commit([], changes)
        // Nothing is compared since.
        store.set { $0.goesAwayOnceListed = true }
        let cluster = try await ControlCluster.start(
            at: own.path,
            sharing: store,
            token: "secret-secret-secret",
            pause: .milliseconds(300)
        )
        let client = PeerClient(
            address: cluster.address,
            role: .worker,
            token: cluster.token,
            tls: nil,
            group: MultiThreadedEventLoopGroup.singleton,
            agent: "test"
        )
        let outcome: Result<Void, any Error> = await Result {
            let reply = try await client.call(worker.heartbeat(from: address), deadline: .after(.seconds(5)))
            #expect(reply.recordAge >= 300_000 && reply.recordAge < 60_000_000, "\(reply.recordAge)")
        }
        await client.close()
        await cluster.stop()
        try outcome.get()
    }

    /// As when every attempt of many calls is refused, since a primary has changed.
    @MainActor @Test func wishesForTheNewestRecordsShareReadings() async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 1) { store, cluster, _ in
            let controller = cluster.controller
            store.set { $0.holdsReadings = true }
            let before = store.readingCount
            let begunCount = Mutex(0)
            let wishes = (0..<100).map { _ in
                Task { @MainActor in
                    begunCount.withLock { $0 += 1 }
                    await controller.refresh()
                }
            }
            // All of this is on one actor: what has begun waits for a reading.
            try await eventually("all wait") { begunCount.withLock(\.self) == 100 && store.readingCount > before }
            store.set { $0.holdsReadings = false }
            for wish in wishes { await wish.value }
            #expect((1...2).contains(store.readingCount - before))
        }
    }

    /// What is read before somebody wishes for it may lack what it is wished for.
    @Test func aReadingThatBeganBeforeTheWishDoesNotServeIt() async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 1) { store, cluster, _ in
            store.set { $0.holdsReadings = true }
            let before = store.readingCount
            let first = Task { await cluster.controller.refresh() }
            try await eventually("the first is read for") { store.readingCount > before }
            let second = Task { await cluster.controller.refresh() }
            second.cancel()
            // Nobody waits for longer than it is worth.
            await second.value
            let third = Task { await cluster.controller.refresh() }
            store.set { $0.holdsReadings = false }
            await first.value
            await third.value
            #expect(store.readingCount > before + 1)
        }
    }
}
