import ClusterModel
import ClusterState
import VectorMath

/// What controllers begin without being asked, and what operators pin so that they leave it alone.
///
/// Only some runs have any of it: see ``SimulationCourse/Aim/policies``.
extension World {
    // MARK: At controllers

    mutating func policyActions(_ controller: Int, in view: ClusterView) -> [ReconcileAction] {
        guard isFaulty, strike?.leavesPoliciesAlone != true else { return [] }
        var actions: [ReconcileAction] = []
        let steps = controllers[controller].balance.steps(in: view, now: clock(of: controller))
        if !steps.isEmpty { actions.append(.balance(steps)) }
        if let split = GrowthPlanner.split(above: settings.faceLimit, in: view) { actions.append(.divide(split)) }
        return actions
    }

    /// A controller makes the operation from what it knows, and has it recorded.
    mutating func beginAlone(_ action: ReconcileAction, _ call: ControlCall) {
        let id = newOperationID()
        let created = wallTime(of: call.controller)
        var operation: Operation?
        switch action {
        case .balance(let steps): operation = Operation(id: id, kind: .rebalance, created: created, steps: steps)
        case .divide(let request):
            if let view = controllers[call.controller].view(now: now) {
                operation = try? request.operation(id, in: view, now: created)
            }
        default: break
        }
        guard let operation else { return end(call, failure: "it breaks a rule") }
        ask(.begin(operation, call), call.controller)
    }

    // MARK: At the store

    /// Records an operation that nobody asked for, unless somebody has begun one or pinned what it changes meanwhile.
    mutating func beginAlone(_ operation: Operation) {
        guard !metadata.hasOpenMoves, !PinPlanner.forbids(operation.steps, in: metadata) else { return }
        // The controller would give the shards that are to come other numbers by now, and does at its next look.
        let given = metadata.operations.values.flatMap(\.steps).flatMap(\.change.successors)
        let numbers = operation.steps.flatMap(\.change.successors)
        guard !numbers.contains(where: { given.contains($0) || record.hasHad($0) }) else { return }
        counts.operations += 1
        counts.operationsBegunAlone += 1
        note("operation \(operation.id.low) begins by itself: \(operation.kind)")
        metadata.operations[operation.id] = operation
        revision += 1
    }

    // MARK: Pins

    /// An operator pins replicas of a shard, or lets them go, by what the coordinator that was asked knows.
    mutating func pin() throws(Violation) {
        guard isFaulty else { return }
        planFault(.pin, settings.pinInterval)
        guard let asked = random.pick(controllers.indices.filter { controllers[$0].isAwake(now) }),
            let view = controllers[asked].view(now: now),
            let placement = random.pick(view.metadata.placements)
        else { return }
        let shard = placement.shard
        var pin: ShardPin?
        if view.metadata.pins[shard] == nil || random.chance(0.3) {
            let workers = placement.group.members.filter { _ in random.chance(0.6) }
            let primary = random.chance(0.3) ? random.pick(workers) : nil
            pin = try? PinPlanner.pin(shard, workers: workers, primary: primary, in: view)
            guard pin != nil else { return }
        }
        // Whoever has put one of these records meanwhile is seen, and the operator asks again another time.
        guard view.metadata.collections == metadata.collections, view.metadata.standings == metadata.standings,
            !isFull(Self.store)
        else { return }
        // Once it is recorded, the coordinator looks at what others have begun, and takes it back.
        if settings.fault != .stepsBesidePins, let made = pin {
            var newest = view
            newest.metadata = metadata
            guard (try? PinPlanner.pin(shard, workers: made.workers, primary: made.primary, in: newest)) != nil else {
                return
            }
        }
        counts.pins += 1
        note("of \(shard.index) are pinned: \(pin?.workers.map(\.low) ?? [])")
        changeRecords { $0.pins[shard] = pin }
        try checkPins()
    }

    /// No step is under way that a pin forbids.
    func checkPins() throws(Violation) {
        for operation in metadata.openOperations where operation.state != .cancelling {
            // A drain that was begun before waits for the pin's end; what was asked for by name would wait for ever.
            let steps = operation.steps.filter {
                $0.state == .running || operation.kind == .change && $0.state == .waiting
            }
            if PinPlanner.forbids(steps, in: metadata) {
                try fail(.pins, "operation \(operation.id.low) changes what is pinned: \(metadata.pins)")
            }
        }
    }
}
