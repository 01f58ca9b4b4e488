import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol

/// Rollouts of codebooks: their beginning, what they would do, and where they are.
extension ClusterController {
    /// Records a rollout that nobody asked for: the collection needs its first codebook, or the next.
    func beginRollout(_ rollout: CodebookRollout) async throws(WireStatus) {
        let operation = Operation(id: .random(), kind: .rollout(rollout), created: .wallClock)
        try await commit(asController: true) { records throws(WireStatus) in
            // Somebody may have begun one meanwhile.
            guard records.metadata.collections[rollout.collection]?.nextGeneration == rollout.generation,
                records.metadata.openRollout(of: rollout.collection) == nil
            else { return nil }
            var conditions = [records.unchanged(ClusterRecords.operationKey(operation.id))]
            var changes = [ClusterRecords.put(operation)]
            Self.touch(collectionsNumberedBy: operation, in: records, &conditions, &changes)
            return (conditions, changes)
        }
        logger.notice(
            "operation begun by itself",
            metadata: [
                "operation": "\(operation.id)", "kind": "rollout", "collection": "\(rollout.collection)",
                "generation": "\(rollout.generation)", "cause": "\(rollout.cause)",
            ]
        )
    }

    /// Has a worker give up a training whose rollout was cancelled, or ended before the codebook was recorded, or that
    /// does not get on: then another is asked.
    func abandonTraining(
        of collection: CollectionID,
        generation: UInt32,
        on worker: NodeID
    ) async throws(WireStatus) {
        // Another may have been begun since.
        try await readAnew()
        let (metadata, isHeld) = state.withLock { ($0.records.metadata, $0.standing.isHeld) }
        let isOpen = metadata.openRollout(of: collection).map { $0.operation.state != .cancelling } ?? false
        let now = now
        let isStill = state.withLock { state in
            RolloutPlanner.restarts(
                of: state.operations,
                state.trainings,
                in: state.view(now: now),
                policy: options.training,
                now: now
            ).contains(.abandonTraining(collection, generation: generation, worker: worker))
        }
        guard isHeld, !isOpen || isStill, metadata.collections[collection]?.nextGeneration == generation else { return }
        let place: Logger.Metadata = [
            "collection": "\(collection)", "generation": "\(generation)", "worker": "\(worker)",
        ]
        if isStill {
            // Before it is told: it may answer nothing, for the same reason, and another is asked all the same.
            state.withLock { state in
                state.trainings.failed(
                    collection,
                    generation: generation,
                    on: worker,
                    reason: "it did not get on for too long, and was given up",
                    policy: options.training,
                    now: now
                )
            }
            logger.warning("codebook training does not get on, and is given up", metadata: place)
        }
        let request = AbandonTraining(collection: collection, generation: generation)
        _ = try await call(request, on: worker, timeout: options.callTimeout)
        state.withLock { state in
            if !isStill { state.trainings.forget(collection) }
            state.reports.abandoned(generation, of: collection, on: worker)
        }
        logger.info("codebook training abandoned", metadata: place)
    }

    /// Rollouts that have not got on for too long, with what they wait for.
    func stalledRollouts(in view: ClusterView, now: Duration) -> [ReconcileProblem] {
        let (stalled, trainings) = state.withLock { ($0.operations.stalledRollouts(now: now), $0.trainings) }
        return stalled.compactMap { id in
            guard let rollout = view.metadata.operations[id]?.rollout,
                let progress = RolloutProgress(of: rollout, in: view, trainings)
            else { return nil }
            let reason = reason(rollout, progress, in: view, now: now) ?? "It has ended, and is not recorded as such."
            return .stalledRollout(id, reason: reason)
        }
    }

    func description(
        of rollout: CodebookRollout,
        _ operation: Operation,
        in view: ClusterView,
        _ ledger: OperationLedger,
        now: Duration
    ) -> OperationDescription.Rollout {
        var description = OperationDescription.Rollout(
            generation: rollout.generation,
            cause: rollout.cause,
            stage: .training
        )
        let trainings = state.withLock(\.trainings)
        guard let progress = RolloutProgress(of: rollout, in: view, trainings) else { return description }
        description.stage =
            switch progress.stage {
            case .training: .training
            case .installing: .installing
            case .recoding: .recoding
            case .done: .done
            }
        // Of one that has ended nothing but its stage is told.
        guard !operation.state.hasEnded else { return description }
        if let trainer = progress.trainer, let training = progress.training {
            description.training = .init(
                generation: rollout.generation,
                worker: trainer,
                progress: .init(training)
            )
        }
        description.shards = progress.shards.map { shard in
            .init(
                index: shard.shard.index,
                replicaCount: UInt32(clamping: shard.replicaCount),
                installedCount: UInt32(clamping: shard.installedCount),
                rowCount: shard.rowCount,
                codedRowCount: shard.codedRowCount
            )
        }
        description.waitsFor =
            switch operation.state {
            case .paused: OperationText.sentence(.paused, in: view)
            case .running, .cancelling, .done, .cancelled: reason(rollout, progress, in: view, now: now)
            }
        if let pace = ledger.pace(of: operation.id) {
            description.rowsPerSecond = progress.stage == .recoding ? pace.rowsPerSecond : 0
            description.silentMilliseconds = Self.milliseconds(now - pace.stillSince)
        }
        return description
    }

    /// What a plan should say besides.
    func remarks(on operation: Operation, in view: ClusterView) -> [String] {
        if operation.kind == .rebalance { return Self.pinRemarks(in: view) }
        if let worker = operation.drainedWorker { return OperationText.remarks(onDrainOf: worker, in: view) }
        if operation.kind == .change {
            let limit = options.shardFaceLimit
            let merges = GrowthPlanner.largeMerges(of: operation.steps, above: limit, in: view)
            return OperationText.remarks(on: merges, above: limit)
        }
        guard let rollout = operation.rollout, let record = view.metadata.collections[rollout.collection] else {
            return []
        }
        let order = TrainingPlanner.order(
            record,
            in: view,
            policy: options.training,
            ledger: state.withLock { $0.trainings }
        )
        guard let order else { return ["A shard of the collection is not served: the training waits for it."] }
        return OperationText.remarks(on: order, of: record, in: view)
    }

    private func reason(
        _ rollout: CodebookRollout,
        _ progress: RolloutProgress,
        in view: ClusterView,
        now: Duration
    ) -> String? {
        let (trainings, failure) = state.withLock { state in
            (state.trainings, state.actions.lastFailure(of: .training(rollout.collection)))
        }
        let reason = RolloutPlanner.reason(rollout, progress, in: view, ledger: trainings, now: now)
        return reason.map { reason in
            let known = failure ?? view.trainingFailure(of: rollout)
            return OperationText.sentence(
                reason,
                failure: known ?? trainings.memory(of: rollout.collection).failure,
                in: view
            )
        }
    }
}

extension ClusterView {
    /// Why a worker's training of the codebook failed, as it says itself.
    fileprivate func trainingFailure(of rollout: CodebookRollout) -> String? {
        for worker in liveWorkers.sorted() {
            let state = observations[worker]?.training(of: rollout.collection, generation: rollout.generation)
            if case .failed(let reason) = state { return reason }
        }
        return nil
    }
}
