import ClusterModel
import FaceModel
import Logging
import NIOCore
import NIOPosix
import Observability
import PortHolding
import QueryRouter
import Synchronization
import Testing
import Tracing
import WireProtocol
import WireTransport

/// What a fake worker does with one shard request; nil lets the worker answer from its faces.
typealias Script = @Sendable (Request, ServerCall) -> Bool

/// A worker that keeps faces in memory and compares every one: a real server, and nothing else real.
final class FakeWorker: Sendable {
    struct State: Sendable {
        var faces: [ShardID: [FaceID: StoredFace]] = [:]
        var epochs: [ShardID: UInt64] = [:]
        var sequences: [ShardID: UInt64] = [:]
        var requestCount = 0
        /// Shards that others order the writes of.
        var secondaryOf: Set<ShardID> = []
        /// Keys of the writes that came, whatever became of them.
        var keys: [IdempotencyKey] = []
        /// And how old they were said to be.
        var ages: [Duration] = []
    }

    let id: NodeID
    /// Those that hold replicas of the same shards.
    let peers = Mutex<[FakeWorker]>([])
    let state = Mutex(State())
    let script = Mutex<Script?>(nil)

    init(id: NodeID) {
        self.id = id
    }

    var requestCount: Int { state.withLock { $0.requestCount } }

    func setScript(_ new: @escaping Script) { script.withLock { $0 = new } }

    /// - Parameter isPrimary: whether it orders the shard's writes.
    func host(_ shard: ShardID, epoch: UInt64, isPrimary: Bool = true) {
        state.withLock {
            if isPrimary { $0.secondaryOf.remove(shard) } else { $0.secondaryOf.insert(shard) }
            $0.epochs[shard] = epoch
            $0.faces[shard] = $0.faces[shard] ?? [:]
        }
    }
}

extension FakeWorker: RequestHandler {
    func handle(_ request: Request, call: ServerCall) {
        state.withLock { state in
            state.requestCount += 1
            switch request {
            case .shardEnrol(let request):
                state.keys.append(request.key)
                state.ages.append(request.age)
            case .shardDelete(let request):
                state.keys.append(request.key)
                state.ages.append(request.age)
            default: break
            }
        }
        if let script = script.withLock({ $0 }), script(request, call) { return }
        switch request {
        case .shardEnrol(let request):
            answer(request.route, call, isWrite: true) { state in
                state.sequences[request.route.shard, default: 0] += 1
                let outcomes = request.rows.enumerated().map { index, row in
                    let sequence = state.sequences[request.route.shard]!
                    let face = StoredFace(
                        id: row.id,
                        metadata: row.metadata,
                        version: FaceVersion(epoch: 1, sequence: sequence),
                        embedding: Array(request.embeddings.row(index))
                    )
                    let old = state.faces[request.route.shard]!.updateValue(face, forKey: row.id)
                    return old == nil ? EnrolOutcome.accepted : .replaced
                }
                return ShardEnrolled(outcomes: outcomes, sequence: state.sequences[request.route.shard]!)
            }
        case .shardDelete(let request):
            answer(request.route, call, isWrite: true) { state in
                state.sequences[request.route.shard, default: 0] += 1
                let outcomes = request.ids.map { id in
                    state.faces[request.route.shard]!.removeValue(forKey: id) == nil ? DeleteOutcome.absent : .deleted
                }
                return ShardDeleted(outcomes: outcomes, sequence: state.sequences[request.route.shard]!)
            }
        case .shardGet(let request):
            answer(request.route, call, minimum: request.minimumSequence) { state in
                FaceList(
                    faces: request.ids.compactMap { state.faces[request.route.shard]![$0] }.map {
                        request.includesEmbeddings ? $0 : $0.withoutEmbedding
                    }
                )
            }
        case .confirmShard(let request):
            answer(request.route, call, isWrite: true) { state in
                ShardConfirmed(sequence: state.sequences[request.route.shard] ?? 0)
            }
        case .shardList(let request):
            answer(request.route, call) { state in
                let faces = state.faces[request.route.shard]!.values.sorted { $0.id < $1.id }
                    .filter { face in request.after.map { $0 < face.id } ?? true }
                    .filter { request.range.contains(FaceIDHash.hash($0.id, in: request.route.shard.collection)) }
                return FaceList(faces: faces.prefix(Int(request.limit)).map(\.withoutEmbedding))
            }
        case .shardSearch(let request):
            answer(request.route, call, minimum: request.minimumSequence) { state in
                let faces = state.faces[request.route.shard]!.values.filter { $0.id != request.excludedFace }
                let matches = (0..<request.probes.rowCount).map { row in
                    faces.map { face in
                        let product = zip(request.probes.row(row), face.embedding!).reduce(Float(0)) {
                            $0 + $1.0 * $1.1
                        }
                        return Match(faceID: face.id, similarity: product, metadata: face.metadata)
                    }
                    .sorted(by: Match.ranksBefore).prefix(request.parameters.matchLimit)
                }
                let count = UInt64(state.faces[request.route.shard]!.count)
                return ShardSearchAnswer(
                    matches: matches.map { Array($0) },
                    faceCount: count,
                    facesAnswered: count,
                    rowsVisited: count,
                    listsVisited: 0,
                    generation: 0
                )
            }
        default: call.fail(WireStatus(.invalidRequest, "The fake worker answers shard requests only."))
        }
    }

