import ClusterModel
import ClusterState
import ShardReplication
import VectorMath

/// A worker: replicas, shards that it makes to take others' place, a disk, and a clock.
struct SimulatedWorker: Sendable {
    /// What is on its disk of one replica.
    struct ReplicaFiles: Sendable {
        var shard: ShardID
        var range: HashRange
        var disk: SimulatedDisk
        var incoming: IncomingCopy?
        var isSucceeded: Bool
    }

    /// What is on its disk.
    struct Files: Sendable {
        var replicas: [ReplicaFiles] = []
        var successors: [SimulatedSuccessor] = []
    }

    let name: NodeID
    /// In order of their coming; a few.
    var replicas: [SimulatedReplica] = []
    var successors: [SimulatedSuccessor] = []
    var trainings: [SimulatedTraining] = []
    /// Replicas that it has no more, and that are on its disk still, since they could not be removed.
    var leftovers: [ReplicaFiles] = []
    var isUp = true
    /// Which start of the process this is.
    var life = 0
    /// Stopped, as by SIGSTOP, until then.
    var pauseEnd = Duration.zero
    /// What its clock shows is `clockOffset + clockRate * time`.
    var clockOffset: Duration
    var clockRate: Double
    /// What its clock showed when the process began.
    var born: Duration
    /// A coordinator has said what it is a member of, as it was after the process began.
    var isTold = false
    /// A shard that is taking the place of others; other orders wait.
    var activating: ShardID?
    private var sessionCount = 0

    init(name: NodeID, clockOffset: Duration, clockRate: Double) {
        self.name = name
        self.clockOffset = clockOffset
        born = clockOffset
        self.clockRate = clockRate
    }

    func clock(_ now: Duration) -> Duration { clockOffset + now * clockRate }

    func replica(of shard: ShardID) -> Int? { replicas.firstIndex { $0.shard == shard } }
    func successor(of shard: ShardID) -> Int? { successors.firstIndex { $0.shard == shard } }

    /// Numbers what events must not outlive.
    mutating func nextSession() -> Int {
        sessionCount += 1
        return sessionCount
    }

    var files: Files {
        Files(
            replicas: replicas.map(\.files),
            successors: successors.filter { $0.places != nil }
        )
    }
}

extension World {
    /// A worker with an empty disk.
    mutating func addWorker(_ name: NodeID) {
        workers.append(
            SimulatedWorker(
                name: name,
                clockOffset: .seconds(random.below(1000)),
                clockRate: 1 + settings.clockError * (2 * random.unit() - 1)
            )
        )
        changeRecords { $0.workers[name] = NodeAddress(host: "worker", port: Int(name.low)) }
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
        let hasRoom = !isFull(name)
        for replica in workers[index].replicas.indices { workers[index].replicas[replica].machine?.hasRoom = hasRoom }
        return index
    }

    /// Time that a worker's disk takes.
    mutating func diskDelay(_ name: NodeID) -> Duration {
        let isSlow = isSlow(name) || isFaulty && random.chance(settings.slowDiskRate)
        return isSlow
            ? random.duration(.milliseconds(20), .milliseconds(1500)) : random.duration(.zero, .milliseconds(8))
    }

    /// Whether its disk has no room for more faces.
    func isFull(_ name: NodeID) -> Bool { fullNodes[name].map { now < $0 } ?? false }

    /// Whether it has none for those either that are on their way.
    func isSpent(_ name: NodeID) -> Bool { spentNodes[name].map { now < $0 } ?? false }

    mutating func tick(_ name: NodeID, _ life: Int) throws(Violation) {
        guard let index = awake(name, life: life, .tick(name, life: life)) else { return }
        let asked = workers[index].clock(now)
        for replica in workers[index].replicas.indices {
            workers[index].replicas[replica].machine?.tick(now: asked)
            try settle(index, replica)
        }
        for controller in controllers.indices where random.chance(0.5) {
            let event = Event.heartbeat(
                name,
                life: life,
                controller: controller,
                asked: asked,
                observation(of: workers[index])
            )
            transmit(event, from: name, to: Self.name(ofController: controller))
        }
        plan(.tick(name, life: life), after: random.duration(.milliseconds(40), .milliseconds(60)))
    }

