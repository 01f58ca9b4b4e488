import ClusterModel
import ClusterState
import FaceModel
import VectorMath

/// One thing that a controller has begun, of all that one life of it does.
struct ControlCall: Hashable, Sendable {
    var controller: Int
    var life: Int
    var number: Int
}

/// What a controller asks a worker for.
enum WorkerOrder: Sendable {
    case host(ShardPlacement, mayBegin: Bool)
    case drop(ShardID, Epoch, groupVersion: UInt64)
    case prepare(Succession.Preparation)
    case abandon(ShardID, sparesSealed: Bool)
    case train(UInt32)
    case fetch(UInt32)
    case install(ShardID, UInt32)
    case abandonTraining(UInt32)

    /// Whether something of a shard is to be removed.
    var isRemoval: Bool {
        switch self {
        case .drop, .abandon: true
        case .host, .prepare, .train, .fetch, .install, .abandonTraining: false
        }
    }
}

extension WorkerOrder: CustomStringConvertible {
    var description: String {
        switch self {
        case .host(let placement, _): "hosts \(placement.shard.index) by version \(placement.group.version)"
        case .drop(let shard, _, let version): "drops \(shard.index) by version \(version)"
        case .prepare(let preparation): "prepares \(preparation.shard.index)"
        case .abandon(let shard, let sparesSealed):
            "abandons \(shard.index)\(sparesSealed ? " unless it is whole" : "")"
        case .train(let generation): "trains codebook \(generation)"
        case .fetch(let generation): "sends codebook \(generation)"
        case .install(let shard, let generation): "installs codebook \(generation) in \(shard.index)"
        case .abandonTraining(let generation): "gives up training codebook \(generation)"
        }
    }
}

/// A coordinator as far as replicas are concerned: hears the workers, and, while it holds the lease, carries out what
/// the planners say.
struct SimulatedController: Sendable {
    static let silenceLimit = Duration.seconds(1)
    /// About how often it looks whether it stood still.
    private static let tick = Duration.milliseconds(250)
    private static let replacementTime = Duration.seconds(6)

    var isUp = false
    var life = 0
    /// Stopped, as by SIGSTOP, until then.
    var pauseEnd = Duration.zero
    /// When its process began. Its clock shows the time since then, as the real one's does, a little fast or slow.
    var born = Duration.zero
    var clockRate = 1.0
    /// As the store had it when it was last read; nil before that in this life.
    var metadata: ClusterMetadata?
    var revision: UInt64 = 0
    /// How old what it knows may be: operators change the records, too, so that it never has the store for itself.
    var currency = RecordCurrency(isExclusive: false)
    /// Until when the store cannot have ended its lease.
    private var leaseEnd = Duration.zero
    /// Whether it goes by having the lease. It finds that out when the store answers, and at every turn: one that was
    /// paused goes by what it knew.
    private(set) var holdsLease = false
    var watch = SilenceWatch(silenceLimit: Self.silenceLimit, interval: Self.tick)
    var isWoken = false
    var membership = Membership(silenceLimit: Self.silenceLimit)
    var reports = ReportBook(overlap: Self.silenceLimit)
    var actions = ActionLedger()
    var trainings = TrainingLedger()
    var operations = OperationLedger(patience: .seconds(15))
    var balance = BalanceLedger(patience: .zero)
    var repairs = RepairLedger(patience: .zero)
    var repairCount = 0
    var repairUnderWay: Int?
    var olderRecords = OlderRecords(patience: .seconds(3))
    var underWay: [Int: ReconcileAction] = [:]
    var router = SimulatedRouter()
    var callCount = 0

    /// What its clock shows at a time of the world.
    func clock(_ time: Duration) -> Duration { (time - born) * clockRate }

    /// - Parameter time: of the world.
    func isAwake(_ time: Duration) -> Bool { isUp && pauseEnd <= time }

    /// - Parameter time: of the world.
    func view(now time: Duration) -> ClusterView? {
        guard let metadata else { return nil }
        let now = clock(time)
        var view = ClusterView(
            metadata: metadata,
            observations: reports.observations,
            liveWorkers: Set(membership.liveWorkers(now: now)),
            goneWorkers: membership.workers(
                among: metadata.workers.keys,
                silentFor: Self.replacementTime,
                since: watch.start,
                now: now
            ),
            isSettled: watch.isSettled(now: now),
            restingShards: operations.restingShards(now: now)
        )
        view.absentWorkers = view.goneWorkers
        view.olderShards = olderRecords.shards
        view.suspectShards = olderRecords.suspects
        view.shunnedWorkers = operations.shunnedWorkers(now: now)
        view.spareDiskByteCount = 1 << 30
        return view
    }

