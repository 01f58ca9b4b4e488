import ClusterModel
import FaceModel
import Glibc
import Logging
import NIOCore
import NIOPosix
import PartitionEngine
import Synchronization
import Testing
import WireProtocol
import WireTransport
import WorkerService

/// A folder that goes away with the test.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/mien-worker-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit {
        Self.removeTree(path)
    }

    private static func removeTree(_ path: String) {
        if let directory = opendir(path) {
            defer { closedir(directory) }
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { removeTree("\(path)/\(name)") }
            }
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}

/// A coordinator that only takes heartbeats.
final class FakeCoordinator: RequestHandler {
    let clusterID: NodeID
    let id = NodeID.random()
    /// What its replies say of the coordinators that there are.
    let others = Mutex((revision: 1 as UInt64, coordinators: [] as [HeartbeatReply.Node]))
    /// Collections whose rollout is paused.
    let held = Mutex<[CollectionID]>([])
    /// Whether its replies say that they leave groups out.
    let omitsGroups = Atomic(false)
    /// Of a coordinator whose store nobody else can change.
    let run = Mutex<NodeID?>(nil)
    /// Whether it refuses all heartbeats.
    let isAway = Atomic(false)
    private let proposals = Atomic<Int>(0)
    private let heartbeats = Mutex<[Heartbeat]>([])
    private let total = Atomic<Int>(0)

    init(clusterID: NodeID) {
        self.clusterID = clusterID
    }

    func handle(_ request: Request, call: ServerCall) {
        if case .proposeGroup = request { proposals.add(1, ordering: .relaxed) }
        guard case .heartbeat(let heartbeat) = request else {
            return call.fail(WireStatus(.invalidRequest, "unexpected"))
        }
        if isAway.load(ordering: .relaxed) { return call.fail(WireStatus(.unavailable, "it is away")) }
        let run = run.withLock(\.self)
        heartbeats.withLock { $0.append(heartbeat) }
        total.add(1, ordering: .relaxed)
        let held = held.withLock(\.self)
        call.reply(
            others.withLock { others in
                HeartbeatReply(
                    clusterID: clusterID,
                    epoch: Epoch(1),
                    coordinator: id,
                    revision: others.revision,
                    coordinators: others.coordinators,
                    recordAge: 0,
                    heldCollections: held,
                    run: run,
                    omitsGroups: omitsGroups.load(ordering: .relaxed)
                )
            }
        )
    }

    /// Heartbeats so far.
    var count: Int { total.load(ordering: .relaxed) }
    var last: Heartbeat? { heartbeats.withLock(\.last) }
    /// Changes of groups that it was asked for; it makes none.
    var proposalCount: Int { proposals.load(ordering: .relaxed) }

    /// The first report, from now on, that fits.
    func report(where fits: (WorkerReport) -> Bool) async throws -> WorkerReport {
        heartbeats.withLock { $0 = [] }
        let end = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < end {
            if let report = heartbeats.withLock({ $0.map(\.report) }).first(where: fits) { return report }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw WireStatus(.deadlineExceeded, "no such report came; the last was \(String(describing: last?.report))")
    }
}

/// A worker on a free port and a coordinator's connection to it.
final class WorkerHarness: Sendable {
    static let group = MultiThreadedEventLoopGroup.singleton
    static let dimension = 64

    let worker: Worker
    let peer: PeerClient

    static func options(_ folder: TemporaryFolder, coordinators: [NodeAddress] = []) -> WorkerOptions {
        var options = WorkerOptions(
            dataDirectory: folder.path,
            listen: NodeAddress(host: "127.0.0.1", port: 0),
            coordinators: coordinators,
            token: "secret",
            searchThreadCount: 2,
            heartbeatInterval: .milliseconds(50),
            gracePeriod: .seconds(2),
            agent: "test"
        )
        options.partition.mapByteCount = 1 << 30
        options.partition.minimumFreeByteCount = 0
        // Tests say when what is damaged is read.
        options.verificationPeriod = .zero
        return options
    }

    static let silentLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    init(_ options: WorkerOptions, logger: Logger = silentLogger) async throws {
        worker = try await Worker.start(options, logger: logger, group: Self.group)
        peer = Self.peer(of: worker.address)
    }

    static func peer(of address: NodeAddress, role: PeerRole = .coordinator) -> PeerClient {
        PeerClient(address: address, role: role, token: "secret", tls: nil, group: group, agent: "test")
    }

    /// Starts a worker for `body` and stops it after.
    static func with<R>(
        _ options: WorkerOptions,
        logger: Logger = silentLogger,
        _ body: (WorkerHarness) async throws -> R
    ) async throws -> R {
        let harness = try await WorkerHarness(options, logger: logger)
        let outcome: Result<R, any Error>
        do {
            outcome = .success(try await body(harness))
        } catch {
            outcome = .failure(error)
        }
        await harness.stop()
        return try outcome.get()
    }

    /// A coordinator that listens.
    static func serve(_ coordinator: FakeCoordinator) async throws -> WireServer {
        try await WireServer.start(
            WireServerConfiguration(
                listen: NodeAddress(host: "127.0.0.1", port: 0),
                token: "secret",
                role: .coordinator,
                node: .random(),
                agent: "test"
            ),
            handler: coordinator,
            group: group
        )
    }

