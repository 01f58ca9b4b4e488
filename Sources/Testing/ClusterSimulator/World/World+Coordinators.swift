import ClusterModel
import ClusterState
import QueryRouter
import ShardReplication
import VectorMath
import WireProtocol

/// Writes of clients through coordinators, which do what the real router's machine says.
///
/// Calls go over connections: a request is handed over once at most as long as its answer may come. What is lost takes
/// its connection along, and whoever waits is told so sooner or later; what comes twice comes over a connection that
/// breaks before the answer.
extension World {
    /// Further faces of a client's write.
    mutating func moreFaces() -> FaceSet {
        guard settings.course.aim == .routers, random.chance(0.5) else { return [] }
        return FaceSet(faces: (0...random.below(3)).map { _ in random.below(SimulatedClient.faceCount) })
    }

    /// Sends an event over a connection.
    ///
    /// - Returns: whether it arrives.
    private mutating func pass(_ event: Event, from: NodeID, to: NodeID) -> Bool {
        guard !isCut(Link(from: from, to: to)), !isFaulty || !random.chance(settings.lossRate) else { return false }
        plan(event, after: delay(from, to))
        return true
    }

    private mutating func isTorn() -> Bool { isFaulty && random.chance(settings.repeatRate) }

    private mutating func timeToNotice() -> Duration { random.duration(.milliseconds(5), .seconds(2)) }

    // MARK: At the client

    mutating func sendToCoordinator(_ index: Int) {
        guard let write = clients[index].write else { return }
        clients[index].attempt += 1
        let client = clients[index]
        let deadline = client.callBegan + client.timeout / client.haste
        // The first attempt is sent at once.
        let age = settings.fault == .agesForgotten ? .zero : now - client.began
        let call = CoordinatorCall(client: index, attempt: client.attempt, isTorn: isTorn())
        let routed = RoutedWrite(call, write, age: age, controller: client.coordinator, deadline: deadline)
        let (from, to) = (Self.name(ofClient: index), Self.name(ofController: client.coordinator))
        let isSent = pass(.routedWrite(routed), from: from, to: to)
        if call.isTorn { _ = pass(.routedWrite(routed), from: from, to: to) }
        if !isSent || call.isTorn { loseCall(call) }
        plan(
            .routedAnswer(index, attempt: call.attempt, .failure(WireStatus(.deadlineExceeded, "no answer"))),
            after: max(.zero, deadline - now)
        )
    }

    /// The client's connection to its coordinator is gone.
    private mutating func loseCall(_ call: CoordinatorCall) {
        plan(
            .routedAnswer(call.client, attempt: call.attempt, .failure(.connectionLost)),
            after: timeToNotice()
        )
    }

    mutating func routedAnswer(
        _ index: Int,
        _ attempt: Int,
        _ answer: Result<[ShardID: UInt64], WireStatus>
    ) throws(Violation) {
        guard clients[index].attempt == attempt, let write = clients[index].write else { return }
        switch answer {
        case .success(let sequences):
            try history.toldAsAcknowledged(write, at: now)
            clients[index].tokens.merge(sequences) { max($0, $1) }
            for face in write.faces.faces { clients[index].ownKeys[face] = write.key }
            counts.acknowledged += 1
            if clients[index].callCount > 1 { counts.settledAgain += 1 }
            endWrite(index)
        case .failure(let status): writeFailed(index, status)
        }
    }

    // MARK: At the coordinator

    mutating func route(_ request: RoutedWrite) throws(Violation) {
        let index = request.controller
        guard controllers[index].isUp, controllers[index].metadata != nil else {
            return answer(request, .failure(.noProcess))
        }
        nextRoutedWrite += 1
        var write = request
        (write.life, write.began) = (controllers[index].life, now)
        routedWrites[nextRoutedWrite] = write
        beginRound(of: nextRoutedWrite)
    }

    private mutating func answer(_ write: RoutedWrite, _ answer: Result<[ShardID: UInt64], WireStatus>) {
        guard !write.call.isTorn else { return }
        let (from, to) = (Self.name(ofController: write.controller), Self.name(ofClient: write.call.client))
        let event = Event.routedAnswer(write.call.client, attempt: write.call.attempt, answer)
        let isSent = pass(event, from: from, to: to)
        if !isSent { loseCall(write.call) }
        // An answer that comes twice counts once.
        if isSent, isTorn() { _ = pass(event, from: from, to: to) }
    }

