import ClusterModel
import MienClient
import ShardReplication
import VectorMath
import WireProtocol

/// What a client asks a replica to have applied, and what of its own must then be there.
struct SimulatedToken: Hashable, Sendable {
    var sequence: UInt64 = 0
    /// Keys of its last acknowledged writes of faces of the shard, by face, whatever shards took those writes.
    var keys: [Int: UInt64] = [:]
}

/// A client with one write under way at a time; an attempt that fails is made again under the same key, by the rules of
/// the Swift client.
struct SimulatedClient: Sendable {
    static let faceCount = 8

    /// The shards, as it last asked for them.
    var map: [ShardPlacement]
    var write: SimulatedWrite?
    var attempt = 0
    /// The coordinator that it asks.
    var coordinator = 0
    /// How many times as fast as the cluster's its time goes: a run is short, and what breaks promises is that writes
    /// come again, and often.
    var haste = 1.0
    /// When the write under way was first called for, how often it has been, and when it was last.
    var began = Duration.zero
    var callCount = 0
    var callBegan = Duration.zero
    /// Of that call.
    var attempts = CallAttempts(peerCount: 1, timeout: .zero, retryDuration: .zero)
    var timeout = Duration.zero
    /// Of its last acknowledged write to each shard.
    var tokens: [ShardID: UInt64] = [:]
    /// Keys of its last acknowledged writes, by face.
    var ownKeys: [Int: UInt64] = [:]

    /// Faces lie evenly on the ring.
    static func position(of face: Int) -> UInt64 { UInt64(face) << 61 | 1 << 60 }

    func token(for placement: ShardPlacement) -> SimulatedToken {
        let own = ownKeys.filter { placement.range.contains(Self.position(of: $0.key)) }
        return SimulatedToken(sequence: tokens[placement.shard] ?? 0, keys: own)
    }

    func placement(of face: Int) -> ShardPlacement? { map.first { $0.range.contains(Self.position(of: face)) } }
}

extension World {
    mutating func clientTurn(_ index: Int) {
        guard !isQuiet else { return }
        // It asks for the shard map now and then, and after every failure.
        if random.chance(0.3) { clients[index].map = placements }
        if random.chance(0.4) {
            if let placement = random.pick(clients[index].map), let worker = random.pick(placement.group.inSync) {
                let token = random.chance(0.5) ? clients[index].token(for: placement) : SimulatedToken()
                plan(.clientRead(worker, of: placement.shard, token), after: delay())
            }
            return plan(.clientTurn(index), after: random.duration(.milliseconds(1), .milliseconds(30)))
        }
        let face = random.below(SimulatedClient.faceCount)
        let write = SimulatedWrite(
            key: nextKey,
            faces: FaceSet(face: face).union(moreFaces()),
            value: random.chance(0.35) ? nil : nextKey
        )
        clients[index].write = write
        clients[index].began = now
        (clients[index].callCount, clients[index].callBegan) = (1, now)
        clients[index].haste = 1 + 31 * random.unit() * random.unit()
        clients[index].timeout = random.duration(.seconds(4), .seconds(200))
        clients[index].attempts = CallAttempts(
            peerCount: settings.course.aim == .routers ? controllers.count : 1,
            timeout: clients[index].timeout,
            retryDuration: random.duration(.seconds(4), .seconds(200))
        )
        nextKey += 1
        faces.began(write, at: now)
        attempt(index)
    }

    private mutating func attempt(_ index: Int) {
        if settings.course.aim == .routers { return sendToCoordinator(index) }
        guard let write = clients[index].write, let face = write.faces.faces.first,
            let placement = clients[index].placement(of: face)
        else { return }
        clients[index].attempt += 1
        let attempt = clients[index].attempt
        let primary = placement.primary
        if isFaulty, random.chance(settings.lossRate) {
            note("a write to \(primary.low) is lost")
        } else {
            plan(.clientWrite(index, attempt: attempt, write, of: placement.shard, to: primary), after: delay())
        }
        plan(.clientDeadline(index, attempt: attempt), after: .milliseconds(1500))
    }

