import ClusterModel
import ClusterState
import FaceModel
import HeapModule
import ShardReplication
import VectorMath
import WireProtocol

/// One run: workers with disks and clocks, a network, controllers, a metadata store, operators and clients, all in one
/// thread, from one seed.
///
/// Time jumps from event to event; events of one moment happen in the order in which they were planned.
struct World {
    enum Event: Sendable {
        // Replicas.
        case deliver(ReplicaMessage<SimulatedWrite>, of: ShardID, from: NodeID, to: NodeID)
        case tick(NodeID, life: Int)
        case stepDone(ReplicaLife)
        case freezeNoted(ReplicaLife, version: UInt64)
        case roomSought(ReplicaLife)
        case copy(SimulatedDisk.Image, of: ShardID, epoch: Epoch, from: NodeID, to: NodeID)
        case copySlice(CopySlice)
        case copyAnswer(CopyAnswer, CopySlice)
        case copyCompared(NodeID, life: Int, ShardID, number: Int)
        case copyInstalled(ReplicaLife)
        case reopened(ReplicaLife, pause: Duration)
        case heartbeat(NodeID, life: Int, controller: Int, asked: Duration, WorkerObservation)
        case heartbeatReply(NodeID, life: Int, [ShardPlacement], asked: Duration)
        case proposal(NodeID, life: Int, ShardID, controller: Int, GroupProposal)
        case proposalReply(NodeID, life: Int, ShardID, ReplicaGroup)
        // Shards that are made to take others' place.
        case successorTurn(SuccessorLife)
        case successorWritten(SuccessorLife, SimulatedDisk.Image)
        case successorSealed(SuccessorLife, [ShardID: LogPosition])
        case activated(SuccessorLife, ShardPlacement, ControlCall)
        // Codebooks.
        case trained(NodeID, session: Int)
        case recoded(NodeID, ShardID, generation: UInt32)
        // Controllers, and the metadata store that they share.
        case controllerTick(Int, life: Int)
        case controllerWake(Int, life: Int)
        case controllerStart(Int)
        case store(StoreRequest, controller: Int, life: Int, asked: Duration)
        case storeReply(StoreReply, controller: Int, life: Int, asked: Duration?)
        case order(WorkerOrder, to: NodeID, ControlCall)
        case orderDone(ControlCall, failure: String?)
        case callDeadline(ControlCall)
        case repairRead(RepairCall)
        case repairOver(RepairCall)
        // Clients.
        case clientTurn(Int)
        case clientWrite(Int, attempt: Int, SimulatedWrite, of: ShardID, to: NodeID)
        case clientReply(Int, attempt: Int, ShardID, ClientReply)
        case clientDeadline(Int, attempt: Int)
        case clientRetry(Int, attempt: Int)
        case clientRead(NodeID, of: ShardID, SimulatedToken)
        case strongTurn
        case strongAsked(StrongRead, NodeID)
        // Writes through coordinators.
        case routedWrite(RoutedWrite)
        case routedAnswer(Int, attempt: Int, Result<[ShardID: UInt64], WireStatus>)
        case partAsked(PartCall, SimulatedWrite, ShardRoute, age: Duration, to: NodeID)
        case partAnswered(PartCall, Result<UInt64, WireStatus>)
        case partLook(PartCall)
        case partCheck(PartCall)
        case coordinatorDeath
        // Searches of all shards.
        case searchTurn
        case searchAsked(SearchCall, of: ShardID, SimulatedToken, NodeID, asked: Duration)
        case searchAnswered(SearchCall, Result<[Int: UInt64], WireStatus>, asked: Duration)
        case searchOverdue(Int, part: Int, round: Int)
        case searchRetry(Int, part: Int, round: Int)
        case searchDeadline(Int)
        // Faults, and people.
        case restart(NodeID)
        case crash, cut
        case cutAway(Link, for: Duration)
        case pause, pauseController, wipe, fill, operate, snapshot, rollback, upheaval, leap
        case pin, failDisk, powerCut, damage
        case powerLost(NodeID)
        case forced(ShardID, ReplicaGroup)
        case intervention(OperationID)
        case resume(OperationID)
        case audit
    }

    enum ClientReply: Hashable, Sendable {
        case acknowledged(UInt64)
        /// Nothing of it was done.
        case refused(WireStatus)
        case unknown
    }

    /// One direction between two nodes.
    struct Link: Hashable, Sendable {
        var from: NodeID
        var to: NodeID
    }

    private struct Planned: Comparable, Sendable {
        var time: Duration
        var number: UInt64
        var event: Event

        static func < (left: Planned, right: Planned) -> Bool {
            (left.time, left.number) < (right.time, right.number)
        }

        static func == (left: Planned, right: Planned) -> Bool { left.number == right.number }
    }

