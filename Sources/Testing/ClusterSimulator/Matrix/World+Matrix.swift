import ClusterModel
import ClusterState
import VectorMath

/// Where a run of the crash matrix is.
struct MatrixStrike: Sendable {
    /// The first part of a copy that is waited for.
    struct AwaitedPart: Sendable {
        var shard: ShardID
        var worker: NodeID
        /// When the stage was seen first.
        var since: Duration
    }

    let cell: MatrixCell
    /// Nil before it has begun, and when it has no record.
    var operation: OperationID?
    /// A worker whose replicas are to be made anew elsewhere.
    var lost: NodeID?
    /// The collection's shards before the operation.
    var before: [ShardPlacement] = []
    var awaitedPart: AwaitedPart?
    /// The stage was reached, and whatever there is to strike was struck.
    var isOver = false
    /// Somebody had that role.
    var hasStruck = false
    /// A worker was silent for so long that it counted as gone, so that its replicas were made anew elsewhere.
    var wasAnybodyGone = false

    /// What controllers begin by themselves would be another operation than the one of the cell.
    var leavesPoliciesAlone: Bool { !cell.operation.isBegunAlone || operation != nil }
}

/// Where the operation of a run is, and who has which part in it.
private struct MatrixPosition {
    var stage: OperationStage
    /// The shard that is being changed; nil of a rollout.
    var shard: ShardID?
    /// Of the shard that is being changed.
    var group: ReplicaGroup
    /// Who gets a replica, a primary or the training of a codebook.
    var target: NodeID?
    /// Replicas that come or leave, and those that do not are struck before them.
    var passers: [NodeID] = []
}

/// Runs of the crash matrix: one operation, and one fault at one of its stages.
extension World {
    /// Lets the cluster settle, has an operator begin the operation, and goes on until everything is whole again.
    mutating func runOperation(_ cell: MatrixCell) {
        let end = settings.faultTime
        while now < end, violation == nil {
            run(until: now + .milliseconds(100))
            do throws(Violation) {
                if now >= .seconds(2) { try beginOperation(cell) }
            } catch {
                violation = error
            }
            if hasOperationEnded, incompleteness == nil { return }
        }
    }

    /// Begins it unless it has begun.
    private mutating func beginOperation(_ cell: MatrixCell) throws(Violation) {
        guard strike?.operation == nil, strike?.lost == nil, !cell.operation.isBegunAlone else { return }
        let before = placements
        if cell.operation == .replace {
            guard let lost = before[0].group.inSync.last, lost != before[0].group.primary, let index = index(of: lost)
            else { return }
            // It comes back when others have its place, and has to give up what it has.
            try crash(index, for: .seconds(30))
            strike?.lost = lost
            strike?.before = before
        } else if let request = request(cell.operation), let id = begin(request) {
            strike?.operation = id
            strike?.before = before
        }
    }

    private var hasOperationEnded: Bool {
        if let id = strike?.operation { return metadata.operations[id]?.state.hasEnded ?? false }
        guard let lost = strike?.lost else { return false }
        return !placements.contains { $0.group.members.contains(lost) }
    }

