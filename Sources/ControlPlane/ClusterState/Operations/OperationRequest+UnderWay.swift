internal import ClusterModel
internal import FaceModel

extension OperationRequest {
    /// An open operation that does what is asked for and nothing else, so that who asks twice gets the one that has
    /// begun. One that is being cancelled is none; nor is one that levels the workers, since what it does follows from
    /// how they were when it began; nor a rollout whose codebook is the collection's, which knows nothing of faces
    /// since.
    ///
    /// A split or merge may name shards that it has done away with already, or none for all that there were.
    package func operationUnderWay(in metadata: ClusterMetadata) -> Operation? {
        metadata.openOperations.first { operation in
            (operation.state == .running || operation.state == .paused) && isFulfilled(by: operation, in: metadata)
        }
    }

    /// Whether an operation, which may have ended, can be the one that this began, as far as its record tells. How many
    /// copies were asked for is not in it: the collection has as many while the operation goes on.
    package func mayHaveBegun(_ operation: Operation, in metadata: ClusterMetadata) -> Bool {
        switch (self, operation.kind) {
        case (.recommission(let worker), .recommission(let wanted)): worker == wanted
        case (.rebalance, .rebalance): true
        case (.copies(let collection, _), .copies(let changed, former: _))
        where operation.state != .running && operation.state != .paused:
            collection == changed
        case (.train(let collection, leastFaceCount: _), .rollout(let rollout)): collection == rollout.collection
        default: isFulfilled(by: operation, in: metadata)
        }
    }

    private func isFulfilled(by operation: Operation, in metadata: ClusterMetadata) -> Bool {
        let steps = operation.steps
        switch (self, operation.kind) {
        case (.drain(let worker), .drain(let drained)): return worker == drained
        case (.decommission(let worker), .decommission(let drained)): return worker == drained
        case (.copies(let id, let count), .copies(let changed, former: _)):
            guard id == changed, let configuration = metadata.collections[id]?.collection.configuration else {
                return false
            }
            return configuration.replicationFactor == count.replicationFactor
                && configuration.minimumInSync == count.minimumInSync
        case (.train(let collection, leastFaceCount: _), .rollout(let rollout)):
            return rollout.collection == collection && !rollout.isPastCommitPoint(in: metadata)
        case (.move(let shard, let from, let to), .change):
            guard steps.count == 1, steps[0].shard == shard, case .move(let source, let target) = steps[0].change
            else { return false }
            return source == from && (to == nil || to == target)
        case (.lead(let shard, let worker), .change):
            return steps.count == 1 && steps[0].shard == shard && steps[0].change == .lead(worker)
        case (.split(let collection, let shards), .change):
            let split = steps.compactMap { step -> UInt32? in
                guard case .split = step.change, step.shard.collection == collection else { return nil }
                return step.shard.index
            }
            guard !steps.isEmpty, split.count == steps.count else { return false }
            return shards.isEmpty || Set(split) == Set(shards)
        case (.merge(let collection, let pairs), .change):
            // Moves that bring neighbours together are steps of theirs.
            let merged = steps.compactMap { step -> Set<UInt32>? in
                guard case .merge(let other, into: _) = step.change, step.shard.collection == collection else {
                    return nil
                }
                return [step.shard.index, other]
            }
            guard !merged.isEmpty else { return false }
            return pairs.isEmpty || Set(merged) == Set(pairs.map { [$0.first, $0.second] as Set<UInt32> })
        default: return false
        }
    }
}
