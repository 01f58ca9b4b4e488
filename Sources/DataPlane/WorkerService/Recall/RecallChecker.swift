import ClusterModel
import CoreMetrics
import FaceModel
import InvertedFileIndex
import Observability
import PartitionEngine
import Synchronization
import Threads
import WireProtocol

/// Repeats one search in so many with `exact`, and tallies what it had missed: the recall of the searches that are
/// really made, not that of a calibration.
///
/// A check runs on a search thread that has nothing to do, one at a time, and gives up when a search waits. It searches
/// twice, as asked and exactly, so that both see the same faces; when a write came in between it tries once more.
final class RecallChecker: Sendable {
    private enum Outcome: String, CaseIterable {
        case done
        /// No thread was idle, or a search came and wanted this one.
        case busy
        /// A write came in between.
        case changed
        case failed
    }

    private static let attemptCount = 2

    private let interval: UInt64
    private let searches: BoundedExecutor
    private let book: RecallBook
    private let counters: [Outcome: Counter]
    private let seenCount = Atomic<UInt64>(0)
    private let isChecking = Atomic(false)
    private let own = Mutex(RecallTally())

    /// - Parameter interval: one search in so many is checked; 0 for none.
    init(interval: Int, searches: BoundedExecutor, book: RecallBook, registry: MetricRegistry) {
        self.interval = UInt64(max(0, interval))
        self.searches = searches
        self.book = book
        counters = Dictionary(
            uniqueKeysWithValues: Outcome.allCases.map {
                ($0, registry.counter(MetricCatalogue.recallChecks, $0.rawValue))
            }
        )
    }

    /// What this worker has tallied.
    var tally: RecallTally { own.withLock(\.self) }

    /// A search has been answered; checks it if it is its turn.
    func consider(_ request: ShardSearch, in replica: Replica) {
        guard interval > 0, case .recall = request.parameters.effort, request.parameters.filter == nil else { return }
        // Scattered, so that a load with a period of its own is sampled as a whole.
        var number = seenCount.add(1, ordering: .relaxed).newValue &* 0x9e37_79b9_7f4a_7c15
        number ^= number >> 32
        guard number % interval == 0, !isChecking.exchange(true, ordering: .relaxed) else { return }
        let isRunning = searches.runIfIdle { [self] in
            let outcome = check(request, in: replica)
            isChecking.store(false, ordering: .relaxed)
            counters[outcome]?.increment()
        }
        if !isRunning {
            isChecking.store(false, ordering: .relaxed)
            counters[.busy]?.increment()
        }
    }

    /// Of a photo only the first probe is checked.
    private func check(_ request: ShardSearch, in replica: Replica) -> Outcome {
        var search = PartitionSearch(
            parameters: request.parameters,
            excludedFace: request.excludedFace,
            probes: request.probes.rows([0]),
            now: .now
        )
        search.collectionShare = replica.record.range.share
        do throws(WireStatus) {
            return try replica.read(under: request.route.epoch) { (partition, isFenced) throws(PartitionError) in
                for _ in 0..<Self.attemptCount {
                    let sequence = partition.committedSequence
                    let shouldStop = { isFenced() || self.searches.load.waitingCount > 0 }
                    search.parameters.effort = request.parameters.effort
                    let found = try partition.search(search, shouldStop: shouldStop)
                    search.parameters.effort = .exact
                    let exact = try partition.search(search, shouldStop: shouldStop)
                    guard found.facesAnswered == found.faceCount, exact.facesAnswered == exact.faceCount else {
                        return .busy
                    }
                    if partition.committedSequence != sequence { continue }
                    note(request, exact: exact.matches[0], found: found.matches[0], share: search.collectionShare)
                    return .done
                }
                return .changed
            }
        } catch {
            return .failed
        }
    }

    /// Of the collection's best matches a shard is expected to have its share, and looks for no more of them.
    private func note(_ request: ShardSearch, exact: [Match], found: [Match], share: Double) {
        let limit = max(1, Int((Double(request.parameters.matchLimit) * share).rounded()))
        let tally = RecallTally(
            exact: exact,
            found: found,
            limit: limit,
            leastSimilarity: request.parameters.threshold ?? RecallCalibration.usualLeastSimilarity
        )
        own.withLock { $0 = $0 + tally }
        book.add(tally)
    }
}
