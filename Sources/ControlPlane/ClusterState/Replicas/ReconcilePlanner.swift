package import ClusterModel
import FaceModel

/// Compares what was agreed with what workers report, and says what to do about the difference.
package enum ReconcilePlanner {
    package struct Plan: Hashable, Sendable {
        package var actions: [ReconcileAction]
        package var problems: [ReconcileProblem]
        /// Replicas in the place of lost ones that wait for their turn, as operations would call them, in order of
        /// their shards; where they come in the end is decided then.
        package var waiting: [Operation.Step] = []

        package init(actions: [ReconcileAction] = [], problems: [ReconcileProblem] = []) {
            self.actions = actions
            self.problems = problems
        }
    }

    /// Bytes of its log that a worker keeps of a shard: of one whose file is no larger a newcomer may get everything
    /// from there, and no copy is made.
    private static let logByteCount: UInt64 = 64 << 20

    /// Where replicas go that are missing.
    private struct Restorations {
        /// Of the workers with what was planned so far; nil before anybody asked.
        var load: PlacementLoad?
        /// Of the workers with copies under way, and what was planned so far.
        var occupancy: Occupancy
        /// Shards that lack a replica whose turn has not come, with where it would come.
        var waiting: [ShardID: NodeID] = [:]
        /// Shards that lack a replica for which no worker has room, with the bytes that it takes.
        var unplaced: [ShardID: UInt64] = [:]
        /// Shards that lack a replica that nobody has the room to send, with the primary and the bytes that it takes.
        var unsendable: [ShardID: (primary: NodeID, byteCount: UInt64)] = [:]
    }

    /// Shards that lack a replica for which no worker has room on its disk, or that nobody has the room to send.
    package static func shardsWithoutRoom(in view: ClusterView) -> Set<ShardID> {
        Set(
            plan(view).problems.compactMap { problem -> ShardID? in
                switch problem {
                case .noRoom(let shard, _), .noRoomToSend(let shard, _, _): shard
                default: nil
                }
            }
        )
    }

    /// Steps for replicas: regroup, host, drop, establish, install, and what shards need that take others' place.
    /// Trainings come from ``TrainingPlanner``.
    ///
    /// Only live workers are asked for anything. The order is the same for the same view.
    ///
    /// - Parameter limits: of the copies that each worker has part in at a time.
    package static func plan(_ view: ClusterView, limits: OperationPlanner.Limits = .init()) -> Plan {
        var plan = Plan()
        var restorations = Restorations(occupancy: Occupancy(view, limits: limits))
        var steps: [ShardID: (operation: Operation, step: Operation.Step)] = [:]
        for operation in view.metadata.openOperations {
            for step in operation.steps {
                for shard in step.shards
                where step.state.isUnderWay || step.isHolding(in: operation) && steps[shard] == nil {
                    steps[shard] = (operation, step)
                }
            }
        }
        var awaited: Set<ShardID> = []
        for operation in view.metadata.openOperations where view.isSettled {
            for step in operation.steps where step.state == .running {
                guard let succession = Succession(step, in: view.metadata) else { continue }
                awaited.formUnion(succession.successors.map(\.shard))
                if operation.state != .paused { plan.actions += actions(for: succession, in: view) }
            }
        }
        let records = view.metadata.collections.values.sorted { $0.collection.id < $1.collection.id }
        var regroupings: [CollectionID: [ReconcileAction.Regrouping]] = [:]
        // Copies that writes wait for come first.
        for isUrgent in [true, false] where view.isSettled {
            for record in records {
                let placements = record.placements.filter { isShort($0, in: view) == isUrgent }
                regroupings[record.collection.id, default: []] +=
                    Self.regroupings(of: placements, in: record, steps, in: view, &restorations)
            }
        }
        for record in records {
            let changes = regroupings[record.collection.id] ?? []
            if !changes.isEmpty {
                plan.actions.append(.regroup(record.collection.id, changes.sorted { $0.shard < $1.shard }))
            }
            for placement in record.placements {
                if view.olderShards.contains(placement.shard) { plan.problems.append(.olderRecord(placement.shard)) }
                if view.suspectShards.contains(placement.shard) { continue }
                if view.isDifferent(placement) { plan.problems.append(.differentReplicas(placement.shard)) }
                for member in placement.group.members { compare(placement, member, of: record, in: view, into: &plan) }
            }
            let hosted = record.placements.filter { isHosted($0, in: view) }
            if !record.isEstablished, hosted.count == record.placements.count {
                plan.actions.append(.establish(record.collection.id))
            }
            plan.actions += hosted.map(\.shard).filter(record.isBeginning).map { .begin($0) }
        }
        for (shard, byteCount) in restorations.unplaced.sorted(by: { $0.key < $1.key }) {
            plan.problems.append(.noRoom(shard, byteCount: byteCount))
        }
        for (shard, lack) in restorations.unsendable.sorted(by: { $0.key < $1.key }) {
            plan.problems.append(.noRoomToSend(shard, primary: lack.primary, byteCount: lack.byteCount))
        }
        plan.waiting = restorations.waiting.sorted { $0.key < $1.key }.map { .init(shard: $0, change: .add($1)) }
        for worker in view.liveWorkers.sorted() {
            let replicas = view.observations[worker]?.replicas ?? [:]
            for (shard, replica) in replicas.sorted(by: { $0.key < $1.key }) {
                compare(shard, replica, on: worker, in: view, into: &plan)
            }
            let successors = view.observations[worker]?.successors.keys.sorted() ?? []
            for shard in successors where view.isSettled && !awaited.contains(shard) {
                let group = view.metadata.placement(of: shard)?.group
                guard group?.isInSync(worker) != true else { continue }
                plan.actions.append(.abandon(shard, worker: worker))
            }
        }
        return plan
    }

    /// Whether every replica in sync is there: learners have nothing to lose.
    private static func isHosted(_ placement: ShardPlacement, in view: ClusterView) -> Bool {
        placement.group.inSync.allSatisfy { view.isHosted(placement, on: $0) }
    }

    private static func actions(for succession: Succession, in view: ClusterView) -> [ReconcileAction] {
        if let ends = succession.readyEnds(in: view) { return [.succeed(succession, ends: ends)] }
        let workers = succession.isTogether ? succession.sources[0].group.inSync : []
        return workers.filter(view.liveWorkers.contains).flatMap { worker in
            succession.preparations.filter { view.successor($0.shard, on: worker) == nil }
                .map { .prepare($0, worker: worker) }
        }
    }

    /// Whether writes wait for a copy.
    private static func isShort(_ placement: ShardPlacement, in view: ClusterView) -> Bool {
        placement.group.inSync.count(where: view.liveWorkers.contains) < placement.group.minimumInSync
    }

    /// What the groups of shards should be instead, from who is there.
    ///
    /// - Parameter steps: of operations, under way.
    private static func regroupings(
        of placements: [ShardPlacement],
        in record: CollectionRecord,
        _ steps: [ShardID: (operation: Operation, step: Operation.Step)],
        in view: ClusterView,
        _ restorations: inout Restorations
    ) -> [ReconcileAction.Regrouping] {
        placements.compactMap { placement in
            if view.suspectShards.contains(placement.shard) { return nil }
            var next = failover(placement, of: record, in: view) ?? requirement(placement, of: record)
            var cause: ReconcileAction.Regrouping.Cause?
            if next == nil {
                if placement.group.isFrozen, steps[placement.shard]?.step.change.successors.isEmpty ?? true {
                    // Whatever it was frozen for has ended.
                    next = placement.group.freezing(false)
                } else if let (operation, step) = steps[placement.shard] {
                    if case .regroup(let group) = Self.next(step, of: operation, for: placement.shard, in: view) {
                        next = group
                        cause = ReconcileAction.Regrouping.Cause(operation: operation.id, step: step)
                    } else {
                        next = group(beside: step, of: operation, placement, of: record, in: view, &restorations)
                    }
                } else {
                    next = restoration(placement, of: record, in: view, &restorations)
                }
            }
            let version = placement.group.version
            return next.map { .init(shard: placement.shard, version: version, group: $0, cause: cause) }
        }
    }

    private static func failover(
        _ placement: ShardPlacement,
        of record: CollectionRecord,
        in view: ClusterView
    ) -> ReplicaGroup? {
        let live = placement.group.members.filter { member in
            view.liveWorkers.contains(member) && !view.hasLost(placement, on: member, of: record)
                && view.replica(of: placement.shard, on: member)?.state != .failed
        }
        return FailoverPlanner.failover(
            placement.group,
            live: Set(live),
            stopping: Set(live.filter(view.isStopping)),
            stuck: Set(live.filter { view.isStuck(placement.shard, on: $0) }),
            applied: { view.replica(of: placement.shard, on: $0)?.sequence ?? 0 }
        )
    }

    /// Fewer replicas in sync are enough at once; more are asked for when they are there.
    private static func requirement(_ placement: ShardPlacement, of record: CollectionRecord) -> ReplicaGroup? {
        let (group, minimum) = (placement.group, record.collection.configuration.minimumInSync)
        let mayChange = minimum < group.minimumInSync || minimum > group.minimumInSync && group.inSync.count >= minimum
        return mayChange ? group.requiring(minimum) : nil
    }

    /// What a step comes to next; nil when it is paused, or has yet to begin.
    private static func next(
        _ step: Operation.Step,
        of operation: Operation,
        for shard: ShardID,
        in view: ClusterView
    ) -> ReplicaChange.Next? {
        guard operation.state != .paused, step.state.isUnderWay else { return nil }
        return OperationPlanner.next(step, of: operation, for: shard, in: view)
    }

    /// A shard that a step is under way for is nobody else's; one that is paused, or has yet to begin, leaves it as it
    /// is, but for copies that are lost.
    private static func group(
        beside step: Operation.Step,
        of operation: Operation,
        _ placement: ShardPlacement,
        of record: CollectionRecord,
        in view: ClusterView,
        _ restorations: inout Restorations
    ) -> ReplicaGroup? {
        // Writes do not wait for one that is paused.
        if operation.state == .paused, placement.group.isFrozen { return placement.group.freezing(false) }
        guard let next = Self.next(step, of: operation, for: placement.shard, in: view) else {
            let steps = operation.steps.filter { !$0.state.hasEnded && $0.shards.contains(placement.shard) }
            let newcomers = steps.compactMap(\.change.newcomer).filter { !placement.group.isInSync($0) }
            var copies = record.collection.configuration.replicationFactor
            // Those that were asked for beside come with their steps.
            if case .copies = operation.kind { copies -= newcomers.count }
            return restoration(
                placement,
                of: record,
                toHave: copies,
                uncounted: newcomers,
                onlyAdding: true,
                in: view,
                &restorations
            )
        }
        // Whatever it waits for may never come without the copies that are missing; the one that leaves is no copy.
        var leavers: [NodeID] = []
        switch next {
        case .wait(.tooFewInSync(let leaver)), .wait(.tooFewThere(let leaver, away: _)): leavers = [leaver]
        case .wait: break
        case .regroup, .done: return nil
        }
        // One that is taken back, or is about the primary itself, would make its own the primary again.
        let isOfReplica = (step.change.newcomer ?? step.change.leaver) != nil
        return restoration(
            placement,
            of: record,
            uncounted: leavers,
            onlyAdding: true,
            mayHandOver: isOfReplica && step.state == .running,
            in: view,
            &restorations
        )
    }

    /// - Parameters:
    ///   - copies: that there should be, where a step holds the shard up that may be long in coming; nil for the
    ///     collection's number.
    ///   - uncounted: count as ones that are gone, and are nobody to choose.
    ///   - onlyAdding: nobody leaves.
    ///   - mayHandOver: whether who has the room to send may be made the primary, also where a step is under way.
    private static func restoration(
        _ placement: ShardPlacement,
        of record: CollectionRecord,
        toHave copies: Int? = nil,
        uncounted: [NodeID] = [],
        onlyAdding: Bool = false,
        mayHandOver: Bool = false,
        in view: ClusterView,
        _ restorations: inout Restorations
    ) -> ReplicaGroup? {
        let (group, configuration) = (placement.group, record.collection.configuration)
        let members = group.members
        // Of a single copy nobody can take the place.
        guard members.count > 1 || configuration.replicationFactor > 1 else { return nil }
        var candidates: [NodeID] = []
        let gone = view.goneWorkers.union(uncounted)
        let size = ReplicaSize(of: placement, in: view)
        let factor = copies ?? configuration.replicationFactor
        if members.count(where: { !gone.contains($0) }) < factor {
            var current = restorations.load ?? PlacementLoad(view)
            // One that holds a replica which is none of the group has to remove it first.
            let holders = view.liveWorkers.filter { view.holdsFormer(placement, on: $0) }
            var others = members + holders.union(uncounted).subtracting(members).sorted()
            // Where it has just come to nothing it comes again only if nobody else can have it.
            let shunned = (view.shunnedWorkers[placement.shard] ?? []).sorted()
            if current.makeshift(beside: others + shunned, taking: size) != nil { others += shunned }
            // What was pinned comes back to where it was, even if a former replica has to leave there first.
            let pinned = view.pinnedPlaces(of: placement, besides: gone).filter { place in
                view.holdsFormer(placement, on: place)
                    || current.makeshift(beside: current.workers.filter { $0 != place }, taking: size) != nil
            }
            if !pinned.isEmpty { others += current.workers.filter { !pinned.contains($0) && !others.contains($0) } }
            if let best = current.makeshift(beside: others, taking: size) {
                // A step that is under way, and counts, may wait for just this copy.
                let mayWait = !onlyAdding || copies != nil
                // Who sends it makes a copy on its own disk first, which would be filled for nothing.
                let ownSender = size.diskByteCount <= logByteCount ? group.primary : nil
                let sender = current.sender(of: placement, besides: gone, in: view) ?? ownSender
                let busy = mayWait ? current.workers.filter(restorations.occupancy.isCopying) : []
                let goal = current.makeshift(beside: others + busy, taking: size)
                // What is being copied takes disk for as long as that only: its end is waited for.
                let awaitsCopy = group.inSync.contains(where: restorations.occupancy.hasPartInCopy)
                // One at a time is made the primary of what it is to send: it would be short of disk meanwhile itself.
                if mayWait || mayHandOver, let sender, let goal, !restorations.occupancy.isCopying(sender),
                    !isSending(placement, besides: gone, in: view), let next = group.handingOver(to: sender)
                {
                    restorations.occupancy.addCopy(from: sender, to: goal)
                    current.add(goal, to: members, taking: size)
                    restorations.load = current
                    return next
                }
                if sender == nil, !awaitsCopy {
                    restorations.unsendable[placement.shard] = (group.primary, size.diskByteCount)
                } else if sender == group.primary, !busy.contains(group.primary) {
                    candidates = goal.map { [$0] } ?? []
                }
                // Its turn comes: nobody else gets its room meanwhile.
                if candidates.isEmpty, sender != nil || awaitsCopy {
                    current.add(best, to: members, taking: size)
                    restorations.waiting[placement.shard] = best
                }
            } else if current.best(beside: others) != nil {
                restorations.unplaced[placement.shard] = size.diskByteCount
            }
            restorations.load = current
        }
        // Of whoever leaves while nobody in sync is there, what it has may be all that is left.
        let isAnybodyThere = group.inSync.contains { view.isServing(placement.shard, on: $0) }
        let next =
            onlyAdding || !isAnybodyThere
            ? FailoverPlanner.addition(to: group, gone: gone, candidates: candidates, replicationFactor: factor)
            : FailoverPlanner.restoration(
                group,
                gone: gone,
                candidates: candidates,
                pinned: Set(view.metadata.pins[placement.shard]?.workers ?? []),
                givenUp: Set(members.filter { view.isGivenUp(placement.shard, on: $0) }),
                replicationFactor: factor
            )
        for newcomer in next?.members ?? [] where !members.contains(newcomer) {
            restorations.load?.add(newcomer, to: members, taking: size)
            restorations.occupancy.addCopy(from: group.primary, to: newcomer)
        }
        return next
    }

    /// Whether the primary makes or sends a copy for a learner of the shard, which would begin anew with another one.
    private static func isSending(
        _ placement: ShardPlacement,
        besides gone: Set<NodeID>,
        in view: ClusterView
    ) -> Bool {
        let copies = view.replica(of: placement.shard, on: placement.primary)?.copies ?? []
        return copies.contains { copy in
            placement.group.learners.contains(copy.worker) && !gone.contains(copy.worker)
                && (copy.refusal == nil || copy.totalByteCount > 0)
        }
    }

    private static func compare(
        _ placement: ShardPlacement,
        _ member: NodeID,
        of record: CollectionRecord,
        in view: ClusterView,
        into plan: inout Plan
    ) {
        guard view.liveWorkers.contains(member) else { return }
        guard let replica = view.replica(of: placement.shard, on: member) else {
            if view.hasLost(placement, on: member, of: record) {
                plan.problems.append(.lostReplica(placement.shard, worker: member))
                // It makes it again once it knows that the shard is in force.
                if view.successor(placement.shard, on: member) != nil {
                    plan.actions.append(.host(placement, worker: member))
                }
            } else if placement.group.isInSync(member) || view.successor(placement.shard, on: member) == nil {
                // A learner that has made some of the shard begins with nothing, when that has been abandoned.
                plan.actions.append(.host(placement, worker: member))
            }
            return
        }
        switch replica.state {
        case .opening: break
        case .failed: plan.problems.append(.failedReplica(placement.shard, worker: member))
        case .serving:
            let isAlone = placement.group.members.count == 1
            let isBehind = !isAlone && replica.groupVersion < placement.group.version
            if replica.epoch < placement.epoch || isBehind {
                plan.actions.append(.host(placement, worker: member))
            } else if let codebook = record.codebook, replica.generation < codebook.generation,
                // A replica holds codes of two generations at most.
                replica.generation == 0 || replica.olderGeneration == 0,
                view.metadata.rolloutState(of: record.collection.id, generation: codebook.generation) != .paused
            {
                plan.actions.append(.install(placement, generation: codebook.generation, worker: member))
            }
        }
    }

    /// Compares what a worker holds with what it should hold.
    private static func compare(
        _ shard: ShardID,
        _ replica: ReplicaObservation,
        on worker: NodeID,
        in view: ClusterView,
        into plan: inout Plan
    ) {
        if let deletion = view.metadata.deletions[shard.collection] {
            plan.actions.append(.drop(shard, epoch: max(deletion, replica.epoch), worker: worker))
        } else if let placement = view.metadata.placement(of: shard) {
            let group = placement.group
            if view.suspectShards.contains(shard) { return }
            // What goes by a newer group than this view may be a member of it.
            guard !group.members.contains(worker), replica.groupVersion <= group.version, view.isSettled else { return }
            if isKept(replica, of: placement, on: worker, in: view) { return }
            // A worker that knows by which group its replica went has left that. Others, with programs of before,
            // may have been members by a later record than this.
            let needed = replica.groupVersion > 0 ? 0 : replica.sequence
            if group.inSync.contains(where: { view.isHosted(placement, on: $0, upTo: needed) }) {
                plan.actions.append(.drop(shard, epoch: group.epoch, worker: worker))
            } else if group.inSync.allSatisfy({ view.isHosted(placement, on: $0) || view.lacks(shard, on: $0) }) {
                plan.problems.append(.leftReplica(shard, worker: worker))
            }
        } else if let record = view.metadata.collections[shard.collection],
            let retirement = record.retirement(of: shard)
        {
            guard record.isReplaced(retirement, in: view) else { return }
            plan.actions.append(.drop(shard, epoch: max(retirement.epoch, replica.epoch), worker: worker))
        } else {
            plan.problems.append(.unnamedReplica(shard, worker: worker))
        }
    }
}

