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
/// Forgotten when the codebook changes, and when the partition is closed. Any thread may ask and note.
package final class RecallCorrection: Sendable {
    /// The factor of one moment, for all parts of one search.
    package struct Factor: Sendable {
        let generation: UInt32
        let excess: Float

        /// What a search of a codebook's codes aims at to find `recall` of the mates.
        package func target(for recall: Double, generation: UInt32) -> Double {
            guard generation == self.generation, excess > 1 else { return recall }
            return 1 - (1 - recall) / Double(excess)
        }

        /// How a search of a codebook's codes meets it.
        func demand(forRecall recall: Double, of codebook: Codebook) -> RecallCalibration.Demand {
            codebook.calibration.demand(
                forRecall: recall,
                aimingAt: target(for: recall, generation: codebook.generation)
            )
        }
    }

    private struct Evidence {
        var generation: UInt32 = 0
        var recent = RecallEvidence.none
        var before = RecallEvidence.none

        var sum: RecallEvidence { recent + before }
    }

    /// So many probes are kept for as many again, then forgotten: a collection and its searchers change.
    private static let windowProbeCount: UInt64 = 4096

    private let evidence = Mutex(Evidence())
    /// Generation in the upper half, bits of the factor in the lower: every search reads it.
    private let current = Atomic<UInt64>(0)

    package init() {}

    package var factor: Factor {
        let current = current.load(ordering: .relaxed)
        return Factor(
            generation: UInt32(truncatingIfNeeded: current >> 32),
            excess: Float(bitPattern: UInt32(truncatingIfNeeded: current))
        )
    }

    package func evidence(ofGeneration generation: UInt32) -> RecallEvidence {
        evidence.withLock { $0.generation == generation ? $0.sum : .none }
    }

    /// One probe was searched for with codes of this generation alone, aiming at `target`.
    ///
    /// - Parameter missedShare: of the mates that exact search finds, those that were missed.
    package func note(missedShare: Double, aimingAt target: Double, generation: UInt32) {
        evidence.withLock { evidence in
            // A codebook that was replaced while the check went on says nothing any more.
            guard generation >= evidence.generation else { return }
            if generation > evidence.generation {
                evidence = Evidence()
                evidence.generation = generation
            }
            if evidence.recent.probeCount >= Self.windowProbeCount {
                evidence.before = evidence.recent
                evidence.recent = .none
            }
            evidence.recent.probeCount += 1
            evidence.recent.missedCount += missedShare
            evidence.recent.expectedCount += 1 - target
            let excess = Float(evidence.sum.excess)
            current.store(UInt64(generation) << 32 | UInt64(excess.bitPattern), ordering: .relaxed)
        }
    }
}
