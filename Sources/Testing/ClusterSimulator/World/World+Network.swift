import ClusterModel
import ShardReplication
import VectorMath

extension World {
    static func name(ofController index: Int) -> NodeID { NodeID(high: 1, low: UInt64(index)) }
    static func name(ofClient index: Int) -> NodeID { NodeID(high: 3, low: UInt64(index)) }

    /// Sends something over a link: late, twice, or not at all. What controllers ask for goes over connections, which
    /// lose the last of it at most, and repeat nothing.
    mutating func transmit(_ event: Event, from: NodeID, to: NodeID, after least: Duration = .zero) {
        guard !isCut(Link(from: from, to: to)) else { return }
        let isCall = event.isCall
        let isFaulty = isFaulty
        if isFaulty, from != Self.store, to != Self.store, random.chance(settings.lossRate) { return }
        plan(event, after: least + delay(from, to))
        if isFaulty, !isCall, random.chance(settings.repeatRate) { plan(event, after: least + delay(from, to)) }
    }

    func isCut(_ link: Link) -> Bool { cutLinks[link].map { now < $0 } ?? false }

    func isSlow(_ node: NodeID) -> Bool { slowNodes[node].map { now < $0 } ?? false }

    mutating func delay(_ from: NodeID, _ to: NodeID) -> Duration {
        if isSlow(from) || isSlow(to) {
            return random.duration(.milliseconds(20), .milliseconds(random.chance(0.3) ? 3000 : 400))
        }
        return delay()
    }

    mutating func delay() -> Duration {
        if isFaulty, random.chance(settings.slowRate) {
            return random.duration(.milliseconds(1), .milliseconds(random.chance(settings.lateShare) ? 3000 : 90))
        }
        return random.duration(.microseconds(100), .milliseconds(1))
    }

    // MARK: Faults

    private var ends: [NodeID] {
        workers.map(\.name) + controllers.indices.map(Self.name(ofController:)) + [Self.store]
            + (settings.course.aim == .routers ? clients.indices.map(Self.name(ofClient:)) : [])
    }

    mutating func cut() throws(Violation) {
        guard isFaulty else { return }
        planFault(.cut, settings.cutInterval)
        counts.cuts += 1
        if settings.course.aim == .divisions {
            let isAnew = settings.minimumInSync > 1 && random.chance(0.7)
            return isAnew ? try divideAnew() : divide()
        }
        let length = random.duration(.milliseconds(50), .milliseconds(random.chance(0.3) ? 6000 : 1500))
        let ends = ends
        guard let one = random.pick(ends) else { return }
        let isOneWay = random.chance(0.3)
        let (ones, others): ([NodeID], [NodeID])
        switch random.below(10) {
        // All are on one side or the other.
        case 0..<3:
            let sides = ends.map { (end: $0, isHere: $0 == one || random.chance(0.5)) }
            (ones, others) = (sides.filter(\.isHere).map(\.end), sides.filter { !$0.isHere }.map(\.end))
        case 3..<6: (ones, others) = ([one], ends.filter { $0 != one })
        default: (ones, others) = ([one], [random.pick(ends.filter { $0 != one }) ?? one])
        }
        note("\(ones.map(\.low)) are cut off from \(others.map(\.low))\(isOneWay ? " one way" : "") for \(length)")
        if ones == [Self.store] || others == [Self.store] { counts.crashPoints[.store, default: 0] += 1 }
        for one in ones {
            for other in others {
                cutOff(Link(from: one, to: other), for: length)
                if !isOneWay { cutOff(Link(from: other, to: one), for: length) }
            }
        }
    }

    /// The primary and another replica in sync are on one side; everybody else, and who could tell them, on the other.
    /// Of several coordinators one may be on their side, without the store: it tells them what it knew.
    private mutating func divide() {
        guard let group = random.pick(placements)?.group else { return }
        let companion = random.pick(group.inSync.filter { $0 != group.primary })
        let confidant = coordinatorRandom.chance(0.5) ? coordinatorRandom.below(controllers.count) : nil
        let confidants = controllers.count > 1 ? [confidant].compactMap { $0.map(Self.name(ofController:)) } : []
        let ones = [group.primary] + [companion].compactMap { $0 } + confidants
        let others = ends.filter { !ones.contains($0) }
        let length = random.duration(.seconds(4), .seconds(8))
        note("\(ones.map(\.low)) are cut off from the rest for \(length)")
        for one in ones {
            for other in others {
                cutOff(Link(from: one, to: other), for: length)
                cutOff(Link(from: other, to: one), for: length)
            }
        }
    }

