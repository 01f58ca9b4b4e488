/// Operations whose steps are struck, each in a cluster of five workers with two shards.
package enum MatrixOperation: String, CaseIterable, Sendable {
    /// The primary's replica moves.
    case move
    case lead
    case drain
    case decommission
    case moreCopies
    case fewerCopies
    case split
    case merge
    /// The replicas of the one shard have to move to where the other's are first.
    case mergeApart
    /// Both shards are on the same workers, and their replicas are levelled.
    case rebalance
    /// As ``rebalance``, begun by a controller itself.
    case balance
    /// A controller itself splits shards that have too many faces.
    case growth
    /// A worker is gone, and its replicas are made anew on others.
    case replace
    /// A codebook takes the place of another.
    case rollout

    /// Whether there is a record of it that can be taken back or held up.
    package var isRecorded: Bool { self != .replace }

    /// Whether a controller begins it without being asked.
    var isBegunAlone: Bool { self == .balance || self == .growth }

    /// Where it can be struck.
    package var stages: [OperationStage] {
        switch self {
        case .move, .drain, .decommission, .rebalance, .balance:
            [.asked, .joining, .copying, .caughtUp, .handedOver, .demoted, .left]
        case .lead: [.asked, .handedOver]
        case .moreCopies: [.asked, .joining, .copying, .caughtUp]
        case .fewerCopies: [.asked, .demoted, .left]
        case .replace: [.asked, .joining, .copying, .caughtUp]
        case .rollout: [.asked, .training, .trained, .recorded, .installing, .recoding]
        case .split, .merge, .growth:
            [
                .asked, .preparing, .following, .frozen, .ended, .sealed, .inForce, .activating, .replaced,
            ]
        case .mergeApart:
            [
                .asked, .joining, .copying, .caughtUp, .demoted, .left, .preparing, .following, .frozen, .ended,
                .sealed, .inForce, .activating, .replaced,
            ]
        }
    }

    /// Whether a worker gets a replica, a primary or the training of a codebook by it.
    var hasTarget: Bool {
        switch self {
        case .move, .lead, .drain, .decommission, .moreCopies, .mergeApart, .rebalance, .balance, .replace, .rollout:
            true
        case .fewerCopies, .split, .merge, .growth: false
        }
    }
}

/// How far an operation is, as the store's records and the workers show.
package enum OperationStage: String, CaseIterable, Sendable {
    /// It is recorded, and nothing has begun.
    case asked
    /// A learner is in the group, and its worker has no replica yet.
    case joining
    /// The learner lacks something.
    case copying
    /// The newcomer is in sync.
    case caughtUp
    /// The newcomer is the primary, and the former one in sync.
    case handedOver
    /// The replica that leaves counts for nothing.
    case demoted
    /// It is none of the group's, and still on its worker.
    case left
    /// Workers make the shards that come.
    case preparing
    /// All of them follow what is written.
    case following
    /// A group is frozen.
    case frozen
    /// All primaries have said where they ended.
    case ended
    /// All successors are on disk.
    case sealed
    /// They are in the record, and no worker serves them.
    case inForce
    /// Some workers serve them.
    case activating
    /// All do, and something of the former shards is left.
    case replaced
    /// A worker trains the codebook.
    case training
    /// It has trained it, and the record has it not.
    case trained
    /// The record has it, and no replica.
    case recorded
    /// Some replicas have it.
    case installing
    /// All replicas have it, and rows of the one before are coded again.
    case recoding
}

package enum MatrixRole: String, CaseIterable, Sendable {
    case primary, secondary
    /// The worker that gets a replica or a primary, or trains the codebook.
    case target
    /// The coordinator that holds the lease.
    case controller
    /// The metadata store, for everybody.
    case store
    /// All of them at once.
    case workers
}

/// What an operator thinks better of when the stage is reached.
package enum MatrixIntervention: String, CaseIterable, Sendable {
    case none
    /// Takes the operation back.
    case cancel
    /// Holds the operation up, and lets it go on 2.5 s later.
    case pause
    /// Wants the worker back that is being drained.
    case recommission

    func isPossible(for operation: MatrixOperation) -> Bool {
        switch self {
        case .none: true
        case .cancel, .pause: operation.isRecorded
        case .recommission: operation == .drain || operation == .decommission
        }
    }
}