    private func answer(
        _ route: ShardRoute,
        _ call: ServerCall,
        minimum: UInt64 = 0,
        isWrite: Bool = false,
        _ body: (inout State) -> some WireMessage
    ) {
        let peers = peers.withLock(\.self)
        let status = state.withLock { state -> WireStatus? in
            guard let epoch = state.epochs[route.shard] else { return WireStatus(.unknownReplica, "Not here.") }
            if isWrite, state.secondaryOf.contains(route.shard) { return WireStatus(.staleEpoch, "Not the primary.") }
            // Of several replicas each answers reads by what it knows itself.
            if !peers.isEmpty, !isWrite { return state.sequences[route.shard] ?? 0 < minimum ? .lagging : nil }
            if route.epoch.number < epoch { return WireStatus(.staleEpoch, "Older than \(epoch).") }
            if route.epoch.number > epoch { return WireStatus(.unavailable, "Not told yet.") }
            if state.sequences[route.shard] ?? 0 < minimum { return WireStatus(.notYet, "Not reached.") }
            return nil
        }
        if let status { return call.fail(status) }
        let (message, faces, sequence) = state.withLock { state in
            (body(&state), state.faces[route.shard], state.sequences[route.shard])
        }
        if isWrite {
            for peer in peers {
                peer.state.withLock { state in
                    state.faces[route.shard] = faces
                    state.sequences[route.shard] = sequence
                }
            }
        }
        call.reply(message)
    }
}

extension WireStatus {
    fileprivate static let lagging = WireStatus(.notYet, "Not reached.")
}

extension StoredFace {
    var withoutEmbedding: StoredFace {
        var face = self
        face.embedding = nil
        return face
    }
}

/// A shard map that tests change, and how often it was looked for anew.
final class FakeSource: ShardMapSource {
    struct State: Sendable {
        var map: ShardMap
        var afterRefresh: ShardMap?
        /// Whether what there is now can be read.
        var isReadable = true
        var refreshCount = 0
        var presences: [NodeID: WorkerPresence] = [:]
        var faceCounts: [ShardID: UInt64] = [:]
        var warmths: [NodeID: Double] = [:]
    }

    let state: Mutex<State>

    init(_ map: ShardMap) {
        state = Mutex(State(map: map))
    }

    var current: ShardMap { state.withLock { $0.map } }

    func refresh() async -> Bool {
        state.withLock {
            $0.refreshCount += 1
            if $0.isReadable, let map = $0.afterRefresh { $0.map = map }
            return $0.isReadable
        }
    }

    func warmth(of shard: ShardID, on worker: NodeID) -> Double { state.withLock { $0.warmths[worker] ?? 1 } }

    func presence(of worker: NodeID) -> WorkerPresence {
        state.withLock { $0.presences[worker] ?? WorkerPresence(isLive: true, silence: .zero) }
    }

    func faceCount(of shard: ShardID) -> UInt64? { state.withLock { $0.faceCounts[shard] } }
}

