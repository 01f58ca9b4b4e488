package import ClusterModel
package import FaceModel

/// What becomes of rollouts of codebooks: which begin, which trainings they let go on, and when they have ended.
package enum RolloutPlanner {
    /// What a rollout waits for.
    package enum Reason: Hashable, Sendable {
        /// Replicas still have codes of the codebook before the last.
        case olderCodes
        case shardNotServing(ShardID)
        /// The last training failed, and a while passes before another is ordered.
        case resting
        /// A worker is about to be told to train.
        case ordering
        /// The worker trains another collection's codebook first.
        case queued(NodeID)
        case training(NodeID, TrainingProgress)
        /// The trained codebook comes from the worker into the collection's record.
        case fetching(NodeID)
        case installing(ShardID, NodeID)
        /// The worker codes so many rows of the shard again.
        case recoding(ShardID, NodeID, rowCount: UInt64)
    }

    /// What follows from what a collection needs: a training, and what came of it, belong to a rollout that is running.
    /// One that was cancelled is not begun again by itself, as long as it is remembered.
    package static func action(
        for decision: TrainingPlanner.Decision,
        of collection: CollectionID,
        in view: ClusterView
    ) -> ReconcileAction? {
        let action: ReconcileAction
        let generation: UInt32
        let cause: TrainingCause
        switch decision {
        case .none, .wait: return nil
        case .train(let order):
            action = .train(order)
            generation = order.generation
            cause = order.origin.cause
        case .fetch(let next, let origin, let worker):
            action = .fetch(collection, generation: next, origin: origin, worker: worker)
            generation = next
            cause = origin.cause
        }
        let state = view.metadata.rolloutState(of: collection, generation: generation)
        switch state {
        case .running: return action
        case .paused, .cancelling, .cancelled: return nil
        case .done, nil:
            // One that has ended before its codebook was recorded was of faces that have gone, or of a record that went
            // back since: what was trained for it is given up, and another begins when there is cause for one.
            if case .fetch = action, state == .done { return nil }
            return .rollOut(CodebookRollout(collection: collection, generation: generation, cause: cause))
        }
    }

    /// Trainings whose rollout was cancelled, or ended before their codebook was recorded: their workers give them up.
    package static func abandonments(in view: ClusterView) -> [ReconcileAction] {
        view.liveWorkers.sorted().flatMap { worker in
            (view.observations[worker]?.trainings ?? []).compactMap { training in
                if case .failed = training.state { return nil }
                guard let record = view.metadata.collections[training.collection],
                    record.nextGeneration == training.generation
                else { return nil }
                let state = view.metadata.rolloutState(of: training.collection, generation: training.generation)
                guard state == .cancelling || state == .cancelled || state == .done else { return nil }
                return .abandonTraining(training.collection, generation: training.generation, worker: worker)
            }
        }
    }

    /// Trainings that have not got on for too long, though their workers are heard of: these give them up, and the
    /// attempt counts as failed. What waits for another training of its worker has its time once that is over.
    package static func restarts(
        of operations: OperationLedger,
        _ trainings: TrainingLedger,
        in view: ClusterView,
        policy: TrainingPolicy,
        now: Duration
    ) -> [ReconcileAction] {
        view.metadata.openOperations.compactMap { operation in
            guard let rollout = operation.rollout, let pace = operations.pace(of: operation.id),
                let progress = RolloutProgress(of: rollout, in: view, trainings), progress.stage == .training,
                !progress.isTrained, let trainer = progress.trainer, !isBehindAnother(progress, in: view)
            else { return nil }
            let failureCount = trainings.memory(of: rollout.collection).failureCount
            let silence = now - pace.stillSince
            guard silence >= policy.patience * (1 << min(failureCount, 6)) else { return nil }
            return .abandonTraining(rollout.collection, generation: rollout.generation, worker: trainer)
        }
    }

    /// Whether a training waits for another one of its worker, which says how far it is with that.
    private static func isBehindAnother(_ progress: RolloutProgress, in view: ClusterView) -> Bool {
        !trainingsAhead(of: progress, in: view).isEmpty
    }

    /// Whether a training waits for its turn, and that will come by itself: behind one whose rollout is paused it does
    /// not.
    static func awaitsItsTurn(_ progress: RolloutProgress, in view: ClusterView) -> Bool {
        trainingsAhead(of: progress, in: view).contains { training in
            switch view.metadata.rolloutState(of: training.collection, generation: training.generation) {
            case .running, .cancelling, nil: true
            case .paused, .cancelled, .done: false
            }
        }
    }

    /// Other trainings that the worker has begun which is to train a codebook and has not begun with that.
    private static func trainingsAhead(of progress: RolloutProgress, in view: ClusterView) -> [TrainingObservation] {
        guard progress.stage == .training, !progress.isTrained, progress.training == nil,
            let trainer = progress.trainer
        else { return [] }
        return (view.observations[trainer]?.trainings ?? []).filter { training in
            guard case .running(let progress) = training.state else { return false }
            return progress != nil
        }
    }

    /// Notes that a rollout has ended.
    static func end(_ operation: inout Operation, _ rollout: CodebookRollout, in view: ClusterView, now: Timestamp) {
        guard let progress = RolloutProgress(of: rollout, in: view) else {
            operation.state = .cancelled
            operation.ended = now
            operation.note = "The collection was deleted."
            return
        }
        switch operation.state {
        case .running where progress.stage == .done: operation.state = .done
        case .running where progress.stage == .training && isEmpty(rollout.collection, in: view):
            // Nobody took it back: when there are faces again another begins by itself.
            operation.state = .done
            operation.note = "The collection has no faces any more."
        case .cancelling: operation.state = .cancelled
        case .running, .paused, .done, .cancelled: return
        }
        operation.ended = now
    }

    /// Whether all shards are there, and say that they have no faces.
    private static func isEmpty(_ collection: CollectionID, in view: ClusterView) -> Bool {
        view.metadata.collections[collection]?.placements.allSatisfy { placement in
            view.isHosted(placement) && view.replica(of: placement)?.faceCount == 0
        } ?? true
    }

    /// What a rollout waits for, be it something that gets on or not; nil when it has ended.
    package static func reason(
        _ rollout: CodebookRollout,
        _ progress: RolloutProgress,
        in view: ClusterView,
        ledger: TrainingLedger,
        now: Duration
    ) -> Reason? {
        guard let record = view.metadata.collections[rollout.collection] else { return nil }
        switch progress.stage {
        case .training:
            if let trainer = progress.trainer {
                if progress.isTrained { return .fetching(trainer) }
                guard let training = progress.training else { return .queued(trainer) }
                return .training(trainer, training.progress)
            }
            if let placement = record.placements.first(where: { view.reader(of: $0) == nil }) {
                return .shardNotServing(placement.shard)
            }
            if let codebook = record.codebook, !TrainingPlanner.hasSettled(codebook, of: record, in: view) {
                return .olderCodes
            }
            return now < ledger.memory(of: rollout.collection).pauseEnd ? .resting : .ordering
        case .installing:
            guard let shard = progress.shards.first(where: { !$0.isInstalled })?.shard,
                let group = view.metadata.placement(of: shard)?.group
            else { return nil }
            let lacking = group.members.first { member in
                view.isServing(shard, on: member)
                    && view.replica(of: shard, on: member)?.generation ?? 0 < rollout.generation
            }
            guard let lacking else { return .shardNotServing(shard) }
            return .installing(shard, lacking)
        case .recoding:
            let slowest = progress.shards.max { $0.leftRowCount < $1.leftRowCount }
            guard let slowest, let worker = slowest.slowest else { return nil }
            return .recoding(slowest.shard, worker, rowCount: slowest.leftRowCount)
        case .done: return nil
        }
    }
}
