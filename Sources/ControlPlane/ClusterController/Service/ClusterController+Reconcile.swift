import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol
import WireTransport

extension ClusterController {
    /// Compares the agreed with the reported and marks the actions that begin now as under way.
    func beginActions() -> [ReconcileAction] {
        let now = now
        let (view, trainings, ledger, balance, repairs) = state.withLock { state in
            state.observe(limits: options.operations, now: now)
            return (state.view(now: now), state.trainings, state.operations, state.balance, state.repairs)
        }
        if let archive {
            let awaited = Succession.awaitingArchive(in: view)
            archive.want(awaited.shards, ended: awaited.ended, now: .now)
        }
        var plan = ReconcilePlanner.plan(view, limits: options.operations)
        // It goes through all shards: searches and heartbeats, which take the lock, do not wait for that. Nobody else
        // puts another in its place.
        var nextBalance = balance
        let balancingSteps = nextBalance.steps(in: view, now: now)
        var restarts: [OperationLedger.Key: [ReconcileAction]] = [:]
        if view.isSettled {
            let motionless = ledger.motionless(now: now)
            let updates = OperationPlanner.updates(
                view,
                limits: options.operations,
                standing: ledger.stalledOperations(now: now),
                motionless: motionless,
                now: .wallClock
            )
            plan.actions += updates.map { .advance($0) }
            restarts = OperationPlanner.restarts(of: motionless, in: view)
            plan.actions += restarts.sorted { $0.key.shard < $1.key.shard }.flatMap(\.value)
            plan.problems += stalledOperations(in: view, ledger, now: now)
            plan.actions += RolloutPlanner.restarts(
                of: ledger,
                trainings,
                in: view,
                policy: options.training,
                now: now
            )
            plan.problems += stalledRollouts(in: view, now: now)
            if !balancingSteps.isEmpty { plan.actions.append(.balance(balancingSteps)) }
            if let split = GrowthPlanner.split(above: options.shardFaceLimit, in: view) {
                plan.actions.append(.divide(split))
            }
            plan.problems += GrowthPlanner.unsplit(above: options.shardFaceLimit, in: view).map {
                .unsplitShard($0.shard, reason: OperationText.sentence($0.hindrance, in: view))
            }
        }
        for record in view.metadata.collections.values.sorted(by: { $0.collection.id < $1.collection.id }) {
            let decision = TrainingPlanner.decide(
                record,
                in: view,
                policy: options.training,
                ledger: trainings,
                now: now
            )
            let action = RolloutPlanner.action(for: decision, of: record.collection.id, in: view)
            if let action { plan.actions.append(action) }
        }
        plan.actions += RolloutPlanner.abandonments(in: view)
        plan.problems += repairs.exhaustedWorkers.sorted().map { .repeatedDamage(worker: $0) }
        let problems = Set(plan.problems.map(\.topic))
        let (actions, news, begunAnew) = state.withLock { state in
            let news = plan.problems.filter { !state.problems.contains($0.topic) }
            state.problems = problems
            state.balance = nextBalance
            let actions = state.actions.admit(plan.actions, now: now)
            let begunAnew = restarts.filter { $0.value.contains(where: actions.contains) }.map(\.key)
            for key in begunAnew { state.operations.restarted(key, now: now) }
            return (actions, news, begunAnew)
        }
        for problem in news { logger.error("\(problem)") }
        for key in begunAnew {
            logger.warning(
                "what did not move begins anew",
                metadata: [
                    "operation": "\(key.operation.map(\.description) ?? "none")", "shard": "\(key.shard)",
                    "worker": "\(key.newcomer.map(\.description) ?? "any")",
                ]
            )
        }
        return actions
    }

    /// Takes note of where operations are, on a coordinator that does not steer them.
    func observeOperations() {
        let now = now
        archive?.want([], now: .now)
        state.withLock { $0.observe(limits: options.operations, now: now) }
    }

