import FaceModel
import Testing

struct RecallTallyTests {
    private func matches(_ similarities: KeyValuePairs<UInt64, Float>) -> [Match] {
        similarities.map { Match(faceID: FaceID(high: 0, low: $0), similarity: $1, metadata: FaceMetadata()) }
    }

    @Test func whatExactSearchesFindIsTheMeasure() {
        let exact = matches([1: 0.9, 2: 0.5, 3: 0.4, 4: 0.39])
        let found = matches([1: 0.9, 3: 0.4, 9: 0.2])
        let tally = RecallTally(exact: exact, found: found, limit: 4, leastSimilarity: 0.4)
        #expect(tally == RecallTally(matchCount: 4, foundMatchCount: 2, mateCount: 3, foundMateCount: 2))
        // What was not asked for is no miss.
        let first = RecallTally(exact: exact, found: found, limit: 1, leastSimilarity: 0.4)
        #expect(first == RecallTally(matchCount: 1, foundMatchCount: 1, mateCount: 1, foundMateCount: 1))
        #expect(tally + first == RecallTally(matchCount: 5, foundMatchCount: 3, mateCount: 4, foundMateCount: 3))
    }

    @Test func nothingComparedIsNoRecall() {
        #expect(RecallTally().mateRecall == nil)
        let nonmated = RecallTally(exact: matches([1: 0.3]), found: [], limit: 1, leastSimilarity: 0.4)
        #expect(nonmated.mateRecall == nil && nonmated.matchRecall?.estimate == 0)
    }

    /// Values of Wilson's interval as statistics packages give them.
    @Test(arguments: [
        (UInt64(1000), UInt64(1000), 0.996173, 1.0), (990, 1000, 0.981693, 0.994559), (0, 10, 0, 0.277533),
        (5, 10, 0.236593, 0.763407),
    ])
    func boundsAreWilsons(hits: UInt64, trials: UInt64, low: Double, high: Double) throws {
        let interval = try #require(RateInterval(hits: hits, trials: trials))
        #expect(abs(interval.low - low) < 1e-5 && abs(interval.high - high) < 1e-5, "\(interval)")
        #expect(interval.estimate == Double(hits) / Double(trials))
    }
}
