import ClusterModel

extension OperationPlanner {
    /// What makes begin anew what does not move; what that would not help is left out.
    package static func restarts(
        of keys: [OperationLedger.Key],
        in view: ClusterView
    ) -> [OperationLedger.Key: [ReconcileAction]] {
        let newcomers = view.newcomersByKey
        var restarts: [OperationLedger.Key: [ReconcileAction]] = [:]
        for key in keys {
            var actions: [ReconcileAction] = []
            if let newcomer = newcomers[key] {
                actions = restart(newcomer, in: view)
            } else if let operation = key.operation.flatMap({ view.metadata.operations[$0] }),
                let step = operation.steps.first(where: key.isOf)
            {
                actions = restart(step, of: operation, in: view)
            }
            if !actions.isEmpty { restarts[key] = actions }
        }
        return restarts
    }

    /// A replica that comes in the place of a lost one leaves its group, and one comes again, there or elsewhere, when
    /// it has been removed. What holds something, or may, stays: it may be all that is left one day.
    private static func restart(_ newcomer: Newcomer, in view: ClusterView) -> [ReconcileAction] {
        guard view.isEmpty(newcomer), let placement = view.metadata.placement(of: newcomer.shard),
            mayTakeAway(from: placement, in: view)
        else { return [] }
        return [removal(of: newcomer.worker, from: placement)]
    }

    /// Whether what leaves the group has its like there: where the primary is away nobody sends another, and it may be
    /// all that is left.
    private static func mayTakeAway(from placement: ShardPlacement, in view: ClusterView) -> Bool {
        view.isHosted(placement) && !view.suspectShards.contains(placement.shard)
    }

    private static func removal(of learner: NodeID, from placement: ShardPlacement) -> ReconcileAction {
        .regroup(
            placement.shard.collection,
            [
                .init(
                    shard: placement.shard,
                    version: placement.group.version,
                    group: placement.group.removing(learner: learner)
                )
            ]
        )
    }

    /// What makes a step that does not move begin anew; nothing where that would not help it: passing a primary on, a
    /// replica that leaves, and the moment in which shards take others' place are tried again at every look.
    ///
    /// - A replica that does not get on catching up leaves its group, and comes again when it has been removed.
    /// - What is made of a shard that is to take others' place is abandoned where it has not every row, and made anew;
    ///   but what has failed begins anew by itself, after longer and longer pauses, which this would only cut short.
    package static func restart(
        _ step: Operation.Step,
        of operation: Operation,
        in view: ClusterView
    ) -> [ReconcileAction] {
        guard operation.state == .running, step.state == .running,
            let placement = view.metadata.placement(of: step.shard)
        else { return [] }
        if let newcomer = step.change.newcomer, placement.group.learners.contains(newcomer) {
            return mayTakeAway(from: placement, in: view) ? [removal(of: newcomer, from: placement)] : []
        }
        guard let succession = Succession(step, in: view.metadata), succession.isTogether else { return [] }
        return succession.sources[0].group.inSync.filter(view.liveWorkers.contains).flatMap { worker in
            succession.successors.compactMap { successor -> ReconcileAction? in
                switch view.successor(successor.shard, on: worker)?.state {
                case .copying: .abandon(successor.shard, worker: worker)
                case .failed, .following, .sealed, nil: nil
                }
            }
        }
    }
}
