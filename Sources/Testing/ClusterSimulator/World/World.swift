import ClusterModel
import HeapModule
import ShardReplication
import VectorMath

/// One run: workers with disks and clocks, a network, controllers, a metadata store and clients, all in one thread,
/// from one seed.
///
/// Time jumps from event to event; events of one moment happen in the order in which they were planned.
struct World {
    enum Event: Sendable {
        case deliver(ReplicaMessage<SimulatedWrite>, from: NodeID, to: NodeID)
        case tick(NodeID, life: Int)
        case stepDone(NodeID, life: Int)
        case copy(SimulatedDisk.Image, epoch: Epoch, from: NodeID, to: NodeID)
        case heartbeat(NodeID, life: Int, controller: Int, asked: Duration, applied: UInt64)
        case heartbeatReply(NodeID, life: Int, ReplicaGroup, asked: Duration)
        case proposal(NodeID, life: Int, GroupProposal)
        case proposalReply(NodeID, life: Int, ReplicaGroup)
        case controllerTick(Int)
        case controllerChange(ReplicaGroup)
        case clientTurn(Int)
        case clientWrite(Int, attempt: Int, SimulatedWrite, to: NodeID)
        case clientReply(Int, attempt: Int, ClientReply)
        case clientDeadline(Int, attempt: Int)
        case clientRetry(Int, attempt: Int)
        case clientRead(NodeID, token: UInt64)
        case restart(NodeID)
        case crash, cut
        case cutAway(Link, for: Duration)
        case uncut(Link)
        case pause, wipe, handover, snapshot, rollback, upheaval, fill
        case audit
    }

    enum ClientReply: Sendable {
        case acknowledged(UInt64)
        case refused
        case unknown
    }

    /// One direction between two workers, or between a worker and a controller (numbered from -1 down).
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

    let settings: SimulationSettings
    var random: SplitMix64
    private(set) var now = Duration.zero
    private var queue = Heap<Planned>()
    private var planned: UInt64 = 0

    var workers: [SimulatedWorker] = []
    var clients: [SimulatedClient]
    var controllers: [SimulatedController]
    /// The metadata store's record.
    var group: ReplicaGroup
    /// What an operator has asked for, and the controllers carry out.
    var operation: SimulatedOperation?
    var cutLinks: Set<Link> = []
    var nextWorker: UInt64
    var nextKey: UInt64 = 1
    /// Workers whose disk was lost and that the record still counts.
    var lostWorkers: Set<NodeID> = []
    /// Disks as they were, now and then.
    var snapshots: [NodeID: SimulatedDisk] = [:]
    /// Workers whose disk was put back, and what it had held.
    var rolledBack: [NodeID: UInt64] = [:]
    var history = History()
    var violation: Violation?
    var counts = SimulationCounts()
    /// Of the time with faults.
    var acknowledgedBeforeHealing = 0
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
        let names = (1...settings.workerCount).map { NodeID(high: 0, low: UInt64($0)) }
        nextWorker = UInt64(settings.workerCount) + 1
        let group = ReplicaGroup(
            epoch: Epoch(1),
            version: 1,
            primary: names[0],
            inSync: Array(names.prefix(settings.replicationFactor)),
            minimumInSync: min(settings.minimumInSync, settings.replicationFactor)
        )
        self.group = group
        clients = (0..<settings.clientCount).map { _ in SimulatedClient(group: group) }
        controllers = [SimulatedController(), SimulatedController()]
        for name in names { addWorker(name) }
        for index in clients.indices { plan(.clientTurn(index), after: .milliseconds(10 * (index + 1))) }
        for index in controllers.indices { plan(.controllerTick(index), after: .milliseconds(100 + 90 * index)) }
        plan(.audit, after: .milliseconds(100))
        planFault(.crash, settings.crashInterval)
        planFault(.cut, settings.cutInterval)
        planFault(.pause, settings.pauseInterval)
        planFault(.wipe, settings.wipeInterval)
        planFault(.handover, settings.handoverInterval)
        planFault(.snapshot, settings.rollbackInterval.map { $0 / 2 })
        planFault(.rollback, settings.rollbackInterval)
        planFault(.upheaval, settings.upheavalInterval)
        planFault(.fill, settings.fillInterval)
    }

    var isFaulty: Bool { now < settings.faultTime }

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

    mutating func fail(_ promise: Violation.Promise, _ details: String) throws(Violation) {
        throw Violation(promise: promise, time: now, details: details)
    }

    private mutating func handle(_ event: Event) throws(Violation) {
        mix(UInt64(now.components.attoseconds) &+ UInt64(now.components.seconds))
        switch event {
        case .deliver(let message, let from, let to): try deliver(message, from: from, to: to)
        case .tick(let worker, let life): try tick(worker, life)
        case .stepDone(let worker, let life): try stepDone(worker, life)
        case .copy(let image, let epoch, let from, let to): try copy(image, epoch, from: from, to: to)
        case .heartbeat(let worker, let life, let controller, let asked, let applied):
            heartbeat(worker, life, controller, asked: asked, applied: applied)
        case .heartbeatReply(let worker, let life, let group, let asked):
            try configure(worker, life, group, asked: asked)
        case .proposal(let worker, let life, let proposal): try propose(worker, life, proposal)
        case .proposalReply(let worker, let life, let group): try configure(worker, life, group, asked: nil)
        case .controllerTick(let controller): controllerTick(controller)
        case .controllerChange(let group): try change(to: group)
        case .clientTurn(let client): clientTurn(client)
        case .clientWrite(let client, let attempt, let write, let worker):
            try clientWrite(client, attempt, write, worker)
        case .clientReply(let client, let attempt, let reply): clientReply(client, attempt, reply)
        case .clientDeadline(let client, let attempt): clientReply(client, attempt, .unknown)
        case .clientRetry(let client, let attempt): clientRetry(client, attempt)
        case .clientRead(let worker, let token): try clientRead(worker, token)
        case .restart(let worker): try restart(worker)
        case .crash: try crash()
        case .cut: try cut()
        case .cutAway(let link, let length): cutAway(link, for: length)
        case .uncut(let link): cutLinks.remove(link)
        case .pause: pause()
        case .wipe: try wipe()
        case .handover: handover()
        case .snapshot: snapshot()
        case .rollback: try rollBack()
        case .upheaval: try upheave()
        case .fill: fill()
        case .audit: try audit()
        }
    }
}
