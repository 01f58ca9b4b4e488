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
