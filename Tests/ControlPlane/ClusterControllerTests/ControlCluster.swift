import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Logging
import NIOCore
import NIOPosix
import PortHolding
import Testing
import WireProtocol
import WireTransport

/// A real coordinator (store, controller, server) over a folder that outlives it, with fake workers.
final class ControlCluster: Sendable {
    static let options = ControllerOptions(
        // Longer than a busy machine keeps a worker's heartbeats waiting.
        silenceLimit: .seconds(3),
        replacementTime: .seconds(9),
        confirmationInterval: .milliseconds(30),
        tick: .milliseconds(20),
        callTimeout: .seconds(2),
        createTimeout: .seconds(3),
        sliceByteCount: 700,
        training: TrainingPolicy(
            minimumFaceCount: 1000,
            sampleCount: 100,
            reportGrace: .milliseconds(500),
            firstPause: .milliseconds(50),
            longestPause: .milliseconds(200)
        ),
        actions: ActionLedger.Limits(firstPause: .milliseconds(20), longestPause: .milliseconds(100)),
        version: "1.2.3"
    )

    let folder: CoordinatorFolder
    let store: any MetadataStore
    let controller: ClusterController
    let server: WireServer
    let client: PeerClient
    /// Its own, so that a call that strays to another test's server is refused there.
    let token: String
    private let running: Task<Void, Never>

    var address: NodeAddress { server.address }
    /// The group of the first shard of any collection.
    var firstGroup: ReplicaGroup? { controller.shardMap.placements.values.first?.first?.group }

    private struct Dispatch: RequestHandler {
        let handler: ControlHandler

        func handle(_ request: Request, call: ServerCall) {
            if !handler.handle(request, call: call) {
                call.fail(WireStatus(.invalidRequest, "This node answers control messages only."))
            }
        }
    }

    /// - Parameter reader: nil for codebooks that are made up.
    static func start(
        at path: String,
        options: ControllerOptions = ControlCluster.options,
        codebookReader reader: CodebookReader? = nil
    ) async throws -> ControlCluster {
        let token = "secret \(UInt64.random(in: 0 ... .max))"
        return try await ControlCluster(path: path, port: 0, token: token, codebookReader: reader, options: options)
    }

    /// One of several coordinators that share a store, which it closes.
    ///
    /// - Parameters:
    ///   - archive: nil where logs are not archived.
    ///   - pause: how long it is doing something else once it has read the records.
    static func start(
        at path: String,
        sharing store: any MetadataStore,
        token: String,
        archive: ArchiveLedger? = nil,
        pause: Duration = .zero
    ) async throws -> ControlCluster {
        try await ControlCluster(path: path, port: 0, token: token, store: store, archive: archive, pause: pause)
    }

    /// Stops the coordinator and starts another on the same folder and port.
    ///
    /// - Parameters:
    ///   - options: of the other.
    ///   - between: runs while there is none.
    func restart(
        at path: String,
        options: ControllerOptions = ControlCluster.options,
        between: () -> Void = {}
    ) async throws -> ControlCluster {
        await stop()
        let heldPort = HeldPort(address.port) { Issue.record("\($0)") }
        defer { withExtendedLifetime(heldPort) {} }
        between()
        return try await ControlCluster(path: path, port: address.port, token: token, options: options)
    }

