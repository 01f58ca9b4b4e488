import ClusterModel
import Logging
import NIOCore
import NIOPosix
package import NodeConfiguration
import Observability
import ServiceLifecycle
import UnixSignals
import VectorMath
import WorkerService

/// The roles that a `mien` process can take: each function serves until the process is told to stop.
package enum NodeServer {
    /// Version of this program, as peers and people see it.
    package static let version = "0.1.0"
    static let agent = "mien/\(version)"

    /// What a node says when it serves.
    package struct Readiness: Sendable {
        /// Where clients connect; nil for a worker, which clients do not speak to.
        package var coordinator: String?
        /// Where the workers of this process listen.
        package var workers: [String]
        package var data: String
        /// Where metrics, health and readiness are told; nil when they are not.
        package var admin: String?
    }

    /// Serves as a coordinator until SIGTERM or SIGINT.
    ///
    /// - Throws: ``NodeStartError``; then nothing listens any more.
    package static func run(
        _ configuration: CoordinatorConfiguration,
        whenReady: @escaping @Sendable (Readiness) -> Void
    ) async throws {
        CoreFiles.forbid()
        CutFileWatch.begin()
        StartInterruption.begin()
        let logger = NodeLog.start(configuration.log)
        let group = MultiThreadedEventLoopGroup.singleton
        let metrics = processMetrics()
        let tls = try NodeTLS.load(configuration.tls)
        let coordinator = try await Coordinator.start(
            configuration,
            tls: tls,
            metrics: metrics,
            logger: logger,
            group: group
        )
        let readiness = Readiness(coordinator: "\(coordinator.address)", workers: [], data: configuration.data)
        try await serve(
            coordinator,
            readiness: readiness,
            admin: configuration.admin,
            protection: (tls, configuration.token),
            metrics: metrics,
            logger: logger,
            group: group,
            whenReady: whenReady
        )
    }

    /// Serves as a worker until SIGTERM or SIGINT.
    ///
    /// - Throws: ``NodeStartError``, or `WorkerError` when the worker must not go on.
    package static func run(
        _ configuration: WorkerConfiguration,
        whenReady: @escaping @Sendable (Readiness) -> Void
    ) async throws {
        CoreFiles.forbid()
        CutFileWatch.begin()
        StartInterruption.begin()
        let logger = NodeLog.start(configuration.log)
        let group = MultiThreadedEventLoopGroup.singleton
        let metrics = processMetrics()
        let tls = try NodeTLS.load(configuration.tls)
        let worker = try await start(
            configuration,
            tls: tls,
            metrics: metrics,
            recall: RecallBook(metrics),
            logger: logger,
            group: group
        )
        let readiness = Readiness(coordinator: nil, workers: ["\(worker.address)"], data: configuration.data)
        try await serve(
            worker,
            readiness: readiness,
            admin: configuration.admin,
            protection: (tls, configuration.token),
            metrics: metrics,
            logger: logger,
            group: group,
            whenReady: whenReady
        )
    }

    /// Settles how many event loops there are in a process that is a whole cluster: to be called once, before anything
    /// else in it uses them.
    ///
    /// Half the cores: the search threads want the others, and the fewer loops there are, the more often coordinator
    /// and worker share one and need not wake each other.
    package static func settleDevLoops() {
        NIOSingletons.groupLoopCountSuggestion = max(1, System.coreCount / 2)
    }

    /// Serves as one coordinator and its workers, which speak over loopback TCP as separate processes would.
    ///
    /// - Throws: ``NodeStartError``, or `WorkerError` when a worker must not go on.
    package static func run(
        _ configuration: DevConfiguration,
        whenReady: @escaping @Sendable (Readiness) -> Void
    ) async throws {
        // Never shut down: the HTTP server of the admin endpoint uses its loop for a moment after it has ended.
        let group = MultiThreadedEventLoopGroup.singleton
        CoreFiles.forbid()
        CutFileWatch.begin()
        StartInterruption.begin()
        let logger = NodeLog.start(configuration.log)
        let metrics = processMetrics()
        let tls = try NodeTLS.load(configuration.tls)
        let coordinator = try await Coordinator.start(
            configuration.coordinator,
            tls: tls,
            metrics: metrics,
            logger: logger,
            group: group
        )
        let recall = RecallBook(metrics)
        var workers: [Worker] = []
        do {
            let address = NetworkAddress(host: coordinator.address.host, port: coordinator.address.port)
            for number in 1...configuration.workers {
                workers.append(
                    try await start(
                        configuration.worker(number: number, coordinator: address),
                        tls: tls,
                        metrics: metrics,
                        recall: recall,
                        logger: logger,
                        group: group
                    )
                )
            }
        } catch {
            for worker in workers { await worker.shutdown() }
            await coordinator.shutdown()
            throw error
        }
        let watched = [tls?.watched, coordinator.etcdTLS].compactMap(\.self)
        let admin = configuration.admin.map { [workers] listener in
            AdminEndpoint(
                listener,
                metrics: metrics,
                problems: { coordinator.readinessProblems + workers.flatMap(\.readinessProblems) },
                remarks: {
                    let nodes = [coordinator.readinessRemark] + workers.map(\.readinessRemark)
                    return (nodes + watched.map(\.remark)).compactMap(\.self)
                },
                protection: (tls, configuration.token),
                group: group,
                logger: logger
            )
        }
        let readiness = Readiness(
            coordinator: "\(coordinator.address)",
            workers: workers.map { "\($0.address)" },
            data: configuration.data
        )
        let announcement = ClusterAnnouncement(
            coordinator: coordinator,
            workers: workers.map(\.node),
            admin: admin
        ) { whenReady(readiness.with(admin: $0)) }
        try await serve(
            workers + [coordinator, announcement],
            tls: watched,
            admin: admin,
            metrics: metrics,
            logger: logger
        )
    }

    /// A registry for all that this process will tell, with what is the same for every role.
    private static func processMetrics() -> MetricRegistry {
        let registry = MetricRegistry()
        registry.collect { samples in
            samples.add(MetricCatalogue.buildInfo, version, VectorKernels.level.name, value: 1)
            ProcessMetrics.collect(into: &samples)
        }
        return registry
    }

    private static func start(
        _ configuration: WorkerConfiguration,
        tls: NodeTLS?,
        metrics: MetricRegistry,
        recall: RecallBook,
        logger: Logger,
        group: any EventLoopGroup
    ) async throws -> Worker {
        var options = WorkerOptions(configuration, tls: tls)
        options.metrics = metrics
        options.recall = recall
        do throws(WorkerError) {
            return try await Worker.start(options, logger: logger, group: group)
        } catch {
            if case .cannotListen(let status) = error { throw NodeStartError.listen(status) }
            throw NodeStartError.worker(error)
        }
    }

    /// Serves as the one node of this process, which has started.
    private static func serve(
        _ node: some StartedNode,
        readiness: Readiness,
        admin listener: AdminListener?,
        protection: (tls: NodeTLS?, token: AccessToken?),
        metrics: MetricRegistry,
        logger: Logger,
        group: any EventLoopGroup,
        whenReady: @escaping @Sendable (Readiness) -> Void
    ) async throws {
        let tls = [protection.tls?.watched, node.etcdTLS].compactMap(\.self)
        let admin = listener.map { listener in
            AdminEndpoint(
                listener,
                metrics: metrics,
                problems: { node.readinessProblems },
                remarks: { ([node.readinessRemark] + tls.map(\.remark)).compactMap(\.self) },
                protection: protection,
                group: group,
                logger: logger
            )
        }
        let announcement = ReadyAnnouncement(admin: admin) { whenReady(readiness.with(admin: $0)) }
        try await serve([node, announcement], tls: tls, admin: admin, metrics: metrics, logger: logger)
    }

    /// The admin endpoint starts first and stops last, so that it tells of stopping as well.
    private static func serve(
        _ services: [any Service],
        tls: [WatchedTLS],
        admin: AdminEndpoint?,
        metrics: MetricRegistry,
        logger: Logger
    ) async throws {
        for files in tls { metrics.collect(files.collect) }
        let watch: [any Service] = tls.map { CertificateWatch(tls: $0, logger: logger) }
        try await ServiceGroup(
            services: [admin].compactMap(\.self) + services + watch,
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        ).run()
    }
}

/// A node that listens and does not serve yet.
private protocol StartedNode: Service {
    /// Why it is not ready, each reason a sentence; none when nothing is missing.
    var readinessProblems: [String] { get }
    /// What people should know although it is, as a sentence; nil for nothing.
    var readinessRemark: String? { get }
    /// The files by which it speaks to etcd; nil where it does not, or not by TLS.
    var etcdTLS: WatchedTLS? { get }
}

extension Coordinator: StartedNode {}
extension Worker: StartedNode {
    fileprivate var etcdTLS: WatchedTLS? { nil }
}

extension NodeServer.Readiness {
    fileprivate func with(admin: String?) -> NodeServer.Readiness {
        var readiness = self
        readiness.admin = admin
        return readiness
    }
}
