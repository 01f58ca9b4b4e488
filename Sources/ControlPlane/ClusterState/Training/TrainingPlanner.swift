package import ClusterModel
package import FaceModel

/// When a codebook is trained, and from how much.
package struct TrainingPolicy: Hashable, Sendable {
    /// Faces a collection must have; below that every embedding is compared anyway.
    package var minimumFaceCount: UInt64
    /// Most rows sampled over all shards.
    package var sampleCount: UInt32
    /// Most bytes of their embeddings, 4 for a component.
    package var sampleByteCount: UInt64
    /// Inverted lists wanted; 0 chooses by the collection's size.
    package var listCount: UInt32
    /// Growth since the last training from which on the collection is trained again.
    package var growthFactor: Double
    /// Trained again when the coded components hold a smaller part of the energy than this, by the part of the sample.
    package var leastEnergyRatio: Float
    /// Trained again when lists are more uneven than this, by the sample's.
    package var greatestImbalanceRatio: Float
    /// Trained again when searches miss more times as many mates as the calibration promised than this.
    package var greatestMissRatio: Double
    /// Rows that must have come since the last training before they say anything, as a share of the faces there were.
    package var leastRecentShare: Double
    /// Time an ordered training may take to show in its worker's reports.
    package var reportGrace: Duration
    /// A training that gets on no further for so long is given up, so that another worker is asked. After each that
    /// failed the next has twice as long: it may be slow, and nothing else.
    package var patience: Duration
    /// Pause after the first failed training; doubled by each further one.
    package var firstPause: Duration
    package var longestPause: Duration

    package init(
        minimumFaceCount: UInt64 = 50_000,
        sampleCount: UInt32 = 196_608,
        sampleByteCount: UInt64 = 512 << 20,
        listCount: UInt32 = 0,
        growthFactor: Double = 4,
        leastEnergyRatio: Float = 0.97,
        greatestImbalanceRatio: Float = 1.5,
        greatestMissRatio: Double = 1.5,
        leastRecentShare: Double = 0.1,
        reportGrace: Duration = .seconds(15),
        patience: Duration = .seconds(600),
        firstPause: Duration = .seconds(2),
        longestPause: Duration = .seconds(300)
    ) {
        self.minimumFaceCount = minimumFaceCount
        self.sampleCount = sampleCount
        self.sampleByteCount = sampleByteCount
        self.listCount = listCount
        self.growthFactor = growthFactor
        self.leastEnergyRatio = leastEnergyRatio
        self.greatestImbalanceRatio = greatestImbalanceRatio
        self.greatestMissRatio = greatestMissRatio
        self.leastRecentShare = leastRecentShare
        self.reportGrace = reportGrace
        self.patience = patience
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
    package var origin: CodebookOrigin
    package var listCount: UInt32
    package var sources: [Source]

    package init(
        collection: CollectionID,
        generation: UInt32,
        worker: NodeID,
        origin: CodebookOrigin,
        listCount: UInt32,
        sources: [Source]
    ) {
        self.collection = collection
        self.generation = generation
        self.worker = worker
        self.origin = origin
        self.listCount = listCount
        self.sources = sources
    }
}

/// Decides whether a collection needs its first codebook or its next. Pure: the memory is in ``TrainingLedger``.
package enum TrainingPlanner {
    package enum Decision: Hashable, Sendable {
        /// It has a codebook that suits it, or too few faces for one.
        case none
        /// Training goes on, or has to wait for workers or for the end of a pause.
        case wait
        case train(TrainingOrder)
        case fetch(generation: UInt32, origin: CodebookOrigin, worker: NodeID)
    }

    package static func decide(
        _ record: CollectionRecord,
        in view: ClusterView,
        policy: TrainingPolicy,
        ledger: TrainingLedger,
        now: Duration
    ) -> Decision {
        let collection = record.collection.id
        let generation = record.nextGeneration
        let memory = ledger.memory(of: collection)
        let attempt = memory.attempt.flatMap { $0.generation == generation ? $0 : nil }
        let faceCount = view.faceCount(of: record)
        let size = TrainingSize(
            faceCount: faceCount,
            dimension: record.collection.configuration.dimension,
            policy: policy
        )
        let cause = cause(record, size, in: view, policy: policy)

        var isRunning = false
        for worker in view.liveWorkers.sorted() where !memory.isFailed(worker) {
            switch view.observations[worker]?.training(of: collection, generation: generation) {
            case .finished:
                // A coordinator that has started since the order finds the same cause, or else only time has passed.
                let origin = attempt?.origin ?? CodebookOrigin(cause: cause ?? .growth, faceCount: faceCount)
                return .fetch(generation: generation, origin: origin, worker: worker)
            case .running: isRunning = true
            case .failed, nil: break
            }
        }
        if isRunning { return .wait }

        guard let cause else { return .none }
        if let attempt, view.liveWorkers.contains(attempt.worker), now - attempt.began <= policy.reportGrace {
            return .wait
        }
        guard now >= memory.pauseEnd, let order = order(record, cause, size, in: view, memory: memory) else {
            return .wait
        }
        return .train(order)
    }

    /// What would be ordered if the next codebook were asked for now; nil while a shard is not served.
    package static func order(
        _ record: CollectionRecord,
        in view: ClusterView,
        policy: TrainingPolicy,
        ledger: TrainingLedger
    ) -> TrainingOrder? {
        let size = TrainingSize(
            faceCount: view.faceCount(of: record),
            dimension: record.collection.configuration.dimension,
            policy: policy
        )
        return order(record, .request, size, in: view, memory: ledger.memory(of: record.collection.id))
    }

    private static func order(
        _ record: CollectionRecord,
        _ cause: TrainingCause,
        _ size: TrainingSize,
        in view: ClusterView,
        memory: TrainingLedger.Memory
    ) -> TrainingOrder? {
        guard size.faceCount > 0, record.placements.allSatisfy({ view.reader(of: $0) != nil }),
            let worker = trainer(for: record, size, in: view, memory: memory)
        else { return nil }
        let sampleCount = sampleCount(of: record, size, on: worker, in: view)
        return TrainingOrder(
            collection: record.collection.id,
            generation: record.nextGeneration,
            worker: worker,
            origin: CodebookOrigin(cause: cause, faceCount: size.faceCount),
            listCount: size.listCount,
            sources: sources(record, in: view, sampleCount: sampleCount, faceCount: size.faceCount)
        )
    }

    /// Why a codebook should be trained now; nil when none should.
    ///
    /// The next is not thought of before every replica that is there has done with the one before. Its training resets
    /// what speaks for another: the size to compare with, the rows that came since, and the searches that were checked.
    private static func cause(
        _ record: CollectionRecord,
        _ size: TrainingSize,
        in view: ClusterView,
        policy: TrainingPolicy
    ) -> TrainingCause? {
        let open = view.metadata.openRollout(of: record.collection.id)?.rollout
        // That of the codebook before ends only at the next look.
        let rollout = open.flatMap { $0.generation == record.nextGeneration ? $0 : nil }
        guard let codebook = record.codebook else {
            return size.faceCount >= max(policy.minimumFaceCount, 1) ? .first : rollout?.cause
        }
        guard hasSettled(codebook, of: record, in: view) else { return nil }
        if let rollout { return rollout.cause }
        let replicas = record.placements.compactMap { view.replica(of: $0) }
        let isGrown = Double(size.faceCount) >= policy.growthFactor * Double(codebook.origin.faceCount)
        // A codebook has some fewer lists than were asked for: those with too few rows are left out.
        let hasMoreLists = 4 * Int(size.listCount) > 5 * codebook.listCount
        if isGrown, hasMoreLists || size.sampleCount / 2 >= codebook.sampleCount { return .growth }
        let fit = CodebookFit(of: replicas.map(\.fit))
        let leastCount = max(1, policy.leastRecentShare * Double(codebook.origin.faceCount))
        guard Double(fit.recentRowCount) >= leastCount else { return nil }
        if fit.energyRatio < policy.leastEnergyRatio { return .energy }
        if fit.imbalanceRatio > policy.greatestImbalanceRatio { return .imbalance }
        // Without new rows another training would measure the same curve again; searches aim higher meanwhile.
        if fit.recall.excess > policy.greatestMissRatio { return .recall }
        return nil
    }

    /// Whether every replica that is there has done with a codebook, so that the next may come.
    static func hasSettled(_ codebook: CodebookRecord, of record: CollectionRecord, in view: ClusterView) -> Bool {
        let replicas = record.placements.compactMap { view.replica(of: $0) }
        let served = record.placements.flatMap { placement in
            placement.group.members.filter { view.isServing(placement.shard, on: $0) }
                .compactMap { view.replica(of: placement.shard, on: $0) }
        }
        return replicas.count == record.placements.count
            && (replicas + served).allSatisfy { $0.generation == codebook.generation && $0.olderGeneration == 0 }
    }

    /// A worker that holds a shard: one that has not failed rather than one that has, one with memory for it rather
    /// than one without, then the one with most faces, then by id.
    private static func trainer(
        for record: CollectionRecord,
        _ size: TrainingSize,
        in view: ClusterView,
        memory: TrainingLedger.Memory
    ) -> NodeID? {
        var faceCounts: [NodeID: UInt64] = [:]
        for placement in record.placements {
            guard let reader = view.reader(of: placement) else { continue }
            faceCounts[reader, default: 0] += view.replica(of: placement)?.faceCount ?? 0
        }
        func hasRoom(_ worker: NodeID) -> Bool {
            guard let ledger = view.observations[worker]?.memory else { return true }
            let byteCount = TrainingMemory.byteCount(
                rowCount: UInt64(sampleCount(of: record, size, on: worker, in: view)),
                dimension: record.collection.configuration.dimension,
                listCount: size.listCount
            )
            return ledger.hasRoom(for: byteCount)
        }
        return faceCounts.min { left, right in
            let failed = (memory.isFailed(left.key), memory.isFailed(right.key))
            if failed.0 != failed.1 { return !failed.0 }
            let hasRoom = (hasRoom(left.key), hasRoom(right.key))
            if hasRoom.0 != hasRoom.1 { return hasRoom.0 }
            return left.value != right.value ? left.value > right.value : left.key < right.key
        }?.key
    }

    /// Fewer rows than are wanted where training on those would take more than half of what the worker may hold.
    private static func sampleCount(
        of record: CollectionRecord,
        _ size: TrainingSize,
        on worker: NodeID,
        in view: ClusterView
    ) -> UInt32 {
        guard let limit = view.observations[worker]?.memory.limitByteCount, limit > 0 else { return size.sampleCount }
        let most = TrainingMemory.rowLimit(
            byteCount: limit / 2,
            dimension: record.collection.configuration.dimension,
            listCount: size.listCount
        )
        return UInt32(min(UInt64(size.sampleCount), most))
    }

    /// The sample divided over the shards in proportion to their faces; the parts add up to the whole exactly.
    ///
    /// - Precondition: there are faces.
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
            guard let replica = view.replica(of: placement) else { continue }
            // At most the shard's own count, since `wanted` is at most the total.
            let end = facesBefore + replica.faceCount
            let part = share(end) - share(facesBefore)
            if part > 0, let reader = view.reader(of: placement) {
                sources.append(.init(placement: placement, worker: reader, sampleCount: UInt32(part)))
            }
            facesBefore = end
        }
        return sources
    }
}

