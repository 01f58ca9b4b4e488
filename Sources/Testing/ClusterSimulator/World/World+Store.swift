import ClusterModel
import ClusterState
import VectorMath

/// Who makes workers do something, until when.
struct ControllerLease: Hashable, Sendable {
    var controller: Int
    var life: Int
    var end: Duration
}

/// What a controller asks of the metadata store.
enum StoreRequest: Sendable {
    /// To have or keep the lease, and to read.
    case campaign
    case read
    case propose(ShardID, GroupProposal, by: NodeID, life: Int)
    /// To commit what an action changes, on the conditions that it has.
    case commit(ReconcileAction, ControlCall)
    /// To record an operation that nobody asked for.
    case begin(Operation, ControlCall)
    /// To take damaged replicas out of their group, where others are good.
    case expel(RepairCall, damaged: [NodeID], good: [NodeID])
    /// To read, before a worker is asked to remove something, or to begin with nothing.
    case check(ReconcileAction, ControlCall)
}

/// What the store has, and what came of a request.
struct StoreReply: Sendable {
    enum Outcome: Sendable {
        case none
        /// The lease is the one's who asked for it, or another's.
        case leased, waiting
        case proposed(ShardID, by: NodeID, life: Int)
        case committed(ControlCall)
        case repaired(RepairCall, Set<NodeID>)
        /// - Parameter isRight: whether it is still to be removed.
        case checked(ControlCall, isRight: Bool)
        /// It is not the controller any more when it commits, or the store has no room.
        case refused(ControlCall)
    }

    var metadata: ClusterMetadata
    var revision: UInt64
    var outcome: Outcome
}

/// The metadata store: one record after the other, each change conditional on what it was made from.
extension World {
    static var leaseTime: Duration { .seconds(2) }

    /// A controller's way to the store and back is a link like others; a slow store answers late.
    mutating func ask(_ request: StoreRequest, _ controller: Int) {
        let (life, asked) = (controllers[controller].life, clock(of: controller))
        let event = Event.store(request, controller: controller, life: life, asked: asked)
        transmit(event, from: Self.name(ofController: controller), to: Self.store)
    }

    mutating func serve(
        _ request: StoreRequest,
        _ controller: Int,
        _ life: Int,
        asked: Duration
    ) throws(Violation) {
        let before = revision
        let isHolder = lease.map { $0.controller == controller && $0.life == life && $0.end > now } ?? false
        var outcome = StoreReply.Outcome.none
        switch request {
        case .campaign where isHolder || lease.map({ $0.end <= now }) ?? true:
            lease = ControllerLease(controller: controller, life: life, end: now + Self.leaseTime)
            outcome = .leased
        case .campaign: outcome = .waiting
        case .read: break
        case .propose(let shard, let proposal, let worker, let workerLife):
            if let next = metadata.placement(of: shard)?.group.applying(proposal), !isFull(Self.store) {
                try change(shard, to: next)
            }
            outcome = .proposed(shard, by: worker, life: workerLife)
        case .commit(let action, let call):
            guard isHolder, !isFull(Self.store) else {
                outcome = .refused(call)
                break
            }
            try commit(action)
            outcome = .committed(call)
        case .begin(let operation, let call):
            outcome = isHolder && !isFull(Self.store) ? .committed(call) : .refused(call)
            if case .committed = outcome { beginAlone(operation) }
        case .expel(let call, let damaged, let good):
            let mayChange = isHolder && !isFull(Self.store)
            outcome = .repaired(call, mayChange ? try expel(damaged, of: call.repair.shard, good: good) : [])
        case .check(let action, let call):
            // Whoever asks looks itself whether it has the lease still.
            outcome = .checked(call, isRight: isStillRight(action))
        }
        if revision != before {
            try checkOwners()
            try checkRollouts()
            for other in controllers.indices where other != controller { tell(other, .none, asked: nil) }
        }
        tell(controller, outcome, asked: asked, life: life)
    }

    private mutating func tell(_ controller: Int, _ outcome: StoreReply.Outcome, asked: Duration?, life: Int? = nil) {
        let reply = StoreReply(metadata: metadata, revision: revision, outcome: outcome)
        let event = Event.storeReply(
            reply,
            controller: controller,
            life: life ?? controllers[controller].life,
            asked: asked
        )
        // What nobody asked for may come late where old maps are to be seen.
        let isLate = settings.course.aim == .routers && asked == nil && isFaulty && random.chance(0.3)
        let lateness = isLate ? random.duration(.zero, .seconds(2)) : .zero
        transmit(event, from: Self.store, to: Self.name(ofController: controller), after: lateness)
    }

    /// What is changed by people, at once.
    mutating func changeRecords(_ body: (inout ClusterMetadata) -> Void) {
        body(&metadata)
        revision += 1
        for controller in controllers.indices { tell(controller, .none, asked: nil) }
    }

    // MARK: Commits

    private mutating func commit(_ action: ReconcileAction) throws(Violation) {
        switch action {
        case .regroup(_, let regroupings):
            for regrouping in regroupings {
                guard let group = metadata.placement(of: regrouping.shard)?.group,
                    group.version == regrouping.version || settings.fault == .noCompareAndSwap,
                    regrouping.isWanted(in: metadata) || settings.fault == .regroupWhateverOperations
                else { continue }
                try checkTakenBack(regrouping, after: group)
                var next = regrouping.group
                if settings.fault == .failsOverInTheSameEpoch { next.epoch = group.epoch }
                try change(regrouping.shard, to: next)
            }
        case .advance(let update): try advance(update)
        case .succeed(let succession, _): try succeed(succession)
        case .establish: record.isEstablished = true
        case .rollOut(let rollout): beginRollout(rollout, of: lease?.controller ?? 0)
        case .fetch(_, let generation, let origin, _): recordCodebook(generation, origin)
        case .begin, .host, .drop, .prepare, .abandon, .balance, .divide, .train, .install, .abandonTraining: return
        }
        revision += 1
    }

