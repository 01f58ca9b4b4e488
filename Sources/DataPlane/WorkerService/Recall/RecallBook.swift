import FaceModel
package import Observability
import Synchronization

/// The tallies of all workers of a process, as metrics.
package final class RecallBook: Sendable {
    private let tally = Mutex(RecallTally())

    package init(_ registry: MetricRegistry) {
        registry.collect { [weak self] samples in self?.collect(into: &samples) }
    }

    func add(_ one: RecallTally) { tally.withLock { $0 = $0 + one } }

    private func collect(into samples: inout MetricSamples) {
        let tally = tally.withLock(\.self)
        for (kind, trials, hits, recall) in [
            ("matches", tally.matchCount, tally.foundMatchCount, tally.matchRecall),
            ("mates", tally.mateCount, tally.foundMateCount, tally.mateRecall),
        ] {
            samples.add(MetricCatalogue.recallCompared, kind, value: Double(trials))
            samples.add(MetricCatalogue.recallFound, kind, value: Double(hits))
            guard let recall else { continue }
            samples.add(MetricCatalogue.liveRecall, kind, value: recall.estimate)
            samples.add(MetricCatalogue.liveRecallLow, kind, value: recall.low)
            samples.add(MetricCatalogue.liveRecallHigh, kind, value: recall.high)
        }
    }
}
