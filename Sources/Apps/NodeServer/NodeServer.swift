import ClusterModel
import Logging
import NIOCore
import NIOPosix
package import NodeConfiguration
import ServiceLifecycle
import UnixSignals
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
    }

    /// Serves as a coordinator until SIGTERM or SIGINT.
    ///
    /// - Throws: ``NodeStartError``; then nothing listens any more.
    package static func run(
        _ configuration: CoordinatorConfiguration,
        whenReady: @Sendable (Readiness) -> Void
    ) async throws {
        let logger = NodeLog.start(configuration.log)
        let group = MultiThreadedEventLoopGroup.singleton
        let coordinator = try await Coordinator.start(configuration, logger: logger, group: group)
        whenReady(
            Readiness(coordinator: "\(coordinator.address)", workers: [], data: configuration.data)
        )
        try await serve([coordinator], logger: logger)
    }

    /// Serves as a worker until SIGTERM or SIGINT.
    ///
    /// - Throws: ``NodeStartError``, or `WorkerError` when the worker must not go on.
    package static func run(
        _ configuration: WorkerConfiguration,
        whenReady: @Sendable (Readiness) -> Void
    ) async throws {
        let logger = NodeLog.start(configuration.log)
        let worker = try await start(
            configuration,
            logger: logger,
            group: MultiThreadedEventLoopGroup.singleton
        )
        whenReady(Readiness(coordinator: nil, workers: ["\(worker.address)"], data: configuration.data))
        try await serve([worker], logger: logger)
    }

    /// Serves as one coordinator and its workers, which speak over loopback TCP as separate processes would.
    ///
    /// - Throws: ``NodeStartError``, or `WorkerError` when a worker must not go on.
    package static func run(
        _ configuration: DevConfiguration,
        whenReady: @escaping @Sendable (Readiness) -> Void
    ) async throws {
        // Half the cores: the search threads want the others, and the fewer loops there are, the more often coordinator
        // and worker share one and need not wake each other.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, System.coreCount / 2))
        do {
            try await run(configuration, on: group, whenReady: whenReady)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try? await group.shutdownGracefully()
    }

    private static func run(
        _ configuration: DevConfiguration,
        on group: any EventLoopGroup,
        whenReady: @escaping @Sendable (Readiness) -> Void
    ) async throws {
        let logger = NodeLog.start(configuration.log)
        let coordinator = try await Coordinator.start(configuration.coordinator, logger: logger, group: group)
        var workers: [Worker] = []
        do {
            let address = NetworkAddress(host: coordinator.address.host, port: coordinator.address.port)
            for number in 1...configuration.workers {
                workers.append(
                    try await start(
                        configuration.worker(number: number, coordinator: address),
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
        let readiness = Readiness(
            coordinator: "\(coordinator.address)",
            workers: workers.map { "\($0.address)" },
            data: configuration.data
        )
        let announcement = ClusterAnnouncement(coordinator: coordinator, workers: workers.map(\.node)) {
            whenReady(readiness)
        }
        try await serve(workers + [coordinator, announcement], logger: logger)
    }

    private static func start(
        _ configuration: WorkerConfiguration,
        logger: Logger,
        group: any EventLoopGroup
    ) async throws -> Worker {
        let options = WorkerOptions(configuration, tls: try NodeTLS.load(configuration.tls))
        do throws(WorkerError) {
            return try await Worker.start(options, logger: logger, group: group)
        } catch {
            if case .cannotListen(let status) = error { throw NodeStartError.listen(status) }
            throw NodeStartError.worker(error)
        }
    }

    private static func serve(_ services: [any Service], logger: Logger) async throws {
        try await ServiceGroup(
            services: services,
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        ).run()
    }
}
