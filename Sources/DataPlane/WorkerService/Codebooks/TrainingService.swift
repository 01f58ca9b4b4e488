import ClusterModel
import FaceModel
import InvertedFileIndex
import Logging
import Synchronization
import Threads
import VectorMath
import WireProtocol
import WireTransport

/// Trains codebooks, one after another: gathers a sample from the shards over the wire, then computes on a thread of
/// low priority, which rests often enough to keep to its share of a processor.
///
/// Cancelling ``run()`` stops the training under way; orders not finished are forgotten and come again from the
/// coordinator.
final class TrainingService: Sendable {
    /// Rows asked of a shard in one call, and bytes of their embeddings: half of the least frame that a node may grant.
    private static let pageRowLimit = 4096
    private static let pageByteLimit = 8 << 20
    private static let pageTimeout = Duration.seconds(30)
    private static let attemptsPerPage = 4
    private static let pauseBetweenAttempts = Duration.milliseconds(250)
    /// Time between two looks at whether a training that is held may go on.
    private static let holdInterval = Duration.milliseconds(100)

    private let shelf: CodebookShelf
    private let holds: OperationHolds
    private let limits: WorkerLimits
    private let backgroundProcessorShare: Double
    private let makePeer: @Sendable (NodeAddress) -> PeerClient
    private let reportChanged: @Sendable () -> Void
    private let logger: Logger
    private let orders: AsyncStream<TrainCodebook>
    private let orderInput: AsyncStream<TrainCodebook>.Continuation
    private let sampleSize = Atomic(0)
    /// Of trainings that were taken and have not ended.
    private let reservedByteCount = Atomic<UInt64>(0)

    /// Bytes of the sample of the training under way; 0 without one.
    var sampleByteCount: Int { sampleSize.load(ordering: .relaxed) }

    init(
        shelf: CodebookShelf,
        holds: OperationHolds,
        limits: WorkerLimits,
        backgroundProcessorShare: Double,
        makePeer: @escaping @Sendable (NodeAddress) -> PeerClient,
        reportChanged: @escaping @Sendable () -> Void,
        logger: Logger
    ) {
        self.shelf = shelf
        self.holds = holds
        self.limits = limits
        self.backgroundProcessorShare = backgroundProcessorShare
        self.makePeer = makePeer
        self.reportChanged = reportChanged
        self.logger = logger
        (orders, orderInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(limits.trainingQueueCount))
    }

    /// Takes an order to train; one that is under way or finished is taken as a repetition.
    ///
    /// - Parameter admit: asked whether the memory of this training, beside that of those which were taken and have not
    ///   ended, is there.
    func order(
        _ request: TrainCodebook,
        admit: (_ byteCount: UInt64) throws(WireStatus) -> Void
    ) throws(WireStatus) {
        let rowCount = request.sources.reduce(UInt64(0)) { $0 + UInt64($1.sampleCount) }
        let dimension = request.collection.configuration.dimension
        guard CollectionConfiguration.dimensionRange.contains(dimension), rowCount > 0 else {
            throw Refusal.invalid("a training needs shards to sample from and a dimension from 64 to 2048")
        }
        guard rowCount <= UInt64(limits.trainingSampleBytes / 4 / dimension) else {
            throw WireStatus(
                code: .limitExceeded,
                message: """
                    a sample of \(rowCount) rows of dimension \(dimension) passes this worker's limit of \
                    \(limits.trainingSampleBytes >> 20) MiB
                    """
            )
        }
        let collection = request.collection.id
        let byteCount = Self.byteCount(of: request)
        if !shelf.isWanted(collection, generation: request.generation) {
            try admit(byteCount &+ reservedByteCount.load(ordering: .relaxed))
        }
        guard try shelf.begin(collection, generation: request.generation) else { return }
        // Before, since it may have ended as soon as it is there.
        reservedByteCount.add(byteCount, ordering: .relaxed)
        guard case .enqueued = orderInput.yield(request) else {
            reservedByteCount.subtract(byteCount, ordering: .relaxed)
            shelf.update(collection, generation: request.generation, to: .failed("the worker's training queue is full"))
            throw WireStatus(
                code: .overloaded,
                message: "the worker's training queue is full (\(limits.trainingQueueCount) wait)",
                retryAfterMilliseconds: 5000
            )
        }
    }