    private func request(_ operation: MatrixOperation) -> OperationRequest? {
        let first = placements[0]
        let (shard, group) = (first.shard, first.group)
        let others = workers.map(\.name).filter { !group.members.contains($0) }
        switch operation {
        case .move: return others.first.map { .move(shard, from: group.primary, to: $0) }
        case .lead: return group.inSync.last { $0 != group.primary }.map { .lead(shard, $0) }
        case .drain: return .drain(group.primary)
        case .decommission: return .decommission(group.primary)
        case .rebalance: return .rebalance
        // The second one: rows of the first are coded again.
        case .rollout where record.codebook != nil && metadata.openRollout(of: Self.collection) == nil:
            return .train(Self.collection, leastFaceCount: Self.trainingPolicy.minimumFaceCount)
        case .rollout, .balance, .growth, .replace: return nil
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
        if let state = strike, state.operation == nil, state.cell.operation.isBegunAlone,
            let operation = metadata.openOperations.first(where: { $0.rollout == nil })
        {
            let before = placements
            strike?.operation = operation.id
            strike?.before = before
        }
        guard let state = strike, !state.isOver, let position = position(state) else { return }
        if !hasCaughtUp(state) {
            guard position.stage == state.cell.stage, !waitsForPart(position) else { return }
        }
        strike?.isOver = true
        note("the operation is \(position.stage.rawValue)")
        if state.cell.intervention != .none, let id = state.operation {
            strike?.hasStruck = true
            plan(.intervention(id), after: random.chance(0.5) ? .zero : random.duration(.zero, .milliseconds(200)))
        }
        guard let role = state.cell.role, let fault = state.cell.fault else { return }
        let isHit = try hit(role, fault, position)
        strike?.hasStruck = isHit
    }

    /// Where a copy comes in parts the first of them is waited for, so that it is between two that somebody is struck;
    /// for a second, since one that catches up by the log gets no copy.
    private mutating func waitsForPart(_ position: MatrixPosition) -> Bool {
        guard settings.hasCopyParts, position.stage == .copying, let shard = position.shard,
            let target = position.target, let index = index(of: target)
        else { return false }
        let part = strike?.awaitedPart ?? MatrixStrike.AwaitedPart(shard: shard, worker: target, since: now)
        strike?.awaitedPart = part
        let replica = workers[index].replica(of: shard).map { workers[index].replicas[$0] }
        let hasPart = (replica?.incoming?.received ?? 0) > 0
        return !hasPart && now - part.since < .seconds(1)
    }

    /// Whether no part comes any more of the copy of which one is waited for: the log was enough.
    private func hasCaughtUp(_ state: MatrixStrike) -> Bool {
        guard let part = state.awaitedPart else { return false }
        return metadata.placement(of: part.shard)?.group.isInSync(part.worker) ?? false
    }

    /// The operator thinks better of it.
    mutating func intervene(_ id: OperationID) {
        switch settings.cell?.intervention ?? .none {
        case .none: break
        case .cancel: _ = cancel(id)
        case .pause:
            if metadata.operations[id]?.state == .running { setState(.paused, of: id) }
            plan(.resume(id), after: .milliseconds(2500))
        case .recommission:
            if let worker = metadata.operations[id]?.drainedWorker { _ = begin(.recommission(worker)) }
        }
    }

    private func position(_ state: MatrixStrike) -> MatrixPosition? {
        if let lost = state.lost { return position(replacing: lost, of: state.before[0]) }
        guard let operation = state.operation.flatMap({ metadata.operations[$0] }) else { return nil }
        if let rollout = operation.rollout { return position(of: rollout) }
        guard
            let step = operation.steps.first(where: { $0.state.isUnderWay })
                ?? operation.steps.first(where: { !$0.state.hasEnded }) ?? operation.steps.last,
            let stage = stage(of: step)
        else { return nil }
        let successor = step.change.successors.first.map { ShardID(collection: step.shard.collection, index: $0) }
        guard let group = (metadata.placement(of: step.shard) ?? successor.flatMap(metadata.placement))?.group else {
            return nil
        }
        return MatrixPosition(
            stage: stage,
            shard: step.shard,
            group: group,
            target: step.change.beneficiary,
            passers: [step.change.newcomer, step.change.leaver].compactMap { $0 }
        )
    }

    private func position(replacing lost: NodeID, of former: ShardPlacement) -> MatrixPosition? {
        let shard = former.shard
        guard let group = metadata.placement(of: shard)?.group else { return nil }
        let newcomer = group.members.first { !former.group.members.contains($0) }
        var stage = OperationStage.asked
        if let newcomer {
            stage = group.isInSync(newcomer) ? .caughtUp : has(shard, newcomer) ? .copying : .joining
        }
        return MatrixPosition(
            stage: stage,
            shard: shard,
            group: group,
            target: newcomer,
            passers: [lost, newcomer].compactMap { $0 }
        )
    }

    private func position(of rollout: CodebookRollout) -> MatrixPosition? {
        let generation = rollout.generation
        let trainings = workers.compactMap { worker in
            worker.trainings.first { $0.generation == generation && $0.state != .failed }.map {
                (worker.name, $0.state)
            }
        }
        func position(_ stage: OperationStage) -> MatrixPosition {
            MatrixPosition(stage: stage, group: placements[0].group, target: trainings.first?.0)
        }
        guard rollout.isPastCommitPoint(in: metadata) else {
            guard let training = trainings.first else { return position(.asked) }
            return position(training.1 == .finished ? .trained : .training)
        }
        let images = placements.flatMap { placement in
            placement.group.inSync.compactMap { member in
                index(of: member).flatMap { index in
                    workers[index].replica(of: placement.shard).map { workers[index].replicas[$0].disk.image }
                }
            }
        }
        let installedCount = images.count { $0.generation >= generation }
        if installedCount == 0 { return position(.recorded) }
        if installedCount < images.count { return position(.installing) }
        return images.contains { $0.olderGeneration != 0 } ? position(.recoding) : nil
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
        _ position: MatrixPosition
    ) throws(Violation) -> Bool {
        let length = random.duration(.milliseconds(300), .seconds(8))
        let nodes = nodes(role, position)
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

    private func nodes(_ role: MatrixRole, _ position: MatrixPosition) -> [NodeID] {
        switch role {
        case .primary: return [position.group.primary]
        case .secondary:
            let others = position.group.inSync.filter { $0 != position.group.primary && $0 != strike?.lost }
            return [others.first { !position.passers.contains($0) } ?? others.first].compactMap { $0 }
        case .target: return [position.target].compactMap { $0 }
        case .controller: return lease.map { [Self.name(ofController: $0.controller)] } ?? []
        case .store: return [Self.store]
        case .workers: return workers.map(\.name)
        }
    }

    // MARK: What came of it

    /// What was taken back, by whomever, must be as it was: the shards and their ranges, whoever was struck; if no step
    /// was done, the workers of each shard as well, unless one was away for so long that it counted as gone; and who
    /// leads, where nobody was struck.
    mutating func checkOperation() throws(Violation) {
        guard let strike, let id = strike.operation, let operation = metadata.operations[id] else { return }
        let isStruck = strike.cell.role != nil
        // Where the coordinator is struck, nobody may have taken the wish.
        if !isStruck, strike.cell.intervention == .recommission, let worker = operation.drainedWorker,
            metadata.standing(of: worker) != .active
        {
            return try fail(.former, "worker \(worker.low) is \(metadata.standing(of: worker))")
        }
        guard operation.state == .cancelled else { return }
        // What has been done of several steps stays done.
        if operation.steps.contains(where: { $0.state == .done && !$0.change.successors.isEmpty }) {
            counts.partsKept += 1
            return
        }
        let (before, after) = (strike.before, placements)
        counts.shardsCompared += 1
        guard before.map(\.shard) == after.map(\.shard), before.map(\.range) == after.map(\.range) else {
            return try fail(.former, "the shards were \(Self.text(before)), and are \(Self.text(after))")
        }
        guard operation.steps.allSatisfy({ $0.state == .undone }), !isStruck || !strike.wasAnybodyGone else { return }
        counts.replicasCompared += 1
        for (old, new) in zip(before, after) {
            // Whoever was struck may have left the lead to another.
            let isFormer =
                isStruck ? old.group.members == new.group.members : Self.isLedAlike(old.group, new.group)
            guard isFormer else { return try fail(.former, "a group was \(old.group), and is \(new.group)") }
        }
    }

    private static func isLedAlike(_ old: ReplicaGroup, _ new: ReplicaGroup) -> Bool {
        guard old.members == new.members, new.learners.isEmpty else { return false }
        return old.inSync == new.inSync && old.primary == new.primary
    }

    private static func text(_ placements: [ShardPlacement]) -> String {
        placements.map { "\($0.shard.index) from \($0.range.first) on" }.joined(separator: ", ")
    }

    var operationOutcome: MatrixOutcome {
        if let violation { return .broken(violation) }
        guard let strike, strike.hasStruck else { return .notReached }
        guard let id = strike.operation else { return .done }
        return metadata.operations[id]?.state == .done ? .done : .takenBack
    }
}