    mutating func clientWrite(
        _ index: Int,
        _ attempt: Int,
        _ write: SimulatedWrite,
        of shard: ShardID,
        _ name: NodeID
    ) throws(Violation) {
        let event = Event.clientWrite(index, attempt: attempt, write, of: shard, to: name)
        guard let worker = awake(name, life: nil, event) else { return }
        guard let replica = workers[worker].replica(of: shard) else {
            return answer(index, attempt, shard, .refused(.unknownReplica))
        }
        try submit(SimulatedReplica.Write(caller: .client(index, attempt: attempt), write: write), worker, replica)
    }

    mutating func answer(_ client: Int, _ attempt: Int, _ shard: ShardID, _ reply: ClientReply) {
        if isFaulty, random.chance(settings.lossRate) { return }
        plan(.clientReply(client, attempt: attempt, shard, reply), after: delay())
    }

    /// - Parameter shard: that answers; nil when none has.
    mutating func clientReply(_ index: Int, _ attempt: Int, _ shard: ShardID?, _ reply: ClientReply) {
        guard clients[index].attempt == attempt, let write = clients[index].write else { return }
        switch reply {
        case .acknowledged(let sequence):
            if let shard { clients[index].tokens[shard] = max(clients[index].tokens[shard] ?? 0, sequence) }
            for face in write.faces.faces { clients[index].ownKeys[face] = write.key }
            counts.acknowledged += 1
            endWrite(index)
        case .refused: writeFailed(index, WireStatus(.unavailable, "not acknowledged").withoutEffect)
        case .unknown: writeFailed(index, WireStatus(.unavailable, "not acknowledged"))
        }
    }

    /// An attempt at a client's write has failed.
    mutating func writeFailed(_ index: Int, _ failure: WireStatus) {
        guard let write = clients[index].write else { return }
        clients[index].map = placements
        let (least, most) = (CallAttempts.spread.lowerBound, CallAttempts.spread.upperBound)
        let spread = least + random.unit() * (most - least)
        let elapsed = (now - clients[index].callBegan) * clients[index].haste
        switch clients[index].attempts.next(after: failure, elapsed: elapsed, spread: spread) {
        case .fail(let end):
            let hasNoEffect =
                end.hasNoEffect || (settings.fault == .earlierAttemptsForgotten && failure.hasNoEffect)
            // What is told of a later call is not told of those before it.
            if hasNoEffect, clients[index].callCount == 1 {
                history.rejected(write)
                faces.rejected(write)
                counts.rejected += 1
            } else {
                if callAgain(index) { return }
                counts.unknown += 1
            }
            endWrite(index)
        case .again(let pause):
            // Whatever else comes of this attempt is too late.
            clients[index].attempt += 1
            clients[index].coordinator = (clients[index].coordinator + 1) % controllers.count
            plan(.clientRetry(index, attempt: clients[index].attempt), after: pause / clients[index].haste)
        }
    }

    /// Most writes of unknown outcome are called for again, under their keys: then one ends as it may have before.
    ///
    /// - Returns: whether it is called for.
    private mutating func callAgain(_ index: Int) -> Bool {
        guard settings.course.aim == .routers, callRandom.chance(0.7) else { return false }
        let pause = callRandom.duration(.milliseconds(1), .seconds(2))
        counts.callsAgain += 1
        clients[index].callCount += 1
        clients[index].callBegan = now + pause
        clients[index].timeout = callRandom.duration(.seconds(4), .seconds(200))
        clients[index].attempts = CallAttempts(
            peerCount: controllers.count,
            timeout: clients[index].timeout,
            retryDuration: callRandom.duration(.seconds(4), .seconds(200))
        )
        clients[index].attempt += 1
        clients[index].coordinator = (clients[index].coordinator + 1) % controllers.count
        plan(.clientRetry(index, attempt: clients[index].attempt), after: pause)
        return true
    }

    mutating func clientRetry(_ index: Int, _ number: Int) {
        if clients[index].attempt == number { attempt(index) }
    }

