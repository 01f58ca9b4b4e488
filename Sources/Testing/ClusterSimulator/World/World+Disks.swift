import ClusterModel
import ShardReplication
import VectorMath

/// What is on disk of a step of a log that was cut short, by an error or by the end of the process.
enum StepFate: Sendable {
    case nothing
    /// Its first transaction. There is more than one when a checkpoint is among what is applied.
    case begun
    case all
}

/// What a disk may turn out to have, when the power was cut, in the place of what was there after a commit that failed:
/// until it is opened again, and so synced, or the next commit, nobody knows.
enum UnsettledStep: Sendable {
    case before(SimulatedDisk)
    case after(LogStep<SimulatedWrite>)
}

/// Disks that fail calls, and power cuts, by the rules of the real worker. What is drawn for them is drawn apart.
///
/// A commit that fails fences the partition's environment, whatever is on disk of it: nobody who waits is answered, the
/// replica closes its partition, opens it again, and goes on from what it finds.
extension World {
    static var firstPause: Duration { .milliseconds(100) }
    private static var longestPause: Duration { .seconds(10) }

    /// Whether a call that writes fails.
    mutating func diskFails(_ name: NodeID) -> Bool {
        guard let failing = failingNodes[name], now < failing.end else { return false }
        return diskRandom.chance(failing.share)
    }

    // MARK: Faults

    /// Calls of a worker's disk fail for a while: all of them, or some.
    mutating func failDisk() {
        guard isFaulty else { return }
        planFault(.failDisk, settings.failureInterval)
        let name = workers[diskRandom.below(workers.count)].name
        let share = [0.1, 0.4, 1][diskRandom.below(3)]
        let length = diskRandom.duration(.milliseconds(100), .milliseconds(4000))
        failingNodes[name] = (now + length, share)
        note("of the calls of \(name.low)'s disk \(share) fail for \(length)")
    }

    /// The power of several workers is cut in one instant, and that of coordinators; or that of a worker alone to which
    /// a copy comes.
    mutating func cutPower() throws(Violation) {
        guard isFaulty else { return }
        planFault(.powerCut, settings.powerCutInterval)
        counts.powerCuts += 1
        let receivers = workers.indices.filter { workers[$0].replicas.contains { $0.incoming != nil } }
        if diskRandom.chance(0.5), let receiver = diskRandom.pick(receivers) { return try cutPower(of: receiver) }
        try cutPowerOfSeveral()
    }

    private mutating func cutPowerOfSeveral() throws(Violation) {
        let isAll = diskRandom.chance(0.3)
        let upCount = workers.count(where: \.isUp)
        for index in workers.indices where isAll || diskRandom.chance(0.6) {
            try cutPower(of: index)
        }
        noteCrash(ofSome: upCount)
        for index in controllers.indices where controllers[index].isUp && (isAll || diskRandom.chance(0.3)) {
            counts.crashes += 1
            killController(index)
            plan(.controllerStart(index), after: restTime())
        }
    }

    /// A disk that fails may be one whose power is about to go, and others' with it.
    mutating func losePower(of name: NodeID) throws(Violation) {
        guard isFaulty, let index = index(of: name) else { return }
        counts.powerCuts += 1
        try diskRandom.chance(0.5) ? cutPower(of: index) : cutPowerOfSeveral()
    }

    private mutating func cutPower(of index: Int) throws(Violation) {
        guard !lostWorkers.contains(workers[index].name) else { return }
        let name = workers[index].name.low
        note("the power of \(name) is cut")
        if workers[index].isUp { try crash(index, for: restTime()) }
        try losePower(index)
    }

    private mutating func restTime() -> Duration { diskRandom.duration(.milliseconds(10), .milliseconds(3000)) }

    /// What was not synced may be gone from the disk of a worker whose process has ended.
    private mutating func losePower(_ index: Int) throws(Violation) {
        for replica in workers[index].replicas.indices {
            if let unsettled = workers[index].replicas[replica].unsettled, diskRandom.chance(0.5) {
                try turnOut(as: unsettled, index, replica)
            }
            guard var incoming = workers[index].replicas[replica].incoming, diskRandom.chance(0.7) else { continue }
            // The file's length may outlive what is in it.
            if diskRandom.chance(0.5) { incoming.received = diskRandom.below(incoming.received + 1) }
            for part in 0..<incoming.received where diskRandom.chance(0.3) { incoming.torn.insert(part) }
            workers[index].replicas[replica].incoming = incoming
        }
    }

    private mutating func turnOut(as unsettled: UnsettledStep, _ index: Int, _ replica: Int) throws(Violation) {
        counts.turnedSteps += 1
        let (name, shard) = (workers[index].name.low, workers[index].replicas[replica].shard.index)
        note("\(name)/\(shard) has another state than there was")
        switch unsettled {
        case .before(var disk):
            // That is a file of its own.
            disk.frozenVersion = workers[index].replicas[replica].disk.frozenVersion
            workers[index].replicas[replica].disk = disk
        case .after(let step):
            workers[index].replicas[replica].step = step
            try commit(index, replica)
        }
        workers[index].replicas[replica].unsettled = nil
    }

