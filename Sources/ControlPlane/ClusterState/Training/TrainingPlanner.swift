package import ClusterModel
package import FaceModel

/// When a codebook is trained, and from how much.
package struct TrainingPolicy: Hashable, Sendable {
    /// Faces a collection must have; below that every embedding is compared anyway.
    package var minimumFaceCount: UInt64
    /// Rows sampled over all shards.
    package var sampleCount: UInt32
    /// Inverted lists wanted; 0 lets the worker choose.
    package var listCount: UInt32
    /// Time an ordered training may take to show in its worker's reports.
    package var reportGrace: Duration
    /// Pause after the first failed training; doubled by each further one.
    package var firstPause: Duration
    package var longestPause: Duration

    package init(
        minimumFaceCount: UInt64 = 50_000,
        sampleCount: UInt32 = 65_536,
        listCount: UInt32 = 0,
        reportGrace: Duration = .seconds(15),
        firstPause: Duration = .seconds(2),
        longestPause: Duration = .seconds(300)
    ) {
        self.minimumFaceCount = minimumFaceCount
        self.sampleCount = sampleCount
        self.listCount = listCount
        self.reportGrace = reportGrace
        self.firstPause = firstPause
        self.longestPause = longestPause
    }
}

/// Which worker trains which codebook, from which samples.
package struct TrainingOrder: Hashable, Sendable {
    package struct Source: Hashable, Sendable {
        package var placement: ShardPlacement
        package var worker: NodeID
        package var sampleCount: UInt32

        package init(placement: ShardPlacement, worker: NodeID, sampleCount: UInt32) {
            self.placement = placement
            self.worker = worker
            self.sampleCount = sampleCount
        }
    }

    package var collection: CollectionID
    package var generation: UInt32
    package var worker: NodeID
    package var listCount: UInt32
    package var sources: [Source]

    package init(
        collection: CollectionID,
        generation: UInt32,
        worker: NodeID,
        listCount: UInt32,
        sources: [Source]
    ) {
        self.collection = collection
        self.generation = generation
        self.worker = worker
        self.listCount = listCount
        self.sources = sources
    }
}

/// Decides what a collection without a codebook needs next. Pure: the memory is in ``TrainingLedger``.
package enum TrainingPlanner {
    package enum Decision: Hashable, Sendable {
        /// It has a codebook, or too few faces for one.
        case none
        /// Training goes on, or has to wait for workers or for the end of a pause.
        case wait
        case train(TrainingOrder)
        case fetch(generation: UInt32, worker: NodeID)
    }

    package static func decide(
        _ record: CollectionRecord,
        in view: ClusterView,
        policy: TrainingPolicy,
        ledger: TrainingLedger,
        now: Duration
    ) -> Decision {
        guard record.codebook == nil else { return .none }
        let collection = record.collection.id
        let generation = record.nextGeneration
        let memory = ledger.memory(of: collection)

        var isRunning = false
        for worker in view.liveWorkers.sorted() where !memory.isFailed(worker) {
            switch view.observations[worker]?.training(of: collection, generation: generation) {
            case .finished: return .fetch(generation: generation, worker: worker)
            case .running: isRunning = true
            case .failed, nil: break
            }
        }
        if isRunning { return .wait }

        let faceCount = record.placements.reduce(0) { $0 + (view.replica(of: $1)?.faceCount ?? 0) }
        guard faceCount >= max(policy.minimumFaceCount, 1) else { return .none }
        if let attempt = memory.attempt, view.liveWorkers.contains(attempt.worker),
            now - attempt.began <= policy.reportGrace
        {
            return .wait
        }
        guard now >= memory.pauseEnd, record.placements.allSatisfy(view.isHosted),
            let worker = trainer(for: record, in: view, memory: memory)
        else { return .wait }
        return .train(
            TrainingOrder(
                collection: collection,
                generation: generation,
                worker: worker,
                listCount: policy.listCount,
                sources: sources(record, in: view, sampleCount: policy.sampleCount, faceCount: faceCount)
            )
        )
    }

    /// A worker that holds a shard: one that has not failed rather than one that has, then the one with most faces,
    /// then by id.
    private static func trainer(
        for record: CollectionRecord,
        in view: ClusterView,
        memory: TrainingLedger.Memory
    ) -> NodeID? {
        var faceCounts: [NodeID: UInt64] = [:]
        for placement in record.placements {
            if let worker = placement.primary {
                faceCounts[worker, default: 0] += view.replica(of: placement)?.faceCount ?? 0
            }
        }
        return faceCounts.min { left, right in
            let failed = (memory.isFailed(left.key), memory.isFailed(right.key))
            if failed.0 != failed.1 { return !failed.0 }
            return left.value != right.value ? left.value > right.value : left.key < right.key
        }?.key
    }

    /// The sample divided over the shards in proportion to their faces; the parts add up to the whole exactly.
    private static func sources(
        _ record: CollectionRecord,
        in view: ClusterView,
        sampleCount: UInt32,
        faceCount: UInt64
    ) -> [TrainingOrder.Source] {
        let wanted = min(UInt64(sampleCount), faceCount)
        func share(_ faces: UInt64) -> UInt64 {
            let product = wanted.multipliedFullWidth(by: faces)
            return faceCount.dividingFullWidth(product).quotient
        }
        var sources: [TrainingOrder.Source] = []
        var facesBefore: UInt64 = 0
        for placement in record.placements {
            guard let worker = placement.primary, let replica = view.replica(of: placement) else { continue }
            // At most the shard's own count, since `wanted` is at most the total.
            let end = facesBefore + replica.faceCount
            let part = share(end) - share(facesBefore)
            if part > 0 {
                sources.append(.init(placement: placement, worker: worker, sampleCount: UInt32(part)))
            }
            facesBefore = end
        }
        return sources
    }
}