    /// Nobody counts as silent whom it may only not have heard, since it stood still.
    ///
    /// - Parameter time: of the world.
    func liveness(of worker: NodeID, now time: Duration) -> WorkerLiveness {
        let now = clock(time)
        let liveness = membership.liveness(of: worker, now: now)
        guard case .silent(let silence) = liveness, watch.explains(silence, now: now) else { return liveness }
        return .live(silence: silence)
    }

    // MARK: The lease

    /// The store has said who has the lease.
    ///
    /// - Parameters:
    ///   - asked: by this clock, when the question was sent.
    ///   - now: by this clock.
    mutating func leased(_ isLeased: Bool, asked: Duration, for time: Duration, now: Duration) {
        // What was asked before it last had the lease tells nothing of that.
        guard isLeased || asked + time > leaseEnd else { return }
        if isLeased {
            leaseEnd = max(leaseEnd, asked + time)
            if !holdsLease { watch.begin(now: now) }
        }
        take(isLeased, now: now)
    }

    /// A turn is over in which the store may not have answered.
    mutating func endTurn(now: Duration) {
        if now >= leaseEnd { take(false, now: now) }
    }

    private mutating func take(_ isLeased: Bool, now: Duration) {
        if holdsLease != isLeased { operations.leaseChanged(now: now) }
        holdsLease = isLeased
    }
}

extension World {
    /// What a coordinator's clock shows.
    func clock(of controller: Int) -> Duration { controllers[controller].clock(now) }

    /// The coordinator whose process has to do with an event; nil when none has.
    func coordinator(of event: Event) -> Int? {
        switch event {
        case .heartbeat(_, _, let controller, _, _), .proposal(_, _, _, let controller, _),
            .controllerTick(let controller, _), .controllerWake(let controller, _),
            .storeReply(_, let controller, _, _):
            controller
        case .orderDone(let call, _), .callDeadline(let call): call.controller
        case .repairRead(let call), .repairOver(let call): call.controller
        case .routedWrite(let write): write.controller
        case .partAnswered(let call, _), .partLook(let call), .partCheck(let call):
            routedWrites[call.write]?.controller
        case .searchAnswered(let call, _, _): searches[call.search]?.controller
        case .searchOverdue(let search, _, _), .searchRetry(let search, _, _), .searchDeadline(let search):
            searches[search]?.controller
        default: nil
        }
    }

    // MARK: Pauses

    /// The process of a coordinator is stopped for a while. What comes to it meanwhile waits to be read.
    mutating func pauseController() {
        guard isFaulty else { return }
        planControllerPause()
        let index = coordinatorRandom.below(controllers.count)
        let length = coordinatorRandom.duration(.milliseconds(100), .milliseconds(5000))
        guard controllers[index].isUp else { return }
        counts.controllerPauses += 1
        controllers[index].pauseEnd = now + length
        note("controller \(index) is paused for \(length)")
    }

    mutating func planControllerPause() {
        guard let interval = settings.controllerPauseInterval else { return }
        plan(.pauseController, after: interval * (0.2 + 1.6 * coordinatorRandom.unit()))
    }
}

extension World {
    /// The time of day, as the machine of a coordinator has it.
    func wallTime(of controller: Int) -> Timestamp {
        Timestamp(milliseconds: Int64((now + (wallErrors[controller] ?? .zero)) / .milliseconds(1)))
    }

    /// Somebody sets the clock of a coordinator's machine: back or ahead by hours.
    mutating func leap() {
        plan(.leap, after: wallRandom.duration(.milliseconds(200), .seconds(3)))
        let controller = wallRandom.below(controllers.count)
        wallErrors[controller] = isFaulty ? .seconds(wallRandom.below(20_000) - 10_000) : .zero
        counts.leaps += 1
    }
}

extension World {
    private static var limits: OperationPlanner.Limits { .init(copiesPerWorker: 1) }
    /// Shorter than messages may be late: what was given up may still be done.
    private static var callTimeout: Duration { .seconds(2) }

