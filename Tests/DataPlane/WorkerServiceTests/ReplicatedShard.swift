import ClusterModel
import FaceModel
import Glibc
import Logging
import PartitionEngine
import ShardReplication
import Synchronization
import Testing
import Threads
import WireProtocol
import WireTransport
import WorkerService

/// A coordinator that keeps the group of one shard as the metadata store would.
final class GroupKeeper: RequestHandler {
    private struct State {
        var group: ReplicaGroup?
        var addresses: [NodeID: NodeAddress] = [:]
        var relays: [NodeID: NodeAddress] = [:]
        var refusals: [NodeID: [WorkerReport.CopyRefusal]] = [:]
        var reports: [NodeID: WorkerReport.Replica] = [:]
        var heartbeatCounts: [NodeID: Int] = [:]
        /// Is told of no group.
        var unaware: NodeID?
        /// Its heartbeats are answered later, with what is so then.
        var delayed: NodeID?
        var waiting: [(heartbeat: Heartbeat, call: ServerCall)] = []
        var confirms = true
        var removes = true
        var adds = true
    }

    let cluster = NodeID.random()
    private let id = NodeID.random()
    private let shard: ShardID
    private let state = Mutex(State())

    init(of shard: ShardID) {
        self.shard = shard
    }

    var group: ReplicaGroup? { state.withLock(\.group) }

    /// What a worker last said of its replica.
    func report(of node: NodeID) -> WorkerReport.Replica? { state.withLock { $0.reports[node] } }

    /// How many heartbeats of a worker have come.
    func heartbeatCount(of node: NodeID) -> Int { state.withLock { $0.heartbeatCounts[node] ?? 0 } }

    /// From now on this worker alone is told of no group; nil when all are told again.
    func keepUnaware(_ node: NodeID?) { state.withLock { $0.unaware = node } }

    /// From now on heartbeats of this worker are not answered before ``answerWhatWaits()``.
    func delayAnswers(to node: NodeID) { state.withLock { $0.delayed = node } }

    /// Whether a heartbeat of the worker whose are delayed is waiting.
    var hasWaiting: Bool { state.withLock { !$0.waiting.isEmpty } }

    /// Answers the heartbeats that wait, and from now on all at once.
    func answerWhatWaits() {
        let waiting = state.withLock { state in
            state.delayed = nil
            defer { state.waiting = [] }
            return state.waiting
        }
        for (heartbeat, call) in waiting { call.reply(state.withLock { reply(to: heartbeat, in: $0) }) }
    }

    /// What a worker last said of copies that it could not give to others.
    func refusals(by node: NodeID) -> [WorkerReport.CopyRefusal] { state.withLock { $0.refusals[node] ?? [] } }

    /// Puts another group in force; nil leaves it as it is.
    func change(_ change: (ReplicaGroup?) -> ReplicaGroup?) {
        state.withLock { $0.group = change($0.group) ?? $0.group }
    }

    /// Where a worker is.
    func address(of node: NodeID) -> NodeAddress? { state.withLock { $0.addresses[node] } }

    /// Tells the others of another address of a worker.
    func relay(_ node: NodeID, over address: NodeAddress) { state.withLock { $0.relays[node] = address } }

    /// Whether replicas are removed from the in-sync set when the primary asks for it.
    func remove(_ removes: Bool) { state.withLock { $0.removes = removes } }

    /// Whether learners join the in-sync set when the primary asks for it.
    func add(_ adds: Bool) { state.withLock { $0.adds = adds } }

    /// Whether replies say how old what they tell is.
    func confirm(_ confirms: Bool) { state.withLock { $0.confirms = confirms } }

    private func reply(to heartbeat: Heartbeat, in state: State) -> HeartbeatReply {
        let group = heartbeat.worker == state.unaware ? nil : state.group
        return HeartbeatReply(
            clusterID: cluster,
            epoch: Epoch(1),
            coordinator: id,
            groups: group.map { [ShardGroup(shard: shard, group: $0)] } ?? [],
            workers: state.addresses.map { .init(id: $0.key, address: state.relays[$0.key] ?? $0.value) },
            recordAge: state.confirms ? 0 : .max
        )
    }

