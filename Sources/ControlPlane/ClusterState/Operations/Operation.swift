package import ClusterModel
package import FaceModel

/// A change of where replicas are that takes many steps, or the rollout of a codebook, as the metadata store has it.
///
/// How far a step is follows from its shard's group: one that was made twice, or whose end nobody heard of, changes
/// nothing, and any coordinator can go on with what another began.
package struct Operation: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// What was asked for by name: a replica moves, or another becomes the primary.
        case change
        /// All replicas leave the worker, and it gets no others.
        case drain(NodeID)
        /// As ``drain(_:)``; then the worker is none of the cluster's any more.
        case decommission(NodeID)
        /// The worker may be given replicas again.
        case recommission(NodeID)
        /// Every shard of the collection gets another number of replicas, and had another before.
        case copies(CollectionID, former: CopyCount)
        /// Replicas and primaries are divided evenly among the workers.
        case rebalance
        /// A collection's next codebook is trained and comes into every replica.
        case rollout(CodebookRollout)
    }

    package struct Step: Hashable, Sendable {
        package var shard: ShardID
        package var change: ReplicaChange
        package var state: OperationStepState
        /// The primary before the step began; nil before.
        package var formerPrimary: NodeID?

        package init(
            shard: ShardID,
            change: ReplicaChange,
            state: OperationStepState = .waiting,
            formerPrimary: NodeID? = nil
        ) {
            self.shard = shard
            self.change = change
            self.state = state
            self.formerPrimary = formerPrimary
        }
    }

    package var id: OperationID
    package var kind: Kind
    package var state: OperationState
    package var created: Timestamp
    /// When it ended; nil before.
    package var ended: Timestamp?
    package var steps: [Step]
    /// Why it began, or ended as it did, where that was not asked for.
    package var note: String?
    /// What the worker of a drain might be used for before it began: a cancellation gives that back, and no more.
    package var formerStanding: WorkerStanding

    /// Most steps of one operation in a record that is read.
    package static let stepLimit = 16_384
    /// Most steps that one gets: of any kind they fit into a commit, with what goes into it besides, and are read.
    package static let newStepLimit = 14_000
    /// Bytes of a note beyond which nothing is added to it. Less than what is sent as text.
    package static let noteLimit = 1024

    package init(
        id: OperationID,
        kind: Kind,
        state: OperationState = .running,
        created: Timestamp,
        ended: Timestamp? = nil,
        steps: [Step] = [],
        note: String? = nil,
        formerStanding: WorkerStanding = .active
    ) {
        self.id = id
        self.kind = kind
        self.state = state
        self.created = created
        self.ended = ended
        self.steps = steps
        self.note = note
        self.formerStanding = formerStanding
    }

    /// The worker that is to be without replicas.
    package var drainedWorker: NodeID? {
        switch kind {
        case .drain(let worker), .decommission(let worker): worker
        case .change, .recommission, .copies, .rebalance, .rollout: nil
        }
    }

    /// The codebook that it brings into a collection's replicas.
    package var rollout: CodebookRollout? { if case .rollout(let rollout) = kind { rollout } else { nil } }

    /// Indices of the steps that have not ended and are the first of those for their shards: others wait for them.
    package var foremostSteps: [Int] {
        var open: Set<ShardID> = []
        return steps.indices.filter { index in
            guard !steps[index].state.hasEnded else { return false }
            let isFirst = open.isDisjoint(with: steps[index].shards)
            open.formUnion(steps[index].shards)
            return isFirst
        }
    }

    /// Notes something beside what is noted already, unless that says it, or is as long as it may be: what came first
    /// is why the rest did.
    package mutating func add(note sentence: String) {
        guard let known = note else {
            note = sentence
            return
        }
        guard !known.contains(sentence), known.utf8.count + 1 + sentence.utf8.count <= Self.noteLimit else { return }
        note = "\(known) \(sentence)"
    }

    /// Takes it back as far as possible.
    ///
    /// - Parameter placement: of a shard, nil when it is gone.
    /// - Returns: false when nothing of it can be taken back any more; nothing was changed then.
    package mutating func cancel(_ placement: (ShardID) -> ShardPlacement?) -> Bool {
        guard !state.hasEnded else { return false }
        var canBeUndone = steps.allSatisfy(\.state.hasEnded)
        for index in steps.indices {
            switch steps[index].state {
            case .waiting:
                steps[index].state = .undone
                canBeUndone = true
            case .running:
                guard let group = placement(steps[index].shard)?.group,
                    !steps[index].change.isPastCommitPoint(in: group)
                else { continue }
                steps[index].state = .undoing
                canBeUndone = true
            case .undoing: canBeUndone = true
            case .done:
                // What was added leaves again; otherwise anything of the shard might.
                guard case .copies = kind, steps[index].change.newcomer != nil else { continue }
                steps[index].state = .undoing
                canBeUndone = true
            case .undone: break
            }
        }
        if canBeUndone { state = .cancelling }
        return canBeUndone
    }
}

extension ClusterMetadata {
    /// The worker of a drain that is taken back may be used for what it might be used for before.
    package mutating func takeBackStanding(of operation: Operation) {
        guard let worker = operation.drainedWorker else { return }
        standings[worker] = operation.formerStanding == .active ? nil : operation.formerStanding
    }
}
