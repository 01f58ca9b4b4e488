import Testing
import VectorMath

struct BoundedTopKTests {
    /// Few distinct scores, so that ties are the rule.
    @Test(arguments: [0, 1, 2, 3, 10, 100, 1000, 5000])
    func keepsWhatSortingKeeps(capacity: Int) {
        var random = SplitMix64(seed: testSeed &+ UInt64(capacity))
        let entries = (0..<1000).shuffled(using: &random).map {
            BoundedTopK.Entry(score: Float(Int.random(in: -20...20, using: &random)) / 8, id: UInt64($0))
        }
        var best = BoundedTopK(capacity: capacity)
        for entry in entries { best.insert(score: entry.score, id: entry.id) }
        let expected = entries.sorted { ($1.score, $0.id) < ($0.score, $1.id) }.prefix(capacity)
        #expect(best.sorted() == Array(expected), "seed \(testSeed)")
        #expect(best.count == expected.count)
    }

    @Test func thresholdIsTheWorstKeptScoreOnceFull() {
        var best = BoundedTopK(capacity: 2)
        #expect(best.threshold == -.infinity)
        best.insert(score: 0.5, id: 1)
        #expect(best.threshold == -.infinity)
        best.insert(score: 0.25, id: 2)
        #expect(best.threshold == 0.25)
        let kept = [best.insert(score: 0.125, id: 3), best.insert(score: 0.75, id: 4)]
        #expect(kept == [false, true])
        #expect(best.threshold == 0.5)
        best.removeAll()
        #expect(best.threshold == -.infinity && best.sorted().isEmpty)
    }

    @Test func theScoreOfARankIsThatOfTheSortedEntry() {
        var best = BoundedTopK(capacity: 5)
        for (id, score) in [Float(0.5), 0.25, 0.75, 0.5, 0.125, 1].enumerated() {
            best.insert(score: score, id: UInt64(id))
        }
        for (index, entry) in best.sorted().enumerated() { #expect(best.score(ofRank: index + 1) == entry.score) }
        #expect(best.score(ofRank: 5) == 0.25)
    }

    @Test func amongEqualsTheSmallerIDStays() {
        var best = BoundedTopK(capacity: 1)
        let kept = [5, 6, 4].map { best.insert(score: 1, id: $0) }
        #expect(kept == [true, false, true])
        #expect(best.sorted() == [.init(score: 1, id: 4)])
    }

    @Test func nanNeverEntersAndNothingEntersZeroCapacity() {
        var best = BoundedTopK(capacity: 3)
        let kept = zip([Float.nan, -.infinity, .infinity], 1...).map { best.insert(score: $0, id: $1) }
        #expect(kept == [false, true, true])
        #expect(best.sorted().map(\.id) == [3, 2])
        var none = BoundedTopK(capacity: 0)
        let entered = none.insert(score: .infinity, id: 1)
        #expect(!entered)
        #expect(none.threshold == .infinity && none.count == 0)
    }
}
