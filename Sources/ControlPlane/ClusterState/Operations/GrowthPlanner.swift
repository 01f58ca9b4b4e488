package import ClusterModel

/// Which shards have outgrown what one should hold.
package enum GrowthPlanner {
    /// Shards that a merge makes one of, which then holds more than one should.
    package struct LargeMerge: Hashable, Sendable {
        package var shards: [ShardID]
        package var faceCount: UInt64
    }

    /// The split to begin without being asked: of the collection whose largest shard is furthest above the limit all
    /// shards that are above it; nil most of the time.
    ///
    /// Nothing is begun beside another operation, nor while a shard lacks a replica. What is pinned stays as it is, and
    /// so does a shard whose split ended before its time, since somebody took it back, and one that others were merged
    /// into, since somebody wanted that: as long as the records of those operations are kept.
    ///
    /// - Parameter faceLimit: most faces of a shard; 0 for any number.
    package static func split(above faceLimit: UInt64, in view: ClusterView) -> OperationRequest? {
        guard faceLimit > 0, view.isSettled, !view.metadata.hasOpenMoves,
            view.metadata.placements.allSatisfy({ view.isWhole($0) && $0.group.learners.isEmpty })
        else { return nil }
        let resting = Self.resting(in: view.metadata)
        var large: [ShardID: UInt64] = [:]
        for record in view.metadata.collections.values where record.isEstablished && record.restoration == nil {
            for placement in record.placements where !resting.contains(placement.shard) {
                let faceCount = view.replica(of: placement)?.faceCount ?? 0
                if faceCount > faceLimit { large[placement.shard] = faceCount }
            }
        }
        guard let largest = large.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }) else { return nil }
        let collection = largest.key.collection
        return .split(collection, large.keys.filter { $0.collection == collection }.map(\.index).sorted())
    }

    /// Shards that are left as they are, however large.
    private static func resting(in metadata: ClusterMetadata) -> Set<ShardID> {
        var shards = Set(metadata.pins.keys)
        for operation in metadata.operations.values {
            for step in operation.steps where !step.change.successors.isEmpty {
                if step.change.partner != nil, step.state == .done {
                    shards.formUnion(
                        step.change.successors.map { ShardID(collection: step.shard.collection, index: $0) }
                    )
                } else if operation.state == .cancelled {
                    shards.formUnion(step.shards)
                }
            }
        }
        return shards
    }

    /// Of steps that would begin, the merges of shards that are above the limit together: what comes of them is left as
    /// it is by ``split(above:in:)``, for a time, which people should know.
    ///
    /// - Parameter faceLimit: most faces of a shard; 0 for any number.
    package static func largeMerges(
        of steps: [Operation.Step],
        above faceLimit: UInt64,
        in view: ClusterView
    ) -> [LargeMerge] {
        guard faceLimit > 0 else { return [] }
        return steps.compactMap { step in
            guard step.change.partner != nil else { return nil }
            let faceCount = step.shards.compactMap(view.metadata.placement).reduce(UInt64(0)) { sum, placement in
                sum + (view.replica(of: placement)?.faceCount ?? 0)
            }
            return faceCount > faceLimit ? LargeMerge(shards: step.shards, faceCount: faceCount) : nil
        }
    }
}
