import ClusterModel
import ShardReplication
import VectorMath

extension World {
    static func name(ofController index: Int) -> NodeID { NodeID(high: 1, low: UInt64(index)) }

    /// Sends something over a link: late, twice, or not at all.
    mutating func transmit(_ event: Event, from: NodeID, to: NodeID, after least: Duration = .zero) {
        guard !cutLinks.contains(Link(from: from, to: to)) else { return }
        let isFaulty = isFaulty
        if isFaulty, random.chance(settings.lossRate) { return }
        plan(event, after: least + delay())
        if isFaulty, random.chance(settings.repeatRate) { plan(event, after: least + delay()) }
    }

    mutating func delay() -> Duration {
        if isFaulty, random.chance(settings.slowRate) {
            return random.duration(.milliseconds(1), .milliseconds(random.chance(settings.lateShare) ? 3000 : 90))
        }
        return random.duration(.microseconds(100), .milliseconds(1))
    }

    // MARK: Faults

    mutating func cut() throws(Violation) {
        guard isFaulty else { return }
        planFault(.cut, settings.cutInterval)
        counts.cuts += 1
        if settings.course.aim == .divisions {
            let isAnew = settings.minimumInSync > 1 && random.chance(0.7)
            return isAnew ? try divideAnew() : divide()
        }
        let length = random.duration(.milliseconds(50), .milliseconds(random.chance(0.3) ? 6000 : 1500))
        let ends = workers.map(\.name) + controllers.indices.map(Self.name(ofController:))
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
        for one in ones {
            for other in others {
                cutOff(Link(from: one, to: other), for: length)
                if !isOneWay { cutOff(Link(from: other, to: one), for: length) }
            }
        }
    }

    /// The primary and another replica in sync are on one side; everybody else, and who could tell them, on the other.
    private mutating func divide() {
        let companion = random.pick(group.inSync.filter { $0 != group.primary })
        let ones = [group.primary] + [companion].compactMap { $0 }
        let others =
            workers.map(\.name).filter { !ones.contains($0) } + controllers.indices.map(Self.name(ofController:))
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
        let primary = group.primary
        guard let index = index(of: primary), workers[index].isUp else { return }
        let length = random.duration(.seconds(6), .seconds(9))
        note("\(primary.low) begins anew, and is cut off for \(length)")
        counts.crashes += 1
        try kill(index)
        plan(.restart(primary), after: .milliseconds(20))
        for other in workers.map(\.name) where other != primary {
            cutOff(Link(from: primary, to: other), for: length)
            cutOff(Link(from: other, to: primary), for: length)
        }
        let later = random.duration(.milliseconds(300), .milliseconds(1200))
        for controller in controllers.indices.map(Self.name(ofController:)) {
            plan(.cutAway(Link(from: primary, to: controller), for: length), after: later)
            plan(.cutAway(Link(from: controller, to: primary), for: length), after: later)
        }
    }

    mutating func cutAway(_ link: Link, for length: Duration) {
        if isFaulty { cutOff(link, for: length) }
    }

    private mutating func cutOff(_ link: Link, for length: Duration) {
        cutLinks.insert(link)
        plan(.uncut(link), after: length)
    }

    mutating func crash() throws(Violation) {
        guard isFaulty else { return }
        planFault(.crash, settings.crashInterval)
        // Now and then all at once.
        let isAll = random.chance(0.1)
        for index in workers.indices where workers[index].isUp && (isAll || random.chance(1 / Double(workers.count))) {
            guard !lostWorkers.contains(workers[index].name) else { continue }
            counts.crashes += 1
            try kill(index)
            plan(.restart(workers[index].name), after: random.duration(.milliseconds(10), .milliseconds(4000)))
        }
    }

    mutating func upheave() throws(Violation) {
        guard isFaulty else { return }
        planFault(.upheaval, settings.upheavalInterval)
        try upheave(to: random.pick(group.inSync))
    }

    /// Another replica is made the primary, and some of the others die.
    mutating func upheave(to successor: NodeID?) throws(Violation) {
        guard let successor, let next = group.failingOver(to: successor) else { return }
        plan(.controllerChange(next), after: random.duration(.zero, .milliseconds(20)))
        for name in group.inSync where name != successor && random.chance(0.5) {
            guard let index = index(of: name), workers[index].isUp else { continue }
            counts.crashes += 1
            try kill(index)
            plan(.restart(name), after: random.duration(.milliseconds(10), .milliseconds(4000)))
        }
    }

    /// A worker's disk has no room for a while: for nothing new, or not for what was ordered before either.
    mutating func fill() {
        guard isFaulty else { return }
        planFault(.fill, settings.fillInterval)
        counts.fills += 1
        let index = random.below(workers.count)
        let length = random.duration(.milliseconds(300), .milliseconds(6000))
        workers[index].fullEnd = now + length
        workers[index].isReserveGone = random.chance(0.5)
        let name = workers[index].name.low
        note("the disk of \(name) is full for \(length)")
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
            workers[index].disk = SimulatedDisk()
            plan(.restart(name), after: random.duration(.milliseconds(10), .milliseconds(500)))
            return
        }
        lostWorkers.insert(name)
        workers.remove(at: index)
        let newcomer = NodeID(high: 0, low: nextWorker)
        nextWorker += 1
        addWorker(newcomer)
    }

    /// Whether the promises bear that a worker's disk is lost, or goes back.
    private mutating func mayLose(_ name: NodeID) -> Bool {
        lostWorkers.formIntersection(group.members)
        // What went back has everything again, or begins as a learner when it comes back.
        for (worker, last) in rolledBack {
            guard group.members.contains(worker), let index = index(of: worker),
                workers[index].disk.image.applied.sequence < last
            else {
                rolledBack[worker] = nil
                continue
            }
        }
        let harmed = lostWorkers.union(rolledBack.keys)
        guard !harmed.contains(name) else { return false }
        // A learner may be in sync by a change that is on its way.
        return !group.members.contains(name) || harmed.count + 1 < group.minimumInSync
    }

    /// A state of a disk is kept, as by a snapshot of a machine.
    mutating func snapshot() {
        guard isFaulty else { return }
        planFault(.snapshot, settings.rollbackInterval.map { $0 / 2 })
        if let worker = random.pick(workers) { snapshots[worker.name] = worker.disk }
    }

    /// A worker's disk is put back to an earlier state, and its process begins from that.
    mutating func rollBack() throws(Violation) {
        guard isFaulty else { return }
        planFault(.rollback, settings.rollbackInterval)
        let index = random.below(workers.count)
        let name = workers[index].name
        guard let earlier = snapshots[name], mayLose(name) else { return }
        counts.rollbacks += 1
        if workers[index].isUp { try kill(index) }
        let last = workers[index].disk.last.sequence
        note("\(name.low) goes back from \(last) to \(earlier.last.sequence)")
        rolledBack[name] = last
        workers[index].disk = earlier
        plan(.restart(name), after: random.duration(.milliseconds(10), .milliseconds(1000)))
    }
}