    static let collection = CollectionID(high: 0, low: 1)
    static let store = NodeID(high: 2, low: 0)

    let settings: SimulationSettings
    var random: SplitMix64
    /// Of searches alone, of the clocks on walls, and of strong reads.
    var searchRandom: SplitMix64
    var wallRandom: SplitMix64
    var strongRandom: SplitMix64
    /// Of disks that fail, of power cuts, and of copies in parts.
    var diskRandom: SplitMix64
    /// Of clients' further calls for one write.
    var callRandom: SplitMix64
    /// Of coordinators' clocks and pauses, and of those that are cut off together with a primary.
    var coordinatorRandom: SplitMix64
    private(set) var now = Duration.zero
    private var queue = Heap<Planned>()
    private var planned: UInt64 = 0

    var workers: [SimulatedWorker] = []
    var clients: [SimulatedClient] = []
    var controllers: [SimulatedController]
    /// What the metadata store has, and how often it has changed.
    var metadata: ClusterMetadata
    var revision: UInt64 = 1
    var lease: ControllerLease?
    /// Links that are cut, nodes whose disks and links are slow, nodes whose disks have no room for more faces, and of
    /// these the ones that have none for those either that others have ordered already: until when.
    var cutLinks: [Link: Duration] = [:]
    var slowNodes: [NodeID: Duration] = [:]
    var fullNodes: [NodeID: Duration] = [:]
    var spentNodes: [NodeID: Duration] = [:]
    /// Nodes of whose disks a share of the calls fails, until when.
    var failingNodes: [NodeID: (end: Duration, share: Double)] = [:]
    var nextWorker: UInt64
    var nextKey: UInt64 = 1
    var nextCopy = 0
    var nextOperation: UInt64 = 1
    var nextSearch = 0
    /// That are under way.
    var searches: [Int: SimulatedSearch] = [:]
    /// Writes that coordinators do.
    var routedWrites: [Int: RoutedWrite] = [:]
    var nextRoutedWrite = 0
    /// Attempts that reached a shard.
    var arrivals: [ArrivalKey: Arrival] = [:]
    /// When the last one began that was answered in full.
    var lastFullSearch = Duration.zero
    /// When the last one began that every shard had a part in, in runs of the crash matrix in which nobody is struck.
    var lastCompleteSearch: Duration?
    /// When the last strong read of each shard was asked for that was answered.
    var lastStrongRead: [ShardID: Duration] = [:]
    /// The last entry that a read of a shard saw.
    var lastShown: [ShardID: UInt64] = [:]
    /// The fault that a run of the crash matrix is about.
    var strike: MatrixStrike?
    /// What the clocks on the walls of coordinators are wrong by.
    var wallErrors: [Int: Duration] = [:]
    /// Workers whose disk was lost and that a record still counts.
    var lostWorkers: Set<NodeID> = []
    /// Replicas of each worker that were damaged.
    var damageCounts: [NodeID: Int] = [:]
    /// Disks as they were, now and then.
    var snapshots: [NodeID: SimulatedWorker.Files] = [:]
    /// Workers whose disk was put back, and what it had held of each shard.
    var rolledBack: [NodeID: [ShardID: UInt64]] = [:]
    var history = History()
    var faces = FaceOracle()
    var violation: Violation?
    var counts = SimulationCounts()
    /// Writes acknowledged in each shard when everything was healed; nil before that.
    var acknowledgedBeforeHealing: [ShardID: Int]?
    /// No client begins anything any more.
    var isQuiet = false
    /// Of everything that happened, in order.
    private(set) var traceHash: UInt64 = 0xcbf2_9ce4_8422_2325
    private let keepsTrace: Bool
    private(set) var trace: [String] = []