    /// A step that was taken back before its commit point does not pass that because it was under way.
    private func checkTakenBack(
        _ regrouping: ReconcileAction.Regrouping,
        after group: ReplicaGroup
    ) throws(Violation) {
        guard let cause = regrouping.cause, cause.step.state == .running,
            let operation = metadata.operations[cause.operation]
        else { return }
        let change = cause.step.change
        let isTakenBack = operation.steps.contains { step in
            step.shard == cause.step.shard && step.change == change && step.state == .undoing
        }
        guard isTakenBack, !change.isPastCommitPoint(in: group), change.isPastCommitPoint(in: regrouping.group)
        else { return }
        try fail(.former, "\(regrouping.shard.index) \(Self.text(change)), which was taken back")
    }

    /// Puts a group in place of the one that it was made from.
    ///
    /// - Parameter isExpulsion: what is damaged leaves, whether or not enough are left for writes.
    mutating func change(_ shard: ShardID, to next: ReplicaGroup, isExpulsion: Bool = false) throws(Violation) {
        guard let index = record.index(of: shard) else { return }
        let group = record.placements[index].group
        if next.epoch != group.epoch { counts.epochs += 1 }
        note(
            "\(shard.index) is \(next.primary.low) of \(next.inSync.map(\.low)), learners \(next.learners.map(\.low)), "
                + "epoch \(next.epoch.number), version \(next.version)\(next.isFrozen ? ", frozen" : "")"
        )
        let isSmaller = next.inSync.count < group.inSync.count
        record.placements[index].group = next
        revision += 1
        let newcomer = next.inSync.first { !group.isInSync($0) }
        if settings.upheavalInterval != nil, isFaulty, let newcomer, random.chance(0.5) {
            try upheave(record.placements[index], to: newcomer)
        }
        if isSmaller, !isExpulsion, next.inSync.count < next.minimumInSync {
            try fail(.minimum, "\(next.inSync.count) in sync of at least \(next.minimumInSync)")
        }
    }

    private mutating func advance(_ update: OperationPlanner.Update) throws(Violation) {
        guard metadata.operations[update.old.id] == update.old else { return }
        if settings.fault != .stepsBesidePins, PinPlanner.forbids(update.begun, in: metadata) { return }
        metadata.operations[update.old.id] = update.new
        note("operation \(update.new.id.low) is \(update.new.state): \(update.new.steps.map(\.state))")
        if update.new.state == .done { counts.operationsDone += 1 }
        if update.new.state == .cancelled { counts.operationsTakenBack += 1 }
        if case .decommission(let worker) = update.new.kind, update.new.state == .done {
            metadata.standings[worker] = .decommissioned
        }
        try checkPins()
    }

    private mutating func succeed(_ succession: Succession) throws(Violation) {
        let shards = succession.successors.map(\.shard)
        let isWanted = metadata.openOperations.contains { operation in
            operation.state == .running
                && operation.steps.contains { step in
                    step.state == .running
                        && Succession(step, in: metadata)?.successors.map(\.shard) == shards
                }
        }
        guard isWanted else { return }
        if settings.fault == .succeedWhateverVersions {
            // As if the record were still the one that the succession was made from.
            for source in succession.sources {
                guard let index = record.index(of: source.shard) else { return }
                record.placements[index].group = source.group
            }
        }
        let sources = succession.sources.map(\.shard)
        guard succession.apply(to: &record) else { return }
        note("\(shards.map(\.index)) take the place of \(sources.map(\.index))")
        counts.successions += 1
        metadata.epoch = Epoch(metadata.epoch.number + 1)
        try history.succeeded(sources, by: succession.successors, at: now)
    }

    /// Whether what a worker is to remove is still to be removed, and what it is to begin is as it was.
    private func isStillRight(_ action: ReconcileAction) -> Bool {
        switch action {
        case .host(let placement, _): metadata.placement(of: placement.shard)?.group == placement.group
        case .drop(let shard, _, let worker):
            record.retirement(of: shard) != nil
                || metadata.placement(of: shard).map { !$0.group.members.contains(worker) } ?? false
        case .abandon(let shard, let worker): metadata.placement(of: shard)?.group.isInSync(worker) != true
        case .abandonTraining(_, let generation, _):
            metadata.openRollout(of: Self.collection).map { $0.operation.state == .cancelling } ?? true
                && record.nextGeneration == generation
        default: true
        }
    }

    /// Each place on the ring has one owner, and no number is two shards', be they there, gone, or about to come.
    private func checkOwners() throws(Violation) {
        let indices = placements.map(\.shard.index) + record.retirements.map(\.index)
        let awaited = metadata.openOperations.flatMap(\.steps).flatMap(\.change.successors)
        guard Set(indices).count == indices.count, Set(awaited).count == awaited.count else {
            return try fail(.oneOwner, "two shards have the same number, of \(indices) and, to come, \(awaited)")
        }
        let ranges = placements.map(\.range).sorted { $0.first < $1.first }
        guard ranges.first?.first == 0, ranges.last?.last == .max,
            zip(ranges, ranges.dropFirst()).allSatisfy({ $0.last + 1 == $1.first })
        else { return try fail(.oneOwner, "the shards' ranges are \(ranges.map { ($0.first, $0.last) })") }
    }
}