    /// The primary begins anew, without the other replicas, and is without who could tell it of another a little later:
    /// it has become the primary of a new epoch by then, and asks in vain.
    private mutating func divideAnew() throws(Violation) {
        guard let primary = random.pick(placements)?.group.primary, let index = index(of: primary), workers[index].isUp
        else { return }
        let length = random.duration(.seconds(6), .seconds(9))
        note("\(primary.low) begins anew, and is cut off for \(length)")
        try crash(index, for: .milliseconds(20))
        for other in workers.map(\.name) where other != primary {
            cutOff(Link(from: primary, to: other), for: length)
            cutOff(Link(from: other, to: primary), for: length)
        }
        let later = random.duration(.milliseconds(300), .milliseconds(1200))
        for steering in controllers.indices.map(Self.name(ofController:)) + [Self.store] {
            plan(.cutAway(Link(from: primary, to: steering), for: length), after: later)
            plan(.cutAway(Link(from: steering, to: primary), for: length), after: later)
        }
    }

    mutating func cutAway(_ link: Link, for length: Duration) {
        if isFaulty { cutOff(link, for: length) }
    }

    private mutating func cutOff(_ link: Link, for length: Duration) {
        cutLinks[link] = max(cutLinks[link] ?? .zero, now + length)
    }

    /// A node is cut off from all others.
    mutating func cutOff(_ node: NodeID, for length: Duration) {
        for other in ends where other != node {
            cutOff(Link(from: node, to: other), for: length)
            cutOff(Link(from: other, to: node), for: length)
        }
    }

    mutating func crash() throws(Violation) {
        guard isFaulty else { return }
        planFault(.crash, settings.crashInterval)
        // Now and then all at once.
        let isAll = random.chance(0.1)
        let upCount = workers.count(where: \.isUp)
        for index in workers.indices where workers[index].isUp && (isAll || random.chance(1 / Double(workers.count))) {
            guard !lostWorkers.contains(workers[index].name) else { continue }
            try crash(index, for: random.duration(.milliseconds(10), .milliseconds(4000)))
        }
        noteCrash(ofSome: upCount)
        for index in controllers.indices where controllers[index].isUp && random.chance(0.15) {
            counts.crashes += 1
            killController(index)
            plan(.controllerStart(index), after: random.duration(.milliseconds(10), .milliseconds(4000)))
        }
    }

    mutating func crash(_ index: Int, for length: Duration) throws(Violation) {
        counts.crashes += 1
        let name = workers[index].name
        try kill(index)
        plan(.restart(name), after: length)
    }

    mutating func upheave() throws(Violation) {
        guard isFaulty else { return }
        planFault(.upheaval, settings.upheavalInterval)
        guard let placement = random.pick(placements) else { return }
        try upheave(placement, to: random.pick(placement.group.inSync))
    }

    /// Another replica is made the primary, and some of the others die.
    mutating func upheave(_ placement: ShardPlacement, to successor: NodeID?) throws(Violation) {
        guard let successor, let next = placement.group.failingOver(to: successor) else { return }
        plan(.forced(placement.shard, next), after: random.duration(.zero, .milliseconds(20)))
        for name in placement.group.inSync where name != successor && random.chance(0.5) {
            guard let index = index(of: name), workers[index].isUp else { continue }
            try crash(index, for: random.duration(.milliseconds(10), .milliseconds(4000)))
        }
    }

    /// A worker's disk has no room for a while: for nothing new, or not for what was ordered before either.
    mutating func fill() {
        guard isFaulty else { return }
        planFault(.fill, settings.fillInterval)
        counts.fills += 1
        let index = random.below(workers.count)
        let length = random.duration(.milliseconds(300), .milliseconds(6000))
        let name = workers[index].name
        fill(name, for: length)
        note("the disk of \(name.low) is full for \(length)")
    }

    mutating func fill(_ node: NodeID, for length: Duration) {
        fullNodes[node] = now + length
        if random.chance(0.5) { spentNodes[node] = now + length }
    }

    mutating func pause() {
        guard isFaulty else { return }
        planFault(.pause, settings.pauseInterval)
        counts.pauses += 1
        let index = random.below(workers.count)
        let length = random.duration(.milliseconds(100), .milliseconds(5000))
        workers[index].pauseEnd = now + length
        let name = workers[index].name.low
        note("\(name) is paused for \(length)")
    }

