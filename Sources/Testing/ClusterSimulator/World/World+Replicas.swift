import ClusterModel
import ClusterState
import ShardReplication
import VectorMath
import WireProtocol

/// One life of one replica: what was planned for another is void.
struct ReplicaLife: Hashable, Sendable {
    var worker: NodeID
    var shard: ShardID
    var session: Int
}

/// One replica on a worker: its disk, and the machine while it goes by the log.
struct SimulatedReplica: Sendable {
    struct Write: Sendable {
        enum Caller: Sendable {
            case client(Int, attempt: Int)
            /// - Parameter epoch: that it was sent under.
            case coordinator(PartCall, epoch: Epoch)
        }

        let caller: Caller
        let write: SimulatedWrite
        /// What came into the log of it: another where a part was known.
        var ordered: SimulatedWrite

        init(caller: Caller, write: SimulatedWrite) {
            (self.caller, self.write, ordered) = (caller, write, write)
        }
    }

    let shard: ShardID
    let range: HashRange
    /// Of the group that it began with.
    private let firstEpoch: Epoch
    var disk: SimulatedDisk
    /// Nil while it does not go by the log: its disk is full, or others have taken its shard's place.
    var machine: ReplicaStateMachine<SimulatedWrite>?
    /// Another whenever the machine begins anew.
    var session = 0
    /// Another whenever another partition takes the place of the one on disk.
    var partition = 0
    /// As last heard in this life of the process.
    var group: ReplicaGroup?
    /// The metadata store has confirmed it in this life.
    var isConfirmed = false
    var nextTicket: UInt64 = 0
    var writes: [WriteTicket: Write] = [:]
    /// That wait while none is ordered.
    var queue: [Write] = []
    /// That wait until the others in sync have obeyed this replica since a time of its clock.
    var strongReads: [(read: StrongRead, since: Duration)] = []
    var step: LogStep<SimulatedWrite>?
    /// What the log may forget, and through which entry it does with the step under way.
    var horizon = LogHorizon(keptByteCount: 0, wantedByteCount: 0)
    var forgetThrough: UInt64?
    /// Whether there were entries when it began to go by the log.
    var hasFoundLog = false
    /// Entries from which on replicas want the log that have taken a copy, until they have some of it.
    var taken: [NodeID: UInt64] = [:]
    /// Replicas that a copy is on its way to: until when, and as of which entry.
    var copies: [NodeID: (end: Duration, sequence: UInt64)] = [:]
    /// What the record on disk is about to say of its being frozen.
    var freezeUnderWay: UInt64?
    /// Where it has ended.
    var end: ReplicaObservation.End?
    /// Its lane has ended, since other shards are taking its shard's place.
    var isStopped = false
    /// Other shards have taken its shard's place, as a mark on disk says.
    var isSucceeded = false
    /// Its bytes have proved wrong: it serves nothing until it is removed.
    var isDamaged = false
    /// Its partition is closed, after an error or for a copy to take its place, and is opened again.
    var isClosed = false
    /// A copy is about to take its partition's place.
    var isReplacing = false
    /// What comes to it.
    var incoming: IncomingCopy?
    /// The copy that last took its partition's place in this life of the process.
    var takenCopy: Int?
    /// Copies that it has made for others.
    var outgoing: [NodeID: OutgoingCopy] = [:]
    /// What a power cut may bring to light of the last commit, which failed.
    var unsettled: UnsettledStep?
    /// Highest epoch under which it has sent what rests on its promise, in any life of the process: no disk has this.
    var answered = Epoch(0)
    /// Version of the group that it last asked to be larger or smaller, in this life of the process.
    var proposedVersion: UInt64?

    /// - Parameter disk: another than an empty one.
    init(_ placement: ShardPlacement, disk: SimulatedDisk = SimulatedDisk()) {
        shard = placement.shard
        range = placement.range
        firstEpoch = placement.epoch
        self.disk = disk
    }

    init(_ files: SimulatedWorker.ReplicaFiles) {
        shard = files.shard
        range = files.range
        firstEpoch = files.disk.promised
        disk = files.disk
        // A disk that was put back is not held to what it has forgotten.
        answered = files.disk.promised
        incoming = files.incoming
        isSucceeded = files.isSucceeded
        incoming?.isKnown = false
        incoming?.isWhole = false
    }

