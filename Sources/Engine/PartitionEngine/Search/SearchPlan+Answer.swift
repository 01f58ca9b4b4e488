internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// From rows to matches.
extension SearchPlan {
    /// First of the rows that are compared in full: those before have codes.
    var firstFlatRow: UInt32 { snapshot != nil && onlyRows == nil ? state.foldedRow : 0 }

    func answer(
        _ outcome: SearchPass.Outcome,
        _ transaction: borrowing ReadTransaction
    ) throws -> PartitionSearchAnswer {
        let begin = StageClock.now
        var matches: [[Match]] = []
        for kept in outcome.best { matches.append(try resolve(kept, transaction)) }
        var answer = PartitionSearchAnswer(
            matches: matches,
            faceCount: state.faceCount,
            facesAnswered: facesAnswered(outcome),
            rowsVisited: outcome.rowsVisited,
            listsVisited: outcome.listsVisited,
            rowsReranked: outcome.rowsReranked,
            generation: onlyRows == nil ? snapshot?.generations.last?.codebook.generation ?? 0 : 0
        )
        if case .recall(let recall) = search.parameters.effort, answer.generation > 0 {
            answer.recallTarget = recallFactor.target(for: recall, generation: answer.generation)
        }
        answer.stages = outcome.stages
        answer.rowsKept = UInt64(outcome.best.reduce(0) { $0 + $1.count })
        answer.stages.answer += StageClock.now - begin
        return answer
    }

    /// The matches of one probe, of hardly more rows than there are matches: see ``rankEquals(in:_:_:shouldStop:)``.
    private func resolve(_ kept: BoundedTopK, _ transaction: borrowing ReadTransaction) throws -> [Match] {
        let limit = search.parameters.matchLimit
        var entries = kept.sorted()
        if entries.count > limit {
            let last = entries[limit - 1].score
            entries.removeAll { $0.score < last }
        }
        var matches: [(match: Match, row: UInt32)] = []
        for entry in entries {
            let row = UInt32(entry.id)
            let face = try partition.tables.face(ofRow: row, transaction)
            matches.append((Match(faceID: face, similarity: entry.score, metadata: FaceMetadata()), row))
        }
        matches.sort { Match.ranksBefore($0.match, $1.match) }
        matches.removeLast(max(0, matches.count - limit))
        for index in matches.indices {
            let (match, row) = matches[index]
            let record = try partition.tables.record(of: match.faceID, inRow: row, transaction)
            _ = try unsafe rows.stored(record, transaction)
            matches[index].match.metadata = record.metadata
        }
        return matches.map(\.match)
    }

    /// Faces that an outcome stands for, by the live rows that were gone through: all of them only when nothing was
    /// left out or open.
    private func facesAnswered(_ outcome: SearchPass.Outcome) -> UInt64 {
        if outcome.isWhole, !outcome.areEqualsOpen { return state.faceCount }
        let listed = Double(liveness.liveCount(in: 0..<firstFlatRow))
        let flat = Double(onlyRows?.count ?? liveness.liveCount(in: firstFlatRow..<state.nextRow))
        let done = outcome.listShare * listed + outcome.flatShare * flat
        let answered = UInt64((Double(state.faceCount) * done / max(1, listed + flat)).rounded())
        return min(answered, max(1, state.faceCount) - 1)
    }
}
