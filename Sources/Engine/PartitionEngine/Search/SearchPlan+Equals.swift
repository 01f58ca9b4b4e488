internal import FaceModel
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// Equal similarities at the end of the matches.
extension SearchPlan {
    /// Faces of rows that are looked up without a question whether to stop: each may wait for the disk.
    static let lookUpsPerStep = 32

    /// Sees to it that face ids rank equal similarities: probes for which more rows may be as similar as the last match
    /// than had room are searched for again, on the same commit, with more of it.
    ///
    /// With many equal rows it takes many repetitions, each with four times the room of the one before, of fewer probes
    /// at a time: what they hold stays within bounds, or is that of one probe. Of what a repetition has kept for a
    /// probe no more stays than a first search keeps, so that neither memory nor the answer grows with the equal rows.
    ///
    /// All that was found stays when that is stopped: the similarities are those of the best rows, and open is only
    /// which of the equal ones the last matches are.
    func rankEquals(
        in outcome: inout SearchPass.Outcome,
        _ team: SearchTeam,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws {
        guard outcome.isWhole else { return }
        var room = self.room
        var lacking = outcome.best.indices.filter { mayLackEquals(outcome.best[$0]) }
        while !lacking.isEmpty {
            room *= 4
            let groupSize = max(1, partition.options.roomForEquals / room)
            var lackingStill: [Int] = []
            for first in stride(from: 0, to: lacking.count, by: groupSize) {
                let group = Array(lacking[first..<min(lacking.count, first + groupSize)])
                let again = try narrowed(to: group, room: room).run(team, transaction, shouldStop: shouldStop)
                outcome.addWork(of: again)
                guard again.isWhole else {
                    outcome.areEqualsOpen = true
                    return
                }
                let begin = StageClock.now
                defer { outcome.stages.answer += StageClock.now - begin }
                for (probe, kept) in zip(group, again.best) {
                    outcome.best[probe] = firstRows(of: kept)
                    if mayLackEquals(kept) {
                        lackingStill.append(probe)
                    } else if let ranked = try firstFaces(of: kept, transaction, shouldStop: shouldStop) {
                        outcome.best[probe] = ranked
                    } else {
                        outcome.areEqualsOpen = true
                        return
                    }
                }
            }
            lacking = lackingStill
        }
    }

    /// Whether more rows may be as similar as the last match than were kept.
    private func mayLackEquals(_ kept: BoundedTopK) -> Bool {
        kept.count == kept.capacity && kept.score(ofRank: search.parameters.matchLimit) == kept.threshold
    }

    /// As many of the rows as a first search keeps.
    private func firstRows(of kept: BoundedTopK) -> BoundedTopK {
        var best = BoundedTopK(capacity: room)
        for entry in kept.heap { best.insert(score: entry.score, id: entry.id) }
        return best
    }

    /// Of rows among which are all that are as similar as the last match, the matches: of the equal ones those of the
    /// least face ids. Nil when `shouldStop` said so before all of their faces were looked up.
    private func firstFaces(
        of kept: BoundedTopK,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> BoundedTopK? {
        let limit = search.parameters.matchLimit
        guard kept.count > limit else { return firstRows(of: kept) }
        let last = kept.score(ofRank: limit)
        var best = BoundedTopK(capacity: limit)
        for entry in kept.heap where entry.score > last { best.insert(score: entry.score, id: entry.id) }
        var equals = LeastFaces(capacity: limit - best.count)
        var lookUpCount = 0
        for entry in kept.heap where entry.score == last {
            if lookUpCount % Self.lookUpsPerStep == 0, shouldStop() { return nil }
            lookUpCount += 1
            equals.insert(try partition.tables.face(ofRow: UInt32(entry.id), transaction), row: entry.id)
        }
        for row in equals.rows() { best.insert(score: last, id: row) }
        return best
    }
}
