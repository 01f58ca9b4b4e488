import BiometricEvaluation
import FaceModel
import Testing

@Suite struct IdentificationTestTests {
    /// Four mated searches and ten nonmated ones, whose best matches are at 0.0, 0.1 … 0.9.
    private func example() -> IdentificationTest {
        var test = IdentificationTest()
        test.addMated(.init(rank: 1, similarity: 0.95))
        test.addMated(.init(rank: 1, similarity: 0.55))
        test.addMated(.init(rank: 3, similarity: 0.50))
        test.addMated(nil)
        for tenth in 0..<10 { test.addNonmated(best: Float(tenth) / 10) }
        return test
    }

    @Test func aMateIsMissedBeyondTheRankOrBelowTheThreshold() {
        let test = example()
        #expect(test.falseNegatives() == Proportion(count: 1, total: 4))
        #expect(test.falseNegatives(withinRank: 1) == Proportion(count: 2, total: 4))
        #expect(test.falseNegatives(threshold: 0.55) == Proportion(count: 2, total: 4))
        #expect(test.falseNegatives(withinRank: 1, threshold: 0.6) == Proportion(count: 3, total: 4))
    }

    @Test func aNonmatedSearchIsAFalsePositiveFromTheThresholdOn() {
        let test = example()
        #expect(test.falsePositives(threshold: 0.9) == Proportion(count: 1, total: 10))
        #expect(test.falsePositives(threshold: Float(0.9).nextUp) == Proportion(count: 0, total: 10))
        #expect(test.falsePositives(threshold: -1) == Proportion(count: 10, total: 10))
    }

    @Test(arguments: [0.1, 0.25, 0.3, 0.99]) func theThresholdIsTheLeastThatKeepsTheRate(target: Double) throws {
        let test = example()
        let threshold = try #require(test.threshold(falsePositiveRate: target))
        #expect(test.falsePositives(threshold: threshold).rate <= target)
        #expect(test.falsePositives(threshold: threshold.nextDown).rate > target)
    }

    @Test func tooFewSearchesGiveNoThreshold() {
        #expect(example().threshold(falsePositiveRate: 0.099) == nil)
        #expect(IdentificationTest().threshold(falsePositiveRate: 0.5) == nil)
    }

    @Test func searchesWithoutMatchesAreNeverFalsePositives() {
        var test = IdentificationTest()
        for _ in 0..<10 { test.addNonmated(best: nil) }
        #expect(test.falsePositives(threshold: -1) == Proportion(count: 0, total: 10))
        #expect(test.threshold(falsePositiveRate: 0.1) == -1)
    }

    @Test func theCurveTradesOneErrorForTheOther() {
        var test = IdentificationTest()
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<3000 {
            test.addMated(.init(rank: 1, similarity: .random(in: 0.2...1, using: &generator)))
            test.addNonmated(best: .random(in: 0...0.6, using: &generator))
        }
        let curve = test.tradeOffs(atMost: 50)
        #expect(curve.count > 30 && curve.count <= 50)
        for (left, right) in zip(curve, curve.dropFirst()) {
            #expect(left.threshold >= right.threshold)
            #expect(left.falsePositiveRate <= right.falsePositiveRate)
            #expect(left.falseNegativeRate >= right.falseNegativeRate)
        }
        for point in curve {
            #expect(point.falsePositiveRate == test.falsePositives(threshold: point.threshold).rate)
            #expect(point.falseNegativeRate == test.falseNegatives(threshold: point.threshold).rate)
            // A lower one would let more through.
            let lower = test.falsePositives(threshold: point.threshold.nextDown).rate
            #expect(lower > point.falsePositiveRate || point.threshold == -1)
        }
        #expect(curve.first?.falsePositiveRate ?? 1 < 0.001)
        #expect(curve.last?.falsePositiveRate == 1)
    }
}
