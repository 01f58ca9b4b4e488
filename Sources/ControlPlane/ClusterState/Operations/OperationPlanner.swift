package import ClusterModel
package import FaceModel

/// Decides what becomes of operations next: which steps begin, which have ended, and what a shard's group has to be.
package enum OperationPlanner {
    package struct Limits: Hashable, Sendable {
        /// Replicas that come to or are copied from one worker at a time.
        package var copiesPerWorker: Int

        package init(copiesPerWorker: Int = 1) {
            self.copiesPerWorker = copiesPerWorker
        }
    }

    /// Why a step that waits has not begun.
    package enum Hindrance: Hashable, Sendable {
        case paused
        /// Another step is under way for the shard.
        case shardIsBusy
        /// An earlier step of the same operation for the shard has not ended, nor begun.
        case earlierStep
        /// As many copies as may be come to, or go from, the worker.
        case workerIsBusy(NodeID)
        case workerNotLive(NodeID)
        case workerIsDrained(NodeID)
        /// The worker still has what is left of an earlier replica of the shard.
        case leftover(NodeID)
        case shardNotServing
        case tooLittleDisk(NodeID, needed: UInt64, free: UInt64)
        case tooLittleMemory(NodeID, needed: UInt64, free: UInt64)
        /// As ``tooLittleMemory(_:needed:free:)``, for shards that are to take others' place: what searches read there
        /// now counts as free.
        case tooLittleMemoryInPlace(NodeID, needed: UInt64, free: UInt64)
        /// The shards that are to be merged have their replicas on different workers, or not in sync.
        case notTogether
        /// The worker holds as much memory as it may.
        case shortOfMemory(NodeID)
        /// An operator pinned what the step would change, after it was planned.
        case pinned(ShardPin)

        /// Whether it passes when another step has ended.
        var isOccupation: Bool {
            switch self {
            case .shardIsBusy, .workerIsBusy: true
            case .paused, .earlierStep, .workerNotLive, .workerIsDrained, .leftover, .shardNotServing,
                .tooLittleDisk, .tooLittleMemory, .tooLittleMemoryInPlace, .notTogether, .shortOfMemory, .pinned:
                false
            }
        }
    }

    /// Another record of an operation.
    package struct Update: Hashable, Sendable {
        package var old: Operation
        package var new: Operation

        /// Steps that begin by it.
        package var begun: [Operation.Step] {
            new.steps.enumerated().filter { index, step in
                step.state == .running && (index >= old.steps.count || old.steps[index].state == .waiting)
            }.map(\.element)
        }
    }

    /// Most collections whose steps begin by one update: each adds a condition to its commit.
    package static let beginLimit = 64

    /// What the operations' records should be instead.
    ///
    /// - Parameters:
    ///   - standing: operations that stand still for long; see ``OperationLedger/stalledOperations(now:)``.
    ///   - motionless: steps of which nothing has moved for long; see ``OperationLedger/motionless(now:)``.
    package static func updates(
        _ view: ClusterView,
        limits: Limits,
        standing: [OperationID] = [],
        motionless: [OperationLedger.Key] = [],
        now: Timestamp
    ) -> [Update] {
        var busy = Occupancy(view, limits: limits)
        let motionless = Set(motionless)
        return view.metadata.openOperations.compactMap { operation in
            var next = operation
            if let rollout = operation.rollout {
                RolloutPlanner.end(&next, rollout, in: view, now: now)
                return next == operation ? nil : Update(old: operation, new: next)
            }
            end(&next, in: view, motionless)
            if next.state == .running {
                DrainPlanner.redirect(&next, in: view, beside: busy)
                extend(&next, in: view)
                begin(&next, in: view, &busy)
                if standing.contains(operation.id) { endWithoutRoom(&next, in: view, beside: busy) }
            }
            finish(&next, in: view, now: now)
            return next == operation ? nil : Update(old: operation, new: next)
        }
    }

    /// The group to put in place of a shard's on account of the step under way for it; see ``sparing(_:of:_:in:)``.
    ///
    /// - Parameter shard: of those that the step is a change of; nil for the first.
    package static func next(
        _ step: Operation.Step,
        of operation: Operation,
        for shard: ShardID? = nil,
        in view: ClusterView
    ) -> ReplicaChange.Next {
        let shard = shard ?? step.shard
        guard let placement = view.metadata.placement(of: shard) else { return .done }
        if !step.change.successors.isEmpty {
            if step.state == .undoing {
                return placement.group.isFrozen ? .regroup(placement.group.freezing(false)) : .done
            }
            return Succession(step, in: view.metadata)?.next(for: shard, in: view) ?? .done
        }
        let ready = view.readyMembers(of: placement)
        let unaware = Set(
            placement.group.members.filter { member in
                view.isServing(step.shard, on: member)
                    && view.replica(of: step.shard, on: member)?.groupVersion ?? 0 < placement.group.version
            }
        )
        let next =
            step.state == .undoing
            ? changeTakenBack(by: step, of: operation, placement.group, in: view).undoing(
                placement.group,
                formerPrimary: step.formerPrimary,
                ready: ready,
                unaware: unaware
            ) : step.change.next(placement.group, ready: ready, unaware: unaware)
        // One that has left, since it was damaged say, would be taken for what is to come if it was a member again.
        if case .regroup(let group) = next, let newcomer = step.change.newcomer, group.members.contains(newcomer),
            view.holdsFormer(placement, on: newcomer)
        {
            return .wait(.former(newcomer))
        }
        return sparing(next, of: step, placement, in: view)
    }

    // MARK: Steps

    /// Notes which steps have ended, and takes back those whose worker is gone, or has no room any more.
    private static func end(
        _ operation: inout Operation,
        in view: ClusterView,
        _ motionless: Set<OperationLedger.Key>
    ) {
        guard operation.state != .paused else { return }
        // Where nobody is replaced, one that is away for as long is not waited for either.
        let lost = view.goneWorkers.union(view.absentWorkers)
        for index in operation.steps.indices where !operation.steps[index].state.hasEnded {
            let step = operation.steps[index]
            guard let placement = view.metadata.placement(of: step.shard) else {
                operation.steps[index].state = .done
                continue
            }
            if step.change.partner != nil, step.state != .undoing, !canComeTogether(step, of: operation, in: view) {
                operation.steps[index].state = step.state == .waiting ? .undone : .undoing
                operation.add(note: "Shards \(step.shards.map(\.index)) could not be brought to the same workers.")
                continue
            }
            if step.state != .undoing, step.isForestalled(in: view.metadata) {
                operation.steps[index].state = step.state == .waiting ? .undone : .undoing
                operation.add(
                    note: "Other shards have the numbers that those in place of shard \(step.shard.index) were to "
                        + "have: ask for it again."
                )
                continue
            }
            if isUnreachable(step, of: operation, placement.group) {
                operation.steps[index].state = step.state == .waiting ? .undone : .undoing
                operation.add(note: "The replica that was to be the primary of shard \(step.shard.index) did not come.")
                continue
            }
            if isWithoutSender(index, of: operation) {
                operation.steps[index].state = .undone
                if operation.drainedWorker == nil {
                    operation.add(
                        note: "The replica of shard \(step.shard.index) that was to send one is not the primary."
                    )
                }
                continue
            }
            let isLost = step.change.beneficiary.map(lost.contains) ?? false
            let isBarred = step.change.newcomer.map { view.metadata.standing(of: $0) != .active } ?? false
            let isUnwanted = operation.kind == .rebalance && view.metadata.pin(forbidding: step) != nil
            if step.state == .waiting, isLost || isBarred || isUnwanted {
                operation.steps[index].state = .undone
                // What leaves a worker that is to be empty goes elsewhere.
                if operation.drainedWorker == nil {
                    operation.add(note: note(on: step, isLost: isLost, isBarred: isBarred))
                }
            }
            guard step.state.isUnderWay, next(step, of: operation, in: view) == .done else {
                guard step.state == .running, !step.change.isPastCommitPoint(in: placement.group) else { continue }
                if isLost {
                    operation.steps[index].state = .undoing
                    operation.add(note: "Worker \(step.change.beneficiary!) has not been heard of for too long.")
                } else if motionless.contains(.init(step, of: operation.id)),
                    let shortage = shortage(of: step, of: operation, placement, in: view)
                {
                    operation.steps[index].state = .undoing
                    if operation.drainedWorker == nil { operation.add(note: shortage) }
                } else if operation.drainedWorker != nil, case .lead(let sender) = step.change,
                    !view.readyMembers(of: placement).contains(sender),
                    motionless.contains(.init(step, of: operation.id))
                {
                    // The move behind it ends with it, and is planned anew: another may be able to send by now.
                    operation.steps[index].state = .undoing
                } else if DrainPlanner.isFutile(step, in: view) {
                    operation.steps[index].state = .undoing
                    if operation.drainedWorker == nil {
                        operation.add(note: note(on: step, isLost: false, isBarred: true))
                    }
                }
                continue
            }
            let isBack = step.state == .undoing && !step.change.isPastCommitPoint(in: placement.group)
            operation.steps[index].state = isBack ? .undone : .done
        }
    }

    /// Why a step comes to nothing: its worker is gone, or barred, or its shard is pinned.
    private static func note(on step: Operation.Step, isLost: Bool, isBarred: Bool) -> String {
        guard let worker = step.change.beneficiary, isLost || isBarred else {
            return "Shard \(step.shard.index) has been pinned meanwhile."
        }
        if isBarred { return "Worker \(worker) is not to be given any replicas any more." }
        return "Worker \(worker) has not been heard of for too long."
    }

    /// Whether the replica that is to be the primary is none of the shard's, and no step before will bring it.
    private static func isUnreachable(
        _ step: Operation.Step,
        of operation: Operation,
        _ group: ReplicaGroup
    ) -> Bool {
        guard case .lead(let worker) = step.change, step.state != .undoing, !group.members.contains(worker) else {
            return false
        }
        return !operation.steps.contains { other in
            other.shard == step.shard && other.change.newcomer == worker && !other.state.hasEnded
        }
    }

    /// Whether shards that are to be merged are on the same workers, or steps before will bring them there.
    private static func canComeTogether(_ step: Operation.Step, of operation: Operation, in view: ClusterView) -> Bool {
        let isPending = operation.steps.contains { other in
            other.change.partner == nil && !other.state.hasEnded && step.shards.contains(other.shard)
        }
        // A replica that is away for a while comes back.
        let members = step.shards.compactMap { view.metadata.placement(of: $0)?.group.members }
        return isPending || members.count == step.shards.count && Set(members).count == 1
    }

    /// What came to a worker that is to have nothing moves as well.
    private static func extend(_ operation: inout Operation, in view: ClusterView) {
        guard let worker = operation.drainedWorker else { return }
        let pending = Set(operation.steps.filter { !$0.state.hasEnded }.map(\.shard))
        let missing = DrainPlanner.steps(from: worker, in: view).filter { !pending.contains($0.shard) }
        let room = Operation.newStepLimit - operation.steps.count
        operation.steps += missing.prefix(max(room, 0))
    }

    private static func begin(_ operation: inout Operation, in view: ClusterView, _ busy: inout Occupancy) {
        var begun: Set<CollectionID> = []
        for index in operation.foremostSteps {
            guard operation.steps[index].state == .waiting,
                begun.count < beginLimit || begun.contains(operation.steps[index].shard.collection),
                busy.hindrance(operation.steps[index], in: view) == nil,
                let placement = view.metadata.placement(of: operation.steps[index].shard)
            else { continue }
            begun.insert(operation.steps[index].shard.collection)
            // A replica that the shard needs has come there: this one would only take a copy away. It is planned anew.
            if let worker = operation.drainedWorker, let target = operation.steps[index].change.newcomer,
                placement.group.members.contains(target), !DrainPlanner.isSpare(worker, placement, view)
            {
                operation.steps[index].state = .undone
                continue
            }
            // Another step has brought it there: this one would only take a copy away, and taken back take it with it.
            if operation.drainedWorker == nil, operation.steps[index].isReached(placement.group) {
                operation.steps[index].state = .undone
                let shard = operation.steps[index].shard.index
                operation.add(note: "Where a replica of shard \(shard) was to move there is one already.")
                continue
            }
            // It would be done at once, and nothing would have come to its target.
            if operation.drainedWorker == nil, let sender = operation.steps[index].absentSender(placement.group) {
                operation.steps[index].state = .undone
                let shard = operation.steps[index].shard.index
                operation.add(note: "The replica of shard \(shard) that was to move has left worker \(sender) already.")
                continue
            }
            operation.steps[index].state = .running
            operation.steps[index].formerPrimary = placement.primary
            busy.add(operation.steps[index], in: view)
        }
    }

    /// One that nobody takes back and of which steps came to nothing has been cancelled by what came between, and says
    /// so; but a drain is done when its worker is empty, a rebalance when what could be levelled has been, and another
    /// number of copies, which the collection has from the beginning, when nothing is left to be begun for it: copies
    /// that are missing come like those that are lost.
    private static func finish(_ operation: inout Operation, in view: ClusterView, now: Timestamp) {
        guard operation.state != .paused, operation.steps.allSatisfy(\.state.hasEnded) else { return }
        if operation.state == .running, remainder(of: operation, in: view) != nil { return }
        let isWhole = operation.steps.allSatisfy { $0.state == .done }
        var isDone = isWhole || operation.drainedWorker != nil || operation.kind == .rebalance
        if case .copies(let collection, _) = operation.kind, operation.state == .running, !isWhole {
            isDone = true
            if let sentence = note(onCopiesOf: collection, in: view) { operation.add(note: sentence) }
        }
        operation.state = isDone && operation.state == .running ? .done : .cancelled
        operation.ended = now
    }

    /// What there is to say of a collection that has another number of copies by now; nil where none is missing.
    private static func note(onCopiesOf id: CollectionID, in view: ClusterView) -> String? {
        guard let record = view.metadata.collections[id] else { return nil }
        let wanted = record.collection.configuration.replicationFactor
        let count = record.placements.count { $0.group.inSync.count < wanted }
        guard count > 0 else { return nil }
        return "\(count == 1 ? "1 shard has" : "\(count) shards have") fewer than \(wanted) copies in sync: what is "
            + "missing is made as workers allow."
    }
}