    mutating func heartbeat(
        _ worker: NodeID,
        _ life: Int,
        _ controller: Int,
        asked: Duration,
        _ observation: WorkerObservation
    ) {
        guard controllers[controller].isUp, let metadata = controllers[controller].metadata else { return }
        let clock = clock(of: controller)
        let known = controllers[controller].reports.observations[worker]
        let isBack = controllers[controller].membership.heard(from: worker, now: clock)
        controllers[controller].reports.report(observation, by: worker, now: clock)
        _ = controllers[controller].trainings.observe(worker, observation, policy: Self.trainingPolicy, now: clock)
        if isBack || known.map({ !$0.isAsBefore(observation) }) ?? true { wake(controller) }
        let older = controllers[controller].olderRecords.suspects
        let groups = (metadata.collections[Self.collection]?.placements ?? [])
            .filter { $0.group.members.contains(worker) && !older.contains($0.shard) }
        // It was so when the store was last known to have it.
        let isToldAsNew = settings.fault == .recordsYoungerThanRead
        let age = isToldAsNew ? .zero : controllers[controller].currency.age(now: clock)
        transmit(
            .heartbeatReply(worker, life: life, groups, asked: asked - age),
            from: Self.name(ofController: controller),
            to: worker
        )
    }

    /// A replica's proposal goes to the store, whoever holds the lease.
    mutating func pass(
        on proposal: GroupProposal,
        of shard: ShardID,
        from worker: NodeID,
        _ life: Int,
        _ controller: Int
    ) {
        guard controllers[controller].isUp else { return }
        ask(.propose(shard, proposal, by: worker, life: life), controller)
    }

    // MARK: Lives

    mutating func startController(_ index: Int) {
        guard !controllers[index].isUp else { return }
        let (life, clockRate) = (controllers[index].life + 1, controllers[index].clockRate)
        controllers[index] = SimulatedController()
        controllers[index].isUp = true
        controllers[index].life = life
        controllers[index].born = now
        controllers[index].clockRate = clockRate
        controllers[index].balance = BalanceLedger(patience: settings.rebalanceTime)
        controllers[index].repairs = RepairLedger(patience: settings.repairTime, firstPause: .seconds(1))
        note("controller \(index) starts")
        controllerTick(index, life)
    }

    mutating func killController(_ index: Int) {
        note("controller \(index) dies")
        counts.crashPoints[.coordinator, default: 0] += 1
        controllers[index].isUp = false
        controllers[index].pauseEnd = .zero
        loseCalls(toController: index)
    }

    /// Whether a controller is still in that life of its own.
    func lives(_ controller: Int, _ life: Int) -> Bool {
        controllers[controller].isUp && controllers[controller].life == life
    }

    mutating func controllerTick(_ index: Int, _ life: Int) {
        guard lives(index, life) else { return }
        plan(.controllerTick(index, life: life), after: random.duration(.milliseconds(200), .milliseconds(300)))
        _ = controllers[index].watch.look(now: clock(of: index))
        ask(.campaign, index)
        decide(index)
        controllers[index].endTurn(now: clock(of: index))
    }

    mutating func controllerWake(_ index: Int, _ life: Int) {
        guard lives(index, life) else { return }
        controllers[index].isWoken = false
        decide(index)
    }

    private mutating func wake(_ index: Int) {
        guard controllers[index].isUp, !controllers[index].isWoken else { return }
        controllers[index].isWoken = true
        plan(
            .controllerWake(index, life: controllers[index].life),
            after: random.duration(.milliseconds(2), .milliseconds(20))
        )
    }

    /// The store has answered, or tells of a change.
    ///
    /// - Parameter asked: by the controller's clock; nil for what nobody asked for.
    mutating func hear(_ reply: StoreReply, _ index: Int, _ life: Int, asked: Duration?) {
        guard lives(index, life) else { return }
        let clock = clock(of: index)
        if controllers[index].metadata == nil || reply.revision > controllers[index].revision {
            controllers[index].metadata = reply.metadata
            controllers[index].revision = reply.revision
            if let codebook = reply.metadata.collections[Self.collection]?.codebook {
                controllers[index].trainings.settled(Self.collection, generation: codebook.generation)
            }
            wake(index)
        }
        if let asked { controllers[index].currency.wasRead(began: asked) }
        switch reply.outcome {
        case .none: break
        case .leased, .waiting:
            let isLeased = if case .leased = reply.outcome { true } else { false }
            controllers[index].leased(isLeased, asked: asked ?? clock, for: Self.leaseTime, now: clock)
        case .proposed(let shard, let worker, let workerLife):
            guard let group = reply.metadata.placement(of: shard)?.group else { break }
            transmit(
                .proposalReply(worker, life: workerLife, shard, group),
                from: Self.name(ofController: index),
                to: worker
            )
        case .repaired(let call, let replaced): repairOver(call, replaced: replaced)
        case .committed(let call): end(call, failure: nil)
        case .refused(let call): end(call, failure: "the store refuses")
        case .checked(let call, let isRight):
            guard let action = controllers[index].underWay[call.number], let worker = action.worker else { break }
            guard isRight, controllers[index].holdsLease else { return end(call, failure: nil, wasDone: false) }
            switch action {
            case .host(let placement, _):
                let record = reply.metadata.collections[Self.collection]
                let mayBegin = record?.mayBegin(placement, on: worker) ?? false
                send(.host(placement, mayBegin: mayBegin), to: worker, call)
            case .drop(let shard, let epoch, _):
                let version = reply.metadata.placement(of: shard)?.group.version ?? 0
                send(.drop(shard, epoch, groupVersion: version), to: worker, call)
            case .abandon(let shard, _):
                send(.abandon(shard, sparesSealed: reply.metadata.isAwaited(shard)), to: worker, call)
            case .abandonTraining(_, let generation, _): send(.abandonTraining(generation), to: worker, call)
            default: break
            }
        }
    }

