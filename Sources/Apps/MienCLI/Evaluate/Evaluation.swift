import BiometricEvaluation
import MienClient

/// Searches one collection with several efforts in turn: so a machine whose speed drifts slows all of them, and all
/// answer the same probes.
struct Evaluation {
    let client: MienClient
    let collection: CollectionInfo
    let probes: ProbeSet
    let truth: ProbeTruth
    let options: EvaluationOptions

    /// - Parameter progress: called with the probes done and all of them.
    func run(progress: (Int, Int) -> Void) async throws(CommandFailure) -> [EffortResult] {
        var results = options.efforts.map(EffortResult.init)
        for first in stride(from: 0, to: probes.count, by: options.photo) {
            let range = first..<min(probes.count, first + options.photo)
            try await search(range, round: first / options.photo, &results)
            progress(range.upperBound, probes.count)
        }
        try await timeSingles(&results)
        return results
    }

    /// One photo with every effort.
    private func search(
        _ range: Range<Int>,
        round: Int,
        _ results: inout [EffortResult]
    ) async throws(CommandFailure) {
        var answers: [[[SearchResults.Match]]] = Array(repeating: [], count: results.count)
        if round == 0 { _ = try await search(range, results[0].effort) }
        for turn in results.indices {
            let index = (turn + round) % results.count
            let start = ContinuousClock.now
            let answer = try await search(range, results[index].effort)
            // A photo that is not whole would tell another time for a probe.
            if range.count == min(options.photo, probes.count) {
                results[index].addPhoto(ContinuousClock.now - start, probeCount: range.count)
            }
            results[index].rowsVisited &+= answer.coverage.rowsVisited
            results[index].rowsInAll &+= answer.coverage.facesTotal &* UInt64(range.count)
            answers[index] = try matches(answer, firstProbe: range.lowerBound)
        }
        for (offset, probe) in range.enumerated() {
            let exact = answers[0][offset]
            let verdict = truth.verdict(probe: probe, matches: exact)
            for index in results.indices {
                let found = answers[index][offset]
                count(found, exact: exact, verdict: verdict, probe: probe, &results[index])
            }
        }
    }

    private func count(
        _ found: [SearchResults.Match],
        exact: [SearchResults.Match],
        verdict: ProbeTruth.Verdict,
        probe: Int,
        _ result: inout EffortResult
    ) {
        if let mate = truth.mate(ofProbe: probe) { result.mates.note(mate, matches: found) }
        result.recall.add(found: found.map(\.similarity), exact: exact.map(\.similarity))
        switch verdict {
        case .unknown: break
        case .nonmated: result.identification.addNonmated(best: found.first?.similarity)
        case .mated(let exactRank):
            if case .mated(let rank?) = truth.verdict(probe: probe, matches: found) {
                result.identification.addMated(.init(rank: rank, similarity: found[rank - 1].similarity))
            } else {
                result.identification.addMated(nil)
            }
            guard exactRank == 1 else { break }
            let isMissed = !found.contains { $0.id == exact[0].id }
            result.count(mateAt: exact[0].similarity, isMissed: isMissed)
        }
    }

    private func timeSingles(_ results: inout [EffortResult]) async throws(CommandFailure) {
        // One round that does not count warms connections and paths.
        for round in -1..<options.singles {
            let probe = max(0, round) % probes.count
            for turn in results.indices {
                let index = (turn + max(0, round)) % results.count
                let time = try await timeSingle(probe, results[index].effort, matchLimit: nil)
                if round >= 0 { results[index].addSingle(time) }
                for limit in options.otherLimits {
                    let time = try await timeSingle(probe, results[index].effort, matchLimit: limit)
                    if round >= 0 { results[index].addSingle(time, matchLimit: limit) }
                }
            }
        }
    }

    private func timeSingle(
        _ probe: Int,
        _ effort: SearchOptions.Effort,
        matchLimit: Int?
    ) async throws(CommandFailure) -> Duration {
        let start = ContinuousClock.now
        _ = try await search(probe..<probe + 1, effort, matchLimit: matchLimit)
        return ContinuousClock.now - start
    }

    private func search(
        _ range: Range<Int>,
        _ effort: SearchOptions.Effort,
        matchLimit: Int? = nil
    ) async throws(CommandFailure) -> SearchResults {
        let embeddings = probes[range]
        return try await calling { () async throws(MienClientError) in
            try await client.search(
                collection.options.name,
                probes: embeddings,
                model: collection.options.embeddingModel,
                options: SearchOptions(matchLimit: matchLimit ?? options.matchLimit, effort: effort)
            )
        }
    }

    private func matches(
        _ answer: SearchResults,
        firstProbe: Int
    ) throws(CommandFailure) -> [[SearchResults.Match]] {
        var all: [[SearchResults.Match]] = []
        for (offset, outcome) in answer.outcomes.enumerated() {
            guard case .matches(let matches) = outcome else {
                throw CommandFailure(.badData, "probe \(firstProbe + offset) is refused: \(outcome)")
            }
            all.append(matches)
        }
        return all
    }
}