    private func observation(of worker: SimulatedWorker) -> WorkerObservation {
        var observation = WorkerObservation(freeDiskByteCount: isFull(worker.name) ? 0 : 1 << 40)
        let clock = worker.clock(now)
        for replica in worker.replicas { observation.replicas[replica.shard] = replica.observation(clock, now: now) }
        for successor in worker.successors { observation.successors[successor.shard] = successor.observation }
        observation.trainings = worker.trainings.map(\.observation)
        return observation
    }

    /// A coordinator tells of the groups that the worker is in.
    mutating func configure(
        _ name: NodeID,
        _ life: Int,
        _ groups: [ShardPlacement],
        asked: Duration
    ) throws(Violation) {
        guard let index = awake(name, life: life, .heartbeatReply(name, life: life, groups, asked: asked)) else {
            return
        }
        for placement in groups {
            guard let replica = workers[index].replica(of: placement.shard) else { continue }
            try take(placement.group, index, replica, asked: asked)
        }
        if asked >= workers[index].born { workers[index].isTold = true }
    }

    mutating func configure(
        _ name: NodeID,
        _ life: Int,
        _ shard: ShardID,
        _ group: ReplicaGroup
    ) throws(Violation) {
        guard let index = awake(name, life: life, .proposalReply(name, life: life, shard, group)),
            let replica = workers[index].replica(of: shard)
        else { return }
        try take(group, index, replica, asked: nil)
    }

    // MARK: Orders

    /// Does what a controller asks for; one thing at a time.
    mutating func carryOut(_ order: WorkerOrder, _ name: NodeID, _ call: ControlCall) throws(Violation) {
        guard let index = awake(name, life: nil, .order(order, to: name, call)) else { return }
        guard workers[index].activating == nil else {
            return plan(.order(order, to: name, call), after: .milliseconds(5))
        }
        var failure: String?
        switch order {
        case .host(let placement, let mayBegin):
            if let successor = workers[index].successor(of: placement.shard),
                workers[index].replica(of: placement.shard) == nil
            {
                return try activate(successor, of: index, placement, call)
            }
            failure = try host(placement, on: index, mayBegin: mayBegin)
        case .drop(let shard, let epoch, let version):
            failure = try drop(shard, epoch, groupVersion: version, on: index)
        case .prepare(let preparation): failure = prepare(preparation, on: index)
        case .train(let generation): train(generation, on: index)
        case .fetch(let generation):
            let isThere = workers[index].trainings.contains { $0.generation == generation && $0.state == .finished }
            failure = isThere ? nil : "it is not there"
        case .install(let shard, let generation): failure = install(generation, in: shard, on: index)
        case .abandonTraining(let generation): workers[index].trainings.removeAll { $0.generation == generation }
        case .abandon(let shard, let sparesSealed): failure = abandon(shard, sparesSealed: sparesSealed, on: index)
        }
        note("\(name.low) \(order)\(failure.map { ": \($0)" } ?? "")")
        reply(to: call, from: name, failure: failure)
    }

    mutating func reply(to call: ControlCall, from name: NodeID, failure: String?) {
        transmit(.orderDone(call, failure: failure), from: name, to: Self.name(ofController: call.controller))
    }

    private mutating func host(
        _ placement: ShardPlacement,
        on index: Int,
        mayBegin: Bool
    ) throws(Violation) -> String? {
        if let replica = workers[index].replica(of: placement.shard) {
            guard !workers[index].replicas[replica].isSucceeded else { return "others took its place" }
            guard placement.epoch >= workers[index].replicas[replica].epoch else { return "a stale epoch" }
            try take(placement.group, index, replica, asked: nil)
            return nil
        }
        guard mayBegin else { return "no replica is here" }
        guard !isFull(workers[index].name) else { return "the disk is full" }
        guard !diskFails(workers[index].name) else { return "the disk fails" }
        workers[index].leftovers.removeAll { $0.shard == placement.shard }
        try add(SimulatedReplica(placement), to: index, isNew: true, placement.group)
        return nil
    }

