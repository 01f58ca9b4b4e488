import Foundation
import LoadGenerator
import Testing

@Suite struct LatencyHistogramTests {
    private static func recorded(_ microseconds: [Int]) -> LatencyHistogram {
        var histogram = LatencyHistogram()
        for time in microseconds { histogram.record(.microseconds(time)) }
        return histogram
    }

    @Test func percentilesAreWithinAThousandthOfTheTimes() {
        let histogram = Self.recorded(Array(1...100_000))
        for percent in [1.0, 50, 90, 99, 99.9] {
            let exact = percent * 1000
            let found = Double(histogram.percentile(percent))
            #expect(abs(found - exact) <= max(1, exact / 1000), "p\(percent) is \(found), not \(exact)")
        }
        #expect(histogram.longestMicroseconds >= 100_000)
        #expect(histogram.count == 100_000)
    }

    @Test func timesBelowAMicrosecondAndBeyondAnHourAreKept() {
        var histogram = LatencyHistogram()
        histogram.record(.nanoseconds(300))
        histogram.record(.seconds(-1))
        histogram.record(.seconds(9000))
        #expect(histogram.count == 3)
        #expect(histogram.percentile(50) == 0)
        #expect(histogram.percentile(100) >= 3_590_000_000)
    }

    @Test func anEmptyOneHasNoFigures() {
        let histogram = LatencyHistogram()
        #expect(histogram.isEmpty && histogram.entries.isEmpty)
        #expect(histogram.percentile(99) == 0 && histogram.meanMicroseconds == 0)
    }

    @Test func partsAddUpToTheWhole() {
        let times = (0..<5000).map { 1 + $0 * $0 % 7_000_003 }
        var sum = Self.recorded(Array(times[..<1700]))
        sum.add(Self.recorded(Array(times[1700...])))
        #expect(sum == Self.recorded(times))
    }

    @Test func aCopyThroughJSONIsTheSame() throws {
        let histogram = Self.recorded((0..<3000).map { 3 + $0 * 997 })
        let text = try JSONEncoder().encode(histogram)
        let copy = try JSONDecoder().decode(LatencyHistogram.self, from: text)
        #expect(copy.entries == histogram.entries)
        for percent in [0.1, 50, 99, 99.99, 100] { #expect(copy.percentile(percent) == histogram.percentile(percent)) }
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(LatencyHistogram.self, from: Data(#"{"digits":3,"buckets":[1,2,3]}"#.utf8))
        }
    }
}
