import ClusterModel
import ClusterState
import VectorMath

/// Where a run of the crash matrix is.
struct MatrixStrike: Sendable {
    let cell: MatrixCell
    var operation: OperationID?
    /// The collection's shards before the operation.
    var before: [ShardPlacement] = []
    /// The stage was reached, and whatever there is to strike was struck.
    var isOver = false
    /// Somebody had that role.
    var hasStruck = false
}

/// Runs of the crash matrix: one operation, and one fault at one of its stages.
extension World {
    /// Lets the cluster settle, has an operator begin the operation, and goes on until everything is whole again.
    mutating func runOperation(_ cell: MatrixCell) {
        let end = settings.faultTime
        while now < end, violation == nil {
            run(until: now + .milliseconds(100))
            if strike?.operation == nil {
                if now >= .seconds(2) { beginOperation(cell) }
            } else if let id = strike?.operation, metadata.operations[id]?.state.hasEnded ?? false,
                incompleteness == nil
            {
                return
            }
        }
    }

    private mutating func beginOperation(_ cell: MatrixCell) {
        let before = placements
        guard let request = request(cell.operation), let id = begin(request) else { return }
        strike?.operation = id
        strike?.before = before
    }

    private func request(_ operation: MatrixOperation) -> OperationRequest? {
        let first = placements[0]
        let (shard, group) = (first.shard, first.group)
        let others = workers.map(\.name).filter { !group.members.contains($0) }
        switch operation {
        case .move: return others.first.map { .move(shard, from: group.primary, to: $0) }
        case .lead: return group.inSync.last { $0 != group.primary }.map { .lead(shard, $0) }
        case .drain: return .drain(group.primary)
        case .moreCopies, .fewerCopies:
            let factor = settings.replicationFactor + (operation == .moreCopies ? 1 : -1)
            return .copies(
                Self.collection,
                CopyCount(replicationFactor: factor, minimumInSync: min(settings.minimumInSync, factor))
            )
        case .split: return .split(Self.collection, [shard.index])
        case .merge, .mergeApart: return .merge(Self.collection, [.init(shard.index, placements[1].shard.index)])
        }
    }

    // MARK: Stages

    /// Strikes when the operation is where the cell says.
    mutating func watchForStrike() throws(Violation) {
        guard let state = strike, !state.isOver, let id = state.operation, let operation = metadata.operations[id],
            let step = operation.steps.first(where: { $0.state.isUnderWay })
                ?? operation.steps.first(where: { !$0.state.hasEnded }) ?? operation.steps.last,
            stage(of: step) == state.cell.stage
        else { return }
        strike?.isOver = true
        note("the operation is \(state.cell.stage.rawValue)")
        if state.cell.intervention != .none {
            strike?.hasStruck = true
            plan(.intervention(id), after: random.chance(0.5) ? .zero : random.duration(.zero, .milliseconds(200)))
        }
        guard let role = state.cell.role, let fault = state.cell.fault else { return }
        let isHit = try hit(role, fault, step)
        strike?.hasStruck = isHit
    }

    /// The operator thinks better of it.
    mutating func intervene(_ id: OperationID) {
        switch settings.cell?.intervention ?? .none {
        case .none: break
        case .cancel: _ = cancel(id)
        case .pause:
            if metadata.operations[id]?.state == .running { setState(.paused, of: id) }
            plan(.resume(id), after: .milliseconds(2500))
        }
    }

    private func stage(of step: Operation.Step) -> OperationStage? {
        step.change.successors.isEmpty ? stage(ofChange: step) : stage(ofSuccession: step)
    }

    private func stage(ofChange step: Operation.Step) -> OperationStage? {
        guard let group = metadata.placement(of: step.shard)?.group else { return nil }
        if case .lead(let worker) = step.change { return group.primary == worker ? .handedOver : .asked }
        if let newcomer = step.change.newcomer, !group.isInSync(newcomer) {
            if group.learners.contains(newcomer) { return has(step.shard, newcomer) ? .copying : .joining }
            return step.change.leaver.map(group.members.contains) ?? true ? .asked : nil
        }
        guard let leaver = step.change.leaver else { return .caughtUp }
        if group.isInSync(leaver) {
            guard step.change.newcomer != nil else { return .asked }
            return step.formerPrimary == leaver && group.primary != leaver ? .handedOver : .caughtUp
        }
        if group.learners.contains(leaver) { return .demoted }
        return has(step.shard, leaver) ? .left : nil
    }

