import Synchronization

/// Durations of the last seconds, for people who watch: how many, the median, the 99th percentile.
///
/// Buckets are an eighth of a power of two wide, so a percentile is known to 6 %. One short lock an event.
package final class LatencyWindow: Sendable {
    package struct Figures: Hashable, Sendable {
        /// Since this object was made, not of the window.
        package var count: UInt64
        /// Of the window; 0 while nothing was recorded in it.
        package var medianMicroseconds: UInt64
        package var percentile99Microseconds: UInt64
    }

    private let counts: Mutex<LatencyCounts>
    private let start = ContinuousClock.now

    package init() {
        counts = Mutex(LatencyCounts())
    }

    package func record(_ duration: Duration) {
        let second = (ContinuousClock.now - start).components.seconds
        counts.withLock { $0.record(microseconds: LatencyCounts.microseconds(duration), second: second) }
    }

    package var figures: Figures {
        let second = (ContinuousClock.now - start).components.seconds
        return counts.withLock { $0.figures(second: second) }
    }
}

/// The counts of a ``LatencyWindow``: pure, told the second.
package struct LatencyCounts: Sendable {
    /// Seconds that a window holds, the one under way among them.
    package static let secondCount = 10
    private static let bucketsPerOctave = 8
    private static let bucketCount = 28 * bucketsPerOctave

    private var seconds: [Int64]
    private var buckets: [UInt32]
    private var count: UInt64 = 0

    package init() {
        seconds = [Int64](repeating: .min, count: Self.secondCount)
        buckets = [UInt32](repeating: 0, count: Self.secondCount * Self.bucketCount)
    }

    package mutating func record(microseconds: UInt64, second: Int64) {
        let slot = Int(second % Int64(Self.secondCount))
        if seconds[slot] != second {
            seconds[slot] = second
            for bucket in 0..<Self.bucketCount { buckets[slot * Self.bucketCount + bucket] = 0 }
        }
        buckets[slot * Self.bucketCount + Self.bucket(of: microseconds)] += 1
        count += 1
    }

    package func figures(second: Int64) -> LatencyWindow.Figures {
        var sums = [UInt64](repeating: 0, count: Self.bucketCount)
        for slot in 0..<Self.secondCount where seconds[slot] > second - Int64(Self.secondCount) {
            for bucket in sums.indices { sums[bucket] += UInt64(buckets[slot * Self.bucketCount + bucket]) }
        }
        return LatencyWindow.Figures(
            count: count,
            medianMicroseconds: Self.quantile(0.5, of: sums),
            percentile99Microseconds: Self.quantile(0.99, of: sums)
        )
    }

    static func microseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(max(0, seconds)) * 1_000_000 + UInt64(max(0, attoseconds) / 1_000_000_000_000)
    }

    private static func quantile(_ share: Double, of sums: [UInt64]) -> UInt64 {
        let total = sums.reduce(0, +)
        guard total > 0 else { return 0 }
        let rank = UInt64((Double(total) * share).rounded(.up))
        var seen: UInt64 = 0
        for (bucket, sum) in sums.enumerated() {
            seen += sum
            if seen >= rank { return middle(of: bucket) }
        }
        return middle(of: sums.count - 1)
    }

    /// Below 8 µs a bucket is a microsecond; above, an eighth of the power of two.
    private static func bucket(of microseconds: UInt64) -> Int {
        guard microseconds >= 8 else { return Int(microseconds) }
        let exponent = 63 - microseconds.leadingZeroBitCount
        let eighth = Int(microseconds >> UInt64(exponent - 3)) & 7
        return min((exponent - 2) * bucketsPerOctave + eighth, bucketCount - 1)
    }

    private static func middle(of bucket: Int) -> UInt64 {
        guard bucket >= 8 else { return UInt64(bucket) }
        let exponent = bucket / bucketsPerOctave + 2
        let width = UInt64(1) << UInt64(exponent - 3)
        return (8 + UInt64(bucket % bucketsPerOctave)) * width + width / 2
    }
}