    init(seed: UInt64, settings: SimulationSettings, keepsTrace: Bool) {
        self.settings = settings
        self.keepsTrace = keepsTrace
        random = SplitMix64(seed: seed)
        searchRandom = SplitMix64(seed: seed ^ 0x7ea2_c40d)
        wallRandom = SplitMix64(seed: seed ^ 0x51c7_0a9e)
        strongRandom = SplitMix64(seed: seed ^ 0x2b1d_8f37)
        diskRandom = SplitMix64(seed: seed ^ 0x6d31_94b5)
        callRandom = SplitMix64(seed: seed ^ 0x1e84_a7c3)
        coordinatorRandom = SplitMix64(seed: seed ^ 0x49f0_e2b7)
        let names = (1...settings.workerCount).map { NodeID(high: 0, low: UInt64($0)) }
        nextWorker = UInt64(settings.workerCount) + 1
        metadata = Self.firstRecords(settings, names)
        controllers = (0..<settings.controllerCount).map { _ in SimulatedController() }
        strike = settings.cell.map { MatrixStrike(cell: $0) }
        for name in names { addWorker(name) }
        for placement in metadata.placements { begin(placement) }
        let map = placements
        clients = (0..<settings.clientCount).map { _ in SimulatedClient(map: map) }
        for index in clients.indices { plan(.clientTurn(index), after: .milliseconds(10 * (index + 1))) }
        for index in controllers.indices {
            controllers[index].clockRate = 1 + settings.clockError * (2 * coordinatorRandom.unit() - 1)
            plan(.controllerStart(index), after: .milliseconds(10 + 90 * index))
        }
        plan(.audit, after: .milliseconds(100))
        plan(.searchTurn, after: .milliseconds(20))
        plan(.strongTurn, after: .milliseconds(30))
        plan(.leap, after: .milliseconds(500))
        planFault(.crash, settings.crashInterval)
        planFault(.cut, settings.cutInterval)
        planFault(.pause, settings.pauseInterval)
        planControllerPause()
        planFault(.wipe, settings.wipeInterval)
        planFault(.operate, settings.operationInterval)
        planFault(.snapshot, settings.rollbackInterval.map { $0 / 2 })
        planFault(.rollback, settings.rollbackInterval)
        planFault(.fill, settings.fillInterval)
        planFault(.upheaval, settings.upheavalInterval)
        planFault(.pin, settings.pinInterval)
        planFault(.failDisk, settings.failureInterval)
        planFault(.powerCut, settings.powerCutInterval)
        planFault(.damage, settings.damageInterval)
        planFault(.coordinatorDeath, settings.coordinatorDeathInterval)
    }

    private static func firstRecords(_ settings: SimulationSettings, _ workers: [NodeID]) -> ClusterMetadata {
        let minimum = min(settings.minimumInSync, settings.replicationFactor)
        let collection = Collection(
            id: Self.collection,
            configuration: CollectionConfiguration(
                name: "simulated",
                dimension: 64,
                embeddingModel: "none",
                shardCount: settings.shardCount,
                replicationFactor: settings.replicationFactor,
                minimumInSync: minimum
            ),
            created: Timestamp(milliseconds: 0)
        )
        let placements = HashRange.divisions(settings.shardCount).enumerated().map { index, range in
            let members = (0..<settings.replicationFactor).map {
                workers[($0 + (settings.areShardsTogether ? 0 : index)) % workers.count]
            }
            return ShardPlacement(
                shard: ShardID(collection: Self.collection, index: UInt32(index)),
                range: range,
                group: ReplicaGroup(
                    epoch: Epoch(1),
                    version: 1,
                    primary: members[0],
                    inSync: members,
                    minimumInSync: minimum
                )
            )
        }
        return ClusterMetadata(
            clusterID: store,
            epoch: Epoch(1),
            collections: [
                Self.collection: CollectionRecord(
                    collection: collection,
                    placements: placements,
                    isEstablished: true
                )
            ]
        )
    }

    var isFaulty: Bool { now < settings.faultTime }

    /// The collection's shards as the store has them, in order of shard.
    var placements: [ShardPlacement] { record.placements }

    var record: CollectionRecord {
        get { metadata.collections[Self.collection]! }
        set { metadata.collections[Self.collection] = newValue }
    }

    mutating func plan(_ event: Event, after delay: Duration) {
        planned += 1
        queue.insert(Planned(time: now + delay, number: planned, event: event))
    }

    mutating func planFault(_ event: Event, _ interval: Duration?) {
        guard let interval else { return }
        plan(event, after: interval * (0.2 + 1.6 * random.unit()))
    }

    /// Lets everything happen up to a moment, or to the first violation.
    mutating func run(until end: Duration) {
        while violation == nil, let next = queue.min, next.time <= end {
            queue.removeMin()
            now = next.time
            counts.events += 1
            do throws(Violation) {
                try handle(next.event)
                if strike != nil { try watchForStrike() }
            } catch {
                violation = error
                note("VIOLATION \(error)")
            }
        }
        now = max(now, end)
    }

    /// Adds to the trace.
    mutating func note(_ text: @autoclosure () -> String) {
        guard keepsTrace else { return }
        trace.append("\(now) \(text())")
    }

    mutating func mix(_ number: UInt64) { traceHash = (traceHash ^ number) &* 0x0000_0100_0000_01b3 }

    func fail(_ promise: Violation.Promise, _ details: String) throws(Violation) {
        throw Violation(promise: promise, time: now, details: details)
    }