    /// The write, if its coordinator lives; one whose coordinator has died is forgotten.
    private mutating func underWay(_ id: Int) -> RoutedWrite? {
        guard let write = routedWrites[id] else { return nil }
        guard lives(write.controller, write.life) else {
            routedWrites[id] = nil
            return nil
        }
        return write
    }

    /// The write, if what a call is about is still waited for.
    private mutating func underWay(_ call: PartCall) -> RoutedWrite? {
        guard let write = underWay(call.write), write.round == call.round, write.parts[call.part].number == call.number,
            !write.parts[call.part].isOver
        else { return nil }
        return write
    }

    /// Divides the write by the newest map that its coordinator knows.
    private mutating func beginRound(of id: Int) {
        guard let write = routedWrites[id], let map = controllers[write.controller].metadata?.shardMap else { return }
        if settings.fault == .earlierRoundsForgotten {
            routedWrites[id]!.machine = WriteStateMachine(age: write.age, options: SimulatedRouter.options)
        }
        let faces = write.write.faces.faces
        let parts = map.divide(faces.count, in: Self.collection) { SimulatedClient.position(of: faces[$0]) }
        let end = now - write.began + SimulatedRouter.options.shardTime(of: max(.zero, write.deadline - now))
        routedWrites[id]!.round += 1
        routedWrites[id]!.parts = parts.map { RoutedWrite.Part(batch: $0) }
        routedWrites[id]!.machine.beginRound(parts, rowCount: faces.count, collection: "simulated", end: end)
        counts.routedRounds += 1
        for part in parts.indices {
            controllers[write.controller].router.overloadRetries.noteRequest()
            step(id, part, .begun(place(of: parts[part].placement, map, for: write.controller)))
        }
    }

    private func place(of placement: ShardPlacement, _ map: ShardMap, for controller: Int) -> ShardPlace {
        ShardPlace(
            placement,
            address: map.addresses[placement.primary],
            presence: presence(of: placement.primary, for: controller)
        )
    }

    /// Tells the machine what has happened at a shard, and does what it says.
    private mutating func step(_ id: Int, _ part: Int, _ event: PrimaryAttempts.Event) {
        guard let write = underWay(id) else { return }
        routedWrites[id]!.parts[part].isAsking = false
        var retries = controllers[write.controller].router.overloadRetries
        let action = routedWrites[id]!.machine.event(event, ofPart: part, now: now - write.began) { status in
            status != .overloaded || retries.take()
        }
        controllers[write.controller].router.overloadRetries = retries
        routedWrites[id]!.attemptCount += 1
        let call = PartCall(
            write: id,
            round: write.round,
            part: part,
            number: write.attemptCount + 1,
            isTorn: isTorn()
        )
        routedWrites[id]!.parts[part].number = call.number
        switch action {
        case .ask(let target): ask(target, call)
        case .look(let status):
            if status.retry == .refreshAndRetry { ask(.read, write.controller) }
            // What was asked for is there by then, or was not to be had.
            let isQuick = status.retry != .refreshAndRetry || random.chance(0.3)
            plan(.partLook(call), after: isQuick ? .zero : random.duration(.milliseconds(1), .milliseconds(20)))
        case .wait(let pause): plan(.partLook(call), after: pause)
        case .end: end(id, part)
        }
    }

    private mutating func ask(_ target: ShardTarget, _ call: PartCall) {
        guard let write = routedWrites[call.write] else { return }
        counts.routedAttempts += 1
        routedWrites[call.write]!.parts[call.part].isAsking = true
        routedWrites[call.write]!.parts[call.part].worker = target.worker
        let positions = write.parts[call.part].batch.positions
        let faces = write.write.faces.faces
        var request = write.write
        request.faces = FaceSet(faces: positions.map { faces[$0] })
        if settings.fault == .otherKeyOnRetry, call.number > write.parts.count {
            request.key += UInt64(call.number) << 40
        }
        let age = routedWrites[call.write]!.machine.age(ofPart: call.part, now: now - write.began)
        let shard = ShardRoute(shard: target.placement.shard, epoch: target.placement.epoch)
        let (from, to) = (Self.name(ofController: write.controller), target.worker)
        note("controller \(write.controller) sends \(request) to \(to.low)/\(shard.shard.index), age \(age)")
        let event = Event.partAsked(call, request, shard, age: age, to: to)
        let isSent = pass(event, from: from, to: to)
        if call.isTorn { _ = pass(event, from: from, to: to) }
        if !isSent || call.isTorn { plan(.partAnswered(call, .failure(.connectionLost)), after: timeToNotice()) }
        let late = WireStatus(.deadlineExceeded, "no answer")
        plan(.partAnswered(call, .failure(late)), after: max(.zero, write.began + target.deadline - now))
        plan(.partCheck(call), after: SimulatedRouter.options.moveCheckInterval)
    }

