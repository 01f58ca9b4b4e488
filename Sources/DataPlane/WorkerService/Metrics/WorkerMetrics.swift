import ClusterModel
import CoreMetrics
import FaceModel
import Logging
import NIOCore
import Observability
import PartitionEngine
import PartitionStore
import Synchronization
import WireProtocol

/// What a worker records of its searches and commits, and the log of slow searches.
///
/// Recording one search costs about as much as comparing ten rows; it may be done from any thread.
final class WorkerMetrics: Sendable {
    /// Where a search was answered.
    enum Place {
        case loop
        case thread

        var label: String {
            switch self {
            case .loop: LabelValue.loop
            case .thread: LabelValue.thread
            }
        }
    }

    /// Lines of the slow-search log in a second: an overload must not fill the disk as well.
    static let slowLinesPerSecond = 10

    let registry: MetricRegistry
    private let queue: Timer
    private let plan: Timer
    private let rank: Timer
    private let scan: Timer
    private let compare: Timer
    private let flat: Timer
    private let answer: Timer
    private let loopSearches: Counter
    private let threadSearches: Counter
    private let rowsVisited: Counter
    private let listsVisited: Counter
    private let rowsCompared: Counter
    private let commits: Timer
    private let enrolled: Counter
    private let deleted: Counter
    private let heartbeatsTaken: Counter
    private let heartbeatsFailed: Counter
    private let slow: Counter
    private let disksBack: Counter
    private let maintenanceNanoseconds = Atomic<Int64>(0)
    private let writtenCount = Atomic<UInt64>(0)
    /// Zero for no log.
    private let slowSearch: Duration
    private let allowance = Mutex(LogAllowance(perSecond: WorkerMetrics.slowLinesPerSecond))
    private let logger: Logger

    init(_ registry: MetricRegistry, slowSearch: Duration, logger: Logger) {
        self.registry = registry
        self.slowSearch = slowSearch
        self.logger = logger
        let stages = MetricCatalogue.searchStages
        queue = registry.timer(stages, LabelValue.queue)
        plan = registry.timer(stages, LabelValue.plan)
        rank = registry.timer(stages, LabelValue.rank)
        scan = registry.timer(stages, LabelValue.scan)
        compare = registry.timer(stages, LabelValue.compare)
        flat = registry.timer(stages, LabelValue.flat)
        answer = registry.timer(stages, LabelValue.answer)
        loopSearches = registry.counter(MetricCatalogue.workerSearches, Place.loop.label)
        threadSearches = registry.counter(MetricCatalogue.workerSearches, Place.thread.label)
        rowsVisited = registry.counter(MetricCatalogue.rowsVisited)
        listsVisited = registry.counter(MetricCatalogue.listsVisited)
        rowsCompared = registry.counter(MetricCatalogue.rowsCompared)
        commits = registry.timer(MetricCatalogue.commitDuration)
        enrolled = registry.counter(MetricCatalogue.writtenFaces, LabelValue.enrol)
        deleted = registry.counter(MetricCatalogue.writtenFaces, LabelValue.delete)
        heartbeatsTaken = registry.counter(MetricCatalogue.heartbeats, LabelValue.taken)
        heartbeatsFailed = registry.counter(MetricCatalogue.heartbeats, LabelValue.failed)
        slow = registry.counter(MetricCatalogue.slowSearches, LabelValue.worker)
        disksBack = registry.counter(MetricCatalogue.disksBack)
        registry.collect { [weak self] samples in
            guard let self else { return }
            let nanoseconds = maintenanceNanoseconds.load(ordering: .relaxed)
            samples.add(MetricCatalogue.maintenanceTime, value: Double(nanoseconds) / 1e9)
        }
    }

    /// Rows of committed writes.
    var writtenFaceCount: UInt64 { writtenCount.load(ordering: .relaxed) }

    // MARK: Searches

