package import FaceModel
internal import InvertedFileIndex
internal import Synchronization

/// Corrects how much of a collection `recall` visits by what checks of real searches have missed.
///
/// The curve of a codebook is measured on simulated mates; real ones may lie farther. When more of them are missed than
/// the curve lets expect, by more than chance, searches aim at a higher point of it: at as many times fewer misses as
/// there were too many, where what is visited does not find as much already. The misses expected of every check are
/// those of the point that its search aimed at, so the factor rises while more is missed than was promised, falls while
/// less is, and settles where the promise is kept. It is never below 1: nobody is to wait less for an answer because
/// strangers' searches were easy.
///
/// Searches that promise about the same have a factor of their own: the curve may be right at one recall and wrong at
/// another, and what easy searches may miss would hide that those miss more which may hardly miss anything.
///
/// Forgotten when the codebook changes, and when the partition is closed. Any thread may ask and note.
package final class RecallCorrection: Sendable {
    /// The factors of one moment, for all parts of one search.
    package struct Factor: Sendable {
        fileprivate var generation: UInt32 = 0
        /// By ``RecallCorrection/place(ofPromise:)``; there are fewer. Copied by every search, so it is no array.
        fileprivate var excesses = SIMD8<Double>(repeating: 1)

        /// What a search of a codebook's codes aims at to find `recall` of the mates.
        package func target(for recall: Double, generation: UInt32) -> Double {
            guard generation == self.generation else { return recall }
            let excess = excesses[RecallCorrection.place(ofPromise: recall)]
            return excess > 1 ? 1 - (1 - recall) / excess : recall
        }

        /// How a search of a codebook's codes meets it.
        func demand(forRecall recall: Double, of codebook: Codebook) -> RecallCalibration.Demand {
            codebook.calibration.demand(
                forRecall: recall,
                aimingAt: target(for: recall, generation: codebook.generation)
            )
        }
    }

    /// What checks of searches that promise about the same have found.
    private struct Window {
        var recent = RecallEvidence.none
        var before = RecallEvidence.none

        var sum: RecallEvidence { recent + before }

        mutating func note(missedShare: Double, expectedShare: Double) {
            if recent.probeCount >= RecallCorrection.windowProbeCount { (before, recent) = (recent, .none) }
            recent.probeCount += 1
            recent.missedCount += missedShare
            recent.expectedCount += expectedShare
        }
    }

    private struct Evidence {
        var windows = [Window](repeating: Window(), count: RecallCorrection.missLimits.count + 1)
        var factor = Factor()
    }

    /// So many probes are kept for as many again, then forgotten: a collection and its searchers change.
    private static let windowProbeCount: UInt64 = 4096
    /// The greatest shares that may be missed by promises that are counted together; those that may miss more than the
    /// last are counted together as well.
    private static let missLimits = [0.002, 0.015, 0.06, 0.15]

    /// The place of what searches promise unless somebody asks for something else.
    private static var defaultPlace: Int? {
        guard case .recall(let recall) = SearchEffort.default else { return nil }
        return place(ofPromise: recall)
    }

    private let evidence = Mutex(Evidence())
    /// That of the evidence. Every search reads it, and need not wait while a bound is worked out.
    private let current = Mutex(Factor())

    package init() {}

    package var factor: Factor { current.withLock(\.self) }

    /// What there is to tell: of the promise that is broken worst, or while none is, of the default's, so that all
    /// shards tell of the same; where nobody asked for that, of the one with most checks.
    package func evidence(ofGeneration generation: UInt32) -> RecallEvidence {
        evidence.withLock { evidence in
            guard evidence.factor.generation == generation else { return RecallEvidence.none }
            var (told, toldExcess, toldWeight) = (RecallEvidence.none, 0.0, UInt64(0))
            for place in evidence.windows.indices {
                let (sum, excess) = (evidence.windows[place].sum, evidence.factor.excesses[place])
                let weight = place == Self.defaultPlace && sum.probeCount > 0 ? UInt64.max : sum.probeCount
                guard (excess, weight) > (toldExcess, toldWeight) else { continue }
                (told, toldExcess, toldWeight) = (sum, excess, weight)
            }
            return told
        }
    }

    /// One probe was searched for with codes of this generation alone, aiming at `target`.
    ///
    /// - Parameters:
    ///   - missedShare: of the mates that exact search finds, those that were missed.
    ///   - recall: what was asked for.
    ///   - target: what the search aimed at to keep it, at least as much.
    package func note(missedShare: Double, promising recall: Double, aimingAt target: Double, generation: UInt32) {
        evidence.withLock { evidence in
            // A codebook that was replaced while the check went on says nothing any more.
            guard generation >= evidence.factor.generation else { return }
            if generation > evidence.factor.generation {
                evidence = Evidence()
                evidence.factor.generation = generation
            }
            let place = Self.place(ofPromise: recall)
            evidence.windows[place].note(missedShare: missedShare, expectedShare: 1 - target)
            evidence.factor.excesses[place] = evidence.windows[place].sum.excess
            let factor = evidence.factor
            current.withLock { $0 = factor }
        }
    }

    fileprivate static func place(ofPromise recall: Double) -> Int {
        // 1 − 0.998 is a little more than 0.002.
        missLimits.firstIndex { 1 - recall <= $0 + 1e-6 } ?? missLimits.count
    }
}