    // MARK: Deciding

    /// Compares the agreed with the reported, and begins what is missing.
    private mutating func decide(_ index: Int) {
        guard let known = controllers[index].view(now: now) else { return }
        let clock = clock(of: index)
        controllers[index].olderRecords.observe(known, now: clock)
        controllers[index].operations.observe(known, limits: Self.limits, now: clock)
        guard controllers[index].holdsLease, let view = controllers[index].view(now: now) else { return }
        if !view.goneWorkers.isEmpty { strike?.wasAnybodyGone = true }
        repair(index, in: view)
        var actions = ReconcilePlanner.plan(view, limits: Self.limits).actions
        var restarts: [OperationLedger.Key: [ReconcileAction]] = [:]
        if view.isSettled {
            let time = wallTime(of: index)
            let standing = controllers[index].operations.stalledOperations(now: clock)
            let motionless = controllers[index].operations.motionless(now: clock)
            let updates = OperationPlanner.updates(
                view,
                limits: Self.limits,
                standing: standing,
                motionless: motionless,
                now: time
            )
            actions += updates.map { .advance($0) }
            restarts = OperationPlanner.restarts(of: motionless, in: view)
            actions += restarts.sorted { $0.key.shard < $1.key.shard }.flatMap(\.value)
            actions += policyActions(index, in: view)
        }
        actions += codebookActions(index, in: view)
        plant(&actions, view)
        let admitted = controllers[index].actions.admit(actions, now: clock)
        for (key, restart) in restarts where restart.contains(where: admitted.contains) {
            controllers[index].operations.restarted(key, now: clock)
        }
        for action in admitted { begin(action, index) }
    }

    /// Faults of the planners.
    private func plant(_ actions: inout [ReconcileAction], _ view: ClusterView) {
        guard settings.fault == .electOutsideInSync || settings.fault == .shrinkBelowMinimum else { return }
        for placement in view.metadata.placements where !view.liveWorkers.contains(placement.primary) {
            let group = placement.group
            var next: ReplicaGroup?
            if settings.fault == .electOutsideInSync, let other = group.learners.first(where: view.liveWorkers.contains)
            {
                next = ReplicaGroup(
                    epoch: Epoch(group.epoch.number + 1),
                    version: group.version + 1,
                    primary: other,
                    inSync: group.inSync + [other],
                    learners: group.learners.filter { $0 != other },
                    minimumInSync: group.minimumInSync
                )
            }
            if settings.fault == .shrinkBelowMinimum,
                let other = group.inSync.first(where: { $0 != group.primary && view.liveWorkers.contains($0) })
            {
                next = ReplicaGroup(
                    epoch: Epoch(group.epoch.number + 1),
                    version: group.version + 1,
                    primary: other,
                    inSync: group.inSync.filter { $0 != group.primary },
                    learners: (group.learners + [group.primary]).sorted(),
                    minimumInSync: group.minimumInSync
                )
            }
            guard let next else { continue }
            let regroup = ReconcileAction.regroup(
                Self.collection,
                [.init(shard: placement.shard, version: group.version, group: next)]
            )
            actions.removeAll { $0.subject == regroup.subject }
            actions.append(regroup)
        }
    }