/// Fake workers behind real servers on loopback, a router, and one collection with a shard on each.
final class FakeCluster: Sendable {
    static let dimension = 64
    static let model = "model-a"

    let collection: Collection
    let workers: [FakeWorker]
    let servers: [WireServer]
    let source: FakeSource
    let router: QueryRouter
    let metrics = MetricRegistry()
    /// Every search counts as slow.
    let slowSearches = LineRecorder()
    let clients: WorkerClients
    let eventLoop: any EventLoop
    /// Its own, so that a call that strays to another test's server is refused there.
    let token = "secret \(UInt64.random(in: 0 ... .max))"
    private let heldPorts = Mutex<[HeldPort]>([])

    var shards: [ShardID] { source.current.placements[collection.id]!.map(\.shard) }

    /// Tries again for as long as a loaded machine may pause, where nobody is meant to be given up.
    static let patient = RouterOptions(absenceGrace: .seconds(60), failoverGrace: .seconds(60))
    /// Asks nobody besides, and gives nobody up, however long a loaded machine takes.
    static let unhedged = RouterOptions(absenceGrace: .seconds(60), leastHedgeDelay: .seconds(60))

    /// Runs the body on an event loop with a cluster of `shardCount` workers, then takes the cluster down.
    ///
    /// - Parameter copies: when there are several, so many workers, each with a replica of every shard; they are the
    ///   primaries in turn.
    static func run(
        shardCount: Int,
        copies: Int = 1,
        options: RouterOptions = FakeCluster.patient,
        limits: WireLimits = WireLimits(),
        _ body: @escaping @Sendable (FakeCluster) async throws -> Void
    ) async throws {
        let cluster = try await FakeCluster(shardCount: shardCount, copies: copies, options: options, limits: limits)
        let task = Task(executorPreference: EventLoopTaskExecutor(cluster.eventLoop)) { try await body(cluster) }
        let result = await task.result
        await cluster.clients.close()
        for server in cluster.servers { await server.shutdown(gracePeriod: .zero) }
        try result.get()
    }

