import Observability
import Testing

struct LatencyCountsTests {
    @Test func percentilesAreThoseOfTheLastTenSeconds() {
        var counts = LatencyCounts()
        for _ in 0..<1000 { counts.record(microseconds: 1_000_000, second: 0) }
        for value in 1...1000 { counts.record(microseconds: UInt64(value), second: 5) }
        let figures = counts.figures(second: 10)
        #expect(figures.count == 2000)
        #expect(abs(Double(figures.medianMicroseconds) / 500 - 1) < 0.07)
        #expect(abs(Double(figures.percentile99Microseconds) / 990 - 1) < 0.07)
        let later = counts.figures(second: 15)
        #expect(later.count == 2000 && later.medianMicroseconds == 0 && later.percentile99Microseconds == 0)
    }

    @Test(arguments: [0, 1, 7, 8, 9, 15, 16, 100, 4095, 4096, 123_456, 1_000_000, 60_000_000, 900_000_000])
    func everyDurationIsKnownToSixPercent(value: UInt64) {
        var counts = LatencyCounts()
        counts.record(microseconds: value, second: 3)
        let median = counts.figures(second: 3).medianMicroseconds
        #expect(abs(Double(median) - Double(value)) <= max(0.5, 0.0626 * Double(value)))
    }

    @Test func aSlotIsUsedAgainAfterTenSeconds() {
        var counts = LatencyCounts()
        counts.record(microseconds: 5, second: 1)
        counts.record(microseconds: 3, second: 11)
        #expect(counts.figures(second: 11).medianMicroseconds == 3)
        // Longer than any bucket: still counted.
        counts.record(microseconds: .max, second: 11)
        #expect(counts.figures(second: 11).percentile99Microseconds > 900_000_000)
    }
}

struct LogAllowanceTests {
    @Test func whatIsNotLoggedIsCounted() {
        var allowance = LogAllowance(perSecond: 2)
        let start = ContinuousClock.now
        #expect(allowance.take(now: start) == 0)
        #expect(allowance.take(now: start + .milliseconds(1)) == 0)
        #expect(allowance.take(now: start + .milliseconds(2)) == nil)
        #expect(allowance.take(now: start + .milliseconds(999)) == nil)
        #expect(allowance.take(now: start + .seconds(1)) == 2)
        #expect(allowance.take(now: start + .seconds(1)) == 0)
    }

    @Test func aFewAtOnceAreFewInALongTime() {
        var allowance = LogAllowance(3, per: .seconds(10))
        let start = ContinuousClock.now
        let taken = (0..<1000).map { allowance.take(now: start + .milliseconds(25 * $0)) }
        #expect(taken.compactMap(\.self) == [0, 0, 0, 397, 0, 0, 397, 0, 0])
    }
}
