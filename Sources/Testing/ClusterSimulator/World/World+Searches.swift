import ClusterModel
import ClusterState
import FaceModel
import QueryRouter
import ShardReplication
import VectorMath
import WireProtocol

/// Searches of all faces: coordinators ask the shards, and say what part of the collection an answer covers.
///
/// What is drawn for them is drawn from numbers of their own: nothing else in a run depends on them.
extension World {
    mutating func searchTurn() {
        plan(.searchTurn, after: searchRandom.duration(.milliseconds(20), .milliseconds(160)))
        let ups = controllers.indices.filter { controllers[$0].isAwake(now) && controllers[$0].metadata != nil }
        guard let controller = searchRandom.pick(ups), let client = searchRandom.pick(clients) else { return }
        nextSearch += 1
        let search = SimulatedSearch(
            controller: controller,
            life: controllers[controller].life,
            client: client,
            began: now,
            deadline: now + searchRandom.duration(.milliseconds(300), .seconds(6)),
            needsAll: searchRandom.chance(0.5),
            hasToken: searchRandom.chance(0.3)
        )
        counts.searches += 1
        if search.hasToken, isOlder(controller, than: client) {
            counts.refusedSearches += 1
            return
        }
        searches[nextSearch] = search
        plan(.searchDeadline(nextSearch), after: search.deadline - now)
        beginParts(of: nextSearch)
    }

    /// Asks all shards of the newest map that the coordinator knows.
    private mutating func beginParts(of id: Int) {
        let placements = knownPlacements(searches[id]!.controller)
        searches[id]!.isReplaced = false
        searches[id]!.parts = placements.map { SimulatedSearch.Part($0) }
        for part in placements.indices { beginRound(id, part) }
    }

    /// Whether a coordinator has not heard of a shard that a client's token names.
    private func isOlder(_ controller: Int, than client: SimulatedClient) -> Bool {
        guard let map = controllers[controller].metadata?.shardMap else { return true }
        return map.isOlder(than: client.tokens.keys.map(\.index), of: Self.collection)
    }

    private func knownPlacements(_ controller: Int) -> [ShardPlacement] {
        controllers[controller].metadata?.collections[Self.collection]?.placements ?? []
    }

    /// The search, if it goes on and its coordinator lives; one whose coordinator has died is forgotten.
    private mutating func underWay(_ id: Int) -> SimulatedSearch? {
        guard let search = searches[id] else { return nil }
        guard lives(search.controller, search.life) else {
            searches[id] = nil
            return nil
        }
        return search
    }

    // MARK: One shard

    private mutating func beginRound(_ id: Int, _ part: Int) {
        guard let search = underWay(id) else { return }
        let placement = search.parts[part].placement
        let presences = Dictionary(
            uniqueKeysWithValues: placement.group.inSync.map { ($0, presence(of: $0, for: search.controller)) }
        )
        let workers = controllers[search.controller].router.choice.order(
            placement.group,
            now: SimulatedRouter.deadline(now),
            isAbsent: { presences[$0]!.isKnownAbsent }
        )
        searches[id]!.roundCount += 1
        searches[id]!.parts[part].roundNumber = searches[id]!.roundCount
        searches[id]!.parts[part].workers = workers
        searches[id]!.parts[part].failures = []
        searches[id]!.parts[part].hedgeDelay =
            controllers[search.controller].router.choice.hedgeDelay(placement.shard)
        searches[id]!.parts[part].round = ReplicaRound(replicaCount: workers.count)
        ask(id, part, searches[id]!.parts[part].round.begin())
        waitAWhile(id, part)
    }

    func presence(of worker: NodeID, for controller: Int) -> WorkerPresence {
        let liveness = controllers[controller].liveness(of: worker, now: now)
        return WorkerPresence(isLive: liveness.isLive, silence: liveness.silence)
    }

    private mutating func ask(_ id: Int, _ part: Int, _ number: Int) {
        guard let search = searches[id] else { return }
        let state = search.parts[part]
        let worker = state.workers[number]
        let token = search.hasToken ? search.client.token(for: state.placement) : SimulatedToken()
        let call = SearchCall(search: id, part: part, round: state.roundNumber, number: number)
        pass(
            .searchAsked(call, of: state.placement.shard, token, worker, asked: now),
            from: Self.name(ofController: search.controller),
            to: worker
        )
    }

