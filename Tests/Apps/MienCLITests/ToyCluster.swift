import ClusterModel
import FaceModel
import Logging
import NIOPosix
import Synchronization
import WireProtocol
import WireTransport

/// A coordinator in memory, on a free port: stores faces, compares every one, and fails where it is told to.
final class ToyCluster: RequestHandler {
    struct Stored: Sendable {
        var metadata: FaceMetadata
        var embedding: [Float]
        var sequence: UInt64
    }

    struct State: Sendable {
        var collections: [String: CollectionConfiguration] = [:]
        var faces: [String: [FaceID: Stored]] = [:]
        /// Collections that are being restored, and from what.
        var restorations: [String: String] = [:]
        /// What the comparison at a restoration's end comes to; nil where none is begun.
        var restorationEnd: WireStatus?
        var sequence: UInt64 = 0
        var workersAreLive = [true, true]
        /// Of those that are not active.
        var standings: [Int: WorkerStanding] = [:]
        /// Whether all workers have that of the first: what a disk that was replaced leaves behind.
        var workersShareAnAddress = false
        /// How often the status was asked for: each look finds the nodes a second older and busier.
        var statusCount: UInt64 = 0
        /// Of the shards whose workers are live.
        var shardState = CollectionDescription.ShardState.serving
        /// Enrolments that fail before the first that is served.
        var failingEnrolments = 0
        /// Enrolments after which all further ones fail for good.
        var enrolmentLimit = Int.max
        var enrolmentCount = 0
        var mostRowsInABatch = 0
        /// Faces that only exact searches find.
        var hiddenFaces: Set<FaceID> = []
        /// What becomes of the matches of every probe before they are answered.
        var matchChange: (@Sendable ([Match]) -> [Match])?
        /// Of the latest search.
        var filter: FaceFilter?
        /// What the next searches by probes say that they covered, each the first that is left.
        var coverages: [Coverage] = []
        /// How many more searches by probes are answered; then shard 1 is away.
        var searchLimit = Int.max
        /// Probes of one search, at most: the answer to more would be too large.
        var probeLimit = Int.max
        /// How many more requests to delete faces are answered, and what becomes of those that follow.
        var deletionLimit = Int.max
        var deletionFailure = WireStatus(.storageFull, "the disk is full")
        /// Of those collections that have another than the usual one.
        var collectionIDs: [String: CollectionID] = [:]
        /// Waited for before a request is answered.
        var beforeAnswer: (@Sendable (Request) async -> Void)?
        /// Workers that have not dropped what is deleted.
        var unconfirmed: [CollectionDeleted.Worker] = []
        /// Collections of which faces were given up.
        var lossyCollections: Set<String> = []
        /// Shards of every collection whose copies in sync differ.
        var differentShards: [UInt32] = []
        /// Of the first worker.
        var freeDiskByteCount: UInt64 = 1 << 40
        /// What every collection has learnt; nil while it needs nothing.
        var codebook: CollectionDescription.Codebook?
        var training: CollectionDescription.Training?
        /// Of every shard.
        var replicas: [CollectionDescription.Replica] = []
        var standing: CollectionDescription.CodebookStanding?
        var coordinators = [
            ClusterStatus.Coordinator(
                id: NodeID(high: 2, low: 2),
                address: NodeAddress(host: "127.0.0.1", port: 7400),
                controllerSince: Timestamp(milliseconds: 1_700_000_000_000)
            )
        ]
        var storeProblem: String?
        /// Of workers that are not live.
        var silenceCause = SilenceCause.unknown
        var silentMilliseconds: UInt64 = 12_000
        /// Whether each worker makes a shard that is to take others' place.
        var makesShards = false
        var uptimeSeconds: UInt64 = 200
        /// Shards whose records workers know better, each with what would come of it.
        var olderRecords: [UInt32: RecordAccepted] = [:]
        /// What the requests to accept them were to come to.
        var confirmations: [AcceptRecord.Confirmation?] = []
        /// What becomes of accepting them where that is something else.
        var acceptances: [UInt32: Result<RecordAccepted, WireStatus>] = [:]
        /// What would come of giving up what only lost replicas of a shard had; nil while nothing is lost.
        var recovery: ShardRecovered?
        /// What comes of it where that is something else.
        var recovered: ShardRecovered?
        /// What the requests to do it were to come to.
        var confirmedRecoveries: [RecoverShard.Confirmation?] = []
        /// Of every collection.
        var losses: [LossList.Loss] = []
        /// What is given up just before the next ones are said to be back.
        var lossesMeanwhile: [LossList.Loss] = []
        /// Of every collection.
        var erasureKey = ErasureKey(high: 1, low: 1)
        /// Shards whose ledgers of erasures nobody can read.
        var unreadLedgers: Set<UInt32> = []
        /// What reading any replica finds.
        var finding = ShardVerified.Finding.sound
        /// More about it, as a sentence.
        var findingDetail: String?
        /// Shards of which no replica can be verified.
        var unverifiedShards: Set<UInt32> = []
        /// Any change of one is answered by it as it is.
        var operations: [OperationDescription] = []
        /// What is answered where one is begun.
        var begun: OperationDescription?
        /// Looks at operations that fail before the first that is answered.
        var failingLooks = 0
        var lookFailure = WireStatus(.unavailable, "the coordinator is stopping")
        /// Pages of faces that fail before the first that is answered.
        var failingPages = 0
        /// What is told that each would do.
        var plans: [OperationOrder: OperationPlan] = [:]
        /// What checks of real searches found, at every worker.
        var recall = RecallTally()
    }