/// What the steps under way, and copies that take the place of lost ones, already ask of the workers, and why others
/// cannot begin on account of it.
package struct Occupancy: Sendable {
    private let limits: OperationPlanner.Limits
    private var shards: Set<ShardID> = []
    private var copies: [NodeID: Int] = [:]
    /// Shards that are made there in the place of others.
    private var makings: [NodeID: Int] = [:]
    private var room: WorkerRoom

    package init(_ view: ClusterView, limits: OperationPlanner.Limits) {
        self.limits = limits
        room = WorkerRoom(view)
        for operation in view.metadata.openOperations {
            // What an operator holds up keeps its shards to itself, and others need not wait for its workers.
            let isPaused = operation.state == .paused
            for step in operation.steps where step.state.isUnderWay { count(step, isPaused: isPaused, in: view) }
        }
        for newcomer in view.copiedNewcomers { addCopy(from: newcomer.source, to: newcomer.worker) }
    }

    /// Whether the worker has part in as many copies as it may, with shards that it makes in the place of others.
    func isBusy(_ worker: NodeID) -> Bool {
        copies[worker, default: 0] + makings[worker, default: 0] >= limits.copiesPerWorker
    }

    /// Whether the worker has part in as many copies as it may, whatever shards it makes: those that cannot be made
    /// would have what is lost wait for as long.
    func isCopying(_ worker: NodeID) -> Bool { copies[worker, default: 0] >= limits.copiesPerWorker }

    /// Whether the worker has part in any copy.
    func hasPartInCopy(_ worker: NodeID) -> Bool { copies[worker, default: 0] > 0 }

    mutating func addCopy(from source: NodeID, to target: NodeID) {
        copies[target, default: 0] += 1
        copies[source, default: 0] += 1
    }

    /// Why a step that waits cannot begin; nil when it can.
    package func hindrance(
        _ step: Operation.Step,
        of operation: Operation,
        in view: ClusterView
    ) -> OperationPlanner.Hindrance? {
        operation.state == .paused ? .paused : hindrance(step, in: view)
    }

    /// Why each step of an operation that waits cannot begin, in their order; nil of one that can, and of others.
    package func hindrances(of operation: Operation, in view: ClusterView) -> [OperationPlanner.Hindrance?] {
        let foremost = Set(operation.foremostSteps)
        return operation.steps.enumerated().map { index, step -> OperationPlanner.Hindrance? in
            guard step.state == .waiting else { return nil }
            let ownHindrance = hindrance(step, of: operation, in: view)
            let comesFirst = foremost.contains(index) || ownHindrance == .paused || ownHindrance == .shardIsBusy
            return comesFirst ? ownHindrance : .earlierStep
        }
    }

    /// A step begins.
    mutating func add(_ step: Operation.Step, in view: ClusterView) {
        count(step, isPaused: false, in: view)
        room.reserve(step, in: view)
    }

    private mutating func count(_ step: Operation.Step, isPaused: Bool, in view: ClusterView) {
        shards.formUnion(step.shards)
        guard !isPaused else { return }
        if let succession = Succession(step, in: view.metadata) {
            for worker in succession.sources[0].group.inSync { makings[worker, default: 0] += 1 }
            return
        }
        guard let newcomer = step.change.newcomer,
            let placement = view.metadata.placement(of: step.shard), !placement.group.isInSync(newcomer)
        else { return }
        addCopy(from: placement.primary, to: newcomer)
    }

    /// As ``hindrance(_:of:in:)`` of an operation that is not paused.
    package func hindrance(_ step: Operation.Step, in view: ClusterView) -> OperationPlanner.Hindrance? {
        guard shards.isDisjoint(with: step.shards) else { return .shardIsBusy }
        if let pin = view.metadata.pin(forbidding: step) { return .pinned(pin) }
        guard let placement = view.metadata.placement(of: step.shard) else { return nil }
        guard view.isHosted(placement) else { return .shardNotServing }
        if let succession = Succession(step, in: view.metadata) { return hindrance(succession, in: view) }
        guard let newcomer = step.change.newcomer, !placement.group.members.contains(newcomer) else { return nil }
        if let standing = view.metadata.standings[newcomer], standing != .active { return .workerIsDrained(newcomer) }
        guard view.liveWorkers.contains(newcomer) else { return .workerNotLive(newcomer) }
        guard view.replica(of: step.shard, on: newcomer) == nil, view.successor(step.shard, on: newcomer) == nil else {
            return .leftover(newcomer)
        }
        for worker in [newcomer, placement.primary] where isBusy(worker) { return .workerIsBusy(worker) }
        // The source makes a copy on its own disk before it sends it.
        let size = ReplicaSize(of: placement, in: view)
        let source = room.diskShortage(for: size.diskByteCount, on: placement.primary)
        if let source { return Self.hindrance(source, on: placement.primary) }
        if view.isShortOfMemory(newcomer) { return .shortOfMemory(newcomer) }
        return room.shortage(for: size, on: newcomer).map { Self.hindrance($0, on: newcomer) }
    }
}

