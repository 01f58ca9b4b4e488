import ClusterModel
import ShardReplication
import VectorMath

/// A worker: one replica, its disk and its clock.
struct SimulatedWorker: Sendable {
    let name: NodeID
    var disk = SimulatedDisk()
    var machine: ReplicaStateMachine<SimulatedWrite>
    var isUp = true
    /// Which start of the process this is.
    var life = 0
    /// Stopped, as by SIGSTOP, until then.
    var pauseEnd = Duration.zero
    /// Its disk has no room for more faces until then.
    var fullEnd = Duration.zero
    /// And none for those that others have ordered already.
    var isReserveGone = false
    /// What its clock shows is `clockOffset + clockRate * time`.
    var clockOffset: Duration
    var clockRate: Double
    var nextTicket: UInt64 = 0
    var writes: [WriteTicket: (client: Int, attempt: Int, write: SimulatedWrite)] = [:]
    var step: LogStep<SimulatedWrite>?
    /// Replicas that a copy is on its way to: until when, and as of which entry.
    var copies: [NodeID: (end: Duration, sequence: UInt64)] = [:]

    func clock(_ now: Duration) -> Duration { clockOffset + now * clockRate }
}

extension World {
    mutating func addWorker(_ name: NodeID) {
        workers.append(
            SimulatedWorker(
                name: name,
                machine: ReplicaStateMachine(
                    node: name,
                    log: .empty,
                    timings: settings.timings,
                    now: .zero,
                    isNew: true,
                    bug: settings.bug,
                    trustsDisk: settings.course.trustsDisks
                ),
                clockOffset: .seconds(random.below(1000)),
                clockRate: 1 + settings.clockError * (2 * random.unit() - 1)
            )
        )
        plan(.tick(name, life: 0), after: random.duration(.zero, .milliseconds(50)))
    }

    func index(of name: NodeID) -> Int? { workers.firstIndex { $0.name == name } }

    /// Where a live worker of this life is; an event of one that is paused is planned anew.
    mutating func awake(_ name: NodeID, life: Int?, _ event: Event) -> Int? {
        guard let index = index(of: name), workers[index].isUp, life.map({ $0 == workers[index].life }) ?? true
        else { return nil }
        guard workers[index].pauseEnd <= now else {
            plan(event, after: workers[index].pauseEnd - now)
            return nil
        }
        workers[index].machine.hasRoom = workers[index].fullEnd <= now
        return index
    }

    mutating func deliver(
        _ message: ReplicaMessage<SimulatedWrite>,
        from: NodeID,
        to: NodeID
    ) throws(Violation) {
        guard let index = awake(to, life: nil, .deliver(message, from: from, to: to)) else { return }
        note("\(to.low) <- \(from.low) \(Self.text(message))")
        workers[index].machine.receive(message, from: from, now: workers[index].clock(now))
        try settle(index)
    }

    mutating func tick(_ name: NodeID, _ life: Int) throws(Violation) {
        guard let index = awake(name, life: life, .tick(name, life: life)) else { return }
        workers[index].machine.tick(now: workers[index].clock(now))
        try settle(index)
        let asked = workers[index].clock(now)
        for controller in controllers.indices where random.chance(0.5) {
            let event = Event.heartbeat(
                name,
                life: life,
                controller: controller,
                asked: asked,
                applied: workers[index].disk.image.applied.sequence
            )
            transmit(event, from: name, to: Self.name(ofController: controller))
        }
        plan(.tick(name, life: life), after: random.duration(.milliseconds(40), .milliseconds(60)))
    }

    mutating func configure(
        _ name: NodeID,
        _ life: Int,
        _ group: ReplicaGroup,
        asked: Duration?
    ) throws(Violation) {
        let event: Event =
            asked.map { .heartbeatReply(name, life: life, group, asked: $0) } ?? .proposalReply(name, life: life, group)
        guard let index = awake(name, life: life, event) else { return }
        workers[index].machine.configured(group, now: workers[index].clock(now))
        if let asked { workers[index].machine.confirmed(version: group.version, asked: asked) }
        try settle(index)
    }

    /// Carries out what a machine wants, and has its disk go on.
    mutating func settle(_ index: Int) throws(Violation) {
        let name = workers[index].name
        for action in workers[index].machine.takeActions() {
            switch action {
            case .send(let message, let to): transmit(.deliver(message, from: name, to: to), from: name, to: to)
            case .load(let first, let member):
                let disk = workers[index].disk
                let items = disk.entries(from: first).filter { $0.sequence <= workers[index].machine.durableLast }
                let previous = disk.position(first - 1) ?? .start
                note("\(name.low) reads \(items.count) entries from \(first) on for \(member.low)")
                workers[index].machine.loaded(
                    items,
                    previous: previous,
                    for: member,
                    now: workers[index].clock(now)
                )
                try settle(index)
            case .copy(let to): beginCopy(from: index, to: to)
            case .propose(let proposal):
                transmit(
                    .proposal(name, life: workers[index].life, proposal),
                    from: name,
                    to: Self.name(ofController: random.below(controllers.count))
                )
            case .acknowledge(let ticket, let sequence):
                guard let write = workers[index].writes.removeValue(forKey: ticket) else { continue }
                note("\(name.low) acknowledges \(write.write) at \(sequence)")
                mix(sequence)
                try history.acknowledged(
                    write.write,
                    sequence: sequence,
                    by: name,
                    in: workers[index].machine.group?.epoch ?? Epoch(0),
                    at: now
                )
                answer(write.client, write.attempt, .acknowledged(sequence))
            case .abandon(let ticket):
                guard let write = workers[index].writes.removeValue(forKey: ticket) else { continue }
                answer(write.client, write.attempt, .unknown)
            case .tell(let loss):
                note("\(name.low) tells \(loss)")
                counts.lossesTold += 1
            }
        }
        guard workers[index].step == nil, let step = workers[index].machine.nextStep() else { return }
        if workers[index].fullEnd > now, workers[index].isReserveGone, step.append.contains(where: \.payload.isFace) {
            return beSilentUntilThereIsRoom(index)
        }
        workers[index].step = step
        let isSlow = isFaulty && random.chance(settings.slowDiskRate)
        let delay: Duration =
            isSlow ? random.duration(.milliseconds(20), .milliseconds(1500)) : random.duration(.zero, .milliseconds(8))
        plan(.stepDone(name, life: workers[index].life), after: delay)
    }

