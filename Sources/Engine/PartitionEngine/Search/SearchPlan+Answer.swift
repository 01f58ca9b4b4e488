internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// From rows to matches.
extension SearchPlan {
    /// First of the rows that are compared in full: those before have codes.
    var firstFlatRow: UInt32 { snapshot != nil && onlyRows == nil ? state.foldedRow : 0 }

    /// What making an answer has taken.
    private struct Resolution {
        /// Of faces and of their records.
        var lookUpCount = 0
        var byteCount = 0

        /// Look-ups that are made whatever `shouldStop` says: what a stopped search has found is told, as far as it
        /// takes no longer than the matches of one probe may.
        private static let leastLookUpCount = 2 * (SearchParameters.matchLimitRange.upperBound + SearchPlan.spareRoom)

        /// Whether another look-up may be made.
        mutating func mayLookUp(_ shouldStop: () -> Bool) -> Bool {
            defer { lookUpCount += 1 }
            guard lookUpCount >= Self.leastLookUpCount else { return true }
            return lookUpCount % SearchPlan.lookUpsPerStep != 0 || !shouldStop()
        }
    }

    /// The matches of every probe, or of the first ones where `shouldStop` says so before all are looked up: then the
    /// others have none, and their share is not answered.
    ///
    /// - Throws: ``PartitionError/answerTooLarge(byteCount:byteLimit:)`` as soon as they take more than their bound.
    func answer(
        _ outcome: SearchPass.Outcome,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> PartitionSearchAnswer {
        let begin = StageClock.now
        var resolution = Resolution()
        var matches: [[Match]] = []
        for kept in outcome.best {
            guard let found = try resolve(kept, &resolution, transaction, shouldStop: shouldStop) else { break }
            matches.append(found)
        }
        let resolvedCount = matches.count
        matches += [[Match]](repeating: [], count: outcome.best.count - resolvedCount)
        var answer = PartitionSearchAnswer(
            matches: matches,
            faceCount: state.faceCount,
            facesAnswered: facesAnswered(outcome, resolvedCount: resolvedCount),
            rowsVisited: outcome.rowsVisited,
            listsVisited: outcome.listsVisited,
            rowsReranked: outcome.rowsReranked,
            generation: onlyRows == nil ? snapshot?.generations.last?.codebook.generation ?? 0 : 0
        )
        if case .recall(let recall) = search.parameters.effort, answer.generation > 0 {
            answer.recallTarget = recallFactor.target(for: recall, generation: answer.generation)
        }
        answer.stages = outcome.stages
        answer.rowsKept = UInt64(outcome.best.prefix(resolvedCount).reduce(0) { $0 + $1.count })
        answer.stages.answer += StageClock.now - begin
        return answer
    }

    /// Refuses a search that is sure to find more than its answer has room for, before anything is compared: one for
    /// which every face is a match, however it is found.
    func refuseMoreThanFits() throws {
        let parameters = search.parameters
        guard let bound = search.answerBound, parameters.filter == nil, parameters.threshold ?? -1 <= -1 else { return }
        switch parameters.effort {
        case .exact, .full: break
        case .lists, .recall: return
        }
        let leastByteCount = bound.byteCount(FaceMetadata()) * search.probes.rowCount
        // Faces that may not be found are counted only where it matters.
        guard leastByteCount * min(parameters.matchLimit, Int(state.faceCount)) > bound.byteLimit else { return }
        let byteCount = leastByteCount * min(parameters.matchLimit, liveness.liveCount(in: 0..<state.nextRow))
        if byteCount > bound.byteLimit {
            throw PartitionError.answerTooLarge(byteCount: byteCount, byteLimit: bound.byteLimit)
        }
    }

    /// The matches of one probe, of hardly more rows than there are matches: see ``rankEquals(in:_:_:shouldStop:)``.
    /// Nil when `shouldStop` said so before all were looked up.
    private func resolve(
        _ kept: BoundedTopK,
        _ resolution: inout Resolution,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> [Match]? {
        let limit = search.parameters.matchLimit
        var entries = kept.sorted()
        if entries.count > limit {
            let last = entries[limit - 1].score
            entries.removeAll { $0.score < last }
        }
        var matches: [(match: Match, row: UInt32)] = []
        for entry in entries {
            guard resolution.mayLookUp(shouldStop) else { return nil }
            let row = UInt32(entry.id)
            let face = try partition.tables.face(ofRow: row, transaction)
            matches.append((Match(faceID: face, similarity: entry.score, metadata: FaceMetadata()), row))
        }
        matches.sort { Match.ranksBefore($0.match, $1.match) }
        matches.removeLast(max(0, matches.count - limit))
        for index in matches.indices {
            guard resolution.mayLookUp(shouldStop) else { return nil }
            let (match, row) = matches[index]
            let record = try partition.tables.record(of: match.faceID, inRow: row, transaction)
            _ = try unsafe rows.stored(record, transaction)
            // What has expired is left out by entries whose keys no checksum covers.
            if let expires = record.metadata.expires, expires <= search.now {
                throw PartitionStoreError.missing(table: "byExpiry", key: UInt64(row))
            }
            matches[index].match.metadata = record.metadata
            guard let bound = search.answerBound else { continue }
            resolution.byteCount += bound.byteCount(record.metadata)
            if resolution.byteCount > bound.byteLimit {
                throw PartitionError.answerTooLarge(byteCount: resolution.byteCount, byteLimit: bound.byteLimit)
            }
        }
        return matches.map(\.match)
    }

    /// Faces that an outcome stands for, by the live rows that were gone through, and by the probes whose matches were
    /// looked up: all of them only when nothing was left out or open.
    private func facesAnswered(_ outcome: SearchPass.Outcome, resolvedCount: Int) -> UInt64 {
        let isResolved = resolvedCount == outcome.best.count
        if isResolved, outcome.isWhole, !outcome.areEqualsOpen { return state.faceCount }
        let resolvedShare = isResolved ? 1 : Double(resolvedCount) / Double(outcome.best.count)
        let listed = Double(liveness.liveCount(in: 0..<firstFlatRow))
        let flat = Double(onlyRows?.count ?? liveness.liveCount(in: firstFlatRow..<state.nextRow))
        let done = outcome.listShare * listed + outcome.flatShare * flat
        let answered = UInt64((Double(state.faceCount) * resolvedShare * done / max(1, listed + flat)).rounded())
        return min(answered, max(1, state.faceCount) - 1)
    }
}