    /// Whether the shard has got another primary meanwhile.
    mutating func partCheck(_ call: PartCall) {
        guard let write = underWay(call), write.parts[call.part].isAsking,
            let map = controllers[write.controller].metadata?.shardMap
        else { return }
        let newest = map.placement(of: write.parts[call.part].batch.placement.shard)
        if write.machine.isOvertaken(part: call.part, by: newest) {
            counts.routedOvertaken += 1
            return step(call.write, call.part, .overtaken)
        }
        plan(.partCheck(call), after: SimulatedRouter.options.moveCheckInterval)
    }

    mutating func partLook(_ call: PartCall) {
        guard let write = underWay(call), let map = controllers[write.controller].metadata?.shardMap else { return }
        let newest = map.placement(of: write.parts[call.part].batch.placement.shard)
        step(call.write, call.part, .looked(newest.map { place(of: $0, map, for: write.controller) }))
    }

    mutating func partAnswered(_ call: PartCall, _ answer: Result<UInt64, WireStatus>) {
        guard let write = underWay(call), write.parts[call.part].isAsking else { return }
        switch answer {
        case .success(let sequence):
            let rowCount = write.parts[call.part].batch.positions.count
            routedWrites[call.write]!.machine.acknowledged(part: call.part, rowCount: rowCount, sequence: sequence)
            if settings.fault == .otherPartsForgotten {
                self.answer(write, .success([write.parts[call.part].batch.placement.shard: sequence]))
                routedWrites[call.write] = nil
                return
            }
            end(call.write, call.part)
        case .failure(var status):
            let isUnknown = status.code == .unavailable || status.code == .deadlineExceeded
            if settings.fault == .unknownToldAsRejected, isUnknown { status.hasNoEffect = true }
            step(call.write, call.part, .failed(status, absence: nil))
        }
    }

    /// A part has come to its end, and with the last one the round.
    private mutating func end(_ id: Int, _ part: Int) {
        routedWrites[id]!.parts[part].isOver = true
        guard let write = routedWrites[id], write.parts.allSatisfy(\.isOver) else { return }
        switch routedWrites[id]!.machine.endRound(now: now - write.began) {
        case .acknowledged(let sequences):
            let tokens = sequences.map { (ShardID(collection: Self.collection, index: $0.key), $0.value) }
            routedWrites[id] = nil
            answer(write, .success(Dictionary(uniqueKeysWithValues: tokens)))
        case .failed(let status, let beginsAnew):
            if beginsAnew {
                counts.routedAnew += 1
                return beginRound(of: id)
            }
            let told = routedWrites[id]!.machine.told(status)
            note("controller \(write.controller) tells of \(write.write.key): \(told), no effect \(told.hasNoEffect)")
            routedWrites[id] = nil
            answer(write, .failure(told))
        }
    }

    // MARK: At the worker

