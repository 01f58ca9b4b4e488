import ClusterModel
import CoreMetrics
import FaceModel
import Observability
import PartitionEngine
import Synchronization
import Threads
import WireProtocol

/// Has one search in so many repeated with `exact`, and tallies what it had missed: the recall of the searches that are
/// really made, not that of a calibration, which the partition corrects by it.
///
/// A check runs on a search thread that has nothing to do, or has just become idle, one at a time, and gives up when a
/// search waits.
final class RecallChecker: Sendable {
    private enum Outcome: CaseIterable {
        case done
        /// Searches waited for a thread, or one came and wanted this one.
        case busy
        case failed

        var label: String {
            switch self {
            case .done: LabelValue.done
            case .busy: LabelValue.busy
            case .failed: LabelValue.failed
            }
        }
    }

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
                ($0, registry.counter(MetricCatalogue.recallChecks, $0.label))
            }
        )
    }

    /// What this worker has tallied of the searches that promise a recall.
    var tally: RecallTally { own.withLock(\.self) }

    /// A search has been answered; checks it if it is its turn.
    func consider(_ request: ShardSearch, in replica: Replica) {
        guard interval > 0, let effort = RecallBook.Effort(request.parameters) else { return }
        // Scattered, so that a load with a period of its own is sampled as a whole.
        var number = seenCount.add(1, ordering: .relaxed).newValue &* 0x9e37_79b9_7f4a_7c15
        number ^= number >> 32
        guard number % interval == 0, !isChecking.exchange(true, ordering: .relaxed) else { return }
        // The search may be on its thread yet, and there may be no other: the check then comes after it.
        let isKept = searches.runWhenIdle(
            BoundedExecutor.Job(
                run: { [self] in finish(check(request, effort, in: replica)) },
                abandon: { [self] in finish(.busy) }
            )
        )
        if !isKept { finish(.busy) }
    }

    private func finish(_ outcome: Outcome) {
        isChecking.store(false, ordering: .relaxed)
        counters[outcome]?.increment()
    }

    /// Of a photo only the first probe is checked.
    private func check(_ request: ShardSearch, _ effort: RecallBook.Effort, in replica: Replica) -> Outcome {
        var search = PartitionSearch(
            parameters: request.parameters,
            excludedFace: request.excludedFace,
            probes: request.probes.rows([0]),
            now: .wallClock
        )
        search.collectionShare = replica.record.range.share
        do throws(WireStatus) {
            let check = try replica.read(.reading(request.route.epoch)) {
                (partition, isFenced) throws(PartitionError) in
                try partition.checkRecall(of: search) { isFenced() || self.searches.load.waitingCount > 0 }
            }
            switch check {
            case .stopped: return .busy
            case .done(let tally):
                if effort == .recall { own.withLock { $0 = $0 + tally } }
                book.add(tally, of: effort)
                return .done
            }
        } catch {
            return .failed
        }
    }
}
