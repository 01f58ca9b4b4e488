package import ClusterModel
import InvertedFileIndex
package import Logging
package import NIOCore
import Observability
import PartitionEngine
import ServiceLifecycle
import ShardReplication
import Synchronization
import Threads
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
    private let reports: BoundedExecutor
    private let copies: PartitionReceiver
    private let snapshots: SnapshotShelf
    private let verification: VerificationService
    private let links: ReplicationLinks
    private let training: TrainingService
    private let server: WireServer
    private let heartbeats: HeartbeatLinks
    private let memory: MemoryWatch
    private let isStopping: OneWayFlag
    private let logger: Logger
    private let isShutDown = Mutex(false)
    private let started = ContinuousClock.now

    private init(
        options: WorkerOptions,
        parts: Parts,
        training: TrainingService,
        server: WireServer,
        heartbeats: HeartbeatLinks,
        memory: MemoryWatch,
        logger: Logger
    ) {
        self.options = options
        self.folder = parts.folder
        self.replicas = parts.replicas
        self.searches = parts.searches
        self.loopTurns = parts.loopTurns
        self.control = parts.control
        self.reports = parts.reports
        self.copies = parts.copies
        self.snapshots = parts.snapshots
        self.verification = parts.verification
        self.links = parts.links
        self.isStopping = parts.isStopping
        self.training = training
        self.server = server
        self.heartbeats = heartbeats
        self.memory = memory
        self.logger = logger
        address = server.address
    }

    /// What is on this machine, before anything listens.
    fileprivate struct Parts {
        let folder: DataFolder
        let replicas: ReplicaTable
        let shelf: CodebookShelf
        let operationHolds: OperationHolds
        let searches: BoundedExecutor
        let loopTurns = LoopTurns()
        let control: BoundedExecutor
        /// Makes reports: a worker that is told to do what takes long is heard of meanwhile.
        let reports: BoundedExecutor
        let metrics: WorkerMetrics
        let recall: RecallChecker
        let copies: PartitionReceiver
        let snapshots: SnapshotShelf
        let disk: DiskRoom
        let verification: VerificationService
        let links: ReplicationLinks
        let isStopping = OneWayFlag()
        /// The last report that was made.
        let latestReport = LatestReport()

        func stop() {
            searches.stop()
            control.stop()
            reports.stop()
            replicas.stopAll()
            copies.stop()
            snapshots.stop()
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
        let changes = ReportChanges(on: group.next())
        let parts = try await WorkerThread.run(name: "open") {
            Result { () throws(WorkerError) in try open(options, changes: changes, group: group, logger: logger) }
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
            holds: parts.operationHolds,
            limits: options.limits,
            backgroundProcessorShare: options.backgroundProcessorShare,
            makePeer: makePeer,
            reportChanged: changes.note,
            logger: logger
        )
        let memory = MemoryWatch(
            limitByteCount: options.memoryLimitByteCount,
            logger: logger,
            measure: {
                var ledger = parts.memory()
                ledger[.training] = UInt64(clamping: training.sampleByteCount)
                return ledger
            },
            changed: changes.note
        )
        let handler = WorkerHandler(
            replicas: parts.replicas,
            searches: parts.searches,
            loopTurns: parts.loopTurns,
            control: parts.control,
            shelf: parts.shelf,
            installed: InstalledCodebooks(replicas: parts.replicas),
            training: training,
            installations: CodebookInstallations(byteLimit: options.limits.stagedCodebookBytes),
            limits: options.limits,
            metrics: parts.metrics,
            recall: parts.recall,
            copies: parts.copies,
            snapshots: parts.snapshots,
            memory: memory,
            readings: AwaitedReadings(threads: options.threads, logger: logger),
            answerByteLimit: Int(options.wireLimits.payloadByteCount) - 4096
        )
        let serverMetrics = ServerMetrics(options.metrics, role: .worker)
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
            configuration.metrics = serverMetrics
            server = try await WireServer.start(configuration, handler: handler, group: group)
        } catch {
            await WorkerThread.run(name: "close") { parts.stop() }
            throw .cannotListen(error)
        }
        memory.start()
        let copyBytesPerSecond = UInt64(options.copyBytesPerSecond)
        let report: @Sendable () async -> WorkerReport? = { [parts] in
            await parts.reports.run {
                let (begin, changeCount) = (ContinuousClock.now, changes.count)
                let isStopping = parts.isStopping.isSet
                let shared = parts.latestReport.shared(changeCount: changeCount, isStopping: isStopping, now: begin)
                if let shared { return shared }
                let (all, successors) = parts.replicas.content
                let replicas = all.map { replica in
                    var report = replica.report()
                    let mapped = replica.mappedMemory()
                    report.warmth = Float(mapped.warmth)
                    return (report: report, mapped: mapped)
                }
                let report = WorkerReport(
                    replicas: replicas.map(\.report),
                    copyRefusals: all.flatMap(\.copyRefusals),
                    stuckShards: all.filter(\.isStuck).map(\.shard),
                    searchedRows: all.map(\.searchedRows).filter { $0.rowCount > 0 },
                    copyBytesPerSecond: copyBytesPerSecond,
                    promisedEpochs: all.compactMap(\.laterPromise),
                    appliedEpochs: all.compactMap(\.appliedEpoch),
                    successors: successors.map(\.report),
                    trainings: parts.shelf.trainings,
                    residentByteCount: ProcessFigures.residentByteCount(),
                    mapped: replicas.reduce(MappedMemory()) { $0 + $1.mapped },
                    freeDiskByteCount: parts.disk.freeByteCountBesideSnapshots,
                    availableMemoryByteCount: memory.availableByteCount,
                    memory: memory.ledger,
                    isStopping: isStopping,
                    kernelLevel: VectorKernels.level.name,
                    activity: parts.activity(serverMetrics.activity)
                )
                parts.latestReport.set(report, changeCount: changeCount, begin: begin)
                return report
            }
        }
        let collector = WorkerCollector(
            replicas: parts.replicas,
            searches: parts.searches,
            control: parts.control,
            limits: options.limits,
            memory: memory,
            erasurePeriod: options.partition.erasurePeriod,
            latestReport: parts.latestReport.get
        )
        options.metrics.collect(collector.collect)
        let runs = SharedCoordinatorRuns()
        let heartbeats = HeartbeatLinks(to: options.coordinators) { [parts] coordinator, ended in
            HeartbeatService(
                coordinator: coordinator,
                interval: options.heartbeatInterval,
                folder: parts.folder,
                address: options.advertise ?? server.address,
                peer: makePeer(coordinator),
                runs: runs,
                report: report,
                heard: { reply, asked in
                    parts.operationHolds.heard(reply)
                    parts.links.heard(reply, asked: asked, of: parts.replicas)
                },
                ended: ended,
                metrics: parts.metrics,
                logger: logger
            )
        }
        changes.listen { isOfCounts in isOfCounts ? heartbeats.beatForCounts() : heartbeats.beatSoon() }
        parts.links.propose { (proposal: ProposeGroup) async throws(WireStatus) in
            try await heartbeats.call(proposal, timeout: ReplicationLinks.proposalTimeout)
        }
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
            memory: memory,
            logger: logger
        )
    }

    private static func open(
        _ options: WorkerOptions,
        changes: ReportChanges,
        group: any EventLoopGroup,
        logger: Logger
    ) throws(WorkerError) -> Parts {
        let folder = try DataFolder(opening: options.dataDirectory)
        let metrics = WorkerMetrics(options.metrics, slowSearch: options.slowSearch, logger: logger)
        let links = ReplicationLinks(
            node: folder.node,
            clients: WorkerClients(
                role: .worker,
                token: options.token ?? "",
                tls: options.clientTLS,
                agent: options.agent
            ),
            group: group
        )
        let pace = SharedBackgroundPace(processorShare: options.backgroundProcessorShare)
        let operationHolds = OperationHolds()
        let replicas = ReplicaTable(
            folder: folder,
            options: ReplicaOptions(
                limits: options.limits,
                partition: options.partition,
                backgroundPace: pace,
                successorShare: DividedProcessorShare(options.backgroundProcessorShare),
                operationHolds: operationHolds,
                replication: options.replication,
                checkpointInterval: options.checkpointInterval,
                copyBytesPerSecond: options.copyBytesPerSecond,
                copySliceByteCount: options.copySliceByteCount,
                links: links,
                prefault: options.prefault,
                warming: BoundedExecutor(
                    name: "warming",
                    threadCount: 4,
                    queueLimit: .max,
                    priority: .background
                ),
                threads: options.threads,
                metrics: metrics,
                reportChanged: changes.note,
                countsChanged: changes.noteCounts
            ),
            logger: logger
        )
        let shelf = CodebookShelf(folder: folder)
        let disk = DiskRoom(
            reserveByteCount: options.partition.minimumFreeByteCount,
            freeOnDisk: { folder.freeByteCount() },
            incomingFolders: { replicas.all.map(\.incomingCopyPath) }
        )
        let snapshots: SnapshotShelf
        do throws(WorkerError) {
            snapshots = try SnapshotShelf(
                folder: folder.snapshotsPath,
                options: options.partition,
                disk: disk,
                threads: options.threads,
                logger: logger
            )
        } catch {
            replicas.stopAll()
            folder.unlock()
            throw error
        }
        // Replicas take every thread that the system gives: before them come those of everything else, or are kept.
        let searches = BoundedExecutor(
            name: "search",
            threadCount: options.searchThreadCount,
            queueLimit: options.limits.searchQueueCount,
            queueByteLimit: options.limits.searchQueueBytes
        )
        let control = BoundedExecutor(
            name: "control",
            threadCount: 1,
            queueLimit: options.limits.controlQueueCount,
            queueByteLimit: options.limits.stagedCodebookBytes
        )
        let reports = BoundedExecutor(name: "report", threadCount: 1, queueLimit: 1)
        let kept = options.threads.reserveSpares(ThreadSource.keptCount)
        do throws(WorkerError) {
            try replicas.openAll()
            try shelf.load(isHeld: replicas.holdsAny(of:))
        } catch {
            replicas.stopAll()
            searches.stop()
            control.stop()
            reports.stop()
            snapshots.stop()
            folder.unlock()
            throw error
        }
        withExtendedLifetime(kept) {}
        return Parts(
            folder: folder,
            replicas: replicas,
            shelf: shelf,
            operationHolds: operationHolds,
            searches: searches,
            control: control,
            reports: reports,
            metrics: metrics,
            recall: RecallChecker(
                interval: options.recallCheckInterval,
                searches: searches,
                book: options.recall ?? RecallBook(options.metrics),
                registry: options.metrics
            ),
            copies: PartitionReceiver(options: options.partition, disk: disk),
            snapshots: snapshots,
            disk: disk,
            verification: VerificationService(
                replicas: replicas,
                period: options.verificationPeriod,
                pace: pace,
                registry: options.metrics,
                logger: logger
            ),
            links: links
        )
    }

    /// Why the worker should not be relied on now, each reason a sentence; none when nothing is missing. That nobody
    /// takes its heartbeats comes first: others may follow from it.
    package var readinessProblems: [String] {
        if isShutDown.withLock(\.self) { return ["The worker is stopping."] }
        let states = replicas.all.filter { !$0.isSucceeded && !$0.isStopped }.map(\.figures.state)
        let isWaitedFor = ContinuousClock.now - started < options.warmingPatience
        let counts = [
            (states.count { $0 == .opening }, "are being opened."),
            (states.count { $0 == .failed }, "are out of service; the log says why."),
            (replicas.all.count(where: \.isCatchingUp), "have not caught up with the others."),
            (isWaitedFor ? replicas.all.count(where: \.isWarming) : 0, "are being read into memory."),
        ]
        return (heartbeats.isHeard ? [] : ["No coordinator takes this worker's heartbeats; the log says why."])
            + counts.filter { $0.0 > 0 }.map { "\($0.0) of \(states.count) replicas \($0.1)" }
    }

    /// What people should know although the worker may be relied on, as a sentence; nil for nothing. What it is being
    /// given beside all copies that there are to be nobody relies on yet, and a copy may take hours. One that stands in
    /// for a lost copy is missed, though it may take as long: as long as the worker is not ready, nothing that asks for
    /// that, such as a disruption budget, takes another away.
    package var readinessRemark: String? {
        let count = replicas.all.count(where: \.isSpare)
        guard count > 0 else { return nil }
        return "\(count) of \(replicas.count) replicas are new to this worker, and count once they have caught up."
    }

    /// Serves until a graceful shutdown or cancellation, then shuts down.
    ///
    /// - Throws: ``WorkerError`` when the worker must not go on, as with a coordinator of another cluster.
    package func run() async throws {
        let outcome = await withTaskGroup(of: Result<Void, WorkerError>.self) { group in
            group.addTask {
                // Ends by graceful shutdown or by cancellation: either way it is time to stop.
                try? await gracefulShutdown()
                if !Task.isCancelled { await self.handOver() }
                return .success(())
            }
            group.addTask {
                await self.training.run()
                return .success(())
            }
            group.addTask {
                await self.links.run(self.replicas)
                return .success(())
            }
            group.addTask {
                await self.copies.run(self.replicas)
                return .success(())
            }
            group.addTask {
                await self.snapshots.run()
                return .success(())
            }
            group.addTask {
                await self.verification.run()
                return .success(())
            }
            group.addTask {
                do throws(WorkerError) {
                    try await self.heartbeats.run()
                    return .success(())
                } catch {
                    return .failure(error)
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

    /// Says that this worker is about to stop, and waits until others have taken over what they can.
    private func handOver() async {
        isStopping.set()
        let start = ContinuousClock.now
        let isNeeded = { self.replicas.all.contains(where: \.isToBeHandedOver) }
        guard heartbeats.isHeard, isNeeded() else { return }
        logger.info("worker hands over", metadata: ["node": "\(folder.node)"])
        heartbeats.beatSoon()
        while isNeeded(), ContinuousClock.now - start < options.handOverTime {
            try? await Task.sleep(for: .milliseconds(20))
        }
        logger.info(
            "worker has handed over",
            metadata: ["took": "\(ContinuousClock.now - start)", "complete": "\(!isNeeded())"]
        )
    }

    /// Stops listening, lets requests under way finish for the grace period, closes every replica. Safe to call again.
    package func shutdown() async {
        let isFirst = isShutDown.withLock { isShutDown in
            defer { isShutDown = true }
            return !isShutDown
        }
        guard isFirst else { return }
        await server.shutdown(gracePeriod: options.gracePeriod)
        await WorkerThread.run(name: "close") {
            [searches, control, reports, copies, snapshots, replicas, folder, memory] in
            memory.stop()
            searches.stop()
            control.stop()
            reports.stop()
            replicas.stopAll()
            copies.stop()
            snapshots.stop()
            folder.unlock()
        }
        await links.close()
        logger.info("worker stopped", metadata: ["node": "\(folder.node)"])
    }
}

extension Worker.Parts {
    /// What memory is held for, but for trainings and the program itself.
    fileprivate func memory() -> MemoryLedger {
        let replicas = replicas.all.map(\.figures)
        func sum(_ byteCount: (Replica.Figures) -> Int) -> UInt64 {
            UInt64(clamping: replicas.reduce(0) { $0 + byteCount($1) })
        }
        let log = sum(\.unacknowledgedByteCount) + UInt64(clamping: links.entriesUnderWay.byteCount)
        return MemoryLedger(
            parts: [
                .searchQueue: UInt64(clamping: searches.load.waitingByteCount),
                .searchBuffers: UInt64(clamping: SearchBuffers.byteCount),
                .writeQueue: sum(\.queuedByteCount),
                .log: log,
                .copies: UInt64(clamping: copies.waitingByteCount),
                .codebooks: sum { $0.statistics?.codebookByteCount ?? 0 },
                .filters: sum { $0.statistics?.filterByteCount ?? 0 },
            ],
            freshByteCount: replicas.reduce(0) { $0 + ($1.statistics?.freshByteCount ?? 0) },
            mapByteCount: sum { $0.fileUse?.mapByteCount ?? 0 }
        )
    }

    /// What the server tells of itself, and what only the worker knows.
    fileprivate func activity(_ server: NodeActivity) -> NodeActivity {
        var activity = server
        activity.writtenFaceCount = metrics.writtenFaceCount
        activity.recall = recall.tally
        activity.queuedSearchCount = UInt32(clamping: searches.load.waitingCount)
        activity.queuedRowCount = UInt64(replicas.all.reduce(0) { $0 + $1.figures.queuedRowCount })
        return activity
    }
}

/// Passes "the report has changed" from replicas and trainings to the heartbeats, which come into being after them.
///
/// They are told by an event loop: a task that a lane wakes would yield to searches as the lane does.
private final class ReportChanges: Sendable {
    private let eventLoop: any EventLoop
    private let listener = Mutex<(@Sendable (_ isOfCounts: Bool) -> Void)?>(nil)
    private let noted = Atomic<UInt64>(0)

    init(on eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// How many changes were noted: what was made before the last of them may lack it.
    var count: UInt64 { noted.load(ordering: .acquiring) }

    func listen(_ listener: @escaping @Sendable (_ isOfCounts: Bool) -> Void) {
        self.listener.withLock { $0 = listener }
    }

    @Sendable func note() { tell(isOfCounts: false) }

    /// Only how many faces there are has changed, or how far maintenance is: that may be told a quarter of a second
    /// later.
    @Sendable func noteCounts() { tell(isOfCounts: true) }

    private func tell(isOfCounts: Bool) {
        noted.add(1, ordering: .releasing)
        eventLoop.execute { self.listener.withLock(\.self)?(isOfCounts) }
    }
}