    mutating func partAsked(
        _ call: PartCall,
        _ write: SimulatedWrite,
        _ route: ShardRoute,
        age: Duration,
        _ name: NodeID
    ) throws(Violation) {
        guard let place = index(of: name), workers[place].isUp else {
            // A host that is there refuses the connection.
            return index(of: name) == nil ? () : reply(to: call, from: name, .failure(.noProcess))
        }
        let event = Event.partAsked(call, write, route, age: age, to: name)
        guard let worker = awake(name, life: nil, event) else { return }
        try noteArrival(of: write, call, age: age, at: name)
        if isFaulty, random.chance(0.01) {
            let full = WireStatus(.overloaded, "the queue is full", retryAfterMilliseconds: 20)
            return reply(to: call, from: name, .failure(full.withoutEffect))
        }
        guard let replica = workers[worker].replica(of: route.shard), !workers[worker].replicas[replica].isSucceeded
        else { return reply(to: call, from: name, .failure(.unknownReplica)) }
        let state = workers[worker].replicas[replica]
        guard let group = state.group, let machine = state.machine, route.epoch <= group.epoch else {
            return reply(to: call, from: name, .failure(.notConfirmed))
        }
        if route.epoch < group.epoch { counts.routedStale += 1 }
        guard route.epoch == group.epoch, machine.role == .primary || group.primary == name else {
            return reply(to: call, from: name, .failure(.notPrimary))
        }
        guard machine.role == .primary else { return reply(to: call, from: name, .failure(.notConfirmed)) }
        let caller = SimulatedReplica.Write.Caller.coordinator(call, epoch: route.epoch)
        try submit(SimulatedReplica.Write(caller: caller, write: write), worker, replica)
    }

    /// A write is told as new by no attempt that was made after one which has reached a worker.
    private mutating func noteArrival(
        of write: SimulatedWrite,
        _ call: PartCall,
        age: Duration,
        at name: NodeID
    ) throws(Violation) {
        guard let routed = routedWrites[call.write] else { return }
        for face in write.faces.faces {
            let key = ArrivalKey(origin: write.origin, face: face)
            guard let first = arrivals[key] else {
                arrivals[key] = Arrival(attempt: routed.call.attempt, call: call)
                continue
            }
            let isAgain = first.call.write == call.write && first.call.number < call.number
            let isLater = first.attempt < routed.call.attempt || isAgain
            guard age > .zero || !isLater else {
                return try fail(.keys, "\(name) is told that write \(write.origin) is new, which has been tried")
            }
        }
    }

    private mutating func reply(to call: PartCall, from name: NodeID, _ answer: Result<UInt64, WireStatus>) {
        guard !call.isTorn, let write = underWay(call) else { return }
        let to = Self.name(ofController: write.controller)
        let isSent = pass(.partAnswered(call, answer), from: name, to: to)
        if !isSent { return plan(.partAnswered(call, .failure(.connectionLost)), after: timeToNotice()) }
        if isTorn() { _ = pass(.partAnswered(call, answer), from: name, to: to) }
    }

    /// A replica answers a write to whoever sent it.
    mutating func answer(_ write: SimulatedReplica.Write, from name: NodeID, of shard: ShardID, _ answer: ClientReply) {
        switch write.caller {
        case .client(let client, let attempt): self.answer(client, attempt, shard, answer)
        case .coordinator(let call, _):
            switch answer {
            case .acknowledged(let sequence): reply(to: call, from: name, .success(sequence))
            case .refused(let status): reply(to: call, from: name, .failure(status.withoutEffect))
            case .unknown:
                let leftBehind = WireStatus(.unavailable, "changed hands", retryAfterMilliseconds: 100)
                reply(to: call, from: name, .failure(leftBehind))
            }
        }
    }

    // MARK: Deaths

    /// A coordinator dies, and comes back with nothing that it had begun.
    mutating func killCoordinator() {
        guard isFaulty else { return }
        planFault(.coordinatorDeath, settings.coordinatorDeathInterval)
        let busy = Set(routedWrites.values.map(\.controller)).sorted()
        guard let index = random.pick(busy.isEmpty ? Array(controllers.indices) : busy), controllers[index].isUp else {
            return
        }
        counts.crashes += 1
        killController(index)
        plan(.controllerStart(index), after: random.duration(.milliseconds(10), .milliseconds(3000)))
    }

    /// Clients lose their connections to a coordinator that has died.
    mutating func loseCalls(toController index: Int) {
        for (id, write) in routedWrites.sorted(by: { $0.key < $1.key }) where write.controller == index {
            routedWrites[id] = nil
            counts.routedLost += 1
            loseCall(write.call)
        }
    }

    /// Coordinators lose their connections to a worker that has died.
    mutating func loseCalls(to name: NodeID) {
        for (id, write) in routedWrites.sorted(by: { $0.key < $1.key }) {
            for (part, state) in write.parts.enumerated() where state.isAsking && state.worker == name {
                let call = PartCall(write: id, round: write.round, part: part, number: state.number)
                plan(.partAnswered(call, .failure(.connectionLost)), after: timeToNotice())
            }
        }
    }
}
