package import ClusterModel
import FaceModel

/// Where the replicas of a worker go that is to have none.
package enum DrainPlanner {
    /// Shards that have a replica on the worker, in order.
    package static func replicas(on worker: NodeID, in view: ClusterView) -> [ShardPlacement] {
        view.metadata.placements.filter { $0.group.members.contains(worker) }
    }

    /// Shards that lack a copy and had a replica on the worker, which has left their groups: they are being made whole
    /// again already. Of a worker that is away, and of which this coordinator has never heard what it had, every shard
    /// that lacks a copy may be one.
    static func formerReplicas(on worker: NodeID, in view: ClusterView) -> [ShardPlacement] {
        let known = view.observations[worker]?.replicas
        return view.metadata.placements.filter { placement in
            let group = placement.group
            guard !group.members.contains(worker),
                let record = view.metadata.collections[placement.shard.collection],
                group.inSync.count < record.collection.configuration.replicationFactor
            else { return false }
            return known.map { $0[placement.shard] != nil } ?? !view.liveWorkers.contains(worker)
        }
    }

    /// The worker whose replica is catching up already to take the place of this one's; nil when there is none, or when
    /// the shard needs it besides another.
    static func replacement(of worker: NodeID, in placement: ShardPlacement, _ view: ClusterView) -> NodeID? {
        guard isSpare(worker, placement, view) else { return nil }
        let awaited = view.metadata.openOperations.flatMap(\.steps).filter {
            $0.shard == placement.shard && !$0.state.hasEnded
        }.compactMap(\.change.newcomer)
        return placement.group.learners.first {
            $0 != worker && view.placementWorkers.contains($0) && !awaited.contains($0)
        }
    }

    /// Whether the shard's other replicas, those among them that are still catching up, are as many as it should have.
    static func isSpare(_ worker: NodeID, _ placement: ShardPlacement, _ view: ClusterView) -> Bool {
        guard let record = view.metadata.collections[placement.shard.collection] else { return false }
        return placement.group.members.count { $0 != worker && !view.goneWorkers.contains($0) }
            >= record.collection.configuration.replicationFactor
    }

    /// Workers to which open steps are yet to bring replicas, by shard; but not those that have yet to begin, of an
    /// operation that is paused: that may be for long.
    ///
    /// - Parameter worker: whose replicas' own steps do not count; nil for nobody's.
    private static func awaitedWorkers(
        besidesMovesFrom worker: NodeID? = nil,
        in view: ClusterView
    ) -> [ShardID: [NodeID]] {
        let steps = view.metadata.openOperations.flatMap { operation -> [Operation.Step] in
            operation.steps.filter { operation.state != .paused || $0.state.isUnderWay }
        }.filter { step in
            !step.state.hasEnded && (worker == nil || step.change.leaver != worker)
        }
        return Dictionary(grouping: steps, by: \.shard).mapValues { $0.compactMap(\.change.newcomer) }
    }

    /// Whether a step under way brings a replica to the worker, or back to it.
    static func isExpecting(_ worker: NodeID, in view: ClusterView) -> Bool {
        view.metadata.openOperations.contains { operation in
            operation.steps.contains { $0.state.isUnderWay && $0.change.newcomer == worker }
        }
    }

    /// Whether a step under way brings a replica to a worker that is to have none, and either nothing has come there
    /// yet, and nothing may any more (``ReconcileAction/Regrouping/isWanted(in:)``), or what a move would take the
    /// place of still serves: then it is taken back, since it would only have to move on.
    static func isFutile(_ step: Operation.Step, in view: ClusterView) -> Bool {
        guard let to = step.change.newcomer, view.metadata.standing(of: to) != .active,
            let group = view.metadata.placement(of: step.shard)?.group
        else { return false }
        guard group.members.contains(to) else { return true }
        guard case .move(let from, _) = step.change else { return false }
        return group.isInSync(from) && view.isServing(step.shard, on: from)
    }

    /// Whether a replica came for a move that is taken back, or will be.
    static func isTakenBack(_ worker: NodeID, _ placement: ShardPlacement, _ view: ClusterView) -> Bool {
        view.metadata.openOperations.contains { operation in
            operation.state != .paused
                && operation.steps.contains { step in
                    guard step.shard == placement.shard, case .move(_, worker) = step.change else { return false }
                    return switch step.state {
                    case .running: isFutile(step, in: view)
                    case .undoing: !step.change.isPastCommitPoint(in: placement.group)
                    case .waiting, .done, .undone: false
                    }
                }
        }
    }

    /// How many of a shard's replicas could go nowhere, were these workers to have none.
    static func strandedCount(of placement: ShardPlacement, leaving: Set<NodeID>, in view: ClusterView) -> Int {
        let members = Set(placement.group.members)
        let leavers = members.intersection(leaving)
        guard !leavers.isEmpty else { return 0 }
        let targets = view.placementWorkers.subtracting(leaving)
        let coming = view.metadata.openOperations.flatMap(\.steps).filter { step in
            guard step.shard == placement.shard, step.state.isUnderWay, case .move(let from, let to) = step.change
            else { return false }
            return leavers.contains(from) && targets.contains(to) && members.contains(to)
        }
        let replacedCount = leavers.contains { replacement(of: $0, in: placement, view) != nil } ? 1 : 0
        let placeCount = targets.subtracting(members).count + coming.count + replacedCount
        return max(leavers.count - placeCount, 0)
    }

    /// The steps of each replica on the worker: see ``departure(from:in:)``.
    package static func steps(from worker: NodeID, in view: ClusterView) -> [Operation.Step] {
        departure(from: worker, in: view).steps
    }

    /// One move for each replica on the worker: to the worker with the fewest replicas that has none of the shard, is
    /// to get none by another open step, and has room on its disk, or to the one where its replacement is catching up
    /// already. Where none has room the step waits for one's. A replica for which there is no other worker stays where
    /// it is.
    ///
    /// Where the primary, which sends it, has no disk for the copy that it makes first, and another that may be the
    /// primary has, that one is made the primary before the move.
    ///
    /// They choose in their order. Where some find no room so, the largest choose first; and where some find none even
    /// then, each goes to the worker with the least room that suffices: of these the one that leaves fewest without.
    /// There may be a division all the same that leaves none.
    static func departure(from worker: NodeID, in view: ClusterView) -> Departure {
        let placements = replicas(on: worker, in: view)
        var departure = departure(of: placements, from: worker, in: view)
        guard !departure.withoutRoom.isEmpty else { return departure }
        let bySize = placements.map { ($0, ReplicaSize(of: $0, in: view)) }.sorted { left, right in
            (left.1.diskByteCount, left.1.memoryByteCount, right.0.shard)
                > (right.1.diskByteCount, right.1.memoryByteCount, left.0.shard)
        }
        for isTight in [false, true] where !departure.withoutRoom.isEmpty {
            let other = self.departure(of: bySize.map { $0.0 }, from: worker, isTight: isTight, in: view)
            if other.withoutRoom.count < departure.withoutRoom.count { departure = other }
        }
        let steps = Dictionary(grouping: departure.steps, by: \.shard)
        departure.steps = placements.flatMap { steps[$0.shard] ?? [] }
        return departure
    }

    /// - Parameter isTight: whether each goes to the worker with the least room that suffices.
    private static func departure(
        of placements: [ShardPlacement],
        from worker: NodeID,
        isTight: Bool = false,
        in view: ClusterView
    ) -> Departure {
        var load = load(view)
        let room = WorkerRoom(view)
        let awaited = awaitedWorkers(besidesMovesFrom: worker, in: view)
        var departure = Departure()
        for placement in placements where !isTakenBack(worker, placement, view) {
            // To where another replica of the shard is to go this one cannot: the shard would have one copy less.
            let members = placement.group.members + (awaited[placement.shard] ?? [])
            if let target = replacement(of: worker, in: placement, view) {
                departure.steps.append(.init(shard: placement.shard, change: .move(from: worker, to: target)))
                continue
            }
            let size = ReplicaSize(of: placement, in: view)
            let roomy =
                isTight ? load.tightest(beside: members, taking: size) : load.best(beside: members, taking: size)
            guard let target = roomy ?? load.best(beside: members) else { continue }
            if roomy == nil {
                let shortages = load.shortages(beside: members, taking: size)
                departure.withoutRoom.append(.init(shard: placement.shard, size: size, shortages: shortages))
            }
            // What waits for room takes none from those behind it.
            let taken = roomy == nil ? ReplicaSize() : size
            load.add(target, to: placement.group.members.filter { $0 != worker }, taking: taken)
            if let sender = newSender(of: placement, room, in: view) {
                departure.steps.append(.init(shard: placement.shard, change: .lead(sender)))
            }
            departure.steps.append(.init(shard: placement.shard, change: .move(from: worker, to: target)))
        }
        return departure
    }

    /// Who has to become the primary before a replica of the shard can be sent; nil when the primary sends it, or
    /// nobody can.
    private static func newSender(of placement: ShardPlacement, _ room: WorkerRoom, in view: ClusterView) -> NodeID? {
        let sender = room.sender(of: placement, in: view) { member in
            view.metadata.pins[placement.shard]?.forbids(.lead(member)) != true
        }
        return sender == placement.primary ? nil : sender
    }

    /// Gives replicas that wait for room on a worker to another that has it, or to the one to which they came
    /// meanwhile. Those that wait for a worker which may be given none for now, since it is silent, about to stop or
    /// short of memory, go to another when their copies can begin there; the rest of them stay its own, as it may be
    /// back before their turn. What the primary has no disk to send any more, and another has, ends: it is planned anew
    /// with that one as the primary, one at a time for each, and none while it has part in as many copies as it may.
    ///
    /// - Parameter busy: what is under way.
    static func redirect(_ operation: inout Operation, in view: ClusterView, beside busy: Occupancy) {
        guard let worker = operation.drainedWorker else { return }
        let room = WorkerRoom(view)
        let targets = view.placementWorkers
        let awaited = awaitedWorkers(in: view)
        let foremost = Set(operation.foremostSteps)
        var busy = busy
        var load: PlacementLoad?
        for index in operation.steps.indices where operation.steps[index].state == .waiting {
            let step = operation.steps[index]
            guard case .move(worker, let target) = step.change,
                let placement = view.metadata.placement(of: step.shard), !placement.group.members.contains(target)
            else { continue }
            if let coming = replacement(of: worker, in: placement, view) {
                operation.steps[index].change = .move(from: worker, to: coming)
                continue
            }
            if foremost.contains(index), let sender = newSender(of: placement, room, in: view),
                !busy.isCopying(sender)
            {
                operation.steps[index].state = .undone
                busy.addCopy(from: sender, to: target)
                continue
            }
            let size = ReplicaSize(of: placement, in: view)
            let isAvailable = targets.contains(target)
            if isAvailable, room.shortage(for: size, on: target) == nil {
                if busy.hindrance(step, in: view) == nil { busy.add(step, in: view) }
                continue
            }
            var current = load ?? Self.load(view)
            // To where another of the shard's replicas is to go this one cannot.
            let members = placement.group.members + (awaited[step.shard] ?? [])
            let other: NodeID?
            if isAvailable {
                other = current.best(beside: members, taking: size)
            } else {
                other = current.order(beside: members, taking: size).first { newcomer in
                    let redirected = Operation.Step(shard: step.shard, change: .move(from: worker, to: newcomer))
                    return busy.hindrance(redirected, in: view) == nil
                }
            }
            if let other {
                current.add(other, to: placement.group.members.filter { $0 != worker }, taking: size)
                operation.steps[index].change = .move(from: worker, to: other)
                if !isAvailable { busy.add(operation.steps[index], in: view) }
            }
            load = current
        }
    }

    /// What the workers have to do already, with what open steps bring them.
    private static func load(_ view: ClusterView) -> PlacementLoad {
        var load = PlacementLoad(view)
        for step in view.metadata.openOperations.flatMap(\.steps) where !step.state.hasEnded {
            guard let newcomer = step.change.newcomer, let placement = view.metadata.placement(of: step.shard),
                !placement.group.members.contains(newcomer)
            else { continue }
            let size = step.state == .waiting ? ReplicaSize(of: placement, in: view) : ReplicaSize()
            load.add(newcomer, to: placement.group.members, taking: size)
        }
        return load
    }
}
