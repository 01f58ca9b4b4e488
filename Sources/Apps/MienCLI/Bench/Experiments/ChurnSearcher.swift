import FaceModel
import Foundation
import PartitionEngine
import Synchronization

/// When something began and how long it took.
struct TimedSpan {
    let start: ContinuousClock.Instant
    let duration: Duration

    var end: ContinuousClock.Instant { start + duration }
}

/// A thread that searches a partition without a rest while others write it, and keeps what each search took.
final class ChurnSearcher: Sendable {
    private struct State {
        var searches: [TimedSpan] = []
        var failure: String?
        var isStopping = false
        var hasEnded = false
    }

    private let state = Mutex(State())

    /// - Parameter probes: searched one by one, round after round.
    init(partition: Partition, probes: EmbeddingMatrix, effort: SearchEffort) {
        let thread = Thread { [self] in run(partition, probes, effort) }
        thread.start()
    }

    private func run(_ partition: Partition, _ probes: EmbeddingMatrix, _ effort: SearchEffort) {
        var next = 0
        while !state.withLock({ $0.isStopping }) {
            let search = PartitionSearch(
                parameters: SearchParameters(matchLimit: MeasuredGallery.matchLimit, effort: effort),
                excludedFace: nil,
                probes: probes.rows([next]),
                now: Timestamp(milliseconds: 0)
            )
            next = (next + 1) % probes.rowCount
            let start = ContinuousClock.now
            do throws(PartitionError) {
                _ = try partition.search(search, shouldStop: { false })
            } catch {
                state.withLock { $0.failure = $0.failure ?? "\(error)" }
            }
            let time = ContinuousClock.now - start
            state.withLock { $0.searches.append(TimedSpan(start: start, duration: time)) }
            // As long as the search took: the writer needs a processor too.
            Thread.sleep(forTimeInterval: min(0.005, time / .seconds(1)))
        }
        state.withLock { $0.hasEnded = true }
    }

    /// The searches since the last call, in order.
    func takeSearches() throws(CommandFailure) -> [TimedSpan] {
        let (searches, failure) = state.withLock { state in
            defer { state.searches = [] }
            return (state.searches, state.failure)
        }
        if let failure { throw CommandFailure(.internalError, "a search failed: \(failure)") }
        return searches
    }

    /// Waits for the last search.
    func stop() {
        state.withLock { $0.isStopping = true }
        while !state.withLock({ $0.hasEnded }) { Thread.sleep(forTimeInterval: 0.001) }
    }
}