    private mutating func drop(
        _ shard: ShardID,
        _ epoch: Epoch,
        groupVersion version: UInt64,
        on index: Int
    ) throws(Violation) -> String? {
        guard let replica = workers[index].replica(of: shard) else { return nil }
        guard epoch >= workers[index].replicas[replica].epoch else { return "a stale epoch" }
        if version > 0, settings.fault != .dropsByEpochAlone {
            let group = workers[index].replicas[replica].group
            if let group, group.version > version, group.members.contains(workers[index].name) {
                return "a member by version \(group.version)"
            }
            guard workers[index].isTold else { return "it has not heard of its groups" }
        }
        try stop(index, replica)
        let dropped = workers[index].replicas.remove(at: replica)
        guard diskFails(workers[index].name) else { return nil }
        if diskRandom.chance(0.5) { workers[index].leftovers.append(dropped.files) }
        return "the disk fails"
    }

    private mutating func abandon(_ shard: ShardID, sparesSealed: Bool, on index: Int) -> String? {
        guard workers[index].replica(of: shard) == nil else { return "it has taken its place" }
        guard let successor = workers[index].successor(of: shard) else { return nil }
        if sparesSealed, workers[index].successors[successor].mayBeInForce { return "it is whole" }
        workers[index].successors.removeAll { $0.shard == shard }
        return nil
    }

    // MARK: Lives

    /// The replicas of a shard when the cluster begins.
    mutating func begin(_ placement: ShardPlacement) {
        for member in placement.group.members {
            guard let index = index(of: member) else { continue }
            var replica = SimulatedReplica(placement)
            replica.machine = ReplicaStateMachine(
                node: member,
                log: .empty,
                timings: settings.timings,
                now: workers[index].clock(now),
                isNew: true,
                bug: settings.replicaBug,
                trustsDisk: settings.course.trustsDisks
            )
            replica.beginLog(length: settings.logLength)
            replica.session = workers[index].nextSession()
            workers[index].replicas.append(replica)
        }
        history.began(placement.shard, placement.range)
    }

    mutating func restart(_ name: NodeID) throws(Violation) {
        guard let index = index(of: name), !workers[index].isUp else { return }
        note("\(name.low) starts")
        workers[index].life += 1
        // Another process has another clock.
        workers[index].clockOffset = .seconds(random.below(1_000_000)) - now * workers[index].clockRate
        workers[index].born = workers[index].clock(now)
        workers[index].isTold = false
        for replica in workers[index].replicas.indices where !workers[index].replicas[replica].isSucceeded {
            try begin(index, replica)
        }
        workers[index].isUp = true
        workers[index].pauseEnd = .zero
        for successor in workers[index].successors.indices { startSuccessor(successor, of: index) }
        plan(.tick(name, life: workers[index].life), after: random.duration(.zero, .milliseconds(100)))
    }

    /// The process is gone; what is on its way to the disk may or may not have reached it.
    mutating func kill(_ index: Int) throws(Violation) {
        let name = workers[index].name
        note("\(name.low) dies")
        noteCrash(of: index)
        for replica in workers[index].replicas.indices {
            if random.chance(0.5), !isSpent(name) { try commit(index, replica, fateOfDying()) }
            endCopy(index, replica)
            workers[index].replicas[replica].forgetProcess()
        }
        workers[index].replicas += workers[index].leftovers.map { SimulatedReplica($0) }
        workers[index].leftovers = []
        killSuccessors(of: index)
        workers[index].isUp = false
        loseCalls(to: name)
        workers[index].activating = nil
        workers[index].trainings = []
    }
}