extension ReconcilePlanner {
    /// Whether a replica that is out of service stays on its worker until the shard has its copies again, elsewhere: of
    /// what is damaged most is good still, and the one that is left may be lost meanwhile.
    private static func isKept(
        _ replica: ReplicaObservation,
        of placement: ShardPlacement,
        on worker: NodeID,
        in view: ClusterView
    ) -> Bool {
        let (shard, group) = (placement.shard, placement.group)
        guard replica.state == .failed, let record = view.metadata.collections[shard.collection],
            group.inSync.count < record.collection.configuration.replicationFactor,
            // Where it is pinned it comes back.
            !view.metadata.isPinned(shard, on: worker)
        else { return false }
        if group.learners.contains(where: { view.liveWorkers.contains($0) && !view.isGivenUp(shard, on: $0) }) {
            return true
        }
        let holders = view.liveWorkers.filter { view.holdsFormer(placement, on: $0) }
        let size = ReplicaSize(of: placement, in: view)
        return PlacementLoad(view).makeshift(beside: group.members + holders, taking: size) != nil
    }
}

extension Operation.Step {
    /// Whether nobody else changes the number of the shard's replicas before the step begins.
    fileprivate func isHolding(in operation: Operation) -> Bool {
        if case .copies = operation.kind { return state == .waiting }
        return false
    }
}