    /// What is on disk of it. A copy that is about to take its place is not kept there.
    var files: SimulatedWorker.ReplicaFiles {
        SimulatedWorker.ReplicaFiles(
            shard: shard,
            range: range,
            disk: disk,
            incoming: incoming?.isCompared ?? false ? nil : incoming,
            isSucceeded: isSucceeded
        )
    }

    /// Whether its partition is open.
    var isServing: Bool { !isStopped && !isSucceeded && !isClosed && !isDamaged }
    /// That it goes by.
    var epoch: Epoch { isSucceeded ? Epoch(0) : group?.epoch ?? firstEpoch }
    var isFrozenInThisLife: Bool { isConfirmed && group?.isFrozen ?? false }
    var isFrozen: Bool { disk.frozenVersion > 0 || group?.isFrozen ?? false }

    /// What the record on disk should say and does not.
    var freezeToNote: UInt64? {
        guard let group, group.version > disk.frozenVersion else { return nil }
        if group.isFrozen { return group.version }
        return disk.frozenVersion > 0 ? 0 : nil
    }

    /// Whether nothing that is in the log waits to be durable or applied.
    private var isFinished: Bool {
        guard let machine, step == nil else { return false }
        let last = disk.last.sequence
        return !machine.hasStep && disk.image.applied.sequence == last && machine.last.sequence == last
    }

    /// Notes where it has ended, once nothing that was ordered waits.
    mutating func noteEnd() {
        guard let group, group.isFrozen, disk.frozenVersion == group.version, isFinished else { return }
        end = ReplicaObservation.End(groupVersion: group.version, sequence: disk.image.applied.sequence)
    }

    mutating func forgetProcess() {
        isStopped = false
        isClosed = false
        isReplacing = false
        takenCopy = nil
        outgoing.removeAll()
        machine = nil
        group = nil
        proposedVersion = nil
        isConfirmed = false
        writes.removeAll()
        queue.removeAll()
        strongReads.removeAll()
        step = nil
        forgetThrough = nil
        taken.removeAll()
        copies.removeAll()
        freezeUnderWay = nil
        end = nil
    }

    /// Another partition takes the place of the one on disk.
    mutating func install(_ image: SimulatedDisk.Image) {
        disk.install(image)
        unsettled = nil
    }

    /// - Parameter now: of the world.
    func observation(_ clock: Duration, now: Duration) -> ReplicaObservation {
        guard !isSucceeded else { return ReplicaObservation(epoch: Epoch(0), state: .failed) }
        let role: ReplicaObservation.Role =
            if let machine, machine.role == .primary {
                .primary
            } else {
                machine?.mayServeReads(now: clock) ?? false ? .secondary : .waiting
            }
        return ReplicaObservation(
            epoch: epoch,
            groupVersion: group?.version ?? 0,
            role: role,
            state: isStopped || isDamaged ? .failed : isClosed ? .opening : .serving,
            faceCount: UInt64(disk.image.faces.count),
            sequence: disk.image.applied.sequence,
            diskByteCount: 1 << 20,
            generation: disk.image.generation,
            olderGeneration: disk.image.olderGeneration,
            copies: copies.filter { $0.value.end > now }.keys.sorted().map {
                ReplicaObservation.Copy(worker: $0, sentByteCount: 0, totalByteCount: 0)
            },
            end: end.flatMap { $0.groupVersion == group?.version ? $0 : nil }
        )
    }
}

extension World {
    func life(_ index: Int, _ replica: Int) -> ReplicaLife {
        ReplicaLife(
            worker: workers[index].name,
            shard: workers[index].replicas[replica].shard,
            session: workers[index].replicas[replica].session
        )
    }

    /// Where the replica of this life is, on a worker that is there.
    private mutating func awake(_ life: ReplicaLife, _ event: Event) -> (worker: Int, replica: Int)? {
        guard let index = awake(life.worker, life: nil, event), let replica = workers[index].replica(of: life.shard),
            workers[index].replicas[replica].session == life.session, workers[index].replicas[replica].machine != nil
        else { return nil }
        return (index, replica)
    }

