import ClusterController
import ClusterModel
import ClusterState
import Logging
import NIOCore
import NodeConfiguration
import Observability
import QueryRouter
import ServiceLifecycle
import Synchronization
import WireProtocol
import WireTransport
import WorkerService

/// A coordinator: the controller and the router behind one listening address.
final class Coordinator: Service {
    /// Where it listens, with its real port.
    let address: NodeAddress
    private let controller: ClusterController
    private let clients: WorkerClients
    private let folder: CoordinatorFolder
    private let store: any MetadataStore
    /// Where others reach it.
    private let advertised: NodeAddress
    private let server: WireServer
    /// Nil where logs are not archived.
    private let archiver: LogArchiver?
    /// The files by which it speaks to etcd; nil where it does not, or not by TLS.
    let etcdTLS: WatchedTLS?
    private let logger: Logger
    private let isShutDown = Mutex(false)
    private let isStopping = Atomic(false)

    private init(
        controller: ClusterController,
        clients: WorkerClients,
        folder: CoordinatorFolder,
        store: any MetadataStore,
        advertised: NodeAddress?,
        server: WireServer,
        archiver: LogArchiver?,
        etcdTLS: WatchedTLS?,
        logger: Logger
    ) {
        self.archiver = archiver
        self.etcdTLS = etcdTLS
        self.controller = controller
        self.clients = clients
        self.folder = folder
        self.store = store
        self.advertised = advertised ?? server.address
        self.server = server
        self.logger = logger
        address = server.address
    }

    /// Opens the data folder and the metadata store, then listens. Waits for a metadata store that is away.
    ///
    /// - Throws: ``NodeStartError``; then nothing is left open.
    static func start(
        _ configuration: CoordinatorConfiguration,
        tls: NodeTLS?,
        metrics: MetricRegistry,
        logger: Logger,
        group: any EventLoopGroup
    ) async throws -> Coordinator {
        let folder: CoordinatorFolder
        do throws(MetadataError) {
            folder = try await CoordinatorFolder.open(
                at: configuration.data,
                records: configuration.etcd == nil ? .here : .elsewhere
            )
        } catch {
            throw NodeStartError.metadata(error)
        }
        var store: (any MetadataStore)?
        do {
            let opened = try await MetadataOpening(configuration.etcd, folder: folder, group: group, logger: logger)
                .run()
            store = opened.store
            return try await start(
                configuration,
                folder: folder,
                metadata: opened,
                tls: tls,
                metrics: metrics,
                logger: logger,
                group: group
            )
        } catch {
            await store?.close()
            await folder.store.close()
            switch error {
            case let error as MetadataError: throw NodeStartError.metadata(error)
            case let error as WireStatus: throw NodeStartError.listen(error)
            default: throw error
            }
        }
    }

    private static func start(
        _ configuration: CoordinatorConfiguration,
        folder: CoordinatorFolder,
        metadata: MetadataOpening.Opened,
        tls: NodeTLS?,
        metrics: MetricRegistry,
        logger: Logger,
        group: any EventLoopGroup
    ) async throws -> Coordinator {
        let token = configuration.token?.text
        let etcdTLS = try configuration.etcd.flatMap { etcd throws(NodeStartError) in
            try (metadata.store as? EtcdMetadataStore)?.watched(etcd)
        }
        let archive = configuration.archivePlace.map { _ in ArchiveLedger() }
        let controller = ClusterController(
            node: folder.store.node,
            store: metadata.store,
            records: metadata.records,
            readFrom: metadata.readFrom,
            codebooks: folder.codebooks,
            clients: WorkerClients(token: token ?? "", tls: tls?.client, agent: NodeServer.agent),
            group: group,
            options: ControllerOptions(
                silenceLimit: configuration.workerTimeout,
                replacementTime: configuration.replaceAfter,
                repairTime: configuration.repairAfter,
                balancingTime: configuration.rebalanceAfter,
                loadWindow: configuration.loadWindow,
                shardFaceLimit: UInt64(configuration.splitAbove),
                training: TrainingPolicy(
                    minimumFaceCount: UInt64(configuration.training.minFaces),
                    sampleCount: UInt32(configuration.training.sample),
                    listCount: UInt32(configuration.training.lists ?? 0),
                    growthFactor: Double(configuration.training.growth)
                ),
                operations: OperationPlanner.Limits(copiesPerWorker: configuration.copiesPerWorker),
                spareDiskByteCount: UInt64(configuration.spareDisk),
                reservesMemory: configuration.reservedMemory == .codes,
                version: NodeServer.version
            ),
            codebookReader: CodebookReader(read: CodebookReading.summary(of:dimension:)),
            archive: archive,
            logger: logger
        )
        let clients = WorkerClients(token: token ?? "", tls: tls?.client, agent: NodeServer.agent)
        let router = QueryRouter(
            source: ControllerShardMapSource(controller: controller),
            clients: clients,
            options: RouterOptions(
                defaultDeadline: configuration.defaultDeadline,
                frameByteLimit: configuration.limits.maxFrameBytes
            ),
            metrics: RouterMetrics(metrics, slowSearch: configuration.slowSearch, logger: logger)
        )
        metrics.collect(controller.collect)
        metrics.collect(folder.collect)
        let archiver = try configuration.archivePlace.map { place in
            LogArchiver(
                router: router,
                options: .init(interval: configuration.archiveInterval, cluster: controller.clusterID),
                ledger: archive,
                metrics: metrics,
                group: group,
                logger: logger,
                isActive: { controller.isController },
                openStore: try ArchivePlace.opening(place, group: group)
            )
        }
        if let archiver { metrics.collect(archiver.collect) }
        var listening = WireServerConfiguration(
            listen: NodeAddress(configuration.listen),
            token: token,
            tls: tls?.server,
            limits: WireLimits(configuration.limits),
            role: .coordinator,
            node: folder.store.node,
            agent: NodeServer.agent,
            logger: logger
        )
        listening.metrics = ServerMetrics(metrics, role: .coordinator)
        listening.helloTimeout = configuration.limits.unauthenticatedTime
        listening.unauthenticatedByteLimit = UInt32(configuration.limits.unauthenticatedBytes)
        let server = try await WireServer.start(
            listening,
            handler: CoordinatorHandler(controller: controller, router: router, metrics: listening.metrics),
            group: group
        )
        logger.info(
            "coordinator listens",
            metadata: [
                "address": "\(server.address)", "node": "\(folder.store.node)",
                "cluster": "\(controller.clusterID)", "data": "\(configuration.data)",
                "metadata": "\(configuration.etcd.map { "etcd, \($0.prefix)" } ?? "embedded")",
            ]
        )
        return Coordinator(
            controller: controller,
            clients: clients,
            folder: folder,
            store: metadata.store,
            advertised: configuration.advertise.map { NodeAddress($0) },
            server: server,
            archiver: archiver,
            etcdTLS: etcdTLS,
            logger: logger
        )
    }