    /// Serves orders until cancelled.
    func run() async {
        let executor = BoundedExecutor(name: "train", threadCount: 1, queueLimit: 1, priority: .background)
        for await order in orders {
            await serve(order, on: executor)
            reservedByteCount.subtract(Self.byteCount(of: order), ordering: .relaxed)
        }
        await WorkerThread.run(name: "train-end") { executor.stop() }
    }

    private func serve(_ order: TrainCodebook, on executor: BoundedExecutor) async {
        let collection = order.collection.id
        let generation = order.generation
        // One that was abandoned and ordered again while it ran is another's by now.
        guard shelf.isWaiting(collection, generation: generation) else { return }
        var metadata: Logger.Metadata = ["collection": "\(collection)", "generation": "\(generation)"]
        let begin = TrainingProgress(stage: .sampling, share: 0)
        shelf.update(collection, generation: generation, to: .running(begin, since: .now))
        reportChanged()
        logger.info("training begins", metadata: metadata)
        let start = ContinuousClock.now
        sampleSize.store(Self.rowCount(of: order) * order.collection.configuration.dimension * 4, ordering: .relaxed)
        defer { sampleSize.store(0, ordering: .relaxed) }
        do {
            let sample = try await gatherSample(for: order, shufflingOn: executor)
            try await train(order, on: sample, executor: executor)
            metadata["rows"] = "\(sample.rowCount)"
            metadata["duration"] = "\(ContinuousClock.now - start)"
            logger.info("training finished", metadata: metadata)
        } catch  where !shelf.isWanted(collection, generation: generation) {
            logger.notice("training abandoned", metadata: metadata)
        } catch {
            shelf.update(collection, generation: generation, to: .failed("\(error)"))
            metadata["error"] = "\(error)"
            logger.warning("training failed", metadata: metadata)
        }
        reportChanged()
    }

    private func train(
        _ order: TrainCodebook,
        on sample: EmbeddingMatrix,
        executor: BoundedExecutor
    ) async throws {
        let isCancelled = CancellationFlag()
        let (shelf, holds, collection, generation) = (shelf, holds, order.collection.id, order.generation)
        let processorShare = backgroundProcessorShare
        let outcome: Result<Void, any Error>? = await withTaskCancellationHandler {
            await executor.run {
                var pace = BackgroundPace(processorShare: processorShare)
                return Result {
                    let codebook = try CodebookTrainer.train(
                        sample: sample,
                        generation: generation,
                        listCount: Int(order.listCount),
                        seed: Self.seed(of: order),
                        progress: { shelf.note($0, of: collection, generation: generation) },
                        shouldStop: {
                            let isOver = {
                                isCancelled.isRaised || !shelf.isWanted(collection, generation: generation)
                            }
                            while holds.holdsCodebook(of: collection), !isOver() {
                                ThreadTime.sleep(for: Self.holdInterval)
                            }
                            return pace.rest(unless: isOver)
                        }
                    )
                    try shelf.keep(codebook.encoded(), of: collection, generation: generation)
                }
            }
        } onCancel: {
            isCancelled.raise()
        }
        guard let outcome else { throw CancellationError() }
        try outcome.get()
    }

    // MARK: Sample