    /// A shard search has been answered.
    ///
    /// - Parameters:
    ///   - traceparent: of the caller's span.
    ///   - arrival: when the request had come in.
    ///   - begin: when a thread, or the loop, began with it.
    func searched(
        _ request: ShardSearch,
        collection: String,
        _ outcome: PartitionSearchAnswer,
        at place: Place,
        continuing traceparent: String?,
        arrival: NIODeadline,
        begin: NIODeadline
    ) {
        let waited = (begin - arrival).nanoseconds
        let stages = outcome.stages
        queue.recordNanoseconds(waited)
        plan.recordNanoseconds(Int64(stages.plan))
        answer.recordNanoseconds(Int64(stages.answer))
        // A stage that a search does not have would only dilute those of the others.
        if stages.rank > 0 { rank.recordNanoseconds(Int64(stages.rank)) }
        if stages.scan > 0 { scan.recordNanoseconds(Int64(stages.scan)) }
        if stages.compare > 0 { compare.recordNanoseconds(Int64(stages.compare)) }
        if stages.flat > 0 { flat.recordNanoseconds(Int64(stages.flat)) }
        (place == .loop ? loopSearches : threadSearches).increment()
        rowsVisited.increment(by: Int64(clamping: outcome.rowsVisited))
        if outcome.listsVisited > 0 { listsVisited.increment(by: Int64(clamping: outcome.listsVisited)) }
        if outcome.rowsReranked > 0 { rowsCompared.increment(by: Int64(clamping: outcome.rowsReranked)) }

        let end = NIODeadline.now()
        let took = Duration.nanoseconds((end - arrival).nanoseconds)
        trace(
            request,
            collection: collection,
            outcome,
            at: place,
            continuing: traceparent,
            took: took,
            waited: .nanoseconds(waited)
        )
        guard slowSearch > .zero, took >= slowSearch else { return }
        slow.increment()
        guard let suppressed = allowance.withLock({ $0.take(now: .now) }) else { return }
        logger.notice(
            "slow search",
            metadata: .slowSearch([
                (.collection, collection), (.shard, "\(request.route.shard.index)"), (.place, place.label),
                (.total, "\(took.wholeMicroseconds)"), (.queue, "\(waited / 1000)"),
                (.plan, "\(stages.plan / 1000)"), (.rank, "\(stages.rank / 1000)"),
                (.scan, "\(stages.scan / 1000)"), (.compare, "\(stages.compare / 1000)"),
                (.flat, "\(stages.flat / 1000)"),
                (.answer, "\(stages.answer / 1000)"), (.probeCount, "\(request.probes.rowCount)"),
                (.matchLimit, "\(request.parameters.matchLimit)"), (.effort, "\(request.parameters.effort)"),
                (.rowsVisited, "\(outcome.rowsVisited)"), (.listsVisited, "\(outcome.listsVisited)"),
                (.rowsCompared, "\(outcome.rowsReranked)"),
                (.facesAnswered, "\(outcome.facesAnswered) of \(outcome.faceCount)"), (.suppressed, "\(suppressed)"),
            ])
        )
    }

    /// Spans are made when the search is over: it began on another thread than the one that ends it.
    private func trace(
        _ request: ShardSearch,
        collection: String,
        _ outcome: PartitionSearchAnswer,
        at place: Place,
        continuing traceparent: String?,
        took: Duration,
        waited: Duration
    ) {
        let span = SearchSpan.start(.shardSearch, continuing: traceparent, age: took)
        guard span.isRecording else { return }
        span.set(.collection, collection)
        span.set(.shard, Int(request.route.shard.index))
        span.set(.place, place.label)
        span.set(.queue, Int(waited.wholeMicroseconds))
        span.set(.probeCount, request.probes.rowCount)
        span.set(.matchLimit, request.parameters.matchLimit)
        span.set(.effort, "\(request.parameters.effort)")
        let partition = SearchSpan.start(.partitionSearch, below: span, age: took - waited)
        for (attribute, nanoseconds) in [
            (SearchSpanAttribute.plan, outcome.stages.plan), (.rank, outcome.stages.rank),
            (.scan, outcome.stages.scan), (.compare, outcome.stages.compare), (.flat, outcome.stages.flat),
            (.answer, outcome.stages.answer),
        ] { partition.set(attribute, Int(nanoseconds / 1000)) }
        partition.set(.rowsVisited, Int(clamping: outcome.rowsVisited))
        partition.set(.listsVisited, Int(clamping: outcome.listsVisited))
        partition.set(.rowsCompared, Int(clamping: outcome.rowsReranked))
        partition.end()
        span.end()
    }

    // MARK: Writes and the rest

    func committed(_ writes: [PendingWrite], took duration: Duration) {
        commits.recordNanoseconds(duration.wholeNanoseconds)
        for write in writes {
            writtenCount.add(UInt64(write.rowCount), ordering: .relaxed)
            switch write.batch.operation {
            case .enrol, .restore: enrolled.increment(by: write.rowCount)
            case .delete: deleted.increment(by: write.rowCount)
            case .expire, .beginEpoch: break
            }
        }
    }

    /// A commit of a replicated replica, and what the entries did that it applied.
    func committed(_ applied: [AppliedEntry], took duration: Duration) {
        commits.recordNanoseconds(duration.wholeNanoseconds)
        for entry in applied {
            switch entry.receipt.outcome {
            case .enrolled(let outcomes):
                enrolled.increment(by: outcomes.count)
                writtenCount.add(UInt64(outcomes.count), ordering: .relaxed)
            case .deleted(let outcomes):
                deleted.increment(by: outcomes.count)
                writtenCount.add(UInt64(outcomes.count), ordering: .relaxed)
            case .expired, .epochBegun, .keyReused: break
            }
        }
    }

    func maintained(took duration: Duration) {
        maintenanceNanoseconds.add(duration.wholeNanoseconds, ordering: .relaxed)
    }

    func diskWentBack() { disksBack.increment() }

    func heartbeatEnded(wasTaken: Bool) { (wasTaken ? heartbeatsTaken : heartbeatsFailed).increment() }
}
