package import FaceModel
internal import InvertedFileIndex
internal import Synchronization

/// What came of repeating a search exactly.
package enum RecallCheck: Hashable, Sendable {
    case done(RecallTally)
    /// `shouldStop` ended it.
    case stopped
    /// Writes came in between, every time.
    case changed
}

extension Partition {
    private static let checkAttemptCount = 2

    /// Repeats a search of one probe as asked and exactly, on one commit, and tells what it missed. When the search had
    /// a recall to keep and no filter, what was missed corrects later ones. Nobody says which matches are mates: those
    /// count as such that are too similar for a stranger.
    ///
    /// - Precondition: one probe, and an effort other than `exact`.
    package func checkRecall(
        of search: PartitionSearch,
        shouldStop: () -> Bool
    ) throws(PartitionError) -> RecallCheck {
        precondition(search.probes.rowCount == 1, "one probe is one check")
        precondition(search.parameters.effort != .exact, "exact searches are the measure")
        var exactly = search
        exactly.parameters.effort = .exact
        exactly.parameters.threshold = nil
        // Of the collection's best matches a shard is expected to have its share, and looks for no more of them.
        let limit = max(1, Int((Double(search.parameters.matchLimit) * search.collectionShare).rounded()))
        for _ in 0..<Self.checkAttemptCount {
            let sequence = committedSequence
            let found = try self.search(search, shouldStop: shouldStop)
            exactly.parameters.matchLimit = max(limit, StrangerBound.matchCount(faceCount: found.faceCount))
            let exact = try self.search(exactly, shouldStop: shouldStop)
            guard found.facesAnswered == found.faceCount, exact.facesAnswered == exact.faceCount else {
                return .stopped
            }
            if committedSequence != sequence { continue }
            let best = exact.matches[0]
            // Of so few that it cannot be told hardly any stranger is as similar as the least mate.
            let bound = StrangerBound.similarity(ofBest: best, faceCount: exact.faceCount) ?? -.infinity
            let asked = best.prefix { $0.similarity >= search.parameters.threshold ?? -.infinity }
            func tally(from least: Float) -> RecallTally {
                RecallTally(
                    exact: asked,
                    found: found.matches[0],
                    limit: limit,
                    leastSimilarity: max(least, bound)
                )
            }
            let least = SearchPlan.leastSimilarity(search.parameters)
            // The calibration is of all faces, and those of a filter may be found more or less often.
            if search.parameters.filter == nil {
                correctRecall(by: tally(from: max(least, SearchPlan.leastCalibratedSimilarity)), of: found)
            }
            return .done(tally(from: least))
        }
        return .changed
    }

    /// - Parameter tally: of mates for which there is a calibration.
    private func correctRecall(by tally: RecallTally, of answer: PartitionSearchAnswer) {
        guard tally.mateCount > 0, let target = answer.recallTarget, answer.generation > 0 else { return }
        // While codes of two generations are scanned nobody knows which of them missed.
        let codebooks = codebooks.withLock { (newest: $0.newest?.generation, older: $0.older?.generation) }
        guard codebooks.newest == answer.generation, codebooks.older == nil else { return }
        recallCorrection.note(
            missedShare: Double(tally.mateCount - tally.foundMateCount) / Double(tally.mateCount),
            aimingAt: target,
            generation: answer.generation
        )
    }
}