    /// Over a connection: what does not arrive is missed when the deadline comes.
    private mutating func pass(_ event: Event, from: NodeID, to: NodeID) {
        guard !isCut(Link(from: from, to: to)), !isFaulty || !searchRandom.chance(settings.lossRate) else { return }
        let isSlow = isSlow(from) || isSlow(to) || isFaulty && searchRandom.chance(settings.slowRate)
        let most = Duration.milliseconds(isSlow ? (searchRandom.chance(0.3) ? 3000 : 300) : 1)
        plan(event, after: searchRandom.duration(.microseconds(100), most))
    }

    private mutating func waitAWhile(_ id: Int, _ part: Int) {
        guard let state = searches[id]?.parts[part], state.round.hasMore else { return }
        plan(.searchOverdue(id, part: part, round: state.roundNumber), after: state.hedgeDelay)
    }

    mutating func searchOverdue(_ id: Int, part: Int, round: Int) {
        guard let search = underWay(id), search.parts.indices.contains(part),
            search.parts[part].roundNumber == round, search.parts[part].outcome == nil
        else { return }
        let workers = search.parts[part].workers
        var choice = controllers[search.controller].router.choice
        let other = searches[id]!.parts[part].round.overdue { slow, other in
            choice.mayHedge(from: workers[slow], to: workers[other], now: SimulatedRouter.deadline(now))
        }
        controllers[search.controller].router.choice = choice
        if let other { ask(id, part, other) }
        waitAWhile(id, part)
    }

    // MARK: At the worker

    mutating func searchAsked(
        _ call: SearchCall,
        of shard: ShardID,
        _ token: SimulatedToken,
        _ name: NodeID,
        asked: Duration
    ) throws(Violation) {
        guard let search = searches[call.search] else { return }
        let controller = Self.name(ofController: search.controller)
        let event = Event.searchAsked(call, of: shard, token, name, asked: asked)
        guard let worker = index(of: name), workers[worker].isUp else {
            // A host that is there refuses the connection.
            guard index(of: name) != nil else { return }
            let refusal = WireStatus(.unavailable, "no process")
            return pass(.searchAnswered(call, .failure(refusal), asked: asked), from: name, to: controller)
        }
        guard workers[worker].pauseEnd <= now else { return plan(event, after: workers[worker].pauseEnd - now) }
        let reply = try reply(to: token, of: shard, on: worker)
        pass(.searchAnswered(call, reply, asked: asked), from: name, to: controller)
    }

    /// What a replica answers.
    private mutating func reply(
        to token: SimulatedToken,
        of shard: ShardID,
        on worker: Int
    ) throws(Violation) -> Result<[Int: UInt64], WireStatus> {
        guard let place = workers[worker].replica(of: shard), !workers[worker].replicas[place].isSucceeded else {
            return .failure(WireStatus(.unknownReplica, "no replica"))
        }
        let replica = workers[worker].replicas[place]
        guard replica.machine?.mayServeReads(now: workers[worker].clock(now)) ?? false else {
            return .failure(WireStatus(.unavailable, "not confirmed", retryAfterMilliseconds: 50))
        }
        guard replica.disk.image.applied.sequence >= token.sequence else {
            return .failure(WireStatus(.notYet, "not yet"))
        }
        try checkToken(token, replica, by: workers[worker].name)
        try checkRead(of: replica, by: workers[worker].name)
        return .success(replica.disk.image.faces)
    }

    // MARK: At the coordinator

