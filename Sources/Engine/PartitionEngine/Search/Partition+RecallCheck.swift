package import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import Synchronization

/// What came of repeating a search exactly.
package enum RecallCheck: Hashable, Sendable {
    case done(RecallTally)
    /// `shouldStop` ended it.
    case stopped
}

extension Partition {
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
        // Of the collection's best matches a shard is expected to have its share, and looks for no more of them.
        let limit = max(1, Int((Double(search.parameters.matchLimit) * search.collectionShare).rounded()))
        guard let answers = try answersOfOneCommit(search, limit: limit, shouldStop: shouldStop) else {
            return .stopped
        }
        let (found, exact) = (answers.found, answers.exact)
        let best = exact.matches[0]
        // Of so few that it cannot be told hardly any stranger is as similar as the least mate.
        let bound = StrangerBound.similarity(ofBest: best, faceCount: exact.faceCount) ?? -.infinity
        let asked = best.prefix { $0.similarity >= search.parameters.threshold ?? -.infinity }
        // However low the threshold is, nothing is promised of mates for which there is no calibration.
        let least = max(SearchPlan.leastSimilarity(search.parameters), SearchPlan.leastCalibratedSimilarity)
        let tally = RecallTally(
            exact: asked,
            found: found.matches[0],
            limit: limit,
            leastSimilarity: max(least, bound)
        )
        // The calibration is of all faces, and those of a filter may be found more or less often.
        if case .recall(let recall) = search.parameters.effort, search.parameters.filter == nil {
            correctRecall(by: tally, of: found, promising: recall)
        }
        return .done(tally)
    }

    /// What a search finds as asked, and exactly beside it, however many writes come meanwhile; nil when `shouldStop`
    /// ended either.
    ///
    /// - Parameter limit: matches of the exact one, at least.
    private func answersOfOneCommit(
        _ search: PartitionSearch,
        limit: Int,
        shouldStop: () -> Bool
    ) throws(PartitionError) -> (found: PartitionSearchAnswer, exact: PartitionSearchAnswer)? {
        do {
            return try environment.read {
                transaction -> (found: PartitionSearchAnswer, exact: PartitionSearchAnswer)? in
                guard let found = try wholeAnswer(to: search, transaction, shouldStop: shouldStop) else { return nil }
                var exactly = search
                exactly.parameters.effort = .exact
                exactly.parameters.threshold = nil
                exactly.parameters.matchLimit = max(limit, StrangerBound.matchCount(faceCount: found.faceCount))
                guard let exact = try wholeAnswer(to: exactly, transaction, shouldStop: shouldStop) else { return nil }
                return (found, exact)
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Nil when `shouldStop` ended the search before it had gone through all that it was to.
    private func wholeAnswer(
        to search: PartitionSearch,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> PartitionSearchAnswer? {
        let answer = try answer(to: search, since: StageClock.now, .none, transaction, shouldStop: shouldStop)
        return answer.facesAnswered == answer.faceCount ? answer : nil
    }

    /// - Parameter tally: of mates for which there is a calibration.
    private func correctRecall(by tally: RecallTally, of answer: PartitionSearchAnswer, promising recall: Double) {
        guard tally.mateCount > 0, let target = answer.recallTarget, answer.generation > 0 else { return }
        // While codes of two generations are scanned nobody knows which of them missed.
        let codebooks = codebooks.withLock { (newest: $0.newest?.generation, older: $0.older?.generation) }
        guard codebooks.newest == answer.generation, codebooks.older == nil else { return }
        recallCorrection.note(
            missedShare: Double(tally.mateCount - tally.foundMateCount) / Double(tally.mateCount),
            promising: recall,
            aimingAt: target,
            generation: answer.generation
        )
    }
}
