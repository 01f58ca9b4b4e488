package import ClusterModel
package import FaceModel

/// Everything the cluster has agreed on, as one value: what the metadata store holds, decoded.
package struct ClusterMetadata: Hashable, Sendable {
    package var clusterID: NodeID
    package var epoch: Epoch
    /// Every worker that ever joined, with the address it was last heard from.
    package var workers: [NodeID: NodeAddress]
    package var collections: [CollectionID: CollectionRecord]
    /// Collections that were deleted, with the epoch of the deletion. Kept for ever: a worker that was away drops
    /// its replicas when it returns, however late that is.
    package var deletions: [CollectionID: Epoch]
    /// Of the workers that may not be used for everything.
    package var standings: [NodeID: WorkerStanding]
    package var operations: [OperationID: Operation]
    /// Replicas that operators want to stay where they are.
    package var pins: [ShardID: ShardPin]

    package init(
        clusterID: NodeID,
        epoch: Epoch = Epoch(0),
        workers: [NodeID: NodeAddress] = [:],
        collections: [CollectionID: CollectionRecord] = [:],
        deletions: [CollectionID: Epoch] = [:],
        standings: [NodeID: WorkerStanding] = [:],
        operations: [OperationID: Operation] = [:],
        pins: [ShardID: ShardPin] = [:]
    ) {
        self.clusterID = clusterID
        self.epoch = epoch
        self.workers = workers
        self.collections = collections
        self.deletions = deletions
        self.standings = standings
        self.operations = operations
        self.pins = pins
    }

    package func standing(of worker: NodeID) -> WorkerStanding { standings[worker] ?? .active }

    /// A worker as people know it: by its address.
    package func name(of worker: NodeID) -> String { workers[worker].map { "worker at \($0)" } ?? "worker \(worker)" }

    /// Of all collections, in order of shard.
    package var placements: [ShardPlacement] {
        collections.values.sorted { $0.collection.id < $1.collection.id }.flatMap(\.placements)
    }

    /// Operations that have not ended, the oldest first.
    package var openOperations: [Operation] {
        operations.values.filter { !$0.state.hasEnded }.sorted { ($0.created, $0.id) < ($1.created, $1.id) }
    }

    /// Those that ended first, where more have ended than are to be kept.
    package func outdatedOperations(beyond limit: Int) -> [OperationID] {
        let ended = operations.values.filter(\.state.hasEnded)
            .sorted { ($0.ended ?? $0.created, $0.id) < ($1.ended ?? $1.created, $1.id) }
        return ended.prefix(max(ended.count - limit, 0)).map(\.id)
    }

    /// When an operation ends that ends now by somebody's clock: behind all that have ended. Clocks are set back, and
    /// those that ended first are forgotten.
    package func nextEnd(at now: Timestamp) -> Timestamp {
        let latest = operations.values.compactMap(\.ended).filter(Timestamp.computable.contains).max()
        return latest.map { max(now, Timestamp(milliseconds: $0.milliseconds + 1)) } ?? now
    }

    /// Whether replicas are on their way, or about to be: a codebook that comes into them is no hindrance.
    package var hasOpenMoves: Bool { openOperations.contains { $0.rollout == nil } }

    /// The open rollout of a collection's codebook.
    package func openRollout(of collection: CollectionID) -> (operation: Operation, rollout: CodebookRollout)? {
        for operation in openOperations {
            if let rollout = operation.rollout, rollout.collection == collection { return (operation, rollout) }
        }
        return nil
    }

    /// Whether a shard may yet take others' place: a step of an open operation would have it do so.
    ///
    /// A step that is taken back never goes on, and no other has shards of the same index, since two that take some are
    /// never begun at the same moment: what is made of one that is not awaited any more is of no use, whenever that is
    /// heard of.
    package func isAwaited(_ shard: ShardID) -> Bool {
        guard placement(of: shard) == nil else { return false }
        return openOperations.flatMap(\.steps).contains { step in
            (step.state == .waiting || step.state == .running) && step.shard.collection == shard.collection
                && step.change.successors.contains(shard.index)
        }
    }

    /// How the rollout of one generation stands: the open one, or else the last that ended, while it is remembered.
    package func rolloutState(of collection: CollectionID, generation: UInt32) -> OperationState? {
        let rollouts = operations.values.filter {
            $0.rollout?.collection == collection && $0.rollout?.generation == generation
        }
        return
            (rollouts.first { !$0.state.hasEnded }
            ?? rollouts.max { ($0.created, $0.id) < ($1.created, $1.id) })?.state
    }

    package func collection(named name: String) -> CollectionRecord? {
        collections.values.first { $0.collection.name == name }
    }

    package func placement(of shard: ShardID) -> ShardPlacement? {
        collections[shard.collection]?.placement(of: shard)
    }

    /// Its collections in order of name, as people list them.
    package var collectionsByName: [CollectionRecord] {
        collections.values.sorted { $0.collection.name < $1.collection.name }
    }

    /// The part that routers need.
    package var shardMap: ShardMap {
        ShardMap(
            epoch: epoch,
            collections: collections.values.map(\.collection),
            placements: collections.mapValues(\.placements),
            addresses: workers,
            restoring: Set(collections.values.filter { $0.restoration != nil }.map(\.collection.id)),
            lossy: collections.compactMapValues { $0.losses.map(\.time).max() },
            retired: collections.mapValues { Set($0.retirements.map(\.index)) }
        )
    }
}
