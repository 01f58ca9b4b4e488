import CoreMetrics
import Synchronization

/// A counter: one atomic addition an event.
final class CounterCell: CounterHandler {
    private let count = Atomic<Int64>(0)

    var value: Int64 { count.load(ordering: .relaxed) }

    func increment(by amount: Int64) { count.wrappingAdd(amount, ordering: .relaxed) }

    func reset() { count.store(0, ordering: .relaxed) }
}

/// A gauge that holds the last value.
final class GaugeCell: RecorderHandler {
    private let bits = Atomic<UInt64>(0)

    var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
}

/// A histogram of durations. One short lock an event, so that what is read fits together: the count is that of all
/// buckets, and the sum that of the same events.
final class HistogramCell: TimerHandler {
    struct Counts: Sendable {
        /// Events of each bucket alone; the last is of those above every bound.
        var buckets: [UInt64]
        var sumNanoseconds: UInt64 = 0
    }

    private let bounds: [UInt64]
    private let counts: Mutex<Counts>

    init(bounds: [UInt64]) {
        self.bounds = bounds
        counts = Mutex(Counts(buckets: [UInt64](repeating: 0, count: bounds.count + 1)))
    }

    var value: Counts { counts.withLock(\.self) }

    func recordNanoseconds(_ duration: Int64) {
        let duration = UInt64(max(0, duration))
        let bucket = firstBound(notBelow: duration)
        counts.withLock {
            $0.buckets[bucket] += 1
            $0.sumNanoseconds &+= duration
        }
    }

    private func firstBound(notBelow value: UInt64) -> Int {
        var (low, high) = (0, bounds.count)
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