    func handle(_ request: Request, call: ServerCall) {
        switch request {
        case .heartbeat(let heartbeat):
            let reply = state.withLock { state -> HeartbeatReply? in
                state.addresses[heartbeat.worker] = heartbeat.address
                state.heartbeatCounts[heartbeat.worker, default: 0] += 1
                state.refusals[heartbeat.worker] = heartbeat.report.copyRefusals
                state.reports[heartbeat.worker] = heartbeat.report.replicas.first { $0.shard == shard }
                guard heartbeat.worker != state.delayed else {
                    state.waiting.append((heartbeat, call))
                    return nil
                }
                return self.reply(to: heartbeat, in: state)
            }
            if let reply { call.reply(reply) }
        case .proposeGroup(let request):
            let group = state.withLock { state in
                if case .remove = request.proposal.change, !state.removes { return state.group }
                if case .add = request.proposal.change, !state.adds { return state.group }
                state.group = state.group?.applying(request.proposal) ?? state.group
                return state.group
            }
            guard let group else { return call.fail(WireStatus(.notFound, "no group")) }
            call.reply(ShardGroup(shard: shard, group: group))
        default: call.fail(WireStatus(.invalidRequest, "unexpected"))
        }
    }
}

/// Workers that run, and the replicas of one shard on them.
actor ReplicatedShard {
    private struct Member {
        var folder: TemporaryFolder
        var harness: WorkerHarness?
        var run: Task<Void, any Error>?
    }

    nonisolated let test = TestCollection()
    nonisolated let keeper: GroupKeeper
    private let server: WireServer
    private var members: [Member] = []
    private(set) var nodes: [NodeID] = []
    private let limits: WorkerLimits
    private let receiptLimit: Int
    private let remembersEarlier: Bool
    private let sliceByteCount: Int
    private let threads: ThreadSource
    private let erasurePeriod: Duration
    nonisolated let log = LineRecorder()
    /// Commits of deletions by the worker of this number come to it.
    private let deletionHold: (worker: Int, hold: Hold)?

    static let timings = ReplicationTimings(
        heartbeat: .milliseconds(50),
        resend: .milliseconds(200),
        silence: .milliseconds(600),
        proposal: .milliseconds(200),
        staleness: .milliseconds(800)
    )

    private init(
        keeper: GroupKeeper,
        server: WireServer,
        limits: WorkerLimits,
        receiptLimit: Int,
        remembersEarlier: Bool,
        sliceByteCount: Int,
        threads: ThreadSource,
        erasurePeriod: Duration,
        deletionHold: (worker: Int, hold: Hold)?
    ) {
        self.sliceByteCount = sliceByteCount
        self.threads = threads
        self.erasurePeriod = erasurePeriod
        self.deletionHold = deletionHold
        self.keeper = keeper
        self.server = server
        self.limits = limits
        self.receiptLimit = receiptLimit
        self.remembersEarlier = remembersEarlier
    }

    /// Starts workers for `body`; the first ones hold the shard, the first of all leads.
    static func with(
        workers count: Int,
        replicas replicaCount: Int,
        minimumInSync: Int,
        limits: WorkerLimits = WorkerLimits(),
        receiptLimit: Int = PartitionOptions().receiptLimit,
        remembersEarlier: Bool = true,
        sliceByteCount: Int = PartitionSlice.byteLimit,
        threads: ThreadSource = ThreadSource(),
        erasurePeriod: Duration = PartitionOptions().erasurePeriod,
        deletionHold: (worker: Int, hold: Hold)? = nil,
        _ body: (ReplicatedShard) async throws -> Void
    ) async throws {
        let keeper = GroupKeeper(of: TestCollection().shard())
        let server = try await WireServer.start(
            WireServerConfiguration(
                listen: NodeAddress(host: "127.0.0.1", port: 0),
                token: "secret",
                role: .coordinator,
                node: .random(),
                agent: "test"
            ),
            handler: keeper,
            group: WorkerHarness.group
        )
        let shard = ReplicatedShard(
            keeper: keeper,
            server: server,
            limits: limits,
            receiptLimit: receiptLimit,
            remembersEarlier: remembersEarlier,
            sliceByteCount: sliceByteCount,
            threads: threads,
            erasurePeriod: erasurePeriod,
            deletionHold: deletionHold
        )
        var outcome = Result<Void, any Error>.success(())
        do {
            try await shard.startAll(count)
            let nodes = await shard.nodes
            keeper.change { _ in
                ReplicaGroup(
                    epoch: Epoch(1),
                    version: 1,
                    primary: nodes[0],
                    inSync: Array(nodes.prefix(replicaCount)),
                    minimumInSync: minimumInSync
                )
            }
            for index in 0..<replicaCount { try await shard.host(index) }
            try await body(shard)
        } catch {
            outcome = .failure(error)
        }
        await shard.stopAll()
        await server.shutdown(gracePeriod: .zero)
        try outcome.get()
    }

    private func startAll(_ count: Int) async throws {
        for index in 0..<count {
            members.append(Member(folder: TemporaryFolder()))
            try await start(index)
            nodes.append(members[index].harness!.worker.node)
        }
    }

    private func stopAll() async {
        for index in members.indices { await stop(index) }
    }

    /// How much of what a worker keeps back on its disk it finds.
    enum Room {
        case enough
        /// Between half of it and all of it.
        case most
        case none
        /// All of the disk, and row ids up to this one.
        case rowIDs(UInt32)
    }

    func start(_ index: Int, room: Room = .enough) async throws {
        var options = WorkerHarness.options(members[index].folder, coordinators: [server.address])
        switch room {
        case .enough: break
        case .most:
            var status = statvfs()
            #expect(unsafe statvfs(members[index].folder.path, &status) == 0)
            options.partition.minimumFreeByteCount = UInt64(status.f_bavail) * UInt64(status.f_frsize) / 2 * 3
        case .none: options.partition.minimumFreeByteCount = .max
        case .rowIDs(let limit): options.partition.rowIDLimit = limit
        }
        options.partition.receiptLimit = receiptLimit
        options.partition.erasurePeriod = erasurePeriod
        if !remembersEarlier { options.partition.earlierReceipts = .none }
        options.replication = Self.timings
        options.limits = limits
        options.copySliceByteCount = sliceByteCount
        options.threads = threads
        options.checkpointInterval = .milliseconds(100)
        if let deletionHold, deletionHold.worker == index {
            let clock = options.partition.wallClock
            // A deletion's time is read while it is being committed.
            options.partition.wallClock = {
                deletionHold.hold.pass()
                return clock()
            }
        }
        let harness = try await WorkerHarness(options, logger: Logger(label: "test") { _ in self.log })
        members[index].harness = harness
        members[index].run = Task { try await harness.worker.run() }
    }

    /// Ends a worker; its folder stays.
    func stop(_ index: Int) async {
        guard let harness = members[index].harness else { return }
        members[index].harness = nil
        await harness.peer.close()
        members[index].run?.cancel()
        _ = await members[index].run?.result
    }

    /// The folder of a worker.
    func folder(_ index: Int) -> TemporaryFolder { members[index].folder }

    func host(_ index: Int) async throws {
        guard let group = keeper.group, let harness = members[index].harness else { return }
        let host = HostReplica(
            shard: test.shard(),
            range: test.ranges[0],
            collection: test.collection,
            group: group
        )
        _ = try await harness.call(host)
    }

    func call<R: WireRequest>(
        _ request: R,
        on index: Int,
        within time: Duration = .seconds(5)
    ) async throws(WireStatus) -> R.Reply {
        guard let harness = members[index].harness else { throw WireStatus(.unavailable, "the worker is stopped") }
        return try await harness.peer.call(request, deadline: .after(time))
    }

    func index(of node: NodeID) -> Int { nodes.firstIndex(of: node)! }

    /// Sends a write to the primary of the moment, under the same key, until it is acknowledged.
    func write<R: WireRequest>(_ make: (Epoch) -> R) async throws -> R.Reply {
        try await eventually("the write is acknowledged") { () async throws(WireStatus) in
            let group = self.keeper.group!
            return try await self.call(make(group.epoch), on: self.index(of: group.primary))
        }
    }

    func enrol(_ ids: [FaceID], key: IdempotencyKey = .random()) async throws -> ShardEnrolled {
        try await write { self.test.enrol(ids, epoch: $0.number, key: key) }
    }

    func delete(_ ids: [FaceID]) async throws -> ShardDeleted {
        let key = IdempotencyKey.random()
        return try await write { ShardDelete(route: self.test.route(epoch: $0.number), key: key, ids: ids) }
    }

    /// Which of the faces a replica shows, at once.
    func faces(_ ids: [FaceID], on index: Int, minimumSequence: UInt64 = 0) async throws(WireStatus) -> [FaceID] {
        let request = ShardGet(
            route: test.route(epoch: keeper.group!.epoch.number),
            ids: ids,
            includesEmbeddings: false,
            minimumSequence: minimumSequence
        )
        return try await call(request, on: index).faces.map(\.id)
    }

    /// Tries until it succeeds or gives true.
    func eventually<T: Sendable>(
        _ what: String,
        _ body: () async throws(WireStatus) -> T
    ) async throws -> T {
        let end = ContinuousClock.now + .seconds(30)
        var last = WireStatus(.internalError, "never tried")
        while ContinuousClock.now < end {
            do throws(WireStatus) {
                let value = try await body()
                if (value as? Bool) ?? true { return value }
                last = WireStatus(.internalError, "it was not so")
            } catch {
                last = error
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw WireStatus(.deadlineExceeded, "\(what): \(last)")
    }

    func isInSync(_ index: Int) -> Bool { keeper.group!.isInSync(nodes[index]) }
}
