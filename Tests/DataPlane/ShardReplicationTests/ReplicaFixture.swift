import ClusterModel
import ShardReplication
import Testing

typealias Machine = ReplicaStateMachine<String>
typealias Message = ReplicaMessage<String>

let one = NodeID(high: 0, low: 1)
let two = NodeID(high: 0, low: 2)
let three = NodeID(high: 0, low: 3)

/// A few replicas whose messages and steps are carried out by hand.
struct ReplicaFixture {
    var machines: [NodeID: Machine] = [:]
    /// Messages that were sent and are not delivered yet, in order.
    var sent: [(message: Message, from: NodeID, to: NodeID)] = []
    var acknowledged: [UInt64] = []
    var abandoned: [UInt64] = []
    var proposals: [GroupProposal] = []
    var copies: [NodeID] = []
    var losses: [DiskLoss] = []
    var logs: [NodeID: [LogItem<String>]] = [:]
    var now = Duration.zero

    init(_ nodes: [NodeID], log: DurableLog = .empty) {
        for node in nodes {
            machines[node] = Machine(node: node, log: log, timings: ReplicationTimings(), now: .zero, isNew: true)
        }
    }

    static func group(
        epoch: UInt64 = 1,
        version: UInt64 = 1,
        primary: NodeID = one,
        inSync: [NodeID] = [one, two],
        learners: [NodeID] = [],
        minimum: Int = 1
    ) -> ReplicaGroup {
        ReplicaGroup(
            epoch: Epoch(epoch),
            version: version,
            primary: primary,
            inSync: inSync,
            learners: learners,
            minimumInSync: minimum
        )
    }

    mutating func with<R>(_ node: NodeID, _ body: (inout Machine) throws -> R) rethrows -> R {
        let result = try body(&machines[node]!)
        collect(node)
        return result
    }

    mutating func configure(_ group: ReplicaGroup, _ nodes: [NodeID]? = nil) {
        let now = now
        for node in nodes ?? group.members { with(node) { $0.configured(group, now: now) } }
    }

    mutating func submit(_ text: String, to node: NodeID = one, ticket: UInt64, isDeletion: Bool = false) throws {
        let now = now
        try with(node) {
            try $0.submit(text, byteCount: 10, as: WriteTicket(ticket), isDeletion: isDeletion, now: now)
        }
    }

    /// The step under way on a node's disk is done, and any that follows from it.
    mutating func store(_ node: NodeID) {
        let now = now
        while let step = machines[node]!.nextStep() {
            if let cut = step.truncateAfter { logs[node]?.removeAll { $0.sequence > cut } }
            logs[node, default: []] += step.append
            with(node) { $0.stored(now: now) }
        }
    }

    mutating func deliver(where condition: (NodeID, NodeID) -> Bool = { _, _ in true }) {
        let (now, due) = (now, sent.filter { condition($0.from, $0.to) })
        sent.removeAll { condition($0.from, $0.to) }
        for item in due { with(item.to) { $0.receive(item.message, from: item.from, now: now) } }
    }

    /// What a replica answers to its primary's next word, kept back; whatever else was under way is lost.
    mutating func lateAnswers(of other: NodeID, to primary: NodeID) -> [(message: Message, from: NodeID, to: NodeID)] {
        now += .milliseconds(250)
        let asked = now
        with(primary) { $0.tick(now: asked) }
        deliver { from, _ in from == primary }
        store(other)
        defer { sent.removeAll() }
        return sent.filter { $0.from == other }
    }

    /// Everything that follows, until nothing does.
    mutating func settle(_ nodes: [NodeID]? = nil) {
        let nodes = nodes ?? machines.keys.sorted()
        for _ in 0..<50 {
            for node in nodes { store(node) }
            if !sent.contains(where: { nodes.contains($0.from) && nodes.contains($0.to) }) { return }
            deliver { nodes.contains($0) && nodes.contains($1) }
        }
    }

    mutating func pass(_ time: Duration, _ nodes: [NodeID]? = nil) {
        let step = Duration.milliseconds(50)
        let end = now + time
        while now < end {
            now += step
            let now = now
            for node in nodes ?? machines.keys.sorted() { with(node) { $0.tick(now: now) } }
            settle(nodes)
        }
    }

    private mutating func collect(_ node: NodeID) {
        for action in machines[node]!.takeActions() {
            switch action {
            case .send(let message, let to): sent.append((message, node, to))
            case .load(let first, let member, let epoch):
                let log = logs[node] ?? []
                let items = log.filter { $0.sequence >= first }
                let previous = log.last { $0.sequence < first }
                let position = previous.map { LogPosition(sequence: $0.sequence, epoch: $0.epoch) } ?? .start
                let now = now
                with(node) { $0.loaded(items, previous: position, for: member, in: epoch, now: now) }
            case .copy(let to): copies.append(to)
            case .propose(let proposal): proposals.append(proposal)
            case .acknowledge(let ticket, _): acknowledged.append(ticket.number)
            case .abandon(let ticket): abandoned.append(ticket.number)
            case .tell(let loss): losses.append(loss)
            }
        }
    }
}

/// Puts a replica's process and disk back to what its log had up to a sequence.
func putBack(_ node: NodeID, to last: UInt64, _ replicas: inout ReplicaFixture) {
    let kept = replicas.logs[node]!.filter { $0.sequence <= last }
    let applied = kept.last.map { LogPosition(sequence: $0.sequence, epoch: $0.epoch) } ?? .start
    replicas.logs[node] = kept
    replicas.sent.removeAll { $0.from == node || $0.to == node }
    replicas.machines[node] = Machine(
        node: node,
        log: DurableLog(promised: applied.epoch, applied: applied, unapplied: []),
        timings: ReplicationTimings(),
        now: replicas.now
    )
}

func written(_ count: Int, minimum: Int = 2) throws -> ReplicaFixture {
    var replicas = ReplicaFixture([one, two])
    replicas.configure(ReplicaFixture.group(minimum: minimum))
    replicas.settle()
    for number in 1...count { try replicas.submit("\(number)", ticket: UInt64(number)) }
    replicas.pass(.seconds(1))
    #expect(replicas.acknowledged == (1...UInt64(count)).map { $0 })
    return replicas
}

func mayRead(_ node: NodeID, _ group: ReplicaGroup, _ replicas: inout ReplicaFixture) -> Bool {
    let now = replicas.now
    return replicas.with(node) {
        $0.confirmed(version: group.version, asked: now)
        return $0.mayServeReads(now: now)
    }
}
