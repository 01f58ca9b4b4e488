package import FaceModel
internal import Glibc

/// The outcome of mated and nonmated searches of one gallery; its error rates follow from it.
///
/// Words and definitions are those of NIST's FRTE 1:N: a search returns at most L matches, the list length.
/// FNIR(N, R, T) is the share of mated searches whose mate is not among the first R matches with a similarity of at
/// least T; FPIR(N, T) is the share of nonmated searches that return any match of at least T. N is the gallery's size.
///
/// - SeeAlso: Grother, Ngan, Hanaoka, "Face Recognition Technology Evaluation, Part 2: Identification", NIST IR 8271.
package struct IdentificationTest: Sendable {
    /// The mate as a mated search found it.
    package struct FoundMate: Hashable, Sendable {
        /// From 1.
        package var rank: Int
        package var similarity: Float

        package init(rank: Int, similarity: Float) {
            self.rank = rank
            self.similarity = similarity
        }
    }

    /// One point of a detection error trade-off curve.
    package struct TradeOff: Hashable, Sendable {
        package var threshold: Float
        package var falsePositiveRate: Double
        package var falseNegativeRate: Double
    }

    /// Of every mated search; nil when the mate is not among the matches.
    private var foundMates: [FoundMate?] = []
    /// Similarity of the first match of every nonmated search; nil without matches.
    private var bestNonmates: [Float?] = []

    package init() {}

    package var matedCount: Int { foundMates.count }
    package var nonmatedCount: Int { bestNonmates.count }

    package mutating func addMated(_ mate: FoundMate?) { foundMates.append(mate) }

    package mutating func addNonmated(best: Float?) { bestNonmates.append(best) }

    /// FNIR(N, R, T).
    package func falseNegatives(withinRank rank: Int = .max, threshold: Float = -.infinity) -> Proportion {
        let found = foundMates.count { mate in
            guard let mate else { return false }
            return mate.rank <= rank && mate.similarity >= threshold
        }
        return Proportion(count: foundMates.count - found, total: foundMates.count)
    }

    /// FPIR(N, T).
    package func falsePositives(threshold: Float) -> Proportion {
        Proportion(count: bestNonmates.count { $0 ?? -.infinity >= threshold }, total: bestNonmates.count)
    }

    /// The least threshold with an FPIR of at most a target; nil when there are too few nonmated searches to tell: one
    /// false positive among them is more than the target already.
    ///
    /// - Parameter target: 0…1.
    package func threshold(falsePositiveRate target: Double) -> Float? {
        let allowed = Int((target * Double(nonmatedCount)).rounded(.down))
        guard allowed >= 1 else { return nil }
        let sorted = bestNonmates.compactMap(\.self).sorted(by: >)
        guard allowed < sorted.count else { return -1 }
        return sorted[allowed].nextUp
    }

    /// FNIR(N, L, T) against FPIR(N, T), T falling: for each FPIR the least T that has it, and so its least FNIR.
    ///
    /// As many points as there are different similarities of nonmates, or as many as asked for, closer together where
    /// false positives are rare.
    package func tradeOffs(atMost pointLimit: Int = 200) -> [TradeOff] {
        guard matedCount > 0, nonmatedCount > 0, pointLimit > 1 else { return [] }
        let nonmates = bestNonmates.compactMap(\.self).sorted(by: >)
        let mates = foundMates.compactMap { $0?.similarity }.sorted(by: >)
        var ranks: [Int] = []
        let step = Double(max(1, nonmates.count))
        for point in 0..<pointLimit {
            // From the first nonmate to the last in equal ratios.
            let rank = Int(pow(step, Double(point) / Double(pointLimit - 1)).rounded()) - 1
            if rank > ranks.last ?? -1, rank < nonmates.count { ranks.append(rank) }
        }
        var found = 0
        return ranks.map { rank in
            let threshold = rank + 1 < nonmates.count ? nonmates[rank + 1].nextUp : -1
            while found < mates.count, mates[found] >= threshold { found += 1 }
            return TradeOff(
                threshold: threshold,
                falsePositiveRate: falsePositives(threshold: threshold).rate,
                falseNegativeRate: Double(matedCount - found) / Double(matedCount)
            )
        }
    }
}