package enum MatrixFault: String, CaseIterable, Sendable {
    /// The process dies, and starts again after a while.
    case kill
    /// All its links are cut, both ways.
    case cutOff
    /// Its disk has no room.
    case fullDisk
    /// Its disk and its links are slow.
    case slow
}

/// One fault that strikes one role when an operation reaches a stage, or none; and perhaps an operator who thinks
/// better of it at that moment.
package struct MatrixCell: Hashable, Sendable {
    package var operation: MatrixOperation
    package var stage: OperationStage
    package var role: MatrixRole?
    package var fault: MatrixFault?
    package var intervention: MatrixIntervention

    package init(
        _ operation: MatrixOperation,
        _ stage: OperationStage,
        _ role: MatrixRole? = nil,
        _ fault: MatrixFault? = nil,
        intervention: MatrixIntervention = .none
    ) {
        self.operation = operation
        self.stage = stage
        self.role = role
        self.fault = fault
        self.intervention = intervention
    }

    /// Whether somebody has the role at that stage, so that there is somebody to strike.
    ///
    /// Nobody is a target before one was chosen, nor once the replicas of shards that are merged are together.
    package var isSomebodys: Bool {
        guard role == .target else { return true }
        switch operation {
        case .replace, .rollout: return stage != .asked
        case .mergeApart: return stage == .asked || !MatrixOperation.merge.stages.contains(stage)
        default: return operation.hasTarget
        }
    }

    /// By which the command line is told of it. A cell in which nobody is struck is the first of its stage.
    var options: [String] {
        var words = ["--operation", operation.rawValue, "--stage", stage.rawValue]
        if let role { words += ["--role", role.rawValue] }
        if let fault { words += ["--fault", fault.rawValue] }
        if intervention != .none { words += ["--intervention", intervention.rawValue] }
        return words
    }

    /// Every operation, stage, role and fault that go together.
    ///
    /// With an intervention there are cells in which nobody is struck.
    package static func all(
        of operation: MatrixOperation,
        intervention: MatrixIntervention = .none
    ) -> [MatrixCell] {
        guard intervention.isPossible(for: operation) else { return [] }
        return operation.stages.flatMap { stage -> [MatrixCell] in
            let struck = MatrixRole.allCases.flatMap { role in
                MatrixFault.allCases.filter { isPossible(operation, role, $0) }
                    .map { MatrixCell(operation, stage, role, $0, intervention: intervention) }
            }
            return (intervention == .none ? [] : [MatrixCell(operation, stage, intervention: intervention)]) + struck
        }
    }

    private static func isPossible(_ operation: MatrixOperation, _ role: MatrixRole, _ fault: MatrixFault) -> Bool {
        switch role {
        // A coordinator keeps codebooks on its disk, and nothing else that an operation needs.
        case .controller: fault != .fullDisk || operation == .rollout
        case .target: operation.hasTarget
        case .primary, .secondary, .store, .workers: true
        }
    }
}

/// What came of one run of a cell.
package enum MatrixOutcome: Hashable, Sendable {
    case done
    case takenBack
    /// The operation did not come to that stage, so that nothing was struck: the steps of some runs are too close to
    /// each other, or the role is nobody's.
    case notReached
    case broken(Violation)
}

/// Outcomes of many runs, counted.
package struct MatrixTally: Sendable {
    package private(set) var doneCount = 0
    package private(set) var takenBackCount = 0
    package private(set) var notReachedCount = 0
    package private(set) var brokenCount = 0

    package init() {}

    package mutating func add(_ outcome: MatrixOutcome) {
        switch outcome {
        case .done: doneCount += 1
        case .takenBack: takenBackCount += 1
        case .notReached: notReachedCount += 1
        case .broken: brokenCount += 1
        }
    }

    package var struckCount: Int { doneCount + takenBackCount + brokenCount }

    /// `done · taken back · broken`; a dash when nothing was struck.
    package var text: String {
        struckCount == 0 ? "–" : "\(doneCount) · \(takenBackCount) · \(brokenCount)"
    }
}