    /// Runs the worker, with heartbeats and training, and a coordinator for `body`.
    static func withCluster<R: Sendable>(
        _ folder: TemporaryFolder,
        cluster: NodeID,
        partition: PartitionOptions? = nil,
        wireLimits: WireLimits = WireLimits(),
        processorShare: Double = 1,
        omittingGroups: Bool = false,
        changing change: (inout WorkerOptions) -> Void = { _ in },
        _ body: (WorkerHarness, FakeCoordinator) async throws -> R
    ) async throws -> R {
        let coordinator = FakeCoordinator(clusterID: cluster)
        coordinator.omitsGroups.store(omittingGroups, ordering: .relaxed)
        let server = try await serve(coordinator)
        var options = options(folder, coordinators: [server.address])
        if let partition { options.partition = partition }
        options.wireLimits = wireLimits
        options.backgroundProcessorShare = processorShare
        change(&options)
        let harness = try await WorkerHarness(options)
        let run = Task { try await harness.worker.run() }
        let outcome: Result<R, any Error>
        do {
            outcome = .success(try await body(harness, coordinator))
        } catch {
            outcome = .failure(error)
        }
        await harness.peer.close()
        run.cancel()
        let ended = await run.result
        await server.shutdown(gracePeriod: .zero)
        try ended.get()
        return try outcome.get()
    }

    func stop() async {
        await peer.close()
        await worker.shutdown()
    }

    func call<R: WireRequest>(_ request: R, within time: Duration = .seconds(20)) async throws -> R.Reply {
        try await peer.call(request, deadline: .after(time))
    }

    /// The status that a request is refused with.
    func refusal<R: WireRequest>(_ request: R) async throws -> WireStatus {
        do throws(WireStatus) {
            _ = try await peer.call(request, deadline: .after(.seconds(20)))
        } catch {
            return error
        }
        throw WireStatus(.internalError, "the request was not refused")
    }
}

/// Waits until something is so, half a minute at most.
func eventually(_ what: String, _ isSo: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(30)
    while try await !isSo() {
        guard ContinuousClock.now < end else { throw WireStatus(.deadlineExceeded, what) }
        try await Task.sleep(for: .milliseconds(20))
    }
}

/// A collection of one shard or more, and faces for it.
struct TestCollection: Sendable {
    let collection: Collection
    let ranges: [HashRange]

    init(shardCount: Int = 1, dimension: Int = WorkerHarness.dimension) {
        collection = Collection(
            id: CollectionID(high: 7, low: 9),
            configuration: CollectionConfiguration(
                name: "test",
                dimension: dimension,
                embeddingModel: "m",
                shardCount: shardCount
            ),
            created: Timestamp(milliseconds: 0)
        )
        ranges = HashRange.divisions(shardCount)
    }

    func shard(_ index: Int = 0) -> ShardID { ShardID(collection: collection.id, index: UInt32(index)) }

    func route(_ index: Int = 0, epoch: UInt64 = 1) -> ShardRoute {
        ShardRoute(shard: shard(index), epoch: Epoch(epoch))
    }

    private static let host = NodeID(high: 7, low: 7)

    func host(_ index: Int = 0, epoch: UInt64 = 1) -> HostReplica {
        HostReplica(
            shard: shard(index),
            range: ranges[index],
            collection: collection,
            group: ReplicaGroup(
                epoch: Epoch(epoch),
                version: epoch,
                primary: Self.host,
                inSync: [Self.host],
                minimumInSync: 1
            )
        )
    }

    /// The first `count` ids that belong to a shard.
    func ids(_ count: Int, in index: Int = 0) -> [FaceID] {
        var ids: [FaceID] = []
        var number: UInt64 = 0
        while ids.count < count {
            number += 1
            let id = FaceID(high: 0, low: number)
            if ranges[index].contains(FaceIDHash.hash(id, in: collection.id)) { ids.append(id) }
        }
        return ids
    }

    /// One unit vector per id, made from the id alone.
    func embeddings(_ ids: [FaceID]) -> EmbeddingMatrix {
        let dimension = collection.configuration.dimension
        var values: [Float] = []
        values.reserveCapacity(ids.count * dimension)
        for id in ids {
            var state = id.low &* 0x9e37_79b9_7f4a_7c15 &+ 1
            let row = (0..<dimension).map { _ in
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                return Float(Int64(bitPattern: state) >> 32) / 0x1p31
            }
            let norm = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
            values.append(contentsOf: row.map { $0 / norm })
        }
        return EmbeddingMatrix(dimension: dimension, values: values)
    }

    func enrol(_ ids: [FaceID], in index: Int = 0, epoch: UInt64 = 1, key: IdempotencyKey = .random()) -> ShardEnrol {
        ShardEnrol(
            route: route(index, epoch: epoch),
            key: key,
            rows: ids.map { EnrolRow(id: $0, metadata: FaceMetadata(personID: "p\($0.low)")) },
            embeddings: embeddings(ids)
        )
    }

    func delete(_ ids: [FaceID], in index: Int = 0, key: IdempotencyKey = .random()) -> ShardDelete {
        ShardDelete(route: route(index), key: key, ids: ids)
    }

    func search(
        _ ids: [FaceID],
        in index: Int = 0,
        epoch: UInt64 = 1,
        k: Int = 1,
        effort: SearchEffort = .exact,
        minimumSequence: UInt64 = 0
    ) -> ShardSearch {
        ShardSearch(
            route: route(index, epoch: epoch),
            parameters: SearchParameters(matchLimit: k, effort: effort),
            minimumSequence: minimumSequence,
            excludedFace: nil,
            probes: embeddings(ids)
        )
    }

    func get(_ ids: [FaceID], in index: Int = 0, embeddings: Bool = false) -> ShardGet {
        ShardGet(route: route(index), ids: ids, includesEmbeddings: embeddings, minimumSequence: 0)
    }
}
