package import ClusterModel

/// Where the replicas of a worker go that is to have none.
package enum DrainPlanner {
    /// Shards that have a replica on the worker, in order.
    package static func replicas(on worker: NodeID, in view: ClusterView) -> [ShardPlacement] {
        view.metadata.placements.filter { $0.group.members.contains(worker) }
    }

    /// Whether a step under way brings a replica to the worker, or back to it.
    static func isExpecting(_ worker: NodeID, in view: ClusterView) -> Bool {
        view.metadata.openOperations.contains { operation in
            operation.steps.contains { $0.state.isUnderWay && $0.change.newcomer == worker }
        }
    }

    /// One step for each replica on the worker: to the worker with the fewest replicas that has none of the shard. One
    /// for which there is no other worker stays where it is.
    package static func steps(from worker: NodeID, in view: ClusterView) -> [Operation.Step] {
        var load = PlacementLoad(view)
        for step in view.metadata.openOperations.flatMap(\.steps) where !step.state.hasEnded {
            guard let newcomer = step.change.newcomer,
                let group = view.metadata.placement(of: step.shard)?.group, !group.members.contains(newcomer)
            else { continue }
            load.add(newcomer, to: group.members)
        }
        return replicas(on: worker, in: view).compactMap { placement in
            let members = placement.group.members
            guard let target = load.best(beside: members) else { return nil }
            load.add(target, to: members.filter { $0 != worker })
            return Operation.Step(shard: placement.shard, change: .move(from: worker, to: target))
        }
    }
}