    /// A worker's disk is lost; another worker, with an empty one, takes its place. Never more than the promises bear.
    mutating func wipe() throws(Violation) {
        guard isFaulty else { return }
        planFault(.wipe, settings.wipeInterval)
        let index = random.below(workers.count)
        let name = workers[index].name
        guard mayLose(name) else { return }
        counts.wipes += 1
        note("\(name.low) loses its disk")
        if workers[index].isUp { try kill(index) }
        if settings.fault == .amnesia {
            for replica in workers[index].replicas.indices {
                workers[index].replicas[replica].disk = SimulatedDisk()
                workers[index].replicas[replica].answered = Epoch(0)
                workers[index].replicas[replica].incoming = nil
            }
            plan(.restart(name), after: random.duration(.milliseconds(10), .milliseconds(500)))
            return
        }
        lostWorkers.insert(name)
        workers.remove(at: index)
        let newcomer = NodeID(high: 0, low: nextWorker)
        nextWorker += 1
        addWorker(newcomer)
    }

    /// Whether the promises bear that a worker's disk is lost, or goes back: in no shard too few are left.
    private mutating func mayLose(_ name: NodeID) -> Bool {
        let groups = placements.map(\.group)
        lostWorkers = lostWorkers.filter { worker in groups.contains { $0.members.contains(worker) } }
        // What went back has everything again, or begins as a learner when it comes back.
        for (worker, lasts) in rolledBack where !isHarmed(worker, lasts) { rolledBack[worker] = nil }
        let harmed = lostWorkers.union(rolledBack.keys)
        guard !harmed.contains(name) else { return false }
        // A learner may be in sync by a change that is on its way.
        return groups.allSatisfy { group in
            !group.members.contains(name) || group.members.count(where: harmed.contains) + 1 < group.minimumInSync
        }
    }

    /// Whether a state of a disk has a replica of every shard that counts on the worker. One that is not there at all
    /// is for people: no other takes its place.
    private func hasEveryReplica(_ files: SimulatedWorker.Files, of worker: NodeID) -> Bool {
        let shards = files.replicas.map(\.shard) + files.successors.map(\.shard)
        let sealed = index(of: worker).map { workers[$0].successors.filter { $0.places != nil } } ?? []
        return placements.allSatisfy { !$0.group.members.contains(worker) || shards.contains($0.shard) }
            && sealed.allSatisfy { shards.contains($0.shard) }
    }

    /// Whether a worker whose disk went back lacks something of what it counts for.
    private func isHarmed(_ worker: NodeID, _ lasts: [ShardID: UInt64]) -> Bool {
        placements.contains { placement in
            guard placement.group.members.contains(worker) else { return false }
            guard let index = index(of: worker), let replica = workers[index].replica(of: placement.shard) else {
                return true
            }
            return workers[index].replicas[replica].disk.image.applied.sequence < lasts[placement.shard] ?? 0
        }
    }

    /// A state of a disk is kept, as by a snapshot of a machine.
    mutating func snapshot() {
        guard isFaulty else { return }
        planFault(.snapshot, settings.rollbackInterval.map { $0 / 2 })
        if let worker = random.pick(workers) { snapshots[worker.name] = worker.files }
    }

    /// A worker's disk is put back to an earlier state, and its process begins from that.
    mutating func rollBack() throws(Violation) {
        guard isFaulty else { return }
        planFault(.rollback, settings.rollbackInterval)
        let index = random.below(workers.count)
        let name = workers[index].name
        guard let earlier = snapshots[name], hasEveryReplica(earlier, of: name), mayLose(name) else { return }
        counts.rollbacks += 1
        if workers[index].isUp { try kill(index) }
        let lasts = workers[index].replicas.map { ($0.shard, $0.disk.last.sequence) }
        note("\(name.low) goes back from \(lasts.map { ($0.0.index, $0.1) })")
        rolledBack[name] = Dictionary(uniqueKeysWithValues: lasts)
        workers[index].replicas = earlier.replicas.map { SimulatedReplica($0) }
        workers[index].successors = earlier.successors.map { successor in
            var successor = successor
            successor.isFound = true
            successor.image = successor.written
            successor.phase = .sealed
            successor.doneCount = 0
            return successor
        }
        plan(.restart(name), after: random.duration(.milliseconds(10), .milliseconds(1000)))
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

extension World.Event {
    /// Whether it is part of a call of a controller's.
    fileprivate var isCall: Bool {
        switch self {
        case .store, .storeReply, .order, .orderDone: true
        default: false
        }
    }
}
