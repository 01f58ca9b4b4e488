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
        #expect(nonmated.mateRecall == nil && nonmated.matchRecall?.rate == 0)
    }

    @Test func countsThatCannotBeAreNoRecall() {
        #expect(RecallTally(matchCount: 2, foundMatchCount: 3).matchRecall == nil)
        #expect(RecallTally(mateCount: .max, foundMateCount: .max).mateRecall == nil)
    }
}
