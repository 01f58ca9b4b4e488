/// What searches found of what exact ones find: of the best matches, and of those among them that count as mates.
package struct RecallTally: Hashable, Sendable {
    package var matchCount: UInt64
    package var foundMatchCount: UInt64
    /// Matches that are taken for mates: at or above the similarity from which on a recall is promised, and above that
    /// of strangers.
    package var mateCount: UInt64
    package var foundMateCount: UInt64

    package init(
        matchCount: UInt64 = 0,
        foundMatchCount: UInt64 = 0,
        mateCount: UInt64 = 0,
        foundMateCount: UInt64 = 0
    ) {
        self.matchCount = matchCount
        self.foundMatchCount = foundMatchCount
        self.mateCount = mateCount
        self.foundMateCount = foundMateCount
    }

    /// The tally of one probe.
    ///
    /// - Parameters:
    ///   - exact: the matches of an exact search, best first.
    ///   - found: those of the search in question.
    ///   - limit: how many of the exact ones are asked for.
    ///   - leastSimilarity: from which on a match counts as a mate.
    package init(exact: some Sequence<Match>, found: [Match], limit: Int, leastSimilarity: Float) {
        self.init()
        let ids = Set(found.map(\.faceID))
        for match in exact.prefix(limit) {
            let isFound: UInt64 = ids.contains(match.faceID) ? 1 : 0
            matchCount += 1
            foundMatchCount += isFound
            guard match.similarity >= leastSimilarity else { continue }
            mateCount += 1
            foundMateCount += isFound
        }
    }

    package static func + (left: RecallTally, right: RecallTally) -> RecallTally {
        RecallTally(
            matchCount: left.matchCount &+ right.matchCount,
            foundMatchCount: left.foundMatchCount &+ right.foundMatchCount,
            mateCount: left.mateCount &+ right.mateCount,
            foundMateCount: left.foundMateCount &+ right.foundMateCount
        )
    }

    /// Nil while nothing was compared.
    package var matchRecall: Proportion? { Self.recall(foundMatchCount, of: matchCount) }
    package var mateRecall: Proportion? { Self.recall(foundMateCount, of: mateCount) }

    /// Nil also when the counts, which may come from another node, cannot be true.
    private static func recall(_ found: UInt64, of total: UInt64) -> Proportion? {
        guard total > 0, found <= total, let count = Int(exactly: found), let total = Int(exactly: total) else {
            return nil
        }
        return Proportion(count: count, total: total)
    }
}
