import MienClient

/// What a whole search, over all its requests, comes to.
struct SearchTally {
    private(set) var probeCount = 0
    private(set) var rejectedCount = 0
    private(set) var requestCount = 0
    private(set) var coordinatorTime = Duration.zero
    private(set) var rowsVisited: UInt64 = 0
    private(set) var listsVisited: UInt64 = 0
    /// The coverage of the request that covered least, of those that asked any shard where one did.
    private(set) var leastCoverage: SearchResults.Coverage?
    /// Shards that any request's answer missed, each once, in order.
    private(set) var missing: [SearchResults.Coverage.MissingShard] = []
    /// Whether any request's answer said that faces were given up.
    private(set) var hasLoss = false

    private(set) var matedCount = 0
    private(set) var rankOneCount = 0
    private(set) var foundCount = 0
    /// Whether the mates could be told.
    private(set) var mates = MateKnowledge()
    private(set) var nonmatedCount = 0
    /// The nonmated probe with the most similar match.
    private(set) var bestNonmate: (probe: Int, similarity: Float)?

    mutating func count(_ results: SearchResults) {
        requestCount += 1
        coordinatorTime += results.coordinatorTime
        rowsVisited &+= results.coverage.rowsVisited
        listsVisited &+= results.coverage.listsVisited
        let coverage = results.coverage
        hasLoss = hasLoss || coverage.hasLoss
        for shard in coverage.missing where !missing.contains(where: { $0.index == shard.index }) {
            missing.append(shard)
        }
        missing.sort { $0.index < $1.index }
        // A request whose probes were all refused asked nobody, and calls that full.
        if let least = leastCoverage, least.shardsAsked > 0 || coverage.shardsAsked == 0,
            least.share <= coverage.share, !least.isFull || coverage.isFull
        {
            return
        }
        leastCoverage = coverage
    }

    /// Notes a search for a probe whose person is enrolled.
    mutating func note(_ mate: ProbeTruth.Mate, matches: [SearchResults.Match]) { mates.note(mate, matches: matches) }

    mutating func countRejected() {
        probeCount += 1
        rejectedCount += 1
    }

    mutating func count(probe: Int, matches: [SearchResults.Match], verdict: ProbeTruth.Verdict) {
        probeCount += 1
        switch verdict {
        case .unknown: break
        case .mated(let rank):
            matedCount += 1
            if rank == 1 { rankOneCount += 1 }
            if rank != nil { foundCount += 1 }
        case .nonmated:
            nonmatedCount += 1
            guard let best = matches.first, best.similarity > bestNonmate?.similarity ?? -2 else { return }
            bestNonmate = (probe, best.similarity)
        }
    }
}