    /// What it was sent cannot be stored: it begins anew when it can.
    private mutating func beSilentUntilThereIsRoom(_ index: Int) {
        let name = workers[index].name
        note("\(name.low) has no room")
        counts.fullSteps += 1
        shut(index)
        plan(.restart(name), after: workers[index].fullEnd - now + random.duration(.zero, .milliseconds(500)))
    }

    mutating func stepDone(_ name: NodeID, _ life: Int) throws(Violation) {
        guard let index = awake(name, life: life, .stepDone(name, life: life)) else { return }
        try commit(index)
        workers[index].machine.stored(now: workers[index].clock(now))
        try settle(index)
    }

    /// The disk has the step under way.
    mutating func commit(_ index: Int) throws(Violation) {
        guard let step = workers[index].step else { return }
        workers[index].step = nil
        let promised = workers[index].disk.promised
        var applied: [LogItem<SimulatedWrite>] = []
        workers[index].disk.commit(step, fault: settings.fault) { applied.append($0) }
        for item in applied { try history.applied(item, by: workers[index].name, at: now) }
        workers[index].copies = workers[index].copies.filter { $0.value.end > now }
        let wanted =
            workers[index].copies.values.map(\.sequence) + [workers[index].machine.wantedFrom].compactMap { $0 }
        let lag =
            wanted.map { workers[index].disk.last.sequence - min($0, workers[index].disk.last.sequence) }.max() ?? 0
        workers[index].disk.trim(keeping: max(settings.logLength, min(Int(lag), 1000)))
        if workers[index].disk.promised < promised { try fail(.memory, "a promise was forgotten") }
    }

    // MARK: Copies

    private mutating func beginCopy(from index: Int, to: NodeID) {
        if let copy = workers[index].copies[to], copy.end > now { return }
        var image = workers[index].disk.image
        workers[index].copies[to] = (now + .seconds(1), image.applied.sequence)
        if settings.fault == .tombstonesForgotten,
            let face = (0..<SimulatedClient.faceCount).first(where: {
                image.faces[$0] == nil
            })
        {
            image.faces[face] = 0
        }
        counts.copies += 1
        let (from, epoch) = (workers[index].name, workers[index].machine.group?.epoch ?? Epoch(0))
        let time = random.duration(.milliseconds(5), .milliseconds(400))
        transmit(.copy(image, epoch: epoch, from: from, to: to), from: from, to: to, after: time)
    }

    mutating func copy(
        _ image: SimulatedDisk.Image,
        _ epoch: Epoch,
        from: NodeID,
        to: NodeID
    ) throws(Violation) {
        guard let index = awake(to, life: nil, .copy(image, epoch: epoch, from: from, to: to)),
            workers[index].machine.mayTake(copyAt: image.applied, from: epoch)
        else { return }
        note("\(to.low) takes a copy as of \(image.applied.sequence)")
        workers[index].disk.install(image)
        try begin(index)
    }

    // MARK: Lives

    /// The process starts from what its disk has.
    mutating func begin(_ index: Int) throws(Violation) {
        let group = workers[index].machine.group
        for action in workers[index].machine.takeActions() {
            if case .abandon(let ticket) = action { workers[index].writes[ticket] = nil }
        }
        workers[index].machine = ReplicaStateMachine(
            node: workers[index].name,
            log: workers[index].disk.log,
            timings: settings.timings,
            now: workers[index].clock(now),
            bug: settings.bug,
            trustsDisk: settings.course.trustsDisks
        )
        workers[index].step = nil
        // A copy leaves the process alone, which still knows its group.
        if let group, workers[index].isUp {
            workers[index].machine.configured(group, now: workers[index].clock(now))
            try settle(index)
        }
    }

    mutating func restart(_ name: NodeID) throws(Violation) {
        guard let index = index(of: name), !workers[index].isUp else { return }
        note("\(name.low) starts")
        workers[index].life += 1
        // Another process has another clock.
        workers[index].clockOffset = .seconds(random.below(1_000_000)) - now * workers[index].clockRate
        try begin(index)
        workers[index].isUp = true
        workers[index].pauseEnd = .zero
        plan(.tick(name, life: workers[index].life), after: random.duration(.zero, .milliseconds(100)))
    }

    /// The process is gone; the step under way may or may not have reached the disk.
    mutating func kill(_ index: Int) throws(Violation) {
        let name = workers[index].name.low
        note("\(name) dies")
        if random.chance(0.5) { try commit(index) }
        shut(index)
    }

    private mutating func shut(_ index: Int) {
        workers[index].step = nil
        workers[index].isUp = false
        workers[index].writes.removeAll()
        workers[index].copies.removeAll()
    }

    static func text(_ message: ReplicaMessage<SimulatedWrite>) -> String {
        switch message {
        case .append(let request):
            "append e\(request.epoch.number) prev \(request.previous.sequence)/\(request.previous.epoch.number) "
                + "+\(request.entries.count) commit \(request.committed)"
        case .reply(let reply): "reply e\(reply.epoch.number) \(reply.outcome)"
        }
    }
}