    mutating func deliver(
        _ message: ReplicaMessage<SimulatedWrite>,
        of shard: ShardID,
        from: NodeID,
        to: NodeID
    ) throws(Violation) {
        guard let index = awake(to, life: nil, .deliver(message, of: shard, from: from, to: to)),
            let replica = workers[index].replica(of: shard)
        else { return }
        note("\(to.low)/\(shard.index) <- \(from.low) \(Self.text(message))")
        let clock = workers[index].clock(now)
        workers[index].replicas[replica].machine?.receive(message, from: from, now: clock)
        try settle(index, replica)
    }

    /// The replica hears of its group.
    ///
    /// - Parameter asked: it was so at this time of the worker's clock at the earliest; nil when that is not known.
    mutating func take(_ group: ReplicaGroup, _ index: Int, _ replica: Int, asked: Duration?) throws(Violation) {
        let clock = workers[index].clock(now)
        if workers[index].replicas[replica].group.map({ $0.version < group.version }) ?? true {
            workers[index].replicas[replica].group = group
            workers[index].replicas[replica].isConfirmed = false
            workers[index].replicas[replica].machine?.configured(group, now: clock)
        }
        if let asked, workers[index].replicas[replica].group?.version == group.version {
            if asked >= workers[index].born { workers[index].replicas[replica].isConfirmed = true }
            workers[index].replicas[replica].machine?.confirmed(version: group.version, asked: asked)
        }
        try settle(index, replica)
    }

    /// Carries out what a machine wants, and has its lane go on.
    mutating func settle(_ index: Int, _ replica: Int) throws(Violation) {
        let name = workers[index].name
        let shard = workers[index].replicas[replica].shard
        for action in workers[index].replicas[replica].machine?.takeActions() ?? [] {
            switch action {
            case .send(let message, let to):
                noteAnswer(message, index, replica)
                transmit(.deliver(message, of: shard, from: name, to: to), from: name, to: to)
            case .load(let first, let member, let epoch):
                let disk = workers[index].replicas[replica].disk
                let durable = workers[index].replicas[replica].machine!.durableLast
                let clock = workers[index].clock(now)
                let items = disk.entries(from: first).filter { $0.sequence <= durable }
                let previous = disk.position(first - 1) ?? .start
                note("\(name.low)/\(shard.index) reads \(items.count) entries from \(first) on for \(member.low)")
                workers[index].replicas[replica].machine!.loaded(
                    items,
                    previous: previous,
                    for: member,
                    in: epoch,
                    now: clock
                )
                try settle(index, replica)
            case .copy(let to): beginCopy(from: index, replica, to: to)
            case .propose(let proposal):
                noteProposal(proposal, index, replica)
                let controller = random.below(controllers.count)
                let event = Event.proposal(
                    name,
                    life: workers[index].life,
                    shard,
                    controller: controller,
                    proposal
                )
                transmit(event, from: name, to: Self.name(ofController: controller))
            case .acknowledge(let ticket, let sequence):
                guard let write = workers[index].replicas[replica].writes.removeValue(forKey: ticket) else { continue }
                if workers[index].replicas[replica].disk.image.isReused(by: write.write) {
                    // Every write has a key of its own.
                    try fail(.keys, "\(name) takes \(write.write) for another write than its own key's")
                }
                note("\(name.low)/\(shard.index) acknowledges \(write.write) at \(sequence)")
                mix(sequence)
                try history.acknowledged(
                    write.write,
                    orderedAs: write.ordered,
                    in: shard,
                    sequence: sequence,
                    by: name,
                    under: workers[index].replicas[replica].machine?.group?.epoch ?? Epoch(0),
                    at: now
                )
                faces.acknowledged(write.write, at: now)
                answer(write, from: name, of: shard, .acknowledged(sequence))
            case .abandon(let ticket):
                guard let write = workers[index].replicas[replica].writes.removeValue(forKey: ticket) else { continue }
                answer(write, from: name, of: shard, .unknown)
            case .tell(let loss):
                note("\(name.low)/\(shard.index) tells \(loss)")
                counts.lossesTold += 1
            }
        }
        try answerConfirmed(index, replica)
        try goOn(index, replica)
    }