    private init(shardCount: Int, copies: Int, options: RouterOptions, limits: WireLimits) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let id = CollectionID(high: 1, low: 2)
        collection = Collection(
            id: id,
            configuration: CollectionConfiguration(
                name: "people",
                dimension: Self.dimension,
                embeddingModel: Self.model,
                shardCount: shardCount,
                replicationFactor: copies
            ),
            created: Timestamp(milliseconds: 0)
        )
        var addresses: [NodeID: NodeAddress] = [:]
        var workers: [FakeWorker] = []
        var servers: [WireServer] = []
        for number in 0..<(copies > 1 ? copies : shardCount) {
            let worker = FakeWorker(id: NodeID(high: 9, low: UInt64(number)))
            let address = NodeAddress(host: "127.0.0.1", port: 0)
            let server = try await Self.serve(worker, at: address, token: token, limits: limits)
            for index in copies > 1 ? Array(0..<shardCount) : [number] {
                let isPrimary = copies == 1 || index % copies == number
                worker.host(ShardID(collection: id, index: UInt32(index)), epoch: 1, isPrimary: isPrimary)
            }
            addresses[worker.id] = server.address
            workers.append(worker)
            servers.append(server)
        }
        if copies > 1 {
            for worker in workers {
                worker.peers.withLock { $0 = workers.filter { $0 !== worker } }
            }
        }
        self.workers = workers
        self.servers = servers
        let placements = HashRange.divisions(shardCount).enumerated().map { index, range in
            ShardPlacement(
                shard: ShardID(collection: id, index: UInt32(index)),
                range: range,
                group: ReplicaGroup(
                    epoch: Epoch(1),
                    version: 1,
                    primary: workers[index % workers.count].id,
                    inSync: copies > 1 ? workers.map(\.id) : [workers[index].id],
                    minimumInSync: min(copies, 2)
                )
            )
        }
        source = FakeSource(
            ShardMap(
                epoch: Epoch(1),
                collections: [collection],
                placements: [id: placements],
                addresses: addresses
            )
        )
        clients = WorkerClients(token: token, tls: nil, agent: "router tests")
        router = QueryRouter(
            source: source,
            clients: clients,
            options: options,
            metrics: RouterMetrics(
                metrics,
                slowSearch: .nanoseconds(1),
                logger: Logger(label: "router") { [slowSearches] _ in slowSearches }
            )
        )
        eventLoop = group.next()
    }

    private static func serve(
        _ worker: FakeWorker,
        at address: NodeAddress,
        token: String,
        limits: WireLimits = WireLimits()
    ) async throws -> WireServer {
        try await WireServer.start(
            WireServerConfiguration(
                listen: address,
                token: token,
                limits: limits,
                role: .worker,
                node: worker.id,
                agent: "fake worker"
            ),
            handler: worker,
            group: MultiThreadedEventLoopGroup.singleton
        )
    }

    /// Stops a worker's server; from then on calls to its port are refused.
    func stop(_ number: Int) async {
        await servers[number].shutdown(gracePeriod: .zero)
        let port = HeldPort(servers[number].address.port) { Issue.record("\($0)") }
        heldPorts.withLock { $0.append(port) }
    }

    /// Starts a stopped worker again where it was.
    func restart(_ number: Int) async throws -> WireServer {
        try await Self.serve(workers[number], at: servers[number].address, token: token)
    }

    /// Makes another worker the primary of a shard; from then on the map says so.
    func failOver(shard index: Int, to number: Int) {
        let shard = shards[index]
        source.state.withLock { state in
            var placements = state.map.placements[collection.id]!
            placements[index].group = placements[index].group.failingOver(to: workers[number].id)!
            let epoch = placements[index].epoch.number
            for worker in workers { worker.host(shard, epoch: epoch, isPrimary: worker === workers[number]) }
            state.map = ShardMap(
                epoch: state.map.epoch,
                collections: [collection],
                placements: [collection.id: placements],
                addresses: state.map.addresses
            )
        }
    }

    /// Makes another collection, of one shard on the first worker.
    func addCollection(named name: String) -> CollectionID {
        let id = CollectionID(high: 1, low: .random(in: 3 ... .max))
        let shard = ShardID(collection: id, index: 0)
        var configuration = collection.configuration
        configuration.name = name
        configuration.shardCount = 1
        let added = Collection(id: id, configuration: configuration, created: collection.created)
        workers[0].host(shard, epoch: 1, isPrimary: true)
        source.state.withLock { state in
            var placements = state.map.placements
            placements[id] = [
                ShardPlacement(shard: shard, range: .all, primary: workers[0].id, epoch: Epoch(1))
            ]
            state.map = ShardMap(
                epoch: Epoch(state.map.epoch.number + 1),
                collections: [collection, added],
                placements: placements,
                addresses: state.map.addresses
            )
        }
        return id
    }

    /// Puts other shards, which end at these places, in the place of all that there are, on the first worker.
    func divide(_ lasts: [UInt64]) {
        source.state.withLock { state in
            let old = state.map.placements[collection.id]!
            var next = old.map(\.shard.index).max()! + 1
            var placements: [ShardPlacement] = []
            var first: UInt64 = 0
            for last in lasts {
                placements.append(
                    ShardPlacement(
                        shard: ShardID(collection: collection.id, index: next),
                        range: HashRange(first: first, last: last),
                        primary: workers[0].id,
                        epoch: Epoch(1)
                    )
                )
                next += 1
                first = last &+ 1
            }
            workers[0].state.withLock { worker in
                let faces = old.flatMap { worker.faces[$0.shard]!.values }
                for placement in old {
                    worker.faces[placement.shard] = nil
                    worker.epochs[placement.shard] = nil
                }
                for placement in placements {
                    worker.epochs[placement.shard] = 1
                    let own = faces.filter { placement.range.contains(FaceIDHash.hash($0.id, in: collection.id)) }
                    worker.faces[placement.shard] = Dictionary(uniqueKeysWithValues: own.map { ($0.id, $0) })
                }
            }
            state.map = ShardMap(
                epoch: Epoch(state.map.epoch.number + 1),
                collections: [collection],
                placements: [collection.id: placements],
                addresses: state.map.addresses
            )
        }
    }

    // MARK: Requests

    /// A unit vector along one axis, with a little of the next.
    static func embedding(_ axis: Int, lean: Float = 0) -> [Float] {
        var values = [Float](repeating: 0, count: dimension)
        values[axis % dimension] = 1
        values[(axis + 1) % dimension] += lean
        return values
    }

    static func face(_ number: UInt64) -> FaceID { FaceID(high: 0, low: number) }

    func enrol(
        _ faces: [(id: FaceID, embedding: [Float])],
        key: IdempotencyKey = .random(),
        age: Duration = .zero,
        deadline: Duration = .seconds(30)
    ) async throws(WireStatus) -> FacesEnrolled {
        try await router.enrol(
            EnrolFaces(
                collection: "people",
                embeddingModel: Self.model,
                key: key,
                age: age,
                rows: faces.map { EnrolRow(id: $0.id, metadata: FaceMetadata()) },
                embeddings: EmbeddingMatrix(dimension: Self.dimension, values: faces.flatMap(\.embedding))
            ),
            deadline: .after(deadline),
            on: eventLoop
        )
    }

    /// Enrols faces 0 ..< count, each along its own axis.
    @discardableResult
    func enrolNumbered(_ count: Int) async throws(WireStatus) -> FacesEnrolled {
        try await enrol((0..<count).map { (Self.face(UInt64($0)), Self.embedding($0)) })
    }

    func search(
        _ probes: [[Float]],
        k: Int = 3,
        coverage: CoverageRequirement = .full,
        token: ConsistencyToken? = nil,
        deadline: Duration = .seconds(30)
    ) async throws(WireStatus) -> SearchAnswer {
        try await router.search(
            Self.request(probes, k: k, coverage: coverage, token: token),
            deadline: .after(deadline),
            on: eventLoop
        )
    }

    static func request(
        _ probes: [[Float]],
        k: Int,
        coverage: CoverageRequirement = .full,
        token: ConsistencyToken? = nil
    ) -> SearchFaces {
        SearchFaces(
            collection: "people",
            embeddingModel: model,
            parameters: SearchParameters(matchLimit: k),
            coverage: coverage,
            token: token,
            probes: EmbeddingMatrix(dimension: dimension, values: probes.flatMap { $0 })
        )
    }

    /// Searches as a client does, from a task that is part of a trace.
    func searchOverTheWire(_ probes: [[Float]], k: Int, in context: InstrumentationContext) async throws {
        try await overTheWire { client in
            _ = try await InstrumentationContext.withValue(context) { () async -> Result<SearchAnswer, WireStatus> in
                do throws(WireStatus) {
                    return .success(try await client.call(Self.request(probes, k: k), deadline: .after(.seconds(30))))
                } catch {
                    return .failure(error)
                }
            }.get()
        }
    }

    /// Runs the body with a client of a coordinator that answers for faces alone.
    func overTheWire(_ body: (PeerClient) async throws -> Void) async throws {
        try await withCoordinator { _, client in try await body(client) }
    }

    /// The same with the coordinator's address.
    func withCoordinator(_ body: (NodeAddress, PeerClient) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await WireServer.start(
            WireServerConfiguration(
                listen: NodeAddress(host: "127.0.0.1", port: 0),
                token: token,
                role: .coordinator,
                node: NodeID(high: 8, low: 8),
                agent: "fake coordinator"
            ),
            handler: RouterServer(handler: QueryHandler(router: router)),
            group: group
        )
        let client = PeerClient(
            address: server.address,
            role: .client,
            token: token,
            tls: nil,
            group: group,
            agent: "client"
        )
        var failure: (any Error)?
        do { try await body(server.address, client) } catch { failure = error }
        await client.close()
        await server.shutdown(gracePeriod: .zero)
        if let failure { throw failure }
    }
}

/// A coordinator that answers for faces alone.
private struct RouterServer: RequestHandler {
    let handler: QueryHandler

    func handle(_ request: Request, call: ServerCall) {
        if !handler.handle(request, call: call) { call.fail(WireStatus(.invalidRequest, "The test sends no such.")) }
    }
}

extension ProbeOutcome {
    var ids: [FaceID]? {
        if case .matches(let matches) = self { matches.map(\.faceID) } else { nil }
    }
}