    mutating func searchAnswered(
        _ call: SearchCall,
        _ reply: Result<[Int: UInt64], WireStatus>,
        asked: Duration
    ) throws(Violation) {
        guard let search = underWay(call.search), search.parts.indices.contains(call.part),
            search.parts[call.part].roundNumber == call.round, search.parts[call.part].outcome == nil
        else { return }
        let state = search.parts[call.part]
        let worker = state.workers[call.number]
        let time = SimulatedRouter.deadline(now)
        switch reply {
        case .success(let faces):
            controllers[search.controller].router.firstFailures[worker] = nil
            controllers[search.controller].router.choice.answered(
                state.placement.shard,
                by: worker,
                took: now - asked,
                now: time
            )
            for slow in state.round.overtaken(by: call.number) {
                controllers[search.controller].router.choice.avoid(state.workers[slow], now: time)
            }
            // Now and then the deadline stops it before it has seen all.
            let isCut = isFaulty && searchRandom.chance(0.03)
            let seen = isCut ? faces.filter { $0.key % 2 == 0 } : faces
            let answer = ShardSearchAnswer(
                matches: [],
                faceCount: UInt64(faces.count),
                facesAnswered: UInt64(seen.count),
                rowsVisited: UInt64(seen.count),
                listsVisited: 0,
                generation: 0
            )
            try end(call.search, call.part, .answered(faces: seen, answer))
        case .failure(let status):
            if status.code == .unavailable {
                let router = controllers[search.controller].router
                controllers[search.controller].router.firstFailures[worker] = router.firstFailures[worker] ?? now
            }
            let failure = ShardFailure(
                placement: state.placement,
                worker: worker,
                address: NodeAddress(host: "worker", port: Int(worker.low)),
                presence: presence(of: worker, for: search.controller),
                status: status
            )
            searches[call.search]!.parts[call.part].failures.append(failure)
            controllers[search.controller].router.choice.avoid(worker, now: time)
            let mayGoOn = failure.othersMayAnswer
            switch searches[call.search]!.parts[call.part].round.failed(call.number, othersMayAnswer: mayGoOn) {
            case .ask(let next): ask(call.search, call.part, next)
            case .wait: break
            case .end: try roundEnded(call.search, call.part)
            }
        }
    }

    /// No replica has answered.
    private mutating func roundEnded(_ id: Int, _ part: Int) throws(Violation) {
        guard let search = searches[id] else { return }
        let state = search.parts[part]
        let since = state.failures.map { controllers[search.controller].router.firstFailures[$0.worker] }
        let absence =
            search.needsAll || since.contains(nil) ? nil : since.compactMap(\.self).max().map { now - $0 }
        let decision = searches[id]!.parts[part].retry.next(
            after: state.failures,
            deadline: search.deadline - now,
            now: now,
            absence: absence
        )
        switch decision {
        case .fail(let failure): try end(id, part, .failed(failure))
        case .again(let pause, _):
            let newest = knownPlacements(search.controller).first { $0.shard == state.placement.shard }
            let isNewer = newest.map { $0.group.version != state.placement.group.version } ?? true
            plan(.searchRetry(id, part: part, round: state.roundNumber), after: isNewer ? .zero : pause)
        }
    }

    mutating func searchRetry(_ id: Int, part: Int, round: Int) throws(Violation) {
        guard let search = underWay(id), search.parts.indices.contains(part),
            search.parts[part].roundNumber == round, search.parts[part].outcome == nil
        else { return }
        let shard = search.parts[part].placement.shard
        guard let newest = knownPlacements(search.controller).first(where: { $0.shard == shard }) else {
            // Others have taken its place.
            if settings.fault == .replacedShardsMixed { return takeReplacements(of: part, id) }
            searches[id]!.isReplaced = true
            return try end(id, part, .failed(ShardFailure.ofAll(search.parts[part].failures)))
        }
        searches[id]!.parts[part].placement = newest
        beginRound(id, part)
    }

    /// The planted fault: who took its place is asked beside those that were asked before.
    private mutating func takeReplacements(of part: Int, _ id: Int) {
        guard let search = searches[id] else { return }
        let range = search.parts[part].placement.range
        let others = knownPlacements(search.controller).filter {
            $0.range.first <= range.last && range.first <= $0.range.last
        }
        searches[id]!.parts.remove(at: part)
        for placement in others where !search.placements.contains(where: { $0.shard == placement.shard }) {
            searches[id]!.parts.append(SimulatedSearch.Part(placement))
            beginRound(id, searches[id]!.parts.count - 1)
        }
    }

    mutating func searchDeadline(_ id: Int) throws(Violation) {
        guard let search = underWay(id) else { return }
        for part in search.parts.indices where searches[id]?.parts[part].outcome == nil {
            let state = search.parts[part]
            let failure = ShardFailure(
                placement: state.placement,
                worker: state.workers.first ?? state.placement.primary,
                address: nil,
                presence: nil,
                status: WireStatus(.deadlineExceeded, "the deadline passed")
            )
            try end(id, part, .failed(state.failures.isEmpty ? failure : ShardFailure.ofAll(state.failures)))
        }
    }