/// How large a codebook and its sample should be for a collection.
package struct TrainingSize: Hashable {
    /// Rows sampled for each list: 39 that make its centroid, and those that calibrate.
    private static let rowsPerList: UInt64 = 45
    /// The same, of lists that are configured, at least: 16 that make the centroid, since a mean of few rows shows what
    /// single faces look like.
    private static let rowsPerConfiguredList: UInt64 = 19
    /// Rows that are worth sampling for however few lists.
    private static let leastSampleCount: UInt64 = 65_536
    private static let listRange = 16.0...16_384

    package let faceCount: UInt64
    package let listCount: UInt32
    package let sampleCount: UInt32

    /// As many lists as two and a half times the root of the faces, a power of two below: both ranking lists and
    /// scanning the nearest of them then grow slower than the collection.
    package init(faceCount: UInt64, dimension: Int, policy: TrainingPolicy) {
        let byteLimit = policy.sampleByteCount / UInt64(4 * dimension)
        let sampleLimit = min(faceCount, UInt64(policy.sampleCount), byteLimit)
        self.faceCount = faceCount
        if policy.listCount > 0 {
            listCount = UInt32(min(UInt64(policy.listCount), max(1, sampleLimit / Self.rowsPerConfiguredList)))
        } else {
            let wanted = min(2.5 * Double(faceCount).squareRoot(), Double(sampleLimit / Self.rowsPerList))
            let bounded = min(max(wanted, Self.listRange.lowerBound), Self.listRange.upperBound)
            listCount = 1 << UInt32(bounded.exponent)
        }
        sampleCount = UInt32(min(sampleLimit, max(Self.leastSampleCount, Self.rowsPerList * UInt64(listCount))))
    }
}
