import BiometricEvaluation
import MienClient
import VectorMath

/// Searches one collection with several efforts in turn: so a machine whose speed drifts slows all of them, and all
/// answer the same probes. They do so in an order by chance, and each another photo or probe than the one before it:
/// the second of two that read the same lists and rows one after the other would find them in the caches.
struct Evaluation {
    let client: MienClient
    let collection: CollectionInfo
    let probes: ProbeSet
    let truth: ProbeTruth
    let options: EvaluationOptions

    /// - Parameter progress: called with the probes done and all of them.
    func run(progress: (Int, Int) -> Void) async throws(CommandFailure) -> [EffortResult] {
        var results = options.efforts.map(EffortResult.init)
        var random = SplitMix64(seed: Self.orderSeed)
        let photos = stride(from: 0, to: probes.count, by: options.photo).map {
            $0..<min(probes.count, $0 + options.photo)
        }
        // Warms connections and paths.
        _ = try await search(photos[photos.count - 1], results[0].effort)
        // Of each photo by effort, until it has all of them.
        var answers: [Int: [Int: [[SearchResults.Match]]]] = [:]
        for round in photos.indices {
            for index in results.indices.shuffled(using: &random) {
                // By two, so that the first of a round has another than the last of the round before.
                let photo = (round + 2 * index) % photos.count
                let found = try await search(photos[photo], with: &results[index])
                answers[photo, default: [:]][index] = found
                guard let all = answers[photo], all.count == results.count else { continue }
                count(all, of: photos[photo], &results)
                answers[photo] = nil
            }
            progress(photos[round].upperBound, probes.count)
        }
        try await timeSingles(&results, &random)
        return results
    }

    /// Of the order; any number would do.
    private static let orderSeed: UInt64 = 1

    /// One photo with one effort.
    private func search(
        _ range: Range<Int>,
        with result: inout EffortResult
    ) async throws(CommandFailure) -> [[SearchResults.Match]] {
        let start = ContinuousClock.now
        let answer = try await search(range, result.effort)
        // A photo that is not whole would tell another time for a probe.
        if range.count == min(options.photo, probes.count) {
            result.addPhoto(ContinuousClock.now - start, probeCount: range.count)
        }
        result.rowsVisited &+= answer.coverage.rowsVisited
        result.rowsInAll &+= answer.coverage.facesTotal &* UInt64(range.count)
        return try matches(answer, firstProbe: range.lowerBound)
    }

    /// What every effort found for one photo.
    private func count(
        _ found: [Int: [[SearchResults.Match]]],
        of range: Range<Int>,
        _ results: inout [EffortResult]
    ) {
        let answers = results.indices.map { found[$0] ?? [] }
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

    /// Every effort and list length has each of the first probes as often as any other, and at another time: so many
    /// searches apart as there are probes, as far as these are twice as many as the kinds of searches.
    private func timeSingles(
        _ results: inout [EffortResult],
        _ random: inout SplitMix64
    ) async throws(CommandFailure) {
        let limits: [Int?] = [nil] + options.otherLimits
        let kinds = results.indices.flatMap { index in limits.map { (index: index, limit: $0) } }
        let probeCount = min(probes.count, options.singles)
        let distance = max(1, probeCount / kinds.count)
        // One round that does not count warms connections and paths.
        for round in -1..<options.singles {
            for number in kinds.indices.shuffled(using: &random) {
                let (index, limit) = kinds[number]
                // Before the first of all rounds is the last one.
                let probe = (round + probeCount + number * distance) % probeCount
                let time = try await timeSingle(probe, results[index].effort, matchLimit: limit)
                guard round >= 0 else { continue }
                if let limit {
                    results[index].addSingle(time, matchLimit: limit)
                } else {
                    results[index].addSingle(time)
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