    /// Rows from every source in random order, together as many as were asked for or as there are.
    private func gatherSample(
        for order: TrainCodebook,
        shufflingOn executor: BoundedExecutor
    ) async throws -> EmbeddingMatrix {
        let dimension = order.collection.configuration.dimension
        var values: [Float] = []
        values.reserveCapacity(Self.rowCount(of: order) * dimension)
        var peers: [NodeAddress: PeerClient] = [:]
        let outcome: Result<Void, any Error>
        do {
            // In the order given: the same order of rows trains the same codebook.
            for source in order.sources {
                let peer = peers[source.address] ?? makePeer(source.address)
                peers[source.address] = peer
                try await append(source, of: order, from: peer, to: &values)
            }
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        for peer in peers.values { await peer.close() }
        try outcome.get()
        // Rows of every shard are among those that train, among those that calibrate, and among those too many.
        let sample = Mutex(EmbeddingMatrix(dimension: dimension, values: values))
        values = []
        let (seed, wantedCount) = (Self.seed(of: order), Self.rowCount(of: order))
        let isShuffled: Void? = await executor.run {
            var generator = SplitMix64(seed: seed)
            sample.withLock {
                $0.shuffleRows(using: &generator)
                $0.keepRows(wantedCount)
            }
        }
        guard isShuffled != nil else { throw CancellationError() }
        return sample.withLock { $0 }
    }

    /// Appends one source's rows, page by page: a few more than are wanted, since how many are drawn is left to chance.
    /// A worker of an earlier build draws every page by itself, so that a row may come twice.
    private func append(
        _ source: TrainCodebook.Source,
        of order: TrainCodebook,
        from peer: PeerClient,
        to values: inout [Float]
    ) async throws {
        let dimension = order.collection.configuration.dimension
        let seed = Self.seed(of: order)
        let pageRowCount = UInt32(min(Self.pageRowLimit, Self.pageByteLimit / 4 / dimension))
        let wanted = Double(source.sampleCount)
        // Five deviations.
        let total = source.sampleCount &+ UInt32(5 * wanted.squareRoot() + 16)
        var remaining = source.sampleCount
        var isPaged = true
        var firstRow: UInt32 = 0
        var independentPageCount: UInt64 = 0
        let (collection, generation) = (order.collection.id, order.generation)
        while isPaged || remaining > 0 {
            while holds.holdsCodebook(of: collection), shelf.isWanted(collection, generation: generation) {
                try await Task.sleep(for: Self.holdInterval)
            }
            guard shelf.isWanted(collection, generation: generation) else { throw CancellationError() }
            let request = SampleEmbeddings(
                route: ShardRoute(shard: source.shard, epoch: source.epoch),
                count: isPaged && firstRow > 0 ? pageRowCount : min(max(remaining, 1), pageRowCount),
                seed: seed &+ UInt64(source.shard.index) << 32 &+ independentPageCount,
                totalCount: total,
                firstRow: firstRow
            )
            let answer = try await call(request, on: peer)
            let sample = answer.embeddings
            guard sample.dimension == dimension, sample.rowCount <= Int(request.count) else {
                throw Refusal.wrongDimension(source.shard, sent: sample.dimension, held: dimension)
            }
            // What another worker's disk has made of a row must not end this one: the analysis of a sample needs sums
            // that are finite.
            guard sample.hasUnitLength else { throw Refusal.unsoundSample(source.shard) }
            values.append(contentsOf: sample.values)
            let share = Float(values.count / dimension) / Float(Self.rowCount(of: order))
            shelf.note(
                TrainingProgress(stage: .sampling, share: min(share, 1)),
                of: order.collection.id,
                generation: order.generation
            )
            remaining -= min(remaining, UInt32(sample.rowCount))
            switch answer.continuation {
            case .end: return
            case .from(let row):
                guard row > firstRow else { throw Refusal.invalid("a sample that goes on where it was") }
                firstRow = row
            case .untold:
                // A shard with fewer rows than asked for has given all it has.
                if sample.rowCount < Int(request.count) { return }
                isPaged = false
                independentPageCount += 1
            }
        }
    }

    private func call(_ request: SampleEmbeddings, on peer: PeerClient) async throws -> EmbeddingSample {
        for _ in 1..<Self.attemptsPerPage {
            do throws(WireStatus) {
                return try await peer.call(request, deadline: .after(Self.pageTimeout))
            } catch {
                guard error.code.retry == .retryThisCall else { throw error }
                try await Task.sleep(
                    for: max(.milliseconds(Int(error.retryAfterMilliseconds)), Self.pauseBetweenAttempts)
                )
            }
        }
        return try await peer.call(request, deadline: .after(Self.pageTimeout))
    }

    private static func rowCount(of order: TrainCodebook) -> Int {
        order.sources.reduce(0) { $0 + Int($1.sampleCount) }
    }

    private static func byteCount(of order: TrainCodebook) -> UInt64 {
        TrainingMemory.byteCount(
            rowCount: UInt64(rowCount(of: order)),
            dimension: order.collection.configuration.dimension,
            listCount: order.listCount
        )
    }

    /// The same order draws the same sample from the same data, on any worker.
    private static func seed(of order: TrainCodebook) -> UInt64 {
        order.collection.id.low ^ UInt64(order.generation) &* 0x9e37_79b9_7f4a_7c15
    }
}

/// Tells a thread that the task waiting for it was cancelled.
private final class CancellationFlag: Sendable {
    private let flag = Atomic(false)

    var isRaised: Bool { flag.load(ordering: .relaxed) }

    func raise() {
        flag.store(true, ordering: .relaxed)
    }
}