    private let state = Mutex(State())

    var current: State { state.withLock { $0 } }

    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

    /// Runs a body with the address of a new cluster.
    static func run(token: String? = nil, _ body: (ToyCluster, String) async throws -> Void) async throws {
        let cluster = ToyCluster()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = try await WireServer.start(
            WireServerConfiguration(
                listen: NodeAddress(host: "127.0.0.1", port: 0),
                token: token,
                role: .coordinator,
                node: .random(),
                agent: "toy",
                logger: logger
            ),
            handler: cluster,
            group: MultiThreadedEventLoopGroup.singleton
        )
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(cluster, server.address.description))
        } catch {
            result = .failure(error)
        }
        await server.shutdown(gracePeriod: .zero)
        try result.get()
    }

    func faces(of collection: String) -> [FaceID: Stored] { current.faces[collection] ?? [:] }

    func handle(_ request: Request, call: ServerCall) {
        guard let beforeAnswer = current.beforeAnswer else { return respond(to: request, call) }
        Task {
            await beforeAnswer(request)
            respond(to: request, call)
        }
    }

    private func respond(to request: Request, _ call: ServerCall) {
        do throws(WireStatus) {
            let message: any WireMessage = try state.withLock { state throws(WireStatus) in
                try Self.answer(request, &state)
            }
            call.reply(message)
        } catch {
            call.fail(error)
        }
    }

    private static func answer(_ request: Request, _ state: inout State) throws(WireStatus) -> any WireMessage {
        switch request {
        case .createCollection(let message):
            let configuration = message.configuration
            guard state.collections[configuration.name] == nil else {
                throw WireStatus(.alreadyExists, "the collection '\(configuration.name)' exists already")
            }
            state.collections[configuration.name] = configuration
            state.faces[configuration.name] = [:]
            return try description(configuration.name, state)
        case .describeCollection(let message): return try description(message.name, state)
        case .listCollections:
            var list = CollectionList(collections: [])
            for name in state.collections.keys { list.collections.append(try description(name, state)) }
            return list
        case .deleteCollection(let message):
            let count = try description(message.name, state).faceCount
            state.collections[message.name] = nil
            state.faces[message.name] = nil
            return CollectionDeleted(faceCount: count, unconfirmed: state.unconfirmed)
        case .acceptRecord(let message):
            _ = try description(message.collection, state)
            let unknown = RecordAccepted(storedVersion: 3, knownVersion: 3, primary: nil, replicas: [])
            if !message.isPlan { state.confirmations.append(message.confirmed) }
            if !message.isPlan, let acceptance = state.acceptances[message.shardIndex] { return try acceptance.get() }
            defer { if !message.isPlan { state.olderRecords[message.shardIndex] = nil } }
            return state.olderRecords[message.shardIndex] ?? unknown
        case .recoverShard(let message):
            guard let recovery = state.recovery else { throw WireStatus(.invalidRequest, "Nothing of it is lost.") }
            guard !message.isPlan else { return recovery }
            state.confirmedRecoveries.append(message.confirmed)
            return state.recovered ?? recovery
        case .verifyShard(let message):
            _ = try description(message.collection, state)
            guard !state.unverifiedShards.contains(message.shardIndex) else {
                throw WireStatus(.unavailable, "Shard \(message.shardIndex) cannot be asked.")
            }
            return ShardVerified(
                replicas: [
                    .init(
                        worker: worker(Int(message.shardIndex)),
                        isPrimary: true,
                        finding: state.finding,
                        sequence: state.sequence,
                        faceCount: 3,
                        detail: state.findingDetail
                    )
                ]
            )
        case .enrolFaces(let message): return try enrol(message, &state)
        case .deleteFaces(let message):
            let collection = try description(message.collection, state).collection
            guard state.deletionLimit > 0 else { throw state.deletionFailure }
            state.deletionLimit -= 1
            let outcomes = message.ids.map { id in
                state.faces[message.collection]?.removeValue(forKey: id) == nil ? DeleteOutcome.absent : .deleted
            }
            return FacesDeleted(
                outcomes: outcomes,
                token: ConsistencyToken(collection: collection.id, sequences: [:]),
                hasLoss: state.lossyCollections.contains(message.collection)
            )
        case .getFaces(let message):
            _ = try description(message.collection, state)
            let faces = state.faces[message.collection] ?? [:]
            return FaceList(
                faces: message.ids.compactMap { id in
                    faces[id].map { stored(id, $0, includesEmbedding: message.includesEmbeddings) }
                },
                hasLoss: state.lossyCollections.contains(message.collection)
            )
        case .listFaces(let message):
            if state.failingPages > 0 {
                state.failingPages -= 1
                throw WireStatus(.unavailable, "a worker is away")
            }
            return try page(message, state)
        case .searchFaces(let message):
            let collection = try description(message.collection, state).collection
            guard message.embeddingModel == collection.configuration.embeddingModel else {
                throw WireStatus(.modelMismatch, "the collection's model is \(collection.configuration.embeddingModel)")
            }
            guard message.probes.rowCount <= state.probeLimit else {
                throw WireStatus(.limitExceeded, "the answer would have more bytes than a frame has room for")
            }
            guard state.searchLimit > 0 else { throw WireStatus(.incompleteCoverage, "the worker of shard 1 is away") }
            state.searchLimit -= 1
            let probes = (0..<message.probes.rowCount).map { Array(message.probes.row($0)) }
            state.filter = message.parameters.filter
            var answer = try search(
                message.collection,
                probes,
                message.parameters,
                message.coverage,
                excluding: nil,
                state
            )
            if !state.coverages.isEmpty { answer.coverage = state.coverages.removeFirst() }
            return answer
        case .searchByFace(let message):
            guard let face = state.faces[message.collection]?[message.faceID] else {
                throw WireStatus(.notFound, "no face of that id in '\(message.collection)'")
            }
            state.filter = message.parameters.filter
            return try search(
                message.collection,
                [face.embedding],
                message.parameters,
                message.coverage,
                excluding: message.faceID,
                state
            )
        case .readErasures(let message):
            _ = try description(message.collection, state)
            guard !state.unreadLedgers.contains(message.shardIndex) else {
                throw WireStatus(.corruptPartition, "Shard \(message.shardIndex) is damaged.")
            }
            return ErasureList(key: state.erasureKey, erasures: [], next: nil, forgotten: nil)
        case .readLosses(let message):
            if message.isSettling {
                state.losses += state.lossesMeanwhile
                state.losses.removeAll { message.settled?.contains($0) ?? true }
            }
            return LossList(losses: state.losses)
        case .planOperation(let message):
            guard let plan = state.plans[message.order] else {
                throw WireStatus(.invalidRequest, "nobody knows what that would do")
            }
            return plan
        case .beginOperation:
            guard let operation = state.begun else { throw WireStatus(.invalidRequest, "nobody knows how to do that") }
            return operation
        case .listOperations:
            if state.failingLooks > 0 {
                state.failingLooks -= 1
                throw state.lookFailure
            }
            return OperationList(operations: state.operations)
        case .changeOperation(let message):
            guard let operation = state.operations.first(where: { $0.id == message.id }) else {
                throw WireStatus(.notFound, "there is no such operation")
            }
            return operation
        case .beginRestore(let message) where state.restorationEnd != nil:
            let name = message.configuration.name
            state.collections[name] = message.configuration
            state.restorations[name] = message.backup
            return try description(name, state)
        case .finishRestore:
            throw state.restorationEnd ?? WireStatus(.invalidRequest, "a coordinator does not answer this")
        case .getClusterStatus:
            state.statusCount += 1
            return try status(state)
        default: throw WireStatus(.invalidRequest, "a coordinator does not answer this")
        }
    }

    private static func description(_ name: String, _ state: State) throws(WireStatus) -> CollectionDescription {
        guard let configuration = state.collections[name] else {
            throw WireStatus(.notFound, "there is no collection '\(name)'")
        }
        let count = UInt64(state.faces[name]?.count ?? 0)
        let shards = state.workersAreLive.indices.map { index in
            CollectionDescription.Shard(
                index: UInt32(index),
                range: HashRange.divisions(2)[index],
                worker: worker(index),
                state: state.workersAreLive[index] ? state.shardState : .missing,
                faceCount: index == 0 ? count - count / 2 : count / 2,
                freshCount: 0,
                tombstoneCount: 0,
                sequence: state.sequence,
                replicas: state.replicas
            )
        }
        return CollectionDescription(
            collection: Collection(
                id: state.collectionIDs[name] ?? CollectionID(high: 1, low: 2),
                configuration: configuration,
                created: Timestamp(milliseconds: 1_767_225_600_123)
            ),
            shards: shards,
            training: state.training != nil ? .running : state.codebook == nil ? .notNeeded : .trained,
            codebook: state.codebook,
            standing: state.standing,
            trainingUnderWay: state.training,
            restoredFrom: state.restorations[name]
        )
    }

    private static func worker(_ index: Int) -> NodeID { NodeID(high: 7, low: UInt64(index)) }

    private static func enrol(_ message: EnrolFaces, _ state: inout State) throws(WireStatus) -> FacesEnrolled {
        let collection = try description(message.collection, state).collection
        if state.failingEnrolments > 0 {
            state.failingEnrolments -= 1
            throw WireStatus(.unavailable, "a worker is away")
        }
        guard state.enrolmentCount < state.enrolmentLimit else { throw WireStatus(.storageFull, "the disk is full") }
        state.enrolmentCount += 1
        state.mostRowsInABatch = max(state.mostRowsInABatch, message.rows.count)
        state.sequence += 1
        var outcomes: [EnrolOutcome] = []
        for (position, row) in message.rows.enumerated() {
            let embedding = Array(message.embeddings.row(position))
            let norm = embedding.reduce(0) { $0 + $1 * $1 }.squareRoot()
            if !norm.isFinite {
                outcomes.append(.rejected(.notFinite))
            } else if norm == 0 {
                outcomes.append(.rejected(.zeroNorm))
            } else {
                let old = state.faces[message.collection]?.updateValue(
                    Stored(metadata: row.metadata, embedding: embedding.map { $0 / norm }, sequence: state.sequence),
                    forKey: row.id
                )
                outcomes.append(old == nil ? .accepted : .replaced)
            }
        }
        return FacesEnrolled(
            outcomes: outcomes,
            token: ConsistencyToken(collection: collection.id, sequences: [0: state.sequence])
        )
    }

    private static func stored(_ id: FaceID, _ face: Stored, includesEmbedding: Bool) -> StoredFace {
        StoredFace(
            id: id,
            metadata: face.metadata,
            version: FaceVersion(epoch: 1, sequence: face.sequence),
            embedding: includesEmbedding ? face.embedding : nil
        )
    }

    private static func page(_ message: ListFaces, _ state: State) throws(WireStatus) -> FacePage {
        let id = try description(message.collection, state).collection.id
        guard message.collectionID == nil || message.collectionID == id else {
            throw WireStatus(.invalidRequest, "the collection was deleted")
        }
        let faces = (state.faces[message.collection] ?? [:]).sorted { $0.key < $1.key }
        let rest = faces.filter { entry in message.after?.stretches.first.map { $0.face < entry.key } ?? true }
        let page = rest.prefix(message.limit)
        return FacePage(
            faces: page.map { stored($0.key, $0.value, includesEmbedding: message.includesEmbeddings) },
            next: page.count < rest.count
                ? page.last.map { ListPosition(stretches: [.init(last: .max, face: $0.key)]) } : nil,
            hasLoss: state.lossyCollections.contains(message.collection),
            collectionID: id
        )
    }

    private static func search(
        _ collection: String,
        _ probes: [[Float]],
        _ parameters: SearchParameters,
        _ requirement: CoverageRequirement,
        excluding excluded: FaceID?,
        _ state: State
    ) throws(WireStatus) -> SearchAnswer {
        let faces = state.faces[collection] ?? [:]
        let missing = state.workersAreLive.indices.filter { !state.workersAreLive[$0] }
        if !missing.isEmpty, requirement == .full {
            throw WireStatus(
                .incompleteCoverage,
                "no live worker holds shard \(missing[0]). Start it, or pass a minimum coverage."
            )
        }
        let outcomes = probes.map { probe -> ProbeOutcome in
            let norm = probe.reduce(0) { $0 + $1 * $1 }.squareRoot()
            guard norm > 0 else { return .rejected(.zeroNorm) }
            let hidden = parameters.effort == .exact ? [] : state.hiddenFaces
            let visible = faces.filter { $0.key != excluded && !hidden.contains($0.key) }
            let persons = parameters.filter?.personIDs
            let passing = visible.filter { face in persons?.contains(face.value.metadata.personID ?? "") ?? true }
            let matches = passing.map { id, face in
                let similarity = zip(probe, face.embedding).reduce(Float(0)) { $0 + $1.0 * $1.1 } / norm
                return Match(faceID: id, similarity: similarity, metadata: face.metadata)
            }
            let qualified = matches.filter { $0.similarity >= parameters.threshold ?? -2 }
            let best = Array(qualified.sorted(by: Match.ranksBefore).prefix(parameters.matchLimit))
            return .matches(state.matchChange?(best) ?? best)
        }
        let total = UInt64(faces.count)
        let coverage = Coverage(
            shardsAsked: 2,
            shardsAnswered: 2 - missing.count,
            facesTotal: total,
            facesAnswered: missing.isEmpty ? total : total / 2,
            rowsVisited: total * UInt64(probes.count),
            listsVisited: 0,
            generation: 0,
            missing: missing.map { .init(shardIndex: UInt32($0), reason: .unavailable) }
        )
        return SearchAnswer(outcomes: outcomes, coverage: coverage, elapsedMicroseconds: 2500)
    }

    private static func activity(_ state: State, searchesPerLook: UInt64) -> NodeActivity {
        NodeActivity(
            uptimeMilliseconds: state.statusCount * 1000,
            connectionCount: 4,
            requestsInFlight: 2,
            searchCount: state.statusCount * searchesPerLook,
            searchMedianMicroseconds: 850,
            search99thMicroseconds: 3100,
            writeCount: state.statusCount * 10,
            write99thMicroseconds: 12_000,
            writtenFaceCount: state.statusCount * 4096,
            overloadCount: 0,
            queuedSearchCount: 6,
            queuedRowCount: 77,
            recall: state.recall
        )
    }

    private static func status(_ state: State) throws(WireStatus) -> ClusterStatus {
        let workers = state.workersAreLive.indices.map { index in
            ClusterStatus.Worker(
                id: worker(index),
                address: NodeAddress(host: "127.0.0.1", port: state.workersShareAnAddress ? 7401 : 7401 + index),
                isLive: state.workersAreLive[index],
                silentMilliseconds: state.workersAreLive[index] ? 100 : state.silentMilliseconds,
                standing: state.standings[index] ?? .active,
                report: WorkerReport(
                    replicas: [],
                    successors: state.makesShards
                        ? [
                            WorkerReport.Successor(
                                shard: ShardID(collection: CollectionID(high: 1, low: 2), index: 9),
                                state: .following,
                                sources: []
                            )
                        ] : [],
                    trainings: [],
                    residentByteCount: 64 << 20,
                    mapped: MappedMemory(
                        codeByteCount: 4 << 20,
                        residentCodeByteCount: 3 << 20,
                        rowByteCount: 16 << 20,
                        residentRowByteCount: 10 << 20
                    ),
                    freeDiskByteCount: index == 0 ? state.freeDiskByteCount : 1 << 40,
                    kernelLevel: "avx2",
                    activity: activity(state, searchesPerLook: 50)
                )
            )
        }
        var collections: [CollectionDescription] = []
        for name in state.collections.keys { collections.append(try description(name, state)) }
        return ClusterStatus(
            clusterID: NodeID(high: 1, low: 1),
            coordinatorID: NodeID(high: 2, low: 2),
            version: "0.0.0",
            uptimeSeconds: state.uptimeSeconds,
            epoch: Epoch(3),
            activity: activity(state, searchesPerLook: 150),
            coordinators: state.coordinators,
            storeProblem: state.storeProblem,
            workers: workers,
            collections: collections,
            comparedRowRates: workers.indices.map { 1_500_000 * Double($0 + 1) },
            silenceCauses: state.workersAreLive.map { $0 ? .unknown : state.silenceCause },
            differentShards: state.differentShards.map { ShardID(collection: CollectionID(high: 1, low: 2), index: $0) }
        )
    }
}
