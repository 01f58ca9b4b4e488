import ClusterModel
import ShardReplication
import VectorMath

/// A client with one write under way at a time; an attempt that fails is made again under the same key.
struct SimulatedClient: Sendable {
    static let faceCount = 8

    /// As it last asked for it.
    var group: ReplicaGroup
    var write: SimulatedWrite?
    var attempt = 0
    var attemptsLeft = 0
    /// Whether every attempt so far was refused.
    var isRefused = true
    /// Of its last acknowledged write.
    var token: UInt64 = 0
}

extension World {
    mutating func clientTurn(_ index: Int) {
        guard !isQuiet else { return }
        // It asks for the shard map now and then, and after every failure.
        if random.chance(0.3) { clients[index].group = group }
        if random.chance(0.4) {
            let map = clients[index].group
            if let worker = random.pick(map.inSync) {
                plan(.clientRead(worker, token: random.chance(0.5) ? clients[index].token : 0), after: delay())
            }
            return plan(.clientTurn(index), after: random.duration(.milliseconds(1), .milliseconds(30)))
        }
        let face = random.below(SimulatedClient.faceCount)
        clients[index].write = SimulatedWrite(key: nextKey, face: face, value: random.chance(0.35) ? nil : nextKey)
        clients[index].attemptsLeft = 12
        clients[index].isRefused = true
        nextKey += 1
        attempt(index)
    }

    private mutating func attempt(_ index: Int) {
        guard let write = clients[index].write else { return }
        clients[index].attempt += 1
        clients[index].attemptsLeft -= 1
        let attempt = clients[index].attempt
        let primary = clients[index].group.primary
        if isFaulty, random.chance(settings.lossRate) {
            note("a write to \(primary.low) is lost")
        } else {
            plan(.clientWrite(index, attempt: attempt, write, to: primary), after: delay())
        }
        plan(.clientDeadline(index, attempt: attempt), after: .milliseconds(1500))
    }

    mutating func clientWrite(
        _ index: Int,
        _ attempt: Int,
        _ write: SimulatedWrite,
        _ name: NodeID
    ) throws(Violation) {
        guard let worker = awake(name, life: nil, .clientWrite(index, attempt: attempt, write, to: name)) else {
            return
        }
        // The driver's part: what needs room must find it on every disk that counts.
        if write.isFace, workers[worker].fullEnd > now || workers[worker].machine.fullReplica != nil {
            return answer(index, attempt, .refused)
        }
        workers[worker].nextTicket += 1
        let ticket = WriteTicket(workers[worker].nextTicket)
        do throws(WriteRefusal) {
            try workers[worker].machine.submit(
                write,
                byteCount: 100,
                as: ticket,
                isDeletion: !write.isFace,
                now: workers[worker].clock(now)
            )
            workers[worker].writes[ticket] = (index, attempt, write)
        } catch {
            answer(index, attempt, .refused)
        }
        try settle(worker)
    }

    mutating func answer(_ client: Int, _ attempt: Int, _ reply: ClientReply) {
        if isFaulty, random.chance(settings.lossRate) { return }
        plan(.clientReply(client, attempt: attempt, reply), after: delay())
    }

    mutating func clientReply(_ index: Int, _ attempt: Int, _ reply: ClientReply) {
        guard clients[index].attempt == attempt, let write = clients[index].write else { return }
        switch reply {
        case .acknowledged(let sequence):
            clients[index].token = max(clients[index].token, sequence)
            counts.acknowledged += 1
            return endWrite(index)
        case .refused: break
        case .unknown: clients[index].isRefused = false
        }
        clients[index].group = group
        guard clients[index].attemptsLeft > 0 else {
            if clients[index].isRefused {
                history.rejected(write)
                counts.rejected += 1
            } else {
                counts.unknown += 1
            }
            return endWrite(index)
        }
        // Whatever else comes of this attempt is too late.
        clients[index].attempt += 1
        plan(
            .clientRetry(index, attempt: clients[index].attempt),
            after: random.duration(.milliseconds(5), .milliseconds(300))
        )
    }

    mutating func clientRetry(_ index: Int, _ number: Int) {
        if clients[index].attempt == number { attempt(index) }
    }

    private mutating func endWrite(_ index: Int) {
        clients[index].write = nil
        plan(.clientTurn(index), after: random.duration(.milliseconds(1), .milliseconds(20)))
    }

    mutating func clientRead(_ name: NodeID, _ token: UInt64) throws(Violation) {
        guard let index = awake(name, life: nil, .clientRead(name, token: token)) else { return }
        let worker = workers[index]
        guard worker.machine.mayServeReads(now: worker.clock(now)) else {
            counts.refusedReads += 1
            return
        }
        // The driver's part: a read with a token is for a replica that has applied it.
        guard worker.disk.image.applied.sequence >= token else {
            counts.refusedReads += 1
            return
        }
        try checkRead(of: worker)
    }

    /// A replica answers a read: it must not miss what had to be shown.
    private mutating func checkRead(of worker: SimulatedWorker) throws(Violation) {
        // Of a primary whose disk went back, while those that know it are silent: it cannot be noticed.
        if rolledBack[worker.name] != nil, worker.machine.isUnheard {
            counts.unnoticedReads += 1
            return
        }
        counts.reads += 1
        if worker.machine.isUnheard { counts.unheardReads += 1 }
        try history.read(
            worker.disk.image,
            by: worker.name,
            at: now,
            staleness: settings.timings.staleness * (1 + 4 * settings.timings.clockError)
        )
    }

    // MARK: Checks

    mutating func audit() throws(Violation) {
        plan(.audit, after: .milliseconds(100))
        for worker in workers where worker.isUp {
            try history.check(worker.disk.image, of: worker.name, at: now)
            mix(worker.disk.image.applied.sequence)
            // Somebody may still go by a shard map in which this one was in sync.
            guard worker.pauseEnd <= now, worker.machine.mayServeReads(now: worker.clock(now)) else { continue }
            try checkRead(of: worker)
        }
    }
}