    private init(
        path: String,
        port: Int,
        token: String,
        store shared: (any MetadataStore)? = nil,
        archive: ArchiveLedger? = nil,
        pause: Duration = .zero,
        codebookReader: CodebookReader? = nil,
        options: ControllerOptions = ControlCluster.options
    ) async throws {
        self.token = token
        let group = MultiThreadedEventLoopGroup.singleton
        var logger = Logger(label: "controller tests")
        logger.logLevel = .critical
        let folder = try await CoordinatorFolder.open(at: path, records: shared == nil ? .here : .elsewhere)
        let store = shared ?? folder.store
        let began = ContinuousClock.now
        let records = try await ClusterRecords.load(from: store)
        if pause > .zero { try await Task.sleep(for: pause) }
        let controller = ClusterController(
            node: folder.store.node,
            store: store,
            records: records,
            readFrom: began,
            codebooks: folder.codebooks,
            clients: WorkerClients(token: token, tls: nil, agent: "coordinator"),
            group: group,
            options: options,
            codebookReader: codebookReader,
            archive: archive,
            logger: logger
        )
        server = try await WireServer.start(
            WireServerConfiguration(
                listen: NodeAddress(host: "127.0.0.1", port: port),
                token: token,
                role: .coordinator,
                node: folder.store.node,
                agent: "coordinator"
            ),
            handler: Dispatch(handler: ControlHandler(controller: controller)),
            group: group
        )
        client = PeerClient(
            address: server.address,
            role: .client,
            token: token,
            tls: nil,
            group: group,
            agent: "test"
        )
        let address = server.address
        running = Task { await controller.run(at: address) }
        self.folder = folder
        self.store = store
        self.controller = controller
    }

    func stop() async {
        await client.close()
        await server.shutdown(gracePeriod: .zero)
        running.cancel()
        await running.value
        await store.close()
        await folder.store.close()
    }

    // MARK: Requests

    static func configuration(
        _ name: String,
        shards: Int,
        replicationFactor: Int = 1,
        minimumInSync: Int? = nil
    ) -> CollectionConfiguration {
        CollectionConfiguration(
            name: name,
            dimension: 64,
            embeddingModel: "model",
            shardCount: shards,
            replicationFactor: replicationFactor,
            minimumInSync: minimumInSync
        )
    }

    /// - Parameter deadline: nil for none, so that the controller's own limit ends the wait and no race with who asked.
    @discardableResult
    func create(
        _ name: String,
        shards: Int,
        replicationFactor: Int = 1,
        minimumInSync: Int? = nil,
        deadline: Duration? = .seconds(5)
    ) async throws(WireStatus) -> CollectionDescription {
        try await client.call(
            CreateCollection(
                configuration: Self.configuration(
                    name,
                    shards: shards,
                    replicationFactor: replicationFactor,
                    minimumInSync: minimumInSync
                )
            ),
            deadline: deadline.map(WireDeadline.after) ?? WireDeadline.none
        )
    }

    func describe(_ name: String) async throws(WireStatus) -> CollectionDescription {
        try await client.call(DescribeCollection(name: name), deadline: .after(.seconds(5)))
    }

    func delete(_ name: String) async throws(WireStatus) -> CollectionDeleted {
        try await client.call(DeleteCollection(name: name), deadline: .after(.seconds(5)))
    }

    func status() async throws(WireStatus) -> ClusterStatus {
        try await client.call(GetClusterStatus(), deadline: .after(.seconds(5)))
    }

    /// Waits until the workers are live.
    func awaitWorkers(_ workers: [FakeControlWorker]) async throws {
        try await eventually("the workers are live") {
            workers.allSatisfy { self.controller.liveness(of: $0.id).isLive }
        }
    }
}

/// Waits until the condition holds, about a minute at most.
func eventually(
    _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    // Long enough for a machine that does much else.
    for _ in 0..<6000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("never came true: \(what)", sourceLocation: sourceLocation)
}

/// A coordinator with so many workers, taken down after the body.
func withCluster(
    workers count: UInt64,
    options: ControllerOptions = ControlCluster.options,
    codebookReader: CodebookReader? = nil,
    _ body: (TemporaryFolder, ControlCluster, [FakeControlWorker]) async throws -> Void
) async throws {
    let folder = TemporaryFolder()
    let cluster = try await ControlCluster.start(at: folder.path, options: options, codebookReader: codebookReader)
    let workers = (0..<count).map(FakeControlWorker.init)
    for worker in workers { try await worker.start(in: cluster) }
    try await cluster.awaitWorkers(workers)
    let outcome: Result<Void, any Error>
    do {
        outcome = .success(try await body(folder, cluster, workers))
    } catch {
        outcome = .failure(error)
    }
    for worker in workers { await worker.stop() }
    await cluster.stop()
    try outcome.get()
}

extension Result where Failure == any Error {
    init(_ body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
