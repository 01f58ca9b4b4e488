import ClusterModel
import Logging
import Synchronization
import Threads
import WireProtocol
import WireTransport

/// Tells one coordinator of this worker at every interval, and at once when something changed; of counts that change
/// while faces are written, a few times a second.
///
/// The first answer makes the worker a member of that cluster for good; an answer of another cluster ends the worker.
final class HeartbeatService: Sendable {
    /// A beat that takes longer counts as missed.
    private static let timeout = Duration.seconds(5)
    /// Changes within this time go into one beat.
    private static let leastPause = Duration.milliseconds(50)
    /// Likewise for those of counts alone: of writes there may be many in a second, and every report takes time.
    private static let leastCountPause = Duration.milliseconds(250)

    let coordinator: NodeAddress
    private let interval: Duration
    private let folder: DataFolder
    private let address: NodeAddress
    private let peer: PeerClient
    private let runs: SharedCoordinatorRuns
    private let report: @Sendable () async -> WorkerReport?
    private let heard: @Sendable (HeartbeatReply, _ asked: ContinuousClock.Instant) -> Void
    private let ended: @Sendable (HeartbeatReply?) -> Void
    private let metrics: WorkerMetrics
    private let logger: Logger
    private let isTaken = Atomic(false)
    private let node = Mutex<NodeID?>(nil)
    private let beats: AsyncStream<Void>
    private let beatInput: AsyncStream<Void>.Continuation
    private let counts: AsyncStream<Void>
    private let countInput: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - runs: of the worker: all its heartbeats share them.
    ///   - report: what to say of the worker now; nil once it is stopping.
    ///   - heard: gets every reply, with the time when its heartbeat was sent.
    ///   - ended: gets the reply to every heartbeat, nil when it was not taken.
    init(
        coordinator: NodeAddress,
        interval: Duration,
        folder: DataFolder,
        address: NodeAddress,
        peer: PeerClient,
        runs: SharedCoordinatorRuns,
        report: @escaping @Sendable () async -> WorkerReport?,
        heard: @escaping @Sendable (HeartbeatReply, _ asked: ContinuousClock.Instant) -> Void,
        ended: @escaping @Sendable (HeartbeatReply?) -> Void,
        metrics: WorkerMetrics,
        logger: Logger
    ) {
        self.coordinator = coordinator
        self.interval = interval
        self.folder = folder
        self.address = address
        self.peer = peer
        self.runs = runs
        self.report = report
        self.heard = heard
        self.ended = ended
        self.metrics = metrics
        self.logger = logger
        (beats, beatInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (counts, countInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether the coordinator took the last heartbeat.
    var isHeard: Bool { isTaken.load(ordering: .relaxed) }

    /// Whether this worker goes by another coordinator, of which this one is a rival.
    var isRefused: Bool {
        if case .refuses = runs.standing(at: coordinator) { true } else { false }
    }

    /// The coordinator at this address, as it last said itself.
    var coordinatorID: NodeID? { node.withLock(\.self) }

    func call<R: WireRequest>(_ request: R, deadline: WireDeadline) async throws(WireStatus) -> R.Reply {
        try await peer.call(request, deadline: deadline)
    }

    /// Ends ``run()``.
    func stop() {
        beatInput.finish()
    }

    /// Asks for a beat now, without waiting for it; beats that are not sent yet count as one.
    func beatSoon() {
        beatInput.yield()
    }

    /// Asks for a beat since there are more faces, or fewer: now, or soon after the last that was for that alone.
    func beatForCounts() {
        countInput.yield()
    }

    /// Beats until cancelled.
    ///
    /// A data folder that cannot remember the cluster, on a full disk for example, is tried again at every beat.
    ///
    /// - Throws: `otherCluster`.
    func run() async throws(WorkerError) {
        let outcome = await withTaskGroup(of: Result<Void, WorkerError>.self) { group in
            group.addTask {
                while !Task.isCancelled {
                    self.beatSoon()
                    try? await Task.sleep(for: self.interval)
                }
                return .success(())
            }
            group.addTask {
                for await _ in self.counts {
                    self.beatSoon()
                    try? await Task.sleep(for: Self.leastCountPause)
                }
                return .success(())
            }
            group.addTask { await self.serve() }
            let first = await group.next()!
            group.cancelAll()
            return first
        }
        runs.failed(at: coordinator)
        await peer.close()
        try outcome.get()
    }

    private func serve() async -> Result<Void, WorkerError> {
        var isHeard: Bool?
        for await _ in beats {
            guard let report = await report() else { break }
            let standing = runs.standing(at: coordinator)
            let heartbeat = Heartbeat(
                worker: folder.node,
                address: address,
                clusterID: folder.cluster,
                report: report,
                standing: standing
            )
            let asked = ContinuousClock.now
            let reply: HeartbeatReply
            do throws(WireStatus) {
                reply = try await peer.call(heartbeat, deadline: .after(Self.timeout))
            } catch {
                runs.failed(at: coordinator)
                if isHeard != false, !Task.isCancelled {
                    logger.warning(
                        "the coordinator does not take heartbeats; trying on",
                        metadata: ["coordinator": "\(coordinator)", "status": "\(error)"]
                    )
                }
                isHeard = false
                isTaken.store(false, ordering: .relaxed)
                metrics.heartbeatEnded(wasTaken: false)
                ended(nil)
                continue
            }
            let joined: Result<Void, WorkerError>
            // Where there is nothing to write down it needs no thread, of which there may be none to be had.
            if folder.cluster == reply.clusterID {
                joined = .success(())
            } else {
                joined = await WorkerThread.run(name: "join") { [folder, coordinator] in
                    Result { () throws(WorkerError) in try folder.join(reply.clusterID, toldBy: coordinator) }
                }
            }
            if case .failure(let error) = joined {
                if case .otherCluster = error { return joined }
                if isHeard != false {
                    logger.error(
                        "the cluster that this worker is to join cannot be written down; trying on",
                        metadata: ["coordinator": "\(coordinator)", "error": "\(error)"]
                    )
                }
                isHeard = false
                isTaken.store(false, ordering: .relaxed)
                metrics.heartbeatEnded(wasTaken: false)
                ended(nil)
                continue
            }
            let isFollowed = runs.heard(reply.run, at: coordinator)
            // It does nothing with this worker before it knows.
            if reply.run != nil, runs.standing(at: coordinator) != standing { beatSoon() }
            guard isFollowed else {
                if isHeard != false {
                    logger.error(
                        "two coordinators have copies of one metadata store; this worker goes by the other",
                        metadata: ["refused": "\(coordinator)", "cluster": "\(reply.clusterID)"]
                    )
                }
                isHeard = false
                isTaken.store(false, ordering: .relaxed)
                metrics.heartbeatEnded(wasTaken: false)
                ended(nil)
                try? await Task.sleep(for: Self.leastPause)
                continue
            }
            if isHeard != true {
                logger.info(
                    "the coordinator takes heartbeats",
                    metadata: ["coordinator": "\(coordinator)", "cluster": "\(reply.clusterID)"]
                )
            }
            isHeard = true
            isTaken.store(true, ordering: .relaxed)
            metrics.heartbeatEnded(wasTaken: true)
            node.withLock { $0 = reply.coordinator }
            heard(reply, asked)
            ended(reply)
            try? await Task.sleep(for: Self.leastPause)
        }
        return .success(())
    }
}

/// ``CoordinatorRuns``, for the heartbeats to all coordinators.
final class SharedCoordinatorRuns: Sendable {
    private let runs = Mutex(CoordinatorRuns())

    func heard(_ run: NodeID?, at address: NodeAddress) -> Bool {
        runs.withLock { $0.heard(run, at: address, now: .now) }
    }

    func failed(at address: NodeAddress) { runs.withLock { $0.failed(at: address, now: .now) } }

    func standing(at address: NodeAddress) -> CoordinatorStanding { runs.withLock { $0.standing(at: address) } }
}
