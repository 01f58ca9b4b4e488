import FaceModel
import Testing

struct ProportionTests {
    /// Clopper–Pearson limits as published tables have them (95 %).
    @Test(arguments: [
        (0, 10, 0.0, 0.30850), (1, 10, 0.00253, 0.44502), (5, 10, 0.18709, 0.81291), (10, 10, 0.69150, 1.0),
        (3, 1000, 0.00062, 0.00874), (0, 3000, 0.0, 0.00123),
    ])
    func intervalsAreThoseOfTheTables(count: Int, total: Int, lower: Double, upper: Double) {
        let interval = Proportion(count: count, total: total).interval()
        #expect(abs(interval.lowerBound - lower) < 2e-5)
        #expect(abs(interval.upperBound - upper) < 2e-5)
    }

    @Test func anIntervalIsMirroredByCountingTheOthers() {
        for (count, total) in [(1, 7), (40, 900), (2500, 20_000), (9, 100_000)] {
            let interval = Proportion(count: count, total: total).interval()
            let mirrored = Proportion(count: total - count, total: total).interval()
            #expect(abs(interval.lowerBound - (1 - mirrored.upperBound)) < 1e-9)
            #expect(abs(interval.upperBound - (1 - mirrored.lowerBound)) < 1e-9)
            #expect(interval.contains(Double(count) / Double(total)))
        }
    }

    @Test func moreTrialsMakeItNarrower() {
        let widths = [10, 100, 1000, 10_000].map { total in
            let interval = Proportion(count: total / 10, total: total).interval()
            return interval.upperBound - interval.lowerBound
        }
        #expect(widths == widths.sorted(by: >))
        #expect(widths[3] < 0.013)
    }

    @Test func nothingIsKnownWithoutTrials() {
        let none = Proportion(count: 0, total: 0)
        #expect(none.rate.isNaN)
        #expect(none.interval() == 0...1)
    }

    @Test func aLowerBoundIsOneSided() {
        let proportion = Proportion(count: 3, total: 1000)
        #expect(proportion.lowerBound(confidence: 0.975) == proportion.interval(confidence: 0.95).lowerBound)
        #expect(proportion.lowerBound(confidence: 0.99) < proportion.lowerBound(confidence: 0.95))
        #expect(Proportion(count: 0, total: 50).lowerBound(confidence: 0.95) == 0)
        #expect(Proportion(count: 0, total: 0).lowerBound(confidence: 0.95) == 0)
    }

    @Test func whatMayBeCountedIsThatOfTables() {
        func most(_ total: Int) -> Int? { Proportion.mostCount(of: total, showingRateAtMost: 0.01, confidence: 0.95) }
        // Rule of three: 299 trials without one show 1 % at 95 %, 298 do not.
        #expect(most(299) == 0)
        #expect(most(298) == nil)
        // One takes 473 trials.
        #expect(most(473) == 1)
        #expect(most(472) == 0)
        #expect(most(0) == nil)
    }
}
