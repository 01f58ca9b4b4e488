import Histogram

/// Times of calls in microseconds, from 1 µs to an hour.
///
/// Two of the same precision add up without loss, in whatever process each was recorded.
package struct LatencyHistogram: Sendable {
    private static let highest: UInt64 = 3_600_000_000

    package enum Precision: Int, Sendable {
        /// Within a hundredth: a few kilobytes, for one second of many.
        case hundredth = 2
        /// Within a thousandth.
        case thousandth = 3
    }

    package let precision: Precision
    private var histogram: Histogram<UInt32>

    package init(_ precision: Precision = .thousandth) {
        self.precision = precision
        // It grows with the longest time.
        histogram = Histogram(numberOfSignificantValueDigits: precision == .hundredth ? .two : .three)
    }

    /// How many times fell into one bucket.
    package struct Entry: Sendable, Equatable {
        /// The bucket's greatest value; of the last one the longest time itself.
        package var microseconds: UInt64
        package var count: UInt64

        package init(microseconds: UInt64, count: UInt64) {
            self.microseconds = microseconds
            self.count = count
        }
    }

    package mutating func record(_ time: Duration) {
        let (seconds, attoseconds) = time.components
        let microseconds = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        histogram.record(min(UInt64(max(0, microseconds)), Self.highest))
    }

    package mutating func add(_ entry: Entry) {
        histogram.record(min(entry.microseconds, Self.highest), count: UInt32(clamping: entry.count))
    }

    /// - Precondition: the other is as precise.
    package mutating func add(_ other: LatencyHistogram) { histogram.add(other.histogram) }

    package var count: UInt64 { histogram.totalCount }
    package var isEmpty: Bool { count == 0 }
    /// Of the recorded times; 0 without any.
    package var meanMicroseconds: Double { isEmpty ? 0 : histogram.mean }
    package var longestMicroseconds: UInt64 { histogram.maxRecorded }

    /// The time within which this share (0…100) of the calls ended; 0 without any.
    package func percentile(_ percent: Double) -> UInt64 { histogram.valueAtPercentile(percent) }

    /// The buckets that hold anything, ascending.
    package var entries: [Entry] {
        guard !isEmpty else { return [] }
        return histogram.recordedValues().map {
            Entry(microseconds: min($0.value, longestMicroseconds), count: UInt64($0.count))
        }
    }
}

extension LatencyHistogram: Equatable {
    package static func == (left: LatencyHistogram, right: LatencyHistogram) -> Bool {
        left.precision == right.precision && left.entries == right.entries
    }
}

extension LatencyHistogram: Codable {
    private enum CodingKeys: String, CodingKey {
        /// Significant decimal digits of each time.
        case digits
        /// Flat: microseconds, count, microseconds, count, …
        case buckets
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(precision.rawValue, forKey: .digits)
        try container.encode(entries.flatMap { [$0.microseconds, $0.count] }, forKey: .buckets)
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let numbers = try container.decode([UInt64].self, forKey: .buckets)
        guard let precision = Precision(rawValue: try container.decode(Int.self, forKey: .digits)),
            numbers.count.isMultiple(of: 2)
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .buckets,
                in: container,
                debugDescription: "buckets must be pairs of microseconds and count, with 2 or 3 digits"
            )
        }
        self.init(precision)
        for index in stride(from: 0, to: numbers.count, by: 2) {
            add(Entry(microseconds: numbers[index], count: numbers[index + 1]))
        }
    }
}
