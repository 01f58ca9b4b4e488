internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// From rows to matches.
extension SearchPlan {
    /// First of the rows that are compared in full: those before have codes.
    var firstFlatRow: UInt32 { snapshot != nil && onlyRows == nil ? state.foldedRow : 0 }

    /// Nil when equal similarities did not fit `room`.
    func answer(
        _ outcome: SearchPass.Outcome,
        _ transaction: borrowing ReadTransaction
    ) throws -> PartitionSearchAnswer? {
        let begin = StageClock.now
        var matches: [[Match]] = []
        for kept in outcome.best {
            guard let resolved = try resolve(kept, transaction) else { return nil }
            matches.append(resolved)
        }
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
        answer.stages.answer = StageClock.now - begin
        return answer
    }

    /// The matches of one probe; nil when more rows are as similar as the last match than were kept.
    private func resolve(_ kept: BoundedTopK, _ transaction: borrowing ReadTransaction) throws -> [Match]? {
        let limit = search.parameters.matchLimit
        var entries = kept.sorted()
        if entries.count > limit {
            let last = entries[limit - 1].score
            if entries.count == room, entries[room - 1].score == last { return nil }
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

    private func facesAnswered(_ outcome: SearchPass.Outcome) -> UInt64 {
        if outcome.listShare >= 1, outcome.flatShare >= 1 { return state.faceCount }
        let done =
            outcome.listShare * Double(firstFlatRow) + outcome.flatShare * Double(state.nextRow - firstFlatRow)
        return UInt64(Double(state.faceCount) * done / Double(max(1, state.nextRow)))
    }
}
