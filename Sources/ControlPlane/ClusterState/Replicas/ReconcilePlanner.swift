import ClusterModel
import FaceModel

/// Compares what was agreed with what workers report, and says what to do about the difference.
package enum ReconcilePlanner {
    package struct Plan: Hashable, Sendable {
        package var actions: [ReconcileAction]
        package var problems: [ReconcileProblem]

        package init(actions: [ReconcileAction] = [], problems: [ReconcileProblem] = []) {
            self.actions = actions
            self.problems = problems
        }
    }

    /// Steps for replicas: host, drop, establish, install. Trainings come from ``TrainingPlanner``.
    ///
    /// Only live workers are asked for anything. The order is the same for the same view.
    package static func plan(_ view: ClusterView) -> Plan {
        var plan = Plan()
        for record in view.metadata.collections.values.sorted(by: { $0.collection.id < $1.collection.id }) {
            for placement in record.placements { compare(placement, of: record, in: view, into: &plan) }
            if !record.isEstablished, record.placements.allSatisfy(view.isHosted) {
                plan.actions.append(.establish(record.collection.id))
            }
        }
        for worker in view.liveWorkers.sorted() {
            let replicas = view.observations[worker]?.replicas ?? [:]
            for (shard, replica) in replicas.sorted(by: { $0.key < $1.key }) {
                if let deletion = view.metadata.deletions[shard.collection] {
                    plan.actions.append(.drop(shard, epoch: max(deletion, replica.epoch), worker: worker))
                } else if view.metadata.collections[shard.collection] == nil {
                    plan.problems.append(.unnamedReplica(shard, worker: worker))
                }
            }
        }
        return plan
    }

    private static func compare(
        _ placement: ShardPlacement,
        of record: CollectionRecord,
        in view: ClusterView,
        into plan: inout Plan
    ) {
        let worker = placement.primary
        guard view.liveWorkers.contains(worker) else { return }
        guard let replica = view.replica(of: placement) else {
            if record.isEstablished {
                plan.problems.append(.lostReplica(placement.shard, worker: worker))
            } else {
                plan.actions.append(.host(placement, worker: worker))
            }
            return
        }
        switch replica.state {
        case .opening: break
        case .failed: plan.problems.append(.failedReplica(placement.shard, worker: worker))
        case .serving:
            if replica.epoch < placement.epoch {
                plan.actions.append(.host(placement, worker: worker))
            } else if let codebook = record.codebook, replica.generation < codebook.generation,
                // A replica holds codes of two generations at most.
                replica.generation == 0 || replica.olderGeneration == 0
            {
                plan.actions.append(.install(placement, generation: codebook.generation, worker: worker))
            }
        }
    }
}
