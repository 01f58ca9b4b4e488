package import ClusterModel
import FaceModel

/// Which shards have outgrown what one should hold.
package enum GrowthPlanner {
    /// Shards that a merge makes one of, which then holds more than one should.
    package struct LargeMerge: Hashable, Sendable {
        package var shards: [ShardID]
        package var faceCount: UInt64
    }

    /// A shard that is above the limit and stays whole for lack of disk or memory.
    package struct Unsplit: Hashable, Sendable {
        package var shard: ShardID
        package var hindrance: OperationPlanner.Hindrance
    }

    /// The split to begin without being asked: of the collection whose largest shard is furthest above the limit all
    /// shards that are above it and may be split at once; of the next one where none may be, and nil most of the time.
    ///
    /// A shard may be split when its workers have the disk and the memory for its halves, beside those of the others,
    /// and its collection may have one more: what waits for room would keep balancing from making it.
    ///
    /// Nothing is begun beside another operation, nor while a shard lacks a replica. What is pinned stays as it is, and
    /// so does a shard whose split ended before its time, since somebody took it back, and one that others were merged
    /// into, since somebody wanted that: as long as the records of those operations are kept.
    ///
    /// - Parameter faceLimit: most faces of a shard; 0 for any number.
    package static func split(above faceLimit: UInt64, in view: ClusterView) -> OperationRequest? {
        let shards = large(above: faceLimit, in: view)
        guard !shards.isEmpty else { return nil }
        let occupancy = Occupancy(view, limits: .init(copiesPerWorker: .max))
        var tried: Set<CollectionID> = []
        for collection in shards.map(\.collection) where tried.insert(collection).inserted {
            let own = shards.filter { $0.collection == collection }
            if let request = split(own, of: collection, beside: occupancy, in: view) { return request }
        }
        return nil
    }

    /// Shards that ``split(above:in:)`` would split, had their workers room for the halves of each alone.
    ///
    /// - Parameter faceLimit: most faces of a shard; 0 for any number.
    package static func unsplit(above faceLimit: UInt64, in view: ClusterView) -> [Unsplit] {
        let shards = large(above: faceLimit, in: view)
        guard !shards.isEmpty else { return [] }
        let occupancy = Occupancy(view, limits: .init(copiesPerWorker: .max))
        return shards.compactMap { shard in
            guard let record = view.metadata.collections[shard.collection],
                let step = step(for: shard, of: record, next: record.nextShardIndex),
                let hindrance = occupancy.hindrance(step, in: view)
            else { return nil }
            switch hindrance {
            case .tooLittleDisk, .tooLittleMemory, .tooLittleMemoryInPlace, .shortOfMemory:
                return Unsplit(shard: shard, hindrance: hindrance)
            case .paused, .shardIsBusy, .earlierStep, .workerIsBusy, .workerNotLive, .workerIsDrained, .leftover,
                .shardNotServing, .notTogether, .pinned:
                return nil
            }
        }
    }

    /// Shards that are above the limit and may be split, those with the most faces first; none while that is not the
    /// time to begin anything.
    private static func large(above faceLimit: UInt64, in view: ClusterView) -> [ShardID] {
        guard faceLimit > 0, view.isSettled, !view.metadata.hasOpenMoves,
            view.metadata.placements.allSatisfy({ view.isWhole($0) && $0.group.learners.isEmpty })
        else { return [] }
        let resting = Self.resting(in: view.metadata)
        var large: [ShardID: UInt64] = [:]
        for record in view.metadata.collections.values where record.isEstablished && record.restoration == nil {
            for placement in record.placements where !resting.contains(placement.shard) {
                let faceCount = view.replica(of: placement)?.faceCount ?? 0
                if faceCount > faceLimit { large[placement.shard] = faceCount }
            }
        }
        return large.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key)
    }

    /// Nil of a shard that is too small a part of the ring to be split.
    private static func step(for shard: ShardID, of record: CollectionRecord, next: UInt32) -> Operation.Step? {
        guard let range = record.placement(of: shard)?.range, range.last > range.first else { return nil }
        // Where it is cut is no matter to whether it has room.
        return Operation.Step(shard: shard, change: .split(at: range.last, lower: next, upper: next + 1))
    }

    /// - Parameters:
    ///   - shards: of the collection, those that come first in order.
    ///   - occupancy: by which no worker is too busy.
    /// - Returns: the split of those that may be split at once; nil when none may be.
    private static func split(
        _ shards: [ShardID],
        of collection: CollectionID,
        beside occupancy: Occupancy,
        in view: ClusterView
    ) -> OperationRequest? {
        guard let record = view.metadata.collections[collection] else { return nil }
        var occupancy = occupancy
        var next = OperationRequest.nextIndex(of: record, in: view)
        var indices: [UInt32] = []
        for shard in shards
        where record.placements.count + indices.count < CollectionConfiguration.shardCountRange.upperBound {
            guard let step = step(for: shard, of: record, next: next), occupancy.hindrance(step, in: view) == nil
            else { continue }
            occupancy.add(step, in: view)
            indices.append(shard.index)
            next += 2
        }
        guard !indices.isEmpty else { return nil }
        let request = OperationRequest.split(collection, indices.sorted())
        // What breaks a rule would be refused again and again.
        let operation = try? request.operation(OperationID(high: 0, low: 0), in: view, now: Timestamp(milliseconds: 0))
        return operation == nil ? nil : request
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
