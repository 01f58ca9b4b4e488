import FaceModel
package import Observability
import Synchronization

/// The tallies of all workers of a process, as metrics.
package final class RecallBook: Sendable {
    /// Searches by what decides how much they visit. Only `recall` makes a promise; what is found of the others is told
    /// beside it.
    enum Effort: CaseIterable {
        case recall
        case full
        case lists
        /// Whatever the effort: rows that do not pass are left out before anything is ranked.
        case filtered

        /// Nil for `exact`: it is the measure.
        init?(_ parameters: SearchParameters) {
            switch parameters.effort {
            case .exact: return nil
            case _ where parameters.filter != nil: self = .filtered
            case .recall: self = .recall
            case .full: self = .full
            case .lists: self = .lists
            }
        }

        var label: String {
            switch self {
            case .recall: LabelValue.recall
            case .full: LabelValue.full
            case .lists: LabelValue.lists
            case .filtered: LabelValue.filtered
            }
        }
    }

    private let tallies = Mutex<[Effort: RecallTally]>([:])

    package init(_ registry: MetricRegistry) {
        registry.collect { [weak self] samples in self?.collect(into: &samples) }
    }

    func add(_ tally: RecallTally, of effort: Effort) {
        tallies.withLock { $0[effort] = $0[effort, default: RecallTally()] + tally }
    }

    private func collect(into samples: inout MetricSamples) {
        let tallies = tallies.withLock(\.self)
        for effort in Effort.allCases {
            let (tally, effort) = (tallies[effort] ?? RecallTally(), effort.label)
            for (kind, count, foundCount, recall) in [
                (LabelValue.matches, tally.matchCount, tally.foundMatchCount, tally.matchRecall),
                (LabelValue.mates, tally.mateCount, tally.foundMateCount, tally.mateRecall),
            ] {
                samples.add(MetricCatalogue.recallCompared, kind, effort, value: Double(count))
                samples.add(MetricCatalogue.recallMissed, kind, effort, value: Double(count - foundCount))
                guard let recall else { continue }
                let interval = recall.interval()
                samples.add(MetricCatalogue.liveRecall, kind, effort, value: recall.rate)
                samples.add(MetricCatalogue.liveRecallLow, kind, effort, value: interval.lowerBound)
                samples.add(MetricCatalogue.liveRecallHigh, kind, effort, value: interval.upperBound)
            }
        }
    }
}