    private mutating func begin(_ action: ReconcileAction, _ index: Int) {
        controllers[index].callCount += 1
        let call = ControlCall(
            controller: index,
            life: controllers[index].life,
            number: controllers[index].callCount
        )
        controllers[index].underWay[call.number] = action
        plan(.callDeadline(call), after: Self.callTimeout)
        switch action {
        case .regroup, .advance, .succeed, .establish, .begin, .rollOut: ask(.commit(action, call), index)
        case .drop, .abandon, .abandonTraining: ask(.check(action, call), index)
        case .host(let placement, let worker):
            let isThere = controllers[index].reports.observations[worker]?.replicas[placement.shard] != nil
            let record = controllers[index].metadata?.collections[Self.collection]
            // One that is there needs no leave to begin; for another one it looks whether the record is the newest.
            if !isThere, record?.mayBegin(placement, on: worker) ?? true {
                ask(.check(action, call), index)
            } else {
                send(.host(placement, mayBegin: false), to: worker, call)
            }
        case .prepare(let preparation, let worker): send(.prepare(preparation), to: worker, call)
        case .train(let order): send(.train(order.generation), to: order.worker, call)
        case .fetch(_, let generation, _, let worker): send(.fetch(generation), to: worker, call)
        case .install(let placement, let generation, let worker):
            send(.install(placement.shard, generation), to: worker, call)
        case .balance, .divide: beginAlone(action, call)
        }
    }

    private mutating func send(_ order: WorkerOrder, to worker: NodeID, _ call: ControlCall) {
        transmit(.order(order, to: worker, call), from: Self.name(ofController: call.controller), to: worker)
        // It is stopped between what it has read and what it sends, or what it had given up is still on its way.
        guard settings.course.aim == .orders, order.isRemoval, isFaulty, random.chance(0.5) else { return }
        counts.lateOrders += 1
        plan(.order(order, to: worker, call), after: random.duration(.seconds(3), .seconds(12)))
    }

    /// A worker has done what it was asked for, or not.
    mutating func answered(_ call: ControlCall, failure: String?) {
        guard failure == nil, lives(call.controller, call.life),
            let action = controllers[call.controller].underWay[call.number], case .fetch = action
        else { return end(call, failure: failure) }
        // What was fetched is to be on disk here before it is recorded.
        guard !isFull(Self.name(ofController: call.controller)) else {
            counts.unstoredCodebooks += 1
            return end(call, failure: "the coordinator's disk is full")
        }
        ask(.commit(action, call), call.controller)
    }

    /// An action is over, or nobody knows.
    mutating func end(_ call: ControlCall, failure: String?, wasDone: Bool = true) {
        guard lives(call.controller, call.life),
            let action = controllers[call.controller].underWay.removeValue(forKey: call.number)
        else { return }
        let clock = clock(of: call.controller)
        controllers[call.controller].actions.finished(action, failure: failure, now: clock)
        if failure == nil, wasDone {
            switch action {
            case .host(let placement, let worker):
                controllers[call.controller].reports.hosted(placement.shard, placement.group, on: worker, now: clock)
            case .drop(let shard, _, let worker):
                controllers[call.controller].reports.dropped(shard, on: worker)
            case .abandon(let shard, let worker):
                controllers[call.controller].reports.abandoned(shard, on: worker)
            case .train(let order): controllers[call.controller].trainings.began(order, now: clock)
            case .abandonTraining(_, let generation, let worker):
                controllers[call.controller].trainings.forget(Self.collection)
                controllers[call.controller].reports.abandoned(generation, of: Self.collection, on: worker)
            default: break
            }
        }
        if failure != nil { noteFailure(of: action, call.controller) }
        wake(call.controller)
    }
}

extension World {
    private mutating func noteFailure(of action: ReconcileAction, _ controller: Int) {
        let failed: (generation: UInt32, worker: NodeID)
        switch action {
        case .train(let order): failed = (order.generation, order.worker)
        case .fetch(_, let generation, _, let worker): failed = (generation, worker)
        default: return
        }
        controllers[controller].trainings.failed(
            Self.collection,
            generation: failed.generation,
            on: failed.worker,
            policy: Self.trainingPolicy,
            now: clock(of: controller)
        )
    }
}

extension WorkerObservation {
    /// Whether nothing that planners decide by has changed since, but for writes that went on.
    fileprivate func isAsBefore(_ other: WorkerObservation) -> Bool {
        successors == other.successors && replicas.count == other.replicas.count
            && other.replicas.allSatisfy { shard, replica in
                guard let known = replicas[shard] else { return false }
                return known.groupVersion == replica.groupVersion && known.role == replica.role
                    && known.state == replica.state && known.end == replica.end
            }
    }
}