    /// What is on disk, in the end, of what a replica was about to put there as its process died.
    mutating func endCopy(_ index: Int, _ replica: Int) {
        guard let incoming = workers[index].replicas[replica].incoming else { return }
        if workers[index].replicas[replica].isReplacing, diskRandom.chance(0.5) {
            workers[index].replicas[replica].install(incoming.present)
            workers[index].replicas[replica].incoming = nil
        } else if incoming.isCompared {
            workers[index].replicas[replica].incoming = nil
        } else {
            workers[index].replicas[replica].incoming?.isKnown = false
            workers[index].replicas[replica].incoming?.isWhole = false
        }
    }

    // MARK: Steps

    /// What is there of a step that was under way as the process died, given that there is something.
    mutating func fateOfDying() -> StepFate {
        settings.hasTornSteps && diskRandom.chance(0.3) ? .begun : .all
    }

    /// The step under way, as far as it came to be on disk.
    mutating func cutShort(_ step: LogStep<SimulatedWrite>, of disk: SimulatedDisk) -> LogStep<SimulatedWrite> {
        var first = step
        let applied = disk.image.applied.sequence
        if step.applyThrough > applied + 1 {
            first.applyThrough = applied + 1 + UInt64(diskRandom.below(Int(step.applyThrough - applied - 1)))
        }
        return first
    }

    /// The commit of the step under way has failed.
    mutating func failStep(_ index: Int, _ replica: Int) throws(Violation) {
        let fate: StepFate = [.nothing, .nothing, .begun, .all][diskRandom.below(4)]
        let (name, shard) = (workers[index].name, workers[index].replicas[replica].shard)
        note("\(name.low)/\(shard.index) fails a step, of which there is \(fate)")
        counts.failedSteps += 1
        if fate != .nothing { counts.unknownSteps += 1 }
        let before = workers[index].replicas[replica].disk
        let step = workers[index].replicas[replica].step
        try commit(index, replica, fate)
        workers[index].replicas[replica].unsettled = fate == .nothing ? step.map { .after($0) } : .before(before)
        if settings.fault == .failedStepCounted {
            workers[index].replicas[replica].machine!.stored(now: workers[index].clock(now))
        }
        if settings.fault == .failedStepRefused {
            for (_, write) in workers[index].replicas[replica].writes.sorted(by: { $0.key < $1.key }) {
                answer(write, from: name, of: shard, .refused(.unknownReplica))
            }
            workers[index].replicas[replica].writes.removeAll()
        }
        try close(index, replica)
        plan(.reopened(life(index, replica), pause: Self.firstPause), after: Self.firstPause)
        guard diskRandom.chance(0.2) else { return }
        plan(.powerLost(name), after: diskRandom.duration(.milliseconds(50), .milliseconds(900)))
    }

    /// The record could not be written that says that no write is ordered, or that writes are again.
    mutating func failFreeze(_ index: Int, _ replica: Int, version: UInt64) throws(Violation) {
        counts.failedSteps += 1
        if diskRandom.chance(0.5) { workers[index].replicas[replica].disk.frozenVersion = version }
        try close(index, replica)
        plan(.reopened(life(index, replica), pause: Self.firstPause), after: Self.firstPause)
    }

    // MARK: Closing and opening

    /// The lane leaves the partition: who waits is told that nothing is known, and what waits is refused.
    mutating func close(_ index: Int, _ replica: Int) throws(Violation) {
        workers[index].replicas[replica].machine?.stop()
        refuseQueue(index, replica)
        counts.refusedStrongReads += workers[index].replicas[replica].strongReads.count
        workers[index].replicas[replica].strongReads.removeAll()
        try settleLast(index, replica)
        workers[index].replicas[replica].isClosed = true
        workers[index].replicas[replica].session = workers[index].nextSession()
    }

    /// The partition is synced and opened, unless the disk fails again: then after a longer pause.
    mutating func reopen(_ life: ReplicaLife, pause: Duration) throws(Violation) {
        guard let index = awake(life.worker, life: nil, .reopened(life, pause: pause)),
            let replica = workers[index].replica(of: life.shard),
            workers[index].replicas[replica].session == life.session, workers[index].replicas[replica].isClosed
        else { return }
        guard !diskFails(life.worker) else {
            let longer = min(pause * 2, Self.longestPause)
            return plan(.reopened(life, pause: longer), after: longer)
        }
        workers[index].replicas[replica].isClosed = false
        workers[index].replicas[replica].partition += 1
        try begin(index, replica)
    }
}
