import ClusterModel

extension OperationPlanner {
    /// What makes a step that does not move begin anew; nothing where that would not help it: passing a primary on, a
    /// replica that leaves, and the moment in which shards take others' place are tried again at every look.
    ///
    /// - A replica that does not get on catching up leaves its group, and comes again when it has been removed.
    /// - What is made of a shard that is to take others' place is abandoned where it has not every row, and made anew.
    package static func restart(
        _ step: Operation.Step,
        of operation: Operation,
        in view: ClusterView
    ) -> [ReconcileAction] {
        guard operation.state == .running, step.state == .running,
            let group = view.metadata.placement(of: step.shard)?.group
        else { return [] }
        if let newcomer = step.change.newcomer, group.learners.contains(newcomer) {
            let next = group.removing(learner: newcomer)
            return [.regroup(step.shard.collection, [.init(shard: step.shard, version: group.version, group: next)])]
        }
        guard let succession = Succession(step, in: view.metadata), succession.isTogether else { return [] }
        return succession.sources[0].group.inSync.filter(view.liveWorkers.contains).flatMap { worker in
            succession.successors.compactMap { successor -> ReconcileAction? in
                switch view.successor(successor.shard, on: worker)?.state {
                case .copying, .failed: .abandon(successor.shard, worker: worker)
                case .following, .sealed, nil: nil
                }
            }
        }
    }
}