    /// The lane takes its next step.
    private mutating func goOn(_ index: Int, _ replica: Int) throws(Violation) {
        let state = workers[index].replicas[replica]
        guard state.machine != nil, state.step == nil, state.freezeUnderWay == nil else { return }
        let name = workers[index].name
        if try replacePartition(index, replica) { return }
        if let version = state.freezeToNote {
            workers[index].replicas[replica].freezeUnderWay = version
            return plan(.freezeNoted(life(index, replica), version: version), after: diskDelay(name))
        }
        if !state.queue.isEmpty, !ordersNothing(state) {
            workers[index].replicas[replica].queue.removeAll()
            for write in state.queue { order(write, index, replica) }
            return try settle(index, replica)
        }
        if let step = workers[index].replicas[replica].machine?.nextStep() {
            let copies = workers[index].replicas[replica].copies
            workers[index].replicas[replica].copies = copies.filter { $0.value.end > now }
            workers[index].replicas[replica].begin(
                step,
                age: workers[index].clock(now) - workers[index].born,
                forgetsCopies: settings.fault == .logCutBehindCopy
            )
            return plan(.stepDone(life(index, replica)), after: diskDelay(name))
        }
        workers[index].replicas[replica].noteEnd()
    }

    /// Whether writes wait at a replica.
    private func ordersNothing(_ replica: SimulatedReplica) -> Bool {
        if settings.fault == .freezeForgotten, replica.shard.index % 2 == 1, replica.end != nil { return false }
        return replica.isFrozen
    }

    /// Puts a write into the log, or the queue.
    mutating func submit(_ write: SimulatedReplica.Write, _ index: Int, _ replica: Int) throws(Violation) {
        let shard = workers[index].replicas[replica].shard
        guard let machine = workers[index].replicas[replica].machine, machine.role == .primary else {
            return answer(write, from: workers[index].name, of: shard, .refused(.notPrimary))
        }
        if ordersNothing(workers[index].replicas[replica]) {
            workers[index].replicas[replica].queue.append(write)
        } else {
            order(write, index, replica)
        }
        try settle(index, replica)
    }

    private mutating func order(_ write: SimulatedReplica.Write, _ index: Int, _ replica: Int) {
        var write = write
        let (name, shard) = (workers[index].name, workers[index].replicas[replica].shard)
        if case .coordinator(_, let epoch) = write.caller, workers[index].replicas[replica].group?.epoch != epoch {
            return answer(write, from: name, of: shard, .refused(.notPrimary))
        }
        // What does not fit on every disk that counts is not to come into the log.
        let isFull = isFull(workers[index].name) || workers[index].replicas[replica].machine?.fullReplica != nil
        if write.write.isFace, isFull {
            return answer(write, from: name, of: shard, .refused(WireStatus(.storageFull, "no room")))
        }
        write.ordered = workers[index].replicas[replica].disk.image.rest(of: write.write)
        if write.ordered.key != write.write.key {
            note("\(name.low)/\(shard.index) orders \(write.ordered), the rest of \(write.write)")
            counts.restsOrdered += 1
        }
        workers[index].replicas[replica].nextTicket += 1
        let ticket = WriteTicket(workers[index].replicas[replica].nextTicket)
        let clock = workers[index].clock(now)
        do throws(WriteRefusal) {
            try workers[index].replicas[replica].machine?.submit(
                write.ordered,
                byteCount: SimulatedReplica.entryByteCount,
                as: ticket,
                isDeletion: write.write.value == nil,
                now: clock
            )
            workers[index].replicas[replica].writes[ticket] = write
        } catch {
            let status =
                switch error {
                case .notPrimary: WireStatus.notPrimary
                case .tooFewInSync: WireStatus(.unavailable, "too few in sync", retryAfterMilliseconds: 500)
                }
            answer(write, from: name, of: shard, .refused(status))
        }
    }

