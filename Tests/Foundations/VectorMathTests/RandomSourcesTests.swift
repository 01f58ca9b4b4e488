import Testing
import VectorMath

struct RandomSourcesTests {
    @Test func splitMixGivesItsPublishedSequence() {
        var generator = SplitMix64(seed: 1_234_567)
        let expected: [UInt64] = [
            6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
            4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
        ]
        #expect(expected.map { _ in generator.next() } == expected)
    }

    @Test func gaussiansHaveTheMomentsOfTheNormalDistribution() {
        var generator = SplitMix64(seed: testSeed)
        var source = GaussianSource()
        let count = 200_000
        var moments = [Double](repeating: 0, count: 5)
        for _ in 0..<count {
            let value = source.next(using: &generator)
            var power = 1.0
            for order in 1...4 {
                power *= value
                moments[order] += power / Double(count)
            }
        }
        // Five standard errors: sqrt(var(x^order) / count).
        let expected: [(mean: Double, variance: Double)] = [(0, 1), (1, 2), (0, 15), (3, 96)]
        for (order, (mean, variance)) in expected.enumerated() {
            let tolerance = 5 * (variance / Double(count)).squareRoot()
            #expect(abs(moments[order + 1] - mean) < tolerance, "moment \(order + 1), seed \(testSeed)")
        }
    }
}