    /// Does one action to its end; a failure is logged, and the action planned again after a pause.
    func perform(_ action: ReconcileAction) async {
        var failure: WireStatus?
        do throws(WireStatus) {
            switch action {
            case .host(let placement, let worker): try await host(placement, on: worker)
            case .drop(let shard, let epoch, let worker): try await drop(shard, epoch: epoch, on: worker)
            case .regroup(let collection, let regroupings): try await regroup(collection, regroupings)
            case .prepare(let preparation, let worker): try await prepare(preparation, on: worker)
            case .abandon(let shard, let worker): try await abandon(shard, on: worker)
            case .succeed(let succession, let ends): try await succeed(succession, ends: ends)
            case .establish(let collection): try await establish(collection)
            case .begin(let shard): try await begin(shard)
            case .advance(let update): try await advance(update)
            case .balance(let steps): try await beginBalancing(steps)
            case .divide(let request): try await beginDividing(request)
            case .rollOut(let rollout): try await beginRollout(rollout)
            case .train(let order): try await train(order)
            case .abandonTraining(let collection, let generation, let worker):
                try await abandonTraining(of: collection, generation: generation, on: worker)
            case .fetch(let collection, let generation, let origin, let worker):
                try await fetchCodebook(of: collection, generation: generation, origin: origin, from: worker)
            case .install(let placement, let generation, let worker):
                try await installCodebook(generation, in: placement, on: worker)
            }
        } catch {
            failure = error
        }
        let now = now
        state.withLock { state in
            state.actions.finished(action, failure: failure?.message, now: now)
            guard failure != nil else { return }
            switch action {
            case .train(let order):
                state.trainings.failed(
                    order.collection,
                    generation: order.generation,
                    on: order.worker,
                    reason: failure?.message,
                    policy: options.training,
                    now: now
                )
            case .fetch(let collection, let generation, _, let worker):
                state.trainings.failed(
                    collection,
                    generation: generation,
                    on: worker,
                    reason: failure?.message,
                    policy: options.training,
                    now: now
                )
            case .host, .drop, .regroup, .prepare, .abandon, .succeed, .establish, .begin, .advance, .balance, .divide,
                .rollOut, .abandonTraining, .install:
                break
            }
        }
        if let failure, !Task.isCancelled {
            logger.warning("cluster action failed", metadata: ["action": "\(action.name)", "reason": "\(failure)"])
        }
        changes.raise()
    }

    func call<R: WireRequest>(
        _ request: R,
        on worker: NodeID,
        timeout: Duration
    ) async throws(WireStatus) -> R.Reply {
        guard let address = state.withLock({ $0.records.metadata.workers[worker] }) else {
            throw WireStatus(.unavailable, "No address is known of worker \(worker).")
        }
        return try await clients.client(for: worker, at: address, on: group).call(request, deadline: .after(timeout))
    }

    private func host(_ placement: ShardPlacement, on worker: NodeID) async throws(WireStatus) {
        let shard = placement.shard
        let (known, isThere) = state.withLock { state in
            (
                state.records.metadata.collections[shard.collection],
                state.reports.observations[worker]?.replicas[shard] != nil
            )
        }
        guard var record = known else { return }
        // One that is there needs no leave to begin. If it is gone meanwhile, the next report says so.
        if !isThere, record.mayBegin(placement, on: worker) {
            // Whoever slept through the end of its term must not have begun anew what others have begun, filled with
            // faces, and moved elsewhere since.
            try await catchUp()
            let (metadata, isSteering) = state.withLock { ($0.records.metadata, $0.isSteering) }
            guard isSteering, let current = metadata.collections[shard.collection],
                current.placement(of: shard)?.group == placement.group
            else { return }
            record = current
        }
        let request = HostReplica(
            shard: placement.shard,
            range: placement.range,
            collection: record.collection,
            erasureKey: record.erasureKey,
            group: placement.group,
            mayBegin: !isThere && record.mayBegin(placement, on: worker)
        )
        _ = try await call(request, on: worker, timeout: options.callTimeout)
        let now = now
        state.withLock { $0.reports.hosted(placement.shard, placement.group, on: worker, now: now) }
        logger.info(
            "replica hosted",
            metadata: [
                "shard": "\(placement.shard)", "worker": "\(worker)", "epoch": "\(placement.epoch.number)",
                "version": "\(placement.group.version)",
            ]
        )
    }

