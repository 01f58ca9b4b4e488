import FaceModel
import Testing

struct SearchParametersTests {
    @Test(arguments: [
        SearchEffort.exact, .full, .lists(1), .lists(1_000_000), .recall(0.5), .recall(0.9999), .recall(0.985),
    ])
    func effortsAreReadAsTheyAreWritten(effort: SearchEffort) {
        #expect(SearchEffort(effort.description) == effort)
        #expect(effort.problem == nil)
    }

    @Test(arguments: [
        "", "Exact", "exact ", "fast", "lists", "lists:", "lists:x", "lists:1.5", "lists:1:2", ":1", "recall",
        "recall:", "recall:high", "recall:0.9:", "exact:1", "lists:99999999999999999999", "lists: 1",
    ])
    func otherTextIsNoEffort(text: String) {
        #expect(SearchEffort(text) == nil)
    }

    @Test(arguments: [
        "lists:0", "lists:-1", "lists:1000001", "recall:0.49", "recall:0", "recall:1", "recall:-0.9", "recall:nan",
        "recall:inf", "recall:99",
    ])
    func effortsOutOfRangeHaveAProblem(text: String) throws {
        let effort = try #require(SearchEffort(text))
        #expect(effort.problem != nil)
        #expect(SearchParameters(matchLimit: 1, effort: effort).problem != nil)
    }

    @Test func matchLimitAndThresholdHaveTheirRanges() {
        for limit in [1, 1000] { #expect(SearchParameters(matchLimit: limit).problem == nil) }
        for limit in [Int.min, -1, 0, 1001, 1_000_000_000] {
            #expect(SearchParameters(matchLimit: limit).problem != nil)
        }
        for threshold: Float in [-1, 0, 1] {
            #expect(SearchParameters(matchLimit: 1, threshold: threshold).problem == nil)
        }
        for threshold: Float in [-1.0001, 1.0001, .nan, .infinity, -.infinity] {
            #expect(SearchParameters(matchLimit: 1, threshold: threshold).problem != nil)
        }
    }

    @Test func matchesRankBySimilarityThenFace() {
        func match(_ low: UInt64, _ similarity: Float) -> Match {
            Match(faceID: FaceID(high: 0, low: low), similarity: similarity, metadata: FaceMetadata())
        }
        let ranked = [match(9, 0.9), match(1, 0.5), match(2, 0.5), match(0, -0.1)]
        #expect(ranked.shuffled().sorted(by: Match.ranksBefore).map(\.faceID) == ranked.map(\.faceID))
        #expect(!Match.ranksBefore(ranked[1], ranked[1]))
    }

    @Test func coverageIsFullWithEveryShardAndEveryFaceOnly() {
        let full = Coverage(shardsAsked: 2, shardsAnswered: 2, facesTotal: 10, facesAnswered: 10)
        #expect(full.isFull && full.share == 1)
        #expect(Coverage().isFull && Coverage().share == 1)
        var stopped = full
        stopped.facesAnswered = 9
        #expect(!stopped.isFull && stopped.share == 0.9)
        var missing = full
        missing.missing = [Coverage.MissingShard(shardIndex: 1, reason: .unavailable)]
        #expect(!missing.isFull)
        let empty = Coverage(shardsAsked: 2, shardsAnswered: 1)
        #expect(!empty.isFull && empty.share == 0)
    }

    @Test func rowsOfAMatrixAreChosenInOrder() {
        let matrix = EmbeddingMatrix(dimension: 2, values: [1, 2, 3, 4, 5, 6])
        #expect(Array(matrix.row(1)) == [3, 4])
        #expect(matrix.rows([2, 0, 2]).values == [5, 6, 1, 2, 5, 6])
        #expect(matrix.rows([]).rowCount == 0)
    }
}