    /// Whether a worker's heartbeats arrive.
    func hears(_ worker: NodeID) -> Bool { controller.liveness(of: worker).isLive }

    /// Why requests should not be sent here now, each reason a sentence; none when nothing is missing.
    var readinessProblems: [String] {
        if isStopping.load(ordering: .relaxed) { return ["The coordinator is stopping."] }
        return [controller.readinessProblem].compactMap(\.self)
    }

    /// What people should know although requests may be sent here, as a sentence; nil for nothing.
    var readinessRemark: String? { controller.storeProblem }

    /// Serves until a graceful shutdown or cancellation, then shuts down.
    func run() async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.controller.run(at: self.advertised) }
            if let archiver {
                group.addTask {
                    await archiver.run()
                    // It ends when it is cancelled, and is none of the reasons to stop.
                }
            }
            group.addTask { try? await gracefulShutdown() }
            await group.next()
            isStopping.store(true, ordering: .relaxed)
            await server.shutdown(gracePeriod: .seconds(10))
            group.cancelAll()
        }
        await shutdown()
    }

    /// Stops listening and closes the data folder. Safe to call again.
    func shutdown() async {
        let isFirst = isShutDown.withLock { isShutDown in
            defer { isShutDown = true }
            return !isShutDown
        }
        guard isFirst else { return }
        await server.shutdown(gracePeriod: .zero)
        await clients.close()
        await store.close()
        await folder.store.close()
        logger.info("coordinator stopped")
    }
}

/// Gives each request to the service that it is for.
private struct CoordinatorHandler: RequestHandler {
    let control: ControlHandler
    let query: QueryHandler

    init(controller: ClusterController, router: QueryRouter, metrics: ServerMetrics) {
        control = ControlHandler(controller: controller) { metrics.activity }
        query = QueryHandler(router: router)
    }

    func handle(_ request: Request, call: ServerCall) {
        if query.handle(request, call: call) || control.handle(request, call: call) { return }
        call.fail(
            WireStatus(.invalidRequest, "A coordinator does not take this request; it is for workers.")
        )
    }
}

/// The router's view of the controller: what joins the two planes.
private struct ControllerShardMapSource: ShardMapSource {
    let controller: ClusterController

    var current: ShardMap { controller.shardMap }

    func refresh() async -> Bool {
        let asked = ContinuousClock.now
        await controller.refresh()
        return controller.knowsRecords(asOf: asked)
    }

    func presence(of worker: NodeID) -> WorkerPresence {
        let liveness = controller.liveness(of: worker)
        return WorkerPresence(isLive: liveness.isLive, silence: liveness.silence)
    }

    func faceCount(of shard: ShardID) -> UInt64? { controller.faceCount(of: shard) }

    func warmth(of shard: ShardID, on worker: NodeID) -> Double { controller.warmth(of: shard, on: worker) }
}