    private func drop(_ shard: ShardID, epoch: Epoch, on worker: NodeID) async throws(WireStatus) {
        var request = DropReplica(shard: shard, epoch: epoch)
        if state.withLock({ $0.records.metadata.deletions[shard.collection] == nil }) {
            // Whoever slept through the end of its term must not remove what another has put there since.
            try await readAnew()
            let metadata = state.withLock(\.records.metadata)
            let isRetired = metadata.collections[shard.collection]?.retirement(of: shard) != nil
            let group = metadata.placement(of: shard)?.group
            guard isRetired || group.map({ !$0.members.contains(worker) }) ?? false,
                state.withLock(\.standing.isHeld)
            else { return }
            // What is sent may come long after this: the worker looks, too. A shard whose place others have taken is
            // gone for good.
            if !isRetired, let group { request.groupVersion = group.version }
        }
        _ = try await call(request, on: worker, timeout: options.callTimeout)
        state.withLock { $0.reports.dropped(shard, on: worker) }
        logger.info("replica dropped", metadata: ["shard": "\(shard)", "worker": "\(worker)"])
    }

    private func establish(_ collection: CollectionID) async throws(WireStatus) {
        try await commit(asController: true) { records throws(WireStatus) in
            guard var record = records.metadata.collections[collection], !record.isEstablished else { return nil }
            record.isEstablished = true
            return ([records.unchanged(ClusterRecords.collectionKey(collection))], [ClusterRecords.put(record)])
        }
    }

    private func begin(_ shard: ShardID) async throws(WireStatus) {
        try await commit(asController: true) { records throws(WireStatus) in
            guard var record = records.metadata.collections[shard.collection], record.isBeginning(shard) else {
                return nil
            }
            for index in record.losses.indices where record.losses[index].beginning == shard.index {
                record.losses[index].beginning = nil
            }
            return ([records.unchanged(ClusterRecords.collectionKey(shard.collection))], [ClusterRecords.put(record)])
        }
    }

    private func train(_ order: TrainingOrder) async throws(WireStatus) {
        let metadata = state.withLock { $0.records.metadata }
        guard let record = metadata.collections[order.collection] else { return }
        let sources = order.sources.compactMap { source in
            metadata.workers[source.worker].map {
                TrainCodebook.Source(
                    shard: source.placement.shard,
                    epoch: source.placement.epoch,
                    address: $0,
                    sampleCount: source.sampleCount
                )
            }
        }
        let request = TrainCodebook(
            collection: record.collection,
            generation: order.generation,
            listCount: order.listCount,
            sources: sources
        )
        _ = try await call(request, on: order.worker, timeout: options.callTimeout)
        let now = now
        state.withLock { $0.trainings.began(order, now: now) }
        logger.info(
            "codebook training ordered",
            metadata: [
                "collection": "\(order.collection)", "generation": "\(order.generation)", "worker": "\(order.worker)",
                "cause": "\(order.origin.cause)", "faces": "\(order.origin.faceCount)", "lists": "\(order.listCount)",
            ]
        )
    }
}

extension ReconcileAction {
    /// For logs.
    var name: String {
        switch self {
        case .host(let placement, let worker): "host \(placement.shard) on \(worker)"
        case .drop(let shard, _, let worker): "drop \(shard) on \(worker)"
        case .regroup(let collection, let regroupings): "regroup \(regroupings.count) shards of \(collection)"
        case .prepare(let preparation, let worker): "prepare \(preparation.shard) on \(worker)"
        case .abandon(let shard, let worker): "abandon \(shard) on \(worker)"
        case .succeed(let succession, _):
            "put shards \(succession.successors.map(\.shard.index)) of \(succession.collection) in the place of "
                + "\(succession.sources.map(\.shard.index))"
        case .establish(let collection): "establish \(collection)"
        case .begin(let shard): "begin \(shard)"
        case .advance(let update): "advance operation \(update.old.id)"
        case .divide(let request): "begin \(request)"
        case .balance(let steps): "balance by \(steps.count) steps"
        case .rollOut(let rollout): "roll out codebook \(rollout.generation) of \(rollout.collection)"
        case .abandonTraining(let collection, let generation, let worker):
            "abandon training of codebook \(generation) of \(collection) on \(worker)"
        case .train(let order): "train codebook \(order.generation) of \(order.collection) on \(order.worker)"
        case .fetch(let collection, let generation, _, let worker):
            "fetch codebook \(generation) of \(collection) from \(worker)"
        case .install(let placement, let generation, let worker):
            "install codebook \(generation) in \(placement.shard) on \(worker)"
        }
    }
}