    private mutating func end(_ id: Int, _ part: Int, _ outcome: SimulatedSearch.Part.Outcome) throws(Violation) {
        searches[id]?.parts[part].outcome = outcome
        guard let search = searches[id], search.isOver else { return }
        // A face may have been counted twice, or not at all.
        if search.isReplaced, now < search.deadline { return beginParts(of: id) }
        searches[id] = nil
        try finish(search)
    }

    // MARK: The answer

    private mutating func finish(_ search: SimulatedSearch) throws(Violation) {
        let forgetsMissing = settings.fault == .missingShardsForgotten
        let counted = search.parts.filter { part in
            if case .answered? = part.outcome { true } else { !forgetsMissing }
        }
        var assembly = CoverageAssembly(shardCount: counted.count)
        var answered: [(placement: ShardPlacement, faces: [Int: UInt64])] = []
        var missing: [ShardPlacement] = []
        for part in search.parts {
            switch part.outcome {
            case .answered(let faces, let answer):
                assembly.add(answer, of: part.placement)
                answered.append((part.placement, faces))
            case .failed(let failure):
                // A shard that has not reached a token makes the search fail.
                guard let reason = failure.missingReason else { return }
                missing.append(part.placement)
                if !forgetsMissing { assembly.add(failure, reason: reason) }
            case nil: return
            }
        }
        if !missing.isEmpty, let view = controllers[search.controller].view(now: now) {
            assembly.countMissingFaces { shard in
                view.metadata.placement(of: shard).flatMap { view.replica(of: $0)?.faceCount }
            }
        }
        try judge(search, isComplete: missing.isEmpty)
        let isRefused =
            search.needsAll && assembly.shortfall(of: .full, collection: "simulated") != nil || answered.isEmpty
        try check(assembly.coverage, answered, missing, isRefused: isRefused)
        guard !isRefused else {
            counts.refusedSearches += 1
            return
        }
        if assembly.coverage.isFull { counts.fullSearches += 1 } else { counts.partialSearches += 1 }
        lastFullSearch = assembly.coverage.isFull ? search.began : lastFullSearch
    }

    /// Where an operation goes on and nobody is struck, searches do not lack shards for longer than the lease lasts by
    /// which replicas answer reads: who comes to answer, or has another part, hears of the newest record with one of
    /// the next heartbeats, and nobody is gone the end of whose lease would have to be waited for.
    ///
    /// - Parameter isComplete: whether every shard has answered, be it in part.
    private mutating func judge(_ search: SimulatedSearch, isComplete: Bool) throws(Violation) {
        guard let strike, strike.cell.role == nil, strike.lost == nil else { return }
        if isComplete {
            lastCompleteSearch = max(lastCompleteSearch ?? .zero, search.began)
            return
        }
        // Before the first one the cluster begins.
        guard let last = lastCompleteSearch, now - last > settings.timings.staleness else { return }
        try fail(.liveness, "no search that began after \(last) had all shards, and nobody is struck")
    }

    /// The numbers are those of what was answered, and what is said to be covered is.
    private func check(
        _ coverage: Coverage,
        _ answered: [(placement: ShardPlacement, faces: [Int: UInt64])],
        _ missing: [ShardPlacement],
        isRefused: Bool
    ) throws(Violation) {
        let count = answered.reduce(0) { $0 + $1.faces.count }
        guard coverage.facesAnswered == UInt64(count), coverage.shardsAnswered == answered.count,
            coverage.shardsAsked == answered.count + coverage.missing.count,
            Set(coverage.missing.map(\.shardIndex)) == Set(missing.map(\.shard.index)),
            coverage.facesTotal >= coverage.facesAnswered
        else { return try fail(.coverage, "\(coverage) of \(count) faces in \(answered.count) shards") }
        for face in 0..<SimulatedClient.faceCount {
            let position = SimulatedClient.position(of: face)
            let owners = answered.count { $0.placement.range.contains(position) }
            guard owners <= 1 else { return try fail(.coverage, "face \(face) is answered for \(owners) times") }
            let holders = answered.count { $0.faces[face] != nil }
            guard holders <= 1 else { return try fail(.coverage, "face \(face) is counted \(holders) times") }
            guard owners == 1 || missing.contains(where: { $0.range.contains(position) }) else {
                return try fail(.coverage, "the place of face \(face) is neither answered for nor missing")
            }
            if coverage.isFull, !isRefused, owners == 0 {
                return try fail(.coverage, "an answer is said to be full without the place of face \(face)")
            }
        }
    }
}
