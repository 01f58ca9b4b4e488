package import ClusterModel
import FaceModel

/// What an operation waits for when all of its steps have ended.
package enum OperationRemainder: Hashable, Sendable {
    /// The worker that is to be empty still has a replica of the shard, and none of the others can have one.
    case replica(ShardID, on: NodeID)
    /// A copy that was on its way to the worker is being taken back.
    case copyTakenBack(ShardID, on: NodeID)
    /// Another operation's step may bring the worker a replica.
    case expecting(NodeID)
    /// The shard, of which a replica left, has fewer in sync than it should have: one was away when it left.
    case copies(ShardID, inSyncCount: Int, wantedCount: Int)
}

extension OperationPlanner {
    /// Nil of an operation that has ended, or may end now.
    package static func remainder(of operation: Operation, in view: ClusterView) -> OperationRemainder? {
        guard operation.state == .running, let worker = operation.drainedWorker else { return nil }
        if let placement = DrainPlanner.replicas(on: worker, in: view).first {
            return DrainPlanner.isTakenBack(worker, placement, view)
                ? .copyTakenBack(placement.shard, on: worker) : .replica(placement.shard, on: worker)
        }
        if DrainPlanner.isExpecting(worker, in: view) { return .expecting(worker) }
        for step in operation.steps where step.state == .done {
            guard let placement = view.metadata.placement(of: step.shard),
                let record = view.metadata.collections[step.shard.collection]
            else { continue }
            let wanted = record.collection.configuration.replicationFactor
            let count = placement.group.inSync.count
            // Nobody takes the place of these, nor waits for them: see ``sparing(_:of:_:in:)``.
            let givenUpCount = placement.group.learners.count {
                view.isGivenUp(step.shard, on: $0) && !view.goneWorkers.contains($0)
            }
            if count + givenUpCount < wanted { return .copies(step.shard, inSyncCount: count, wantedCount: wanted) }
        }
        return nil
    }
}
