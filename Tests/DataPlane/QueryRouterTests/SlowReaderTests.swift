import ClusterModel
import FaceModel
import NIOCore
import NIOPosix
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// What a coordinator takes while clients do not read what it has answered.
struct SlowReaderTests {
    /// Half of it, for one collection, is less than three of the answers.
    private static let options = RouterOptions(
        absenceGrace: .seconds(60),
        leastHedgeDelay: .seconds(60),
        bytesUnderWay: 64 << 20
    )
    /// Of about 13 MB, which no socket's buffers hold; some 2 MB are expected of it.
    private static let get = GetFaces(
        collection: "people",
        ids: Array(repeating: FakeCluster.face(1), count: 4096),
        includesEmbeddings: false
    )

    /// A client that asks, and reads nothing until it is told to.
    private struct DeafClient {
        let channel: any Channel

        init(of address: NodeAddress, token: String, asking request: some WireRequest) async throws {
            channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelOption(.autoRead, value: false)
                .channelOption(.socketOption(.so_rcvbuf), value: 64 << 10)
                .connect(host: address.host, port: address.port).get()
            let hello = Hello(
                lowestVersion: WireVersion.lowest,
                highestVersion: WireVersion.highest,
                features: WireFeatures.known.rawValue,
                role: .client,
                token: token,
                agent: "deaf"
            )
            var bytes = try Frame.encode(hello, stream: 1, payloadLimit: 4096)
            bytes.writeImmutableBuffer(try Frame.encode(request, stream: 3, payloadLimit: 1 << 20))
            try await channel.writeAndFlush(bytes)
        }

        func read() async throws { try await channel.setOption(.autoRead, value: true).get() }
    }

    /// Keeps calls that a worker should answer.
    private final class HeldCalls: Sendable {
        private let calls = Mutex<[ServerCall]>([])

        var count: Int { calls.withLock(\.count) }

        func hold(_ call: ServerCall) { calls.withLock { $0.append(call) } }

        func release() {
            let held = calls.withLock { calls in
                defer { calls = [] }
                return calls
            }
            for call in held { call.fail(WireStatus(.unavailable, "Not now.")) }
        }
    }

    private static func search(_ client: PeerClient, probeCount: Int = 1, k: Int = 1) async -> WireStatus? {
        let probes = [[Float]](repeating: FakeCluster.embedding(1), count: probeCount)
        do throws(WireStatus) {
            _ = try await client.call(FakeCluster.request(probes, k: k), deadline: .after(.seconds(20)))
            return nil
        } catch {
            return error
        }
    }

    private static func until(_ what: Comment, _ condition: () async -> Bool) async throws {
        for _ in 0..<2000 {
            if await condition() { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record(what)
    }

    @Test func answersThatNobodyReadsCountUntilTheyAreWrittenOrTheirConnectionIsClosed() async throws {
        try await FakeCluster.run(shardCount: 1, options: Self.options) { cluster in
            let attributes = (0..<12).map { ("attribute \($0)", String(repeating: "x", count: 255)) }
            _ = try await cluster.router.enrol(
                EnrolFaces(
                    collection: "people",
                    embeddingModel: FakeCluster.model,
                    key: .random(),
                    rows: [
                        EnrolRow(
                            id: FakeCluster.face(1),
                            metadata: FaceMetadata(attributes: Dictionary(uniqueKeysWithValues: attributes))
                        )
                    ],
                    embeddings: EmbeddingMatrix(dimension: FakeCluster.dimension, values: FakeCluster.embedding(1))
                ),
                deadline: .after(.seconds(20)),
                on: cluster.eventLoop
            )
            try await cluster.withCoordinator { address, client in
                var deaf: [DeafClient] = []
                let askedCount = cluster.workers[0].requestCount
                for _ in 0..<3 {
                    deaf.append(try await DeafClient(of: address, token: cluster.token, asking: Self.get))
                }
                // The worker answers in turn: before a small search all three, so that no large one is beside them.
                try await Self.until("not all were asked for") { cluster.workers[0].requestCount >= askedCount + 3 }
                _ = await Self.search(client)
                // Of a third the shard's answer is not taken any more. Some 8 MB are expected of such a search.
                try await Self.until("what waits for those who do not read was not counted") {
                    await Self.search(client, probeCount: 256, k: 128)?.code == .overloaded
                }
                for _ in 0..<5 {
                    let status = await Self.search(client, probeCount: 256, k: 128)
                    #expect(status?.code == .overloaded && status?.hasNoEffect == true)
                }
                try await deaf[0].channel.close().get()
                for reader in deaf.dropFirst() { try await reader.read() }
                try await Self.until("nothing was given back") {
                    await Self.search(client, probeCount: 256, k: 128) == nil
                }
                // It is more than a collection may have, and taken when it is alone.
                try await Self.until("not all was given back") {
                    await Self.search(client, probeCount: 1024, k: 1000) == nil
                }
                for reader in deaf.dropFirst() { try await reader.channel.close().get() }
            }
        }
    }

    /// A page of a snapshot has up to 8 MiB, also of a collection that the coordinator does not know.
    @Test func pagesOfSnapshotsAndLedgersAreBoundedByThemselves() async throws {
        try await FakeCluster.run(
            shardCount: 1,
            options: RouterOptions(absenceGrace: .seconds(60), leastHedgeDelay: .seconds(60), bytesUnderWay: 24 << 20)
        ) { cluster in
            try await cluster.enrolNumbered(1)
            let held = HeldCalls()
            cluster.workers[0].setScript { request, call in
                guard case .readSnapshot = request else { return false }
                held.hold(call)
                return true
            }
            try await cluster.overTheWire { client in
                for collection in [cluster.collection.id, CollectionID(high: 7, low: 7)] {
                    let read = ReadSnapshot(
                        route: SnapshotRoute(
                            worker: cluster.workers[0].id,
                            snapshot: SnapshotID(high: 1, low: 1),
                            shard: ShardID(collection: collection, index: 0)
                        ),
                        slice: 0,
                        offset: 0,
                        limit: 10_000
                    )
                    let first = Task { await Self.status(client, read) }
                    try await Self.until("the first is asked of the worker") { held.count == 1 }
                    #expect(await Self.status(client, read)?.code == .overloaded)
                    let search = await Self.search(client)
                    #expect(search == nil, "reads of other kinds go on")
                    held.release()
                    #expect(await first.value?.code == .unavailable)
                }
            }
        }
    }

    private static func status(_ client: PeerClient, _ request: some WireRequest) async -> WireStatus? {
        do throws(WireStatus) {
            _ = try await client.call(request, deadline: .after(.seconds(20)))
            return nil
        } catch {
            return error
        }
    }
}