    private func stage(ofSuccession step: Operation.Step) -> OperationStage? {
        let successors = step.change.successors.map { ShardID(collection: step.shard.collection, index: $0) }
        let sources = step.shards.compactMap(metadata.placement)
        guard sources.count == step.shards.count else {
            let placements = successors.compactMap(metadata.placement)
            let places = placements.flatMap { placement in placement.group.inSync.map { (placement.shard, $0) } }
            let servingCount = places.count { has($0.0, $0.1) }
            if servingCount == 0 { return .inForce }
            if servingCount < places.count { return .activating }
            return workers.contains { worker in step.shards.contains { has($0, worker.name) } } ? .replaced : nil
        }
        let made = workers.filter { sources[0].group.isInSync($0.name) }.map { worker in
            successors.map { shard in worker.successors.first { $0.shard == shard }?.phase }
        }
        if sources.contains(where: \.group.isFrozen) {
            if made.allSatisfy({ $0.allSatisfy { $0 == .sealed } }) { return .sealed }
            let haveEnded = sources.allSatisfy { source in
                guard let index = index(of: source.primary), let replica = workers[index].replica(of: source.shard)
                else { return false }
                return workers[index].replicas[replica].end?.groupVersion == source.group.version
            }
            return haveEnded ? .ended : .frozen
        }
        if made.allSatisfy({ $0.allSatisfy { $0 == nil } }) { return .asked }
        return made.allSatisfy { $0.allSatisfy { $0 == .following } } ? .following : .preparing
    }

    private func has(_ shard: ShardID, _ worker: NodeID) -> Bool {
        index(of: worker).map { workers[$0].replica(of: shard) != nil } ?? false
    }

    // MARK: Faults

    /// - Returns: false when nobody has that role.
    private mutating func hit(
        _ role: MatrixRole,
        _ fault: MatrixFault,
        _ step: Operation.Step
    ) throws(Violation) -> Bool {
        let length = random.duration(.milliseconds(300), .seconds(8))
        let nodes = nodes(role, step)
        note("\(role.rawValue) \(nodes.map(\.low)): \(fault.rawValue) for \(length)")
        for node in nodes {
            switch fault {
            case .cutOff: cutOff(node, for: length)
            case .slow: slowNodes[node] = now + length
            case .fullDisk: fill(node, for: length)
            case .kill: try hitProcess(of: node, for: length)
            }
        }
        return !nodes.isEmpty
    }

    private mutating func hitProcess(of node: NodeID, for length: Duration) throws(Violation) {
        if let index = index(of: node) {
            if workers[index].isUp { try crash(index, for: length) }
        } else if node == Self.store {
            // What it had on disk is there when it is back.
            cutOff(node, for: length)
        } else {
            killController(Int(node.low))
            plan(.controllerStart(Int(node.low)), after: length)
        }
    }

    private func nodes(_ role: MatrixRole, _ step: Operation.Step) -> [NodeID] {
        let successor = step.change.successors.first.map { ShardID(collection: step.shard.collection, index: $0) }
        guard let group = (metadata.placement(of: step.shard) ?? successor.flatMap(metadata.placement))?.group else {
            return []
        }
        switch role {
        case .primary: return [group.primary]
        case .secondary:
            let others = group.inSync.filter { $0 != group.primary }
            let bystanders = others.filter { $0 != step.change.newcomer && $0 != step.change.leaver }
            return [bystanders.first ?? others.first].compactMap { $0 }
        case .target: return [step.change.beneficiary].compactMap { $0 }
        case .controller: return lease.map { [Self.name(ofController: $0.controller)] } ?? []
        case .store: return [Self.store]
        case .workers: return workers.map(\.name)
        }
    }

    // MARK: What came of it

    /// What is not as it must be after the operation has ended; nil when all is.
    func checkOperation() throws(Violation) {
        guard let strike, strike.cell.intervention == .cancel, strike.cell.role == nil, let id = strike.operation,
            let operation = metadata.operations[id], operation.state == .cancelled,
            // What has been done of several steps stays done.
            operation.steps.allSatisfy({ $0.state == .undone })
        else { return }
        let after = placements
        let isFormer = zip(strike.before, after).allSatisfy { old, new in
            old.shard == new.shard && old.range == new.range && old.group.inSync == new.group.inSync
                && old.group.primary == new.group.primary && new.group.learners.isEmpty
        }
        guard isFormer, strike.before.count == after.count else {
            return try fail(.former, "the shards were \(strike.before.map(\.group)), and are \(after.map(\.group))")
        }
    }

    var operationOutcome: MatrixOutcome {
        if let violation { return .broken(violation) }
        guard let strike, strike.hasStruck, let id = strike.operation else { return .notReached }
        return metadata.operations[id]?.state == .done ? .done : .takenBack
    }
}
