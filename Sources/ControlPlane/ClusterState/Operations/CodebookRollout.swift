package import ClusterModel
package import FaceModel

/// The way of a collection's next codebook from its training into every replica.
///
/// 1. A worker *trains* it, and it comes into the collection's record. Before that all of it can be taken back; from
///    then on it can only be brought to its end.
/// 2. Every replica *installs* it: what is enrolled from then on is coded by it.
/// 3. Replicas code their older rows again, until none has a code of the codebook before.
///
/// How far it is follows from the collection's record and from what replicas report: see ``RolloutProgress``. Whether
/// it gets on is seen from look to look: see ``RolloutTrace``.
package struct CodebookRollout: Hashable, Sendable {
    package var collection: CollectionID
    package var generation: UInt32
    package var cause: TrainingCause

    package init(collection: CollectionID, generation: UInt32, cause: TrainingCause) {
        self.collection = collection
        self.generation = generation
        self.cause = cause
    }

    /// Whether the codebook is in the collection's record, so that replicas take it.
    package func isPastCommitPoint(in metadata: ClusterMetadata) -> Bool {
        metadata.collections[collection]?.codebook.map { $0.generation >= generation } ?? false
    }
}

/// How far the rollout of a codebook is.
package struct RolloutProgress: Hashable, Sendable {
    /// One behind the other.
    package enum Stage: Hashable, Comparable, Sendable {
        case training
        /// Replicas get it.
        case installing
        /// Rows of the codebook before are coded again.
        case recoding
        /// No replica that is there has codes of the codebook before.
        case done
    }

    /// One shard, by the slowest of its replicas that are served.
    package struct Shard: Hashable, Sendable {
        package var shard: ShardID
        /// That are served.
        package var replicaCount: Int
        package var installedCount: Int
        package var rowCount: UInt64
        /// Rows that no older codebook codes; 0 until every replica has the new one.
        package var codedRowCount: UInt64
        /// The replica with the most rows that are still to be coded again; nil without any.
        package var slowest: NodeID?
        /// Rows that it has still to code again.
        package var leftRowCount: UInt64
        /// The same of every replica that is served and has the new codebook.
        var left: [NodeID: UInt64]
        fileprivate var hasOlderCodes: Bool

        fileprivate init(_ placement: ShardPlacement, generation: UInt32, in view: ClusterView) {
            shard = placement.shard
            let replicas = placement.group.members.filter { view.isServing(placement.shard, on: $0) }
                .compactMap { member in view.replica(of: placement.shard, on: member).map { (member, $0) } }
            replicaCount = replicas.count
            installedCount = replicas.count { $0.1.generation >= generation }
            hasOlderCodes = replicas.contains { $0.1.olderGeneration != 0 }
            rowCount = view.replica(of: placement)?.faceCount ?? 0
            let last = replicas.max { ($0.1.olderRowCount, $1.0) < ($1.1.olderRowCount, $0.0) }
            leftRowCount = last?.1.olderRowCount ?? 0
            slowest = leftRowCount > 0 ? last?.0 : nil
            left = Dictionary(
                replicas.filter { $0.1.generation >= generation }.map { ($0.0, $0.1.olderRowCount) },
                uniquingKeysWith: { first, _ in first }
            )
            let isInstalled = installedCount == replicaCount
            codedRowCount = isInstalled && rowCount > leftRowCount ? rowCount - leftRowCount : 0
        }

        /// Whether a replica is served, and each that is has the codebook.
        package var isInstalled: Bool { replicaCount > 0 && installedCount == replicaCount }
    }

    package var stage: Stage
    /// The worker that trains the codebook, or has trained it; nil before one has begun, and when the record has it.
    package var trainer: NodeID?
    /// Nil while the trainer waits for another training, and when it has ended.
    package var training: TrainingObservation.Progress?
    package var isTrained: Bool
    /// In order of shard; none while it is trained.
    package var shards: [Shard]

    package var rowCount: UInt64 { shards.reduce(0) { $0 + $1.rowCount } }
    package var codedRowCount: UInt64 { shards.reduce(0) { $0 + $1.codedRowCount } }

    /// Nil when the collection is gone.
    ///
    /// - Parameter trainings: workers that have failed there are told of only while no other one trains it: one that
    ///   hangs may not even hear that it should give up.
    package init?(of rollout: CodebookRollout, in view: ClusterView, _ trainings: TrainingLedger = TrainingLedger()) {
        guard let record = view.metadata.collections[rollout.collection] else { return nil }
        stage = .training
        isTrained = rollout.isPastCommitPoint(in: view.metadata)
        shards = []
        guard !isTrained else {
            shards = record.placements.map { Shard($0, generation: rollout.generation, in: view) }
            let isInstalled = shards.allSatisfy(\.isInstalled)
            stage = !isInstalled ? .installing : shards.contains(where: \.hasOlderCodes) ? .recoding : .done
            return
        }
        for worker in view.liveWorkers.sorted() {
            switch view.observations[worker]?.training(of: rollout.collection, generation: rollout.generation) {
            case .finished:
                (trainer, training, isTrained) = (worker, nil, true)
                return
            case .running(let progress):
                let hasFailed = trainings.memory(of: rollout.collection).isFailed
                if let trainer {
                    guard hasFailed(trainer) == hasFailed(worker) ? progress != nil : hasFailed(trainer) else {
                        continue
                    }
                }
                (trainer, training) = (worker, progress)
            case .failed, nil: continue
            }
        }
    }

    /// Rows that were coded again since an earlier look, by the replicas that had the most to code then. One that is
    /// not served any more has coded none, and faces that were enrolled meanwhile do not count.
    func recodedRowCount(since earlier: RolloutProgress) -> UInt64 {
        let before = Dictionary(earlier.shards.map { ($0.shard, $0) }, uniquingKeysWith: { first, _ in first })
        return shards.reduce(0) { sum, shard in
            guard let former = before[shard.shard], let slowest = former.slowest, shard.left[slowest] != nil,
                former.leftRowCount > shard.leftRowCount
            else { return sum }
            return sum + (former.leftRowCount - shard.leftRowCount)
        }
    }
}