    mutating func endWrite(_ index: Int) {
        clients[index].write = nil
        plan(.clientTurn(index), after: random.duration(.milliseconds(1), .milliseconds(20)))
    }

    mutating func clientRead(_ name: NodeID, of shard: ShardID, _ token: SimulatedToken) throws(Violation) {
        guard let index = awake(name, life: nil, .clientRead(name, of: shard, token)) else { return }
        let clock = workers[index].clock(now)
        // The driver's part: a read with a token is for a replica that has applied it.
        guard let place = workers[index].replica(of: shard),
            workers[index].replicas[place].machine?.mayServeReads(now: clock) ?? false,
            workers[index].replicas[place].disk.image.applied.sequence >= token.sequence
                || settings.fault == .tokensIgnored
        else {
            counts.refusedReads += 1
            return
        }
        try checkToken(token, workers[index].replicas[place], by: name)
        try checkRead(of: workers[index].replicas[place], by: name)
    }

    /// A replica answers who has written what it must have.
    func checkToken(_ token: SimulatedToken, _ replica: SimulatedReplica, by name: NodeID) throws(Violation) {
        guard let machine = replica.machine, !goesUnnoticed(machine, on: name),
            let missing = token.keys.sorted(by: { $0.key < $1.key })
                .first(where: { !replica.disk.image.tells(of: $0.key, under: $0.value) })
        else { return }
        let details = "\(name) answered for \(replica.shard.index) without the write \(missing.value) of who asked"
        try fail(.readYourWrites, details)
    }

    /// Of a primary whose disk went back, while those that know it are silent: it cannot be noticed.
    func goesUnnoticed(_ machine: ReplicaStateMachine<SimulatedWrite>, on name: NodeID) -> Bool {
        rolledBack[name] != nil && machine.isUnheard
    }

    /// A replica answers a read: it must not miss what had to be shown.
    mutating func checkRead(of replica: SimulatedReplica, by name: NodeID) throws(Violation) {
        if let machine = replica.machine, goesUnnoticed(machine, on: name) {
            counts.unnoticedReads += 1
            return
        }
        counts.reads += 1
        if replica.machine?.isUnheard ?? false { counts.unheardReads += 1 }
        lastShown[replica.shard] = max(lastShown[replica.shard] ?? 0, replica.disk.image.applied.sequence)
        try history.read(
            replica.disk.image,
            of: replica.shard,
            by: name,
            at: now,
            staleness: settings.timings.staleness * (1 + 4 * settings.timings.clockError)
        )
    }

    // MARK: Checks

    mutating func audit() throws(Violation) {
        plan(.audit, after: .milliseconds(100))
        for worker in workers where worker.isUp {
            for replica in worker.replicas where replica.isServing {
                try history.check(replica.disk.image, in: replica.shard, of: worker.name, at: now)
                mix(replica.disk.image.applied.sequence)
                // Somebody may still go by a shard map in which this one was in sync.
                guard worker.pauseEnd <= now, replica.machine?.mayServeReads(now: worker.clock(now)) ?? false else {
                    continue
                }
                try checkRead(of: replica, by: worker.name)
            }
        }
        for placement in placements { try checkFullReplica(of: placement) }
    }

    /// A shard never has fewer than one replica in sync that has every acknowledged write, or can at once have it.
    private func checkFullReplica(of placement: ShardPlacement) throws(Violation) {
        let needed = history.highestAcknowledged(in: placement.shard)
        let hasOne = placement.group.inSync.contains { member in
            guard let index = index(of: member) else { return false }
            if let strike, strike.cell.role != .workers, !workers[index].isUp { return false }
            if let replica = workers[index].replica(of: placement.shard) {
                return workers[index].replicas[replica].disk.image.applied.sequence >= needed
            }
            guard let successor = workers[index].successor(of: placement.shard) else { return false }
            return workers[index].successors[successor].phase == .sealed
        }
        guard hasOne else { return try fail(.fullReplica, "no replica of \(placement.shard.index) is whole") }
    }
}