    mutating func freezeNoted(_ life: ReplicaLife, version: UInt64) throws(Violation) {
        guard let (index, replica) = awake(life, .freezeNoted(life, version: version)) else { return }
        if diskFails(life.worker) { return try failFreeze(index, replica, version: version) }
        workers[index].replicas[replica].disk.frozenVersion = version
        workers[index].replicas[replica].freezeUnderWay = nil
        workers[index].replicas[replica].end = nil
        try settle(index, replica)
    }

    mutating func stepDone(_ life: ReplicaLife) throws(Violation) {
        guard let (index, replica) = awake(life, .stepDone(life)) else { return }
        let hasFaces = workers[index].replicas[replica].step?.append.contains { $0.payload.isFace } ?? false
        if hasFaces, isSpent(life.worker) {
            counts.fullSteps += 1
            note("\(life.worker.low)/\(life.shard.index) has no room")
            // Until there is, it stays silent; nothing of the step is there.
            workers[index].replicas[replica].machine!.stop()
            try settleLast(index, replica)
            return plan(
                .roomSought(ReplicaLife(worker: life.worker, shard: life.shard, session: -1)),
                after: .seconds(1)
            )
        }
        if diskFails(life.worker) { return try failStep(index, replica) }
        try commit(index, replica)
        let clock = workers[index].clock(now)
        workers[index].replicas[replica].machine!.stored(now: clock)
        try settle(index, replica)
    }

    /// A machine that was told to stop has its last say.
    mutating func settleLast(_ index: Int, _ replica: Int) throws(Violation) {
        workers[index].replicas[replica].step = nil
        workers[index].replicas[replica].freezeUnderWay = workers[index].replicas[replica].freezeUnderWay ?? 0
        try settle(index, replica)
        workers[index].replicas[replica].freezeUnderWay = nil
        workers[index].replicas[replica].machine = nil
        workers[index].replicas[replica].end = nil
    }

    mutating func seekRoom(_ life: ReplicaLife) throws(Violation) {
        guard let index = awake(life.worker, life: nil, .roomSought(life)),
            let replica = workers[index].replica(of: life.shard), workers[index].replicas[replica].machine == nil,
            workers[index].replicas[replica].isServing
        else { return }
        guard !isSpent(life.worker) else { return plan(.roomSought(life), after: .seconds(1)) }
        try begin(index, replica)
    }

    /// The disk has the step under way, or as much of it as is said.
    mutating func commit(_ index: Int, _ replica: Int, _ fate: StepFate = .all) throws(Violation) {
        guard var step = workers[index].replicas[replica].step else { return }
        workers[index].replicas[replica].step = nil
        if fate == .nothing { return }
        if fate == .begun { step = cutShort(step, of: workers[index].replicas[replica].disk) }
        workers[index].replicas[replica].unsettled = nil
        let (name, shard) = (workers[index].name, workers[index].replicas[replica].shard)
        let before = workers[index].replicas[replica].disk.image.applied
        var applied: [LogItem<SimulatedWrite>] = []
        workers[index].replicas[replica].disk.commit(step, fault: settings.fault) { applied.append($0) }
        for item in applied { try history.applied(item, in: shard, by: name, at: now) }
        if settings.fault == .stepsMixed, fate == .begun {
            workers[index].replicas[replica].disk.image.applied = before
        }
        noteChanges(applied.flatMap(\.payload.faces.faces), of: shard, on: index)
        workers[index].replicas[replica].forget()
    }

    // MARK: Copies

    private mutating func beginCopy(from index: Int, _ replica: Int, to: NodeID) {
        if settings.hasCopyParts { return offerCopy(from: index, replica, to: to) }
        if let copy = workers[index].replicas[replica].copies[to], copy.end > now { return }
        let (name, state) = (workers[index].name, workers[index].replicas[replica])
        // It is made on the disk that it is a copy of.
        guard !isFull(name) else { return }
        let image = copiedImage(of: state)
        workers[index].replicas[replica].copies[to] = (now + .seconds(1), image.applied.sequence)
        counts.copies += 1
        let epoch = state.machine?.group?.epoch ?? Epoch(0)
        let time = random.duration(.milliseconds(5), .milliseconds(400))
        transmit(
            .copy(image, of: state.shard, epoch: epoch, from: name, to: to),
            from: name,
            to: to,
            after: time + (isSlow(name) ? diskDelay(name) : .zero)
        )
    }

