package import ClusterModel
import FaceModel

/// How operations get on, as far as this coordinator has seen it.
package struct OperationLedger: Sendable {
    package struct Key: Hashable, Sendable {
        /// Nil of a replica that no operation brings.
        package var operation: OperationID?
        package var shard: ShardID
        /// What the operation's step does; nil of such a replica. Several of one shard may be taken back at a time.
        package var change: ReplicaChange?
        /// Of such a replica.
        package var newcomer: NodeID?

        package init(_ step: Operation.Step, of operation: OperationID) {
            self.operation = operation
            shard = step.shard
            change = step.change
        }

        package init(_ newcomer: Newcomer) {
            shard = newcomer.shard
            self.newcomer = newcomer.worker
        }

        /// Whether it is the key of a step, under way, of its operation.
        package func isOf(_ step: Operation.Step) -> Bool {
            step.shard == shard && step.change == change && step.state.isUnderWay
        }

        fileprivate var order: (UInt64, UInt64, ShardID, UInt64, UInt64) {
            let worker = newcomer ?? change?.beneficiary ?? change?.leaver
            return (operation?.high ?? 0, operation?.low ?? 0, shard, worker?.high ?? 0, worker?.low ?? 0)
        }
    }

    /// What is known of a step under way.
    package struct Progress: Hashable, Sendable {
        /// Of the copy that is being sent; both 0 where none is.
        package var sentByteCount: UInt64 = 0
        package var totalByteCount: UInt64 = 0
        /// Of the copy, over the last seconds.
        package var bytesPerSecond: Double = 0
        /// When it last got on: further than it ever was, not as far again after it began anew.
        package var changed: Duration
        /// How often what it makes, or the replica that it brings, was gone and began anew.
        package var restartCount = 0
    }

    /// What is known of a rollout that is running.
    package struct RolloutPace: Hashable, Sendable {
        /// Rows coded again, over the last seconds.
        package var rowsPerSecond: Double = 0
        /// When it last got on: further than it ever was.
        package var changed: Duration
        /// When its training was last seen to wait for another one of its worker that is not held up; zero for never.
        package var waited = Duration.zero

        /// Since when it does not get on, and waits for no other.
        package var stillSince: Duration { max(changed, waited) }
    }

    /// An operation of which no step is under way, and that waits for no other.
    private struct Standstill {
        var states: [OperationStepState]
        var since: Duration
    }

    /// What is left of a shard on a worker to which a replica of it is to come back.
    private struct Former: Hashable {
        var shard: ShardID
        var worker: NodeID
    }

    /// A worker on which copies of a lost replica came to nothing.
    private struct Shunning {
        var pause: Duration
        var until: Duration
    }

    /// How long a copy in the place of a lost one goes elsewhere, if it can, once a worker failed to get it: doubled by
    /// each further time.
    private static let shunningPauses = Duration.seconds(2 * 60)...Duration.seconds(60 * 60)

    /// Longest time that writes wait for shards that are to take another's place, and how long they go on before they
    /// wait again.
    private static let freezeLimit = Duration.seconds(3)
    private static let restTime = Duration.seconds(10)

    /// A step that does not move for so long begins anew; of what does not get on for so long people are told.
    package let patience: Duration
    /// Of copies that were sent, and of shards that were made beside others on their workers.
    package private(set) var sendingPace = CopyPace()
    package private(set) var makingPace = CopyPace()
    private var traces: [Key: StepTrace] = [:]
    /// Of copies of these shards that were made to begin anew, and have not come again: they may come elsewhere.
    private var returning: [ShardID: StepTrace] = [:]
    /// Forgotten once the shard has its copies.
    private var shunnings: [ShardID: [NodeID: Shunning]] = [:]
    /// Of pinned shards that lack a copy, since when.
    private var formers: [Former: Duration] = [:]
    private var standstills: [OperationID: Standstill] = [:]
    private var rollouts: [OperationID: RolloutTrace] = [:]
    private var freezes: [ShardID: Duration] = [:]
    private var rests: [ShardID: Duration] = [:]

    package init(patience: Duration = .seconds(60)) {
        self.patience = patience
    }

    package func progress(of key: Key) -> Progress? { traces[key]?.progress }

    /// Takes note of where the operations are. Every coordinator does, since all of them hear the workers.
    package mutating func observe(
        _ view: ClusterView,
        _ trainings: TrainingLedger = TrainingLedger(),
        limits: OperationPlanner.Limits,
        now: Duration
    ) {
        observeFreezes(view, now: now)
        let operations = view.metadata.openOperations
        var current: [Key: StepTrace] = [:]
        for operation in operations {
            for step in operation.steps where step.state.isUnderWay {
                let key = Key(step, of: operation.id)
                current[key] = trace(step, key, isPaused: operation.state == .paused, in: view, now: now)
            }
        }
        returning = returning.filter { shard, _ in view.isShort(shard) }
        shunnings = shunnings.filter { shard, _ in view.isShort(shard) }
        observeFormers(view, now: now)
        for newcomer in view.newcomers {
            let key = Key(newcomer)
            let isNew = traces[key] == nil
            current[key] = trace(newcomer.step, key, isPaused: false, in: view, now: now)
            guard let former = returning[newcomer.shard], let changed = current[key]?.progress.changed else { continue }
            if isNew { current[key]?.goesOn(from: former) }
            // One that was to begin anew, and gets on instead, has not gone.
            if isNew || changed > former.progress.changed { returning[newcomer.shard] = nil }
        }
        traces = current
        observeStandstills(operations, in: view, limits: limits, now: now)
        observeRollouts(view, trainings, now: now)
    }

    private mutating func trace(
        _ step: Operation.Step,
        _ key: Key,
        isPaused: Bool,
        in view: ClusterView,
        now: Duration
    ) -> StepTrace? {
        guard let placement = view.metadata.placement(of: step.shard) else { return nil }
        guard var trace = traces[key] else {
            return StepTrace(step, isPaused: isPaused, placement, in: view, now: now)
        }
        if let sample = trace.observe(step, isPaused: isPaused, placement, in: view, now: now) {
            if step.change.successors.isEmpty { sendingPace.add(sample) } else { makingPace.add(sample) }
        }
        return trace
    }

    /// The lease came or went: what another coordinator did meanwhile nobody here knows, and every step has its time
    /// before it begins anew.
    package mutating func leaseChanged(now: Duration) {
        for key in traces.keys { traces[key]?.beginsAnew(now: now) }
    }

    /// A replica comes back to where it is pinned once what is left of the one before is gone. Where that does not go
    /// it comes elsewhere.
    private mutating func observeFormers(_ view: ClusterView, now: Duration) {
        var current: [Former: Duration] = [:]
        for (shard, pin) in view.metadata.pins where view.isShort(shard) {
            guard let placement = view.metadata.placement(of: shard) else { continue }
            for worker in pin.workers where view.holdsFormer(placement, on: worker) {
                let former = Former(shard: shard, worker: worker)
                let since = formers[former] ?? now
                current[former] = since
                if now - since >= patience, shunnings[shard]?[worker].map({ $0.until <= now }) ?? true {
                    shun(worker, of: shard, now: now)
                }
            }
        }
        formers = current
    }

    private mutating func shun(_ worker: NodeID, of shard: ShardID, now: Duration) {
        let pauses = Self.shunningPauses
        let pause = shunnings[shard]?[worker].map { min($0.pause * 2, pauses.upperBound) } ?? pauses.lowerBound
        shunnings[shard, default: [:]][worker] = Shunning(pause: pause, until: now + pause)
    }

    private mutating func observeStandstills(
        _ operations: [Operation],
        in view: ClusterView,
        limits: OperationPlanner.Limits,
        now: Duration
    ) {
        /// Shards of the steps under way that nobody has paused.
        let goingOn = Set(
            operations.filter { $0.state != .paused }.flatMap(\.steps).filter(\.state.isUnderWay).flatMap(\.shards)
        )
        let isBusy = !goingOn.isEmpty
        var occupancy: Occupancy?
        var current: [OperationID: Standstill] = [:]
        for operation in operations where operation.rollout == nil && operation.state != .paused {
            guard !operation.steps.contains(where: \.state.isUnderWay) else { continue }
            let known = occupancy ?? Occupancy(view, limits: limits)
            occupancy = known
            // What waits for an earlier step of its shard begins no sooner than that.
            let mayBegin = operation.foremostSteps.contains { index in
                let step = operation.steps[index]
                guard step.state == .waiting else { return false }
                return known.hindrance(step, of: operation, in: view).map { hindrance in
                    // A shard that a paused operation has is free when somebody resumes that.
                    isBusy && hindrance.isOccupation
                        && (hindrance != .shardIsBusy || step.shards.contains(where: goingOn.contains))
                } ?? true
            }
            guard !mayBegin else { continue }
            let states = operation.steps.map(\.state)
            let before = standstills[operation.id].flatMap { $0.states == states ? $0 : nil }
            current[operation.id] = before ?? Standstill(states: states, since: now)
        }
        standstills = current
    }

    /// Nil of one that is not running.
    package func pace(of rollout: OperationID) -> RolloutPace? { rollouts[rollout]?.pace }

    /// Rollouts that have not got on for too long, though they wait for no other.
    package func stalledRollouts(now: Duration) -> [OperationID] {
        rollouts.filter { now - $0.value.pace.stillSince >= patience }.keys.sorted()
    }

    private mutating func observeRollouts(_ view: ClusterView, _ trainings: TrainingLedger, now: Duration) {
        var current: [OperationID: RolloutTrace] = [:]
        for operation in view.metadata.openOperations where operation.state == .running {
            guard let rollout = operation.rollout,
                let progress = RolloutProgress(of: rollout, in: view, trainings)
            else {
                continue
            }
            var trace = rollouts[operation.id] ?? RolloutTrace(progress, now: now)
            let awaitsItsTurn = RolloutPlanner.awaitsItsTurn(progress, in: view)
            trace.observe(progress, awaitsItsTurn: awaitsItsTurn, now: now)
            current[operation.id] = trace
        }
        rollouts = current
    }

    /// Shards that are not to be frozen now.
    package func restingShards(now: Duration) -> Set<ShardID> { Set(rests.filter { $0.value > now }.keys) }

    private mutating func observeFreezes(_ view: ClusterView, now: Duration) {
        let frozen = view.metadata.placements.filter(\.group.isFrozen).map(\.shard)
        freezes = Dictionary(uniqueKeysWithValues: frozen.map { ($0, freezes[$0] ?? now) })
        rests = rests.filter { $0.value > now }
        for (shard, since) in freezes where now - since >= Self.freezeLimit {
            if rests[shard] == nil { rests[shard] = now + Self.restTime }
        }
    }

    /// Steps under way, and replicas that no step brings, that have not got on for too long, whether they move or not.
    package func stalled(now: Duration) -> [Key] {
        keys { !$0.isPaused && now - $0.progress.changed >= patience }
    }

    /// Steps under way of which nothing has moved for too long: it is time to have them begin anew.
    package func motionless(now: Duration) -> [Key] { keys { $0.isMotionless(for: patience, now: now) } }

    /// Operations of which no step is under way, for too long, though they do not wait for others' steps.
    package func stalledOperations(now: Duration) -> [OperationID] {
        standstills.filter { now - $0.value.since >= patience }.keys.sorted()
    }

    /// Since when no step of an operation is under way, though it does not wait for others' steps; nil of one that gets
    /// on.
    package func standstill(of operation: OperationID) -> Duration? { standstills[operation]?.since }

    private func keys(_ isWanted: (StepTrace) -> Bool) -> [Key] {
        traces.filter { isWanted($0.value) }.map(\.key).sorted { $0.order < $1.order }
    }

    /// Time since the step, the rollout or the operation that has waited longest last got on; zero without one. What is
    /// paused does not wait.
    package func longestSilence(now: Duration) -> Duration {
        let times =
            traces.values.map(\.progress.changed) + rollouts.values.map(\.pace.stillSince)
            + standstills.values.map(\.since) + returning.values.map(\.progress.changed)
        return times.map { now - $0 }.max() ?? .zero
    }

    /// A step was made to begin anew: it has as much time again.
    package mutating func restarted(_ key: Key, now: Duration) {
        traces[key]?.beginsAnew(now: now)
        guard let worker = key.newcomer else { return }
        returning[key.shard] = traces[key]
        shun(worker, of: key.shard, now: now)
    }

    /// Workers to which a copy in the place of a lost one does not come again for now, if another can have it.
    package func shunnedWorkers(now: Duration) -> [ShardID: Set<NodeID>] {
        shunnings.mapValues { workers in Set(workers.filter { $0.value.until > now }.keys) }
            .filter { !$0.value.isEmpty }
    }
}

extension ClusterView {
    fileprivate func isShort(_ shard: ShardID) -> Bool {
        guard let placement = metadata.placement(of: shard), let record = metadata.collections[shard.collection] else {
            return false
        }
        let wanted = record.collection.configuration.replicationFactor
        return placement.group.inSync.count(where: liveWorkers.contains) < wanted
    }
}
