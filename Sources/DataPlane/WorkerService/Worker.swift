package import ClusterModel
package import Logging
package import NIOCore
import ServiceLifecycle
import Synchronization
import VectorMath
import WireProtocol
import WireTransport

/// One worker node: hosts replicas, serves their searches and writes, and tells the coordinators of itself.
///
/// ``start(_:logger:group:)`` opens the data folder and every replica in it, then listens; ``run()`` sends heartbeats
/// and trains codebooks until a graceful shutdown, a cancellation, or a coordinator of another cluster. A worker that
/// was started must be run or shut down.
package final class Worker: Service {
    /// Where the worker listens, with its real port.
    package let address: NodeAddress
    package var node: NodeID { folder.node }
    /// Searches that were begun on event loops; almost all of them end there.
    package var loopSearchCount: Int { loopTurns.count }

    private let options: WorkerOptions
    private let folder: DataFolder
    private let replicas: ReplicaTable
    private let searches: BoundedExecutor
    private let loopTurns: LoopTurns
    private let control: BoundedExecutor
    private let training: TrainingService
    private let server: WireServer
    private let heartbeats: [HeartbeatService]
    private let logger: Logger
    private let isShutDown = Mutex(false)

    private init(
        options: WorkerOptions,
        parts: Parts,
        training: TrainingService,
        server: WireServer,
        heartbeats: [HeartbeatService],
        logger: Logger
    ) {
        self.options = options
        self.folder = parts.folder
        self.replicas = parts.replicas
        self.searches = parts.searches
        self.loopTurns = parts.loopTurns
        self.control = parts.control
        self.training = training
        self.server = server
        self.heartbeats = heartbeats
        self.logger = logger
        address = server.address
    }

    /// What is on this machine, before anything listens.
    private struct Parts {
        let folder: DataFolder
        let replicas: ReplicaTable
        let shelf: CodebookShelf
        let searches: BoundedExecutor
        let loopTurns = LoopTurns()
        let control: BoundedExecutor

        func stop() {
            searches.stop()
            control.stop()
            replicas.stopAll()
            folder.unlock()
        }
    }

    /// Opens the data folder and its replicas, then listens.
    ///
    /// - Throws: ``WorkerError``; then nothing is left open.
    package static func start(
        _ options: WorkerOptions,
        logger: Logger,
        group: any EventLoopGroup
    ) async throws(WorkerError) -> Worker {
        precondition(options.searchThreadCount > 0, "a worker needs a thread to search on")
        let changes = ReportChanges()
        let parts = try await WorkerThread.run(name: "open") {
            Result { () throws(WorkerError) in try open(options, changes: changes, logger: logger) }
        }.get()
        let token = options.token ?? ""
        let makePeer: @Sendable (NodeAddress) -> PeerClient = { address in
            PeerClient(
                address: address,
                role: .worker,
                token: token,
                tls: options.clientTLS,
                group: group,
                agent: options.agent
            )
        }
        let training = TrainingService(
            shelf: parts.shelf,
            limits: options.limits,
            backgroundProcessorShare: options.backgroundProcessorShare,
            makePeer: makePeer,
            reportChanged: changes.note,
            logger: logger
        )
        let handler = WorkerHandler(
            replicas: parts.replicas,
            searches: parts.searches,
            loopTurns: parts.loopTurns,
            control: parts.control,
            shelf: parts.shelf,
            training: training,
            installations: CodebookInstallations(byteLimit: options.limits.stagedCodebookBytes),
            limits: options.limits,
            answerByteLimit: Int(options.wireLimits.payloadByteCount) - 4096
        )
        let server: WireServer
        do throws(WireStatus) {
            var configuration = WireServerConfiguration(
                listen: options.listen,
                token: options.token,
                tls: options.serverTLS,
                limits: options.wireLimits,
                role: .worker,
                node: parts.folder.node,
                agent: options.agent,
                logger: logger
            )
            configuration.connectionLimit = options.connectionLimit
            server = try await WireServer.start(configuration, handler: handler, group: group)
        } catch {
            await WorkerThread.run(name: "close") { parts.stop() }
            throw .cannotListen(error)
        }
        let report: @Sendable () async -> WorkerReport? = { [parts] in
            await parts.control.run {
                WorkerReport(
                    replicas: parts.replicas.all.map { $0.report() },
                    trainings: parts.shelf.trainings,
                    residentByteCount: ProcessFigures.residentByteCount(),
                    freeDiskByteCount: parts.folder.freeByteCount(),
                    kernelLevel: VectorKernels.level.name
                )
            }
        }
        let heartbeats = options.coordinators.map { coordinator in
            HeartbeatService(
                coordinator: coordinator,
                interval: options.heartbeatInterval,
                folder: parts.folder,
                address: options.advertise ?? server.address,
                peer: makePeer(coordinator),
                report: report,
                logger: logger
            )
        }
        changes.listen { for heartbeat in heartbeats { heartbeat.beatSoon() } }
        logger.info(
            "worker listens",
            metadata: [
                "address": "\(server.address)", "node": "\(parts.folder.node)", "data": "\(options.dataDirectory)",
                "replicas": "\(parts.replicas.all.count)", "kernel": "\(VectorKernels.level.name)",
            ]
        )
        return Worker(
            options: options,
            parts: parts,
            training: training,
            server: server,
            heartbeats: heartbeats,
            logger: logger
        )
    }

    private static func open(
        _ options: WorkerOptions,
        changes: ReportChanges,
        logger: Logger
    ) throws(WorkerError) -> Parts {
        let folder = try DataFolder(opening: options.dataDirectory)
        let replicas = ReplicaTable(
            folder: folder,
            options: ReplicaOptions(
                limits: options.limits,
                partition: options.partition,
                backgroundProcessorShare: options.backgroundProcessorShare,
                reportChanged: changes.note
            ),
            logger: logger
        )
        let shelf = CodebookShelf(folder: folder)
        do throws(WorkerError) {
            try replicas.openAll()
            try shelf.load(isHeld: replicas.holdsAny(of:))
        } catch {
            replicas.stopAll()
            folder.unlock()
            throw error
        }
        return Parts(
            folder: folder,
            replicas: replicas,
            shelf: shelf,
            searches: BoundedExecutor(
                name: "search",
                threadCount: options.searchThreadCount,
                queueLimit: options.limits.searchQueueCount,
                queueByteLimit: options.limits.searchQueueBytes
            ),
            control: BoundedExecutor(
                name: "control",
                threadCount: 1,
                queueLimit: options.limits.controlQueueCount,
                queueByteLimit: options.limits.stagedCodebookBytes
            )
        )
    }

    /// Serves until a graceful shutdown or cancellation, then shuts down.
    ///
    /// - Throws: ``WorkerError`` when the worker must not go on, as with a coordinator of another cluster.
    package func run() async throws {
        let outcome = await withTaskGroup(of: Result<Void, WorkerError>.self) { group in
            group.addTask {
                // Ends by graceful shutdown or by cancellation: either way it is time to stop.
                try? await gracefulShutdown()
                return .success(())
            }
            group.addTask {
                await self.training.run()
                return .success(())
            }
            for heartbeat in heartbeats {
                group.addTask {
                    do throws(WorkerError) {
                        try await heartbeat.run()
                        return .success(())
                    } catch {
                        return .failure(error)
                    }
                }
            }
            let first = await group.next()!
            group.cancelAll()
            return first
        }
        if case .failure(let error) = outcome { logger.critical("worker stops", metadata: ["error": "\(error)"]) }
        await shutdown()
        try outcome.get()
    }

    /// Stops listening, lets requests under way finish for the grace period, closes every replica. Safe to call again.
    package func shutdown() async {
        let isFirst = isShutDown.withLock { isShutDown in
            defer { isShutDown = true }
            return !isShutDown
        }
        guard isFirst else { return }
        await server.shutdown(gracePeriod: options.gracePeriod)
        await WorkerThread.run(name: "close") { [searches, control, replicas, folder] in
            searches.stop()
            control.stop()
            replicas.stopAll()
            folder.unlock()
        }
        logger.info("worker stopped", metadata: ["node": "\(folder.node)"])
    }
}

/// Passes "the report has changed" from replicas and trainings to the heartbeats, which come into being after them.
private final class ReportChanges: Sendable {
    private let listener = Mutex<(@Sendable () -> Void)?>(nil)

    func listen(_ listener: @escaping @Sendable () -> Void) {
        self.listener.withLock { $0 = listener }
    }

    func note() {
        listener.withLock(\.self)?()
    }
}