    /// What a copy of a replica brings.
    func copiedImage(of replica: SimulatedReplica) -> SimulatedDisk.Image {
        var image = replica.disk.image
        if settings.fault == .tombstonesForgotten,
            let face = (0..<SimulatedClient.faceCount).first(where: { image.faces[$0] == nil })
        {
            image.faces[face] = 0
        }
        return image
    }

    mutating func copy(
        _ image: SimulatedDisk.Image,
        of shard: ShardID,
        _ epoch: Epoch,
        from: NodeID,
        to: NodeID
    ) throws(Violation) {
        guard let index = awake(to, life: nil, .copy(image, of: shard, epoch: epoch, from: from, to: to)),
            let replica = workers[index].replica(of: shard), !isFull(to),
            workers[index].replicas[replica].machine?.mayTake(copyAt: image.applied, from: epoch) ?? false
        else { return }
        note("\(to.low)/\(shard.index) takes a copy as of \(image.applied.sequence)")
        workers[index].replicas[replica].disk.install(image)
        workers[index].replicas[replica].partition += 1
        try begin(index, replica)
    }

    // MARK: Lives

    /// The worker gets a replica.
    mutating func add(
        _ replica: SimulatedReplica,
        to index: Int,
        isNew: Bool,
        _ group: ReplicaGroup
    ) throws(Violation) {
        workers[index].replicas.append(replica)
        let place = workers[index].replicas.count - 1
        workers[index].replicas[place].group = group
        try begin(index, place, isNew: isNew)
    }

    /// The replica goes by the log from what its disk has.
    mutating func begin(_ index: Int, _ replica: Int, isNew: Bool = false) throws(Violation) {
        guard !workers[index].replicas[replica].isDamaged else { return }
        try checkMemory(index, replica)
        let name = workers[index].name
        for action in workers[index].replicas[replica].machine?.takeActions() ?? [] {
            if case .abandon(let ticket) = action { workers[index].replicas[replica].writes[ticket] = nil }
        }
        let clock = workers[index].clock(now)
        // What is opened has been synced.
        if settings.fault != .openedUnsynced { workers[index].replicas[replica].unsettled = nil }
        workers[index].replicas[replica].strongReads.removeAll()
        workers[index].replicas[replica].isStopped = false
        workers[index].replicas[replica].machine = ReplicaStateMachine(
            node: name,
            log: workers[index].replicas[replica].disk.log,
            timings: settings.timings,
            now: clock,
            isNew: isNew,
            bug: settings.replicaBug,
            trustsDisk: settings.course.trustsDisks
        )
        workers[index].replicas[replica].beginLog(length: settings.logLength)
        workers[index].replicas[replica].session = workers[index].nextSession()
        workers[index].replicas[replica].step = nil
        workers[index].replicas[replica].freezeUnderWay = nil
        workers[index].replicas[replica].end = nil
        codeAgain(index, replica)
        // Only a process that has lost its memory does not know its group.
        guard let group = workers[index].replicas[replica].group else { return }
        workers[index].replicas[replica].machine?.configured(group, now: clock)
        try settle(index, replica)
    }

    /// The lane ends after the commit under way, and refuses what waits.
    mutating func stop(_ index: Int, _ replica: Int) throws(Violation) {
        workers[index].replicas[replica].isStopped = true
        guard workers[index].replicas[replica].machine != nil else { return }
        if !isSpent(workers[index].name) {
            try commit(index, replica, diskFails(workers[index].name) ? .nothing : .all)
        }
        workers[index].replicas[replica].machine?.stop()
        refuseQueue(index, replica)
        try settleLast(index, replica)
        workers[index].replicas[replica].session = workers[index].nextSession()
    }

    /// Nothing of what waits is done.
    mutating func refuseQueue(_ index: Int, _ replica: Int) {
        let waiting = workers[index].replicas[replica].queue
        workers[index].replicas[replica].queue.removeAll()
        let (name, shard) = (workers[index].name, workers[index].replicas[replica].shard)
        for write in waiting { answer(write, from: name, of: shard, .refused(.unknownReplica)) }
    }
}