    private mutating func handle(_ event: Event) throws(Violation) {
        mix(UInt64(now.components.attoseconds) &+ UInt64(now.components.seconds))
        if let controller = coordinator(of: event), controllers[controller].pauseEnd > now {
            return plan(event, after: controllers[controller].pauseEnd - now)
        }
        switch event {
        case .deliver(let message, let shard, let from, let to): try deliver(message, of: shard, from: from, to: to)
        case .tick(let worker, let life): try tick(worker, life)
        case .stepDone(let replica): try stepDone(replica)
        case .freezeNoted(let replica, let version): try freezeNoted(replica, version: version)
        case .roomSought(let replica): try seekRoom(replica)
        case .copy(let image, let shard, let epoch, let from, let to):
            try copy(image, of: shard, epoch, from: from, to: to)
        case .copySlice(let slice): take(slice)
        case .copyAnswer(let answer, let slice): hear(answer, to: slice)
        case .copyCompared(let worker, let life, let shard, let number):
            try compared(worker, life, shard, number: number)
        case .copyInstalled(let replica): try copyInstalled(replica)
        case .reopened(let replica, let pause): try reopen(replica, pause: pause)
        case .heartbeat(let worker, let life, let controller, let asked, let observation):
            heartbeat(worker, life, controller, asked: asked, observation)
        case .heartbeatReply(let worker, let life, let groups, let asked):
            try configure(worker, life, groups, asked: asked)
        case .proposal(let worker, let life, let shard, let controller, let proposal):
            pass(on: proposal, of: shard, from: worker, life, controller)
        case .proposalReply(let worker, let life, let shard, let group): try configure(worker, life, shard, group)
        case .successorTurn(let successor): takeTurn(successor)
        case .successorWritten(let successor, let image): written(successor, image)
        case .successorSealed(let successor, let places): sealed(successor, places)
        case .activated(let successor, let placement, let call): try activated(successor, placement, call)
        case .trained(let worker, let session): trained(worker, session: session)
        case .recoded(let worker, let shard, let generation): recoded(worker, shard, generation: generation)
        case .controllerTick(let controller, let life): controllerTick(controller, life)
        case .controllerWake(let controller, let life): controllerWake(controller, life)
        case .controllerStart(let controller): startController(controller)
        case .store(let request, let controller, let life, let asked):
            try serve(request, controller, life, asked: asked)
        case .storeReply(let reply, let controller, let life, let asked):
            hear(reply, controller, life, asked: asked)
        case .order(let order, let worker, let call): try carryOut(order, worker, call)
        case .orderDone(let call, let failure): answered(call, failure: failure)
        case .callDeadline(let call): end(call, failure: "no answer")
        case .repairRead(let call): repairRead(call)
        case .repairOver(let call): repairOver(call)
        case .clientTurn(let client): clientTurn(client)
        case .clientWrite(let client, let attempt, let write, let shard, let worker):
            try clientWrite(client, attempt, write, of: shard, worker)
        case .clientReply(let client, let attempt, let shard, let reply): clientReply(client, attempt, shard, reply)
        case .clientDeadline(let client, let attempt): clientReply(client, attempt, nil, .unknown)
        case .clientRetry(let client, let attempt): clientRetry(client, attempt)
        case .clientRead(let worker, let shard, let token): try clientRead(worker, of: shard, token)
        case .strongTurn: strongTurn()
        case .strongAsked(let read, let worker): try strongAsked(read, worker)
        case .routedWrite(let write): try route(write)
        case .routedAnswer(let client, let attempt, let answer): try routedAnswer(client, attempt, answer)
        case .partAsked(let call, let write, let route, let age, let worker):
            try partAsked(call, write, route, age: age, worker)
        case .partAnswered(let call, let answer): partAnswered(call, answer)
        case .partLook(let call): partLook(call)
        case .partCheck(let call): partCheck(call)
        case .coordinatorDeath: killCoordinator()
        case .searchTurn: searchTurn()
        case .searchAsked(let call, let shard, let token, let worker, let asked):
            try searchAsked(call, of: shard, token, worker, asked: asked)
        case .searchAnswered(let call, let reply, let asked): try searchAnswered(call, reply, asked: asked)
        case .searchOverdue(let search, let part, let round): searchOverdue(search, part: part, round: round)
        case .searchRetry(let search, let part, let round): try searchRetry(search, part: part, round: round)
        case .searchDeadline(let search): try searchDeadline(search)
        case .restart(let worker): try restart(worker)
        case .crash: try crash()
        case .cut: try cut()
        case .cutAway(let link, let length): cutAway(link, for: length)
        case .pause: pause()
        case .pauseController: pauseController()
        case .wipe: try wipe()
        case .fill: fill()
        case .upheaval: try upheave()
        case .forced(let shard, let group): try force(shard, group)
        case .operate: try operate()
        case .pin: try pin()
        case .failDisk: failDisk()
        case .powerCut: try cutPower()
        case .damage: try damage()
        case .powerLost(let worker): try losePower(of: worker)
        case .intervention(let operation): intervene(operation)
        case .resume(let operation): resume(operation)
        case .snapshot: snapshot()
        case .rollback: try rollBack()
        case .leap: leap()
        case .audit: try audit()
        }
    }
}