extension Occupancy {
    static func hindrance(_ shortage: WorkerRoom.Shortage, on worker: NodeID) -> OperationPlanner.Hindrance {
        switch shortage {
        case .disk(let needed, let free): .tooLittleDisk(worker, needed: needed, free: free)
        case .memory(let needed, let free): .tooLittleMemory(worker, needed: needed, free: free)
        }
    }

    private func hindrance(_ succession: Succession, in view: ClusterView) -> OperationPlanner.Hindrance? {
        guard succession.isTogether else { return .notTogether }
        guard succession.sources.allSatisfy(view.isHosted) else { return .shardNotServing }
        let size = ReplicaSize(of: succession, in: view)
        for worker in succession.sources[0].group.inSync {
            guard view.liveWorkers.contains(worker) else { return .workerNotLive(worker) }
            guard !isBusy(worker) else { return .workerIsBusy(worker) }
            // The room is what is left for pages of files; what a process holds besides has a mark of its own.
            if view.isShortOfMemory(worker) { return .shortOfMemory(worker) }
            switch room.shortage(for: size, on: worker, isSuccessor: true) {
            case .disk(let needed, let free): return .tooLittleDisk(worker, needed: needed, free: free)
            case .memory(let needed, let free): return .tooLittleMemoryInPlace(worker, needed: needed, free: free)
            case nil: continue
            }
        }
        return nil
    }
}
