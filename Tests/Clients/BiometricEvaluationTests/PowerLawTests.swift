import BiometricEvaluation
import Testing

@Suite struct PowerLawTests {
    @Test func aLawIsFoundAgain() throws {
        let law = try #require(PowerLaw([1000, 4000, 16_000].map { (Double($0), 0.5 * Double($0).squareRoot()) }))
        #expect(abs(law.exponent - 0.5) < 1e-9)
        #expect(abs(law.factor - 0.5) < 1e-9)
        #expect(try #require(law.exponentError) < 1e-9)
        #expect(abs(law.time(size: 1_000_000) - 500) < 1e-6)
        #expect(abs(try #require(law.size(time: 500)) - 1_000_000) < 1e-3)
    }

    @Test func scatterShowsInTheError() throws {
        let law = try #require(PowerLaw([(10, 10), (100, 130), (1000, 900), (10_000, 11_000)]))
        #expect(abs(law.exponent - 1) < 0.1)
        #expect(try #require(law.exponentError) > 0.005)
    }

    /// The figures were calculated by themselves, from the textbook's formulas.
    @Test func intervalsAreThoseOfARegression() throws {
        let law = try #require(PowerLaw([(10, 10), (100, 130), (1000, 900), (10_000, 11_000)]))
        let exponent = try #require(law.exponentInterval)
        #expect(abs(exponent.lowerBound - 0.83703) < 1e-4 && abs(exponent.upperBound - 1.15586) < 1e-4)
        let factor = try #require(law.factorInterval)
        #expect(abs(factor.lowerBound - 0.39783) < 1e-4 && abs(factor.upperBound - 2.97066) < 1e-3)
        let sizes = try #require(law.sizeInterval(time: 1e5))
        #expect(abs(sizes.lowerBound / 39_876 - 1) < 1e-3 && abs(sizes.upperBound / 310_809 - 1) < 1e-3)
        #expect(sizes.contains(try #require(law.size(time: 1e5))))
    }

    /// Student's quantile falls from its table to its expansion without a step.
    @Test func manySizesNarrowTheInterval() throws {
        var widths: [Double] = []
        for count in [11, 12, 13, 14] {
            var points: [(size: Double, time: Double)] = []
            for number in 0..<count {
                let size = Double(1 << number)
                points.append((size, number.isMultiple(of: 2) ? size * 1.1 : size * 0.9))
            }
            let law = try #require(PowerLaw(points))
            let interval = try #require(law.exponentInterval)
            let error = try #require(law.exponentError)
            widths.append((interval.upperBound - law.exponent) / error)
        }
        #expect(zip(widths, [2.262, 2.228, 2.201, 2.179]).allSatisfy { abs($0 - $1) < 2e-3 }, "\(widths)")
    }

    @Test func timesThatMayNotGrowHaveNoBounds() throws {
        let law = try #require(PowerLaw([(10, 10), (100, 5), (1000, 14), (10_000, 9)]))
        #expect(law.size(time: 100) != nil && law.sizeInterval(time: 100) == nil)
        #expect(try #require(law.exponentInterval).contains(0))
        let two = try #require(PowerLaw([(10, 1), (1000, 2)]))
        #expect(two.exponentInterval == nil && two.factorInterval == nil && two.sizeInterval(time: 3) == nil)
    }

    @Test func oneSizeIsNoLaw() {
        #expect(PowerLaw([(1000, 1)]) == nil)
        #expect(PowerLaw([(1000, 1), (1000, 2)]) == nil)
        #expect(PowerLaw([(0, 1), (1000, 2)]) == nil)
        #expect(PowerLaw([(10, 1), (1000, 2)])?.exponentError == nil)
    }

    @Test func timesThatDoNotGrowReachNoOther() throws {
        let law = try #require(PowerLaw([(10, 2), (1000, 2)]))
        #expect(law.size(time: 5) == nil)
    }
}
