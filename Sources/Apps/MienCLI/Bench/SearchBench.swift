import MienClient

/// Searches with exact and with another effort in turn.
struct SearchBench {
    /// Mates of one range of similarity.
    struct Band {
        var label: String
        var least: Float
        var mates = 0
        var missed = 0
    }

    let client: MienClient
    let collection: String
    let model: String
    let dimension: Int
    /// `[probeCount × dimension]`.
    let probes: [Float]

    var probeCount: Int { probes.count / dimension }

    func times(
        _ effort: SearchOptions.Effort,
        pairs: Int,
        probesPerSearch: Int
    ) async throws(CommandFailure) -> PairedTimes {
        var times = PairedTimes()
        // One pair that does not count warms both paths.
        for pair in -1..<pairs {
            let first = (max(0, pair) * probesPerSearch) % (probeCount - probesPerSearch + 1)
            let chosen = rows(first..<first + probesPerSearch)
            let exact = try await time(chosen, .exact)
            let other = try await time(chosen, effort)
            if pair >= 0 { times.append(exact, other) }
        }
        return times
    }

    func misses(
        _ effort: SearchOptions.Effort,
        truth: ProbeTruth,
        photo: Int
    ) async throws(CommandFailure) -> [Band] {
        var bands = [
            Band(label: "below 0.30", least: -1), Band(label: "0.30–0.35", least: 0.30),
            Band(label: "0.35–0.40", least: 0.35), Band(label: "0.40–0.45", least: 0.40),
            Band(label: "0.45–0.50", least: 0.45), Band(label: "0.50–0.60", least: 0.50),
            Band(label: "0.60–0.70", least: 0.60), Band(label: "0.70 and above", least: 0.70),
        ]
        for first in stride(from: 0, to: probeCount, by: photo) {
            let range = first..<min(probeCount, first + photo)
            let exact = try await search(rows(range), .exact)
            let other = try await search(rows(range), effort)
            for (offset, probe) in range.enumerated() {
                guard case .matches(let best) = exact.outcomes[offset],
                    case .matches(let found) = other.outcomes[offset],
                    truth.verdict(probe: probe, matches: best) == .mated(rank: 1)
                else { continue }
                let band = bands.lastIndex { $0.least <= best[0].similarity } ?? 0
                bands[band].mates += 1
                if !found.contains(where: { $0.id == best[0].id }) { bands[band].missed += 1 }
            }
        }
        return bands
    }

    private func rows(_ range: Range<Int>) -> Embeddings {
        Embeddings(
            dimension: dimension,
            values: Array(probes[range.lowerBound * dimension..<range.upperBound * dimension])
        )
    }

    private func time(_ probes: Embeddings, _ effort: SearchOptions.Effort) async throws(CommandFailure) -> Duration {
        let start = ContinuousClock.now
        _ = try await search(probes, effort)
        return ContinuousClock.now - start
    }

    private func search(
        _ probes: Embeddings,
        _ effort: SearchOptions.Effort
    ) async throws(CommandFailure) -> SearchResults {
        try await calling { () async throws(MienClientError) in
            try await client.search(
                collection,
                probes: probes,
                model: model,
                options: SearchOptions(matchLimit: 10, effort: effort)
            )
        }
    }
}
