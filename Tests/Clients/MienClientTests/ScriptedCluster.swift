import ClusterModel
import FaceModel
import Logging
import MienClient
import NIOPosix
import Synchronization
import WireProtocol
import WireTransport

/// A coordinator on a free port that answers each request by a closure; it records what it was asked.
final class ScriptedCluster: RequestHandler {
    /// The answer to a request, given how many came before it; nil leaves the call open.
    typealias Script = @Sendable (Request, Int) throws -> (any WireMessage)?

    private struct State {
        var requests: [Request] = []
        var openCalls: [ServerCall] = []
    }

    private let script: Script
    private let state = Mutex(State())
    private let listening = Mutex<MienClient.Address?>(nil)

    private init(_ script: @escaping Script) {
        self.script = script
    }

    var address: MienClient.Address? { listening.withLock { $0 } }

    /// Runs a body with a client of such a coordinator.
    ///
    /// - Parameter first: a coordinator that the client asks before.
    static func run(
        token: String? = nil,
        clientToken: String? = nil,
        limits: WireLimits = WireLimits(),
        unreachableFirst: Bool = false,
        before first: MienClient.Address? = nil,
        calls: MienClient.CallOptions = .init(timeout: .seconds(20), retryDuration: .seconds(10)),
        script: @escaping Script,
        _ body: (MienClient, ScriptedCluster) async throws -> Void
    ) async throws {
        let cluster = ScriptedCluster(script)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = try await WireServer.start(
            WireServerConfiguration(
                listen: NodeAddress(host: "127.0.0.1", port: 0),
                token: token,
                limits: limits,
                role: .coordinator,
                node: .random(),
                agent: "scripted",
                logger: logger
            ),
            handler: cluster,
            group: MultiThreadedEventLoopGroup.singleton
        )
        let own = MienClient.Address(host: "127.0.0.1", port: server.address.port)
        cluster.listening.withLock { $0 = own }
        var addresses = [own]
        // Port 1 is privileged and unused: connecting is refused at once.
        if unreachableFirst { addresses.insert(MienClient.Address(host: "127.0.0.1", port: 1), at: 0) }
        if let first { addresses.insert(first, at: 0) }
        let client = try MienClient(addresses: addresses, token: clientToken ?? token, calls: calls)
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(client, cluster))
        } catch {
            result = .failure(error)
        }
        await client.close()
        await server.shutdown(gracePeriod: .zero)
        try result.get()
    }

    var requests: [Request] { state.withLock { $0.requests } }
    /// Whether the calls that were left open have been cancelled by their caller.
    var openCallsAreCancelled: Bool { state.withLock { $0.openCalls.allSatisfy(\.isCancelled) } }

    func handle(_ request: Request, call: ServerCall) {
        let number = state.withLock { state in
            state.requests.append(request)
            return state.requests.count - 1
        }
        do {
            if let reply = try script(request, number) {
                call.reply(reply)
            } else {
                state.withLock { $0.openCalls.append(call) }
            }
        } catch {
            call.fail(error as? WireStatus ?? WireStatus(.internalError, "\(error)"))
        }
    }
}

/// Values that the tests share.
enum Sample {
    static let configuration = CollectionConfiguration(
        name: "people",
        dimension: 64,
        embeddingModel: "toy-64",
        shardCount: 2
    )
    static let collection = Collection(
        id: CollectionID(high: 1, low: 2),
        configuration: configuration,
        created: Timestamp(milliseconds: 1000)
    )
    static let description = CollectionDescription(
        collection: collection,
        shards: [
            .init(
                index: 0,
                range: HashRange.divisions(2)[0],
                worker: NodeID(high: 1, low: 1),
                state: .serving,
                faceCount: 3,
                freshCount: 3,
                tombstoneCount: 1,
                sequence: 4
            ),
            .init(
                index: 1,
                range: HashRange.divisions(2)[1],
                worker: nil,
                state: .missing,
                faceCount: 2,
                freshCount: 0,
                tombstoneCount: 0,
                sequence: 2
            ),
        ],
        training: .notNeeded,
        codebook: nil
    )
    static let options = CollectionOptions(name: "people", dimension: 64, embeddingModel: "toy-64", shardCount: 2)
    static let token = ConsistencyToken(collection: collection.id, sequences: [0: 4])
    static let metadata = FaceMetadata(
        personID: "p",
        externalImageID: "e",
        imageID: "i",
        boundingBox: BoundingBox(left: 0.1, top: 0.2, width: 0.3, height: 0.4),
        quality: 50,
        confidence: 99,
        created: Timestamp(milliseconds: 5),
        expires: Timestamp(milliseconds: 6),
        attributes: ["a": "b"]
    )

    static func embeddings(_ count: Int) -> Embeddings {
        Embeddings(dimension: 64, values: [Float](repeating: 0.5, count: 64 * count))
    }

    static func stored(_ low: UInt64) -> StoredFace {
        StoredFace(
            id: FaceID(high: 0, low: low),
            metadata: metadata,
            version: FaceVersion(epoch: 1, sequence: low)
        )
    }
}
