/// How calls ended, and how long the answered ones took.
package struct CallFigures: Sendable, Equatable {
    /// How one call ended.
    package enum Status: Sendable, Hashable {
        /// Answered in full.
        case ok
        /// Answered for a part of the collection, and said so.
        case partial
        /// Not begun: too many calls were under way, or there was nothing to write.
        case notSent
        /// Failed; the name is that of the client's error.
        case failed(String)

        package var name: String {
            switch self {
            case .ok: "ok"
            case .partial: "partial"
            case .notSent: "notSent"
            case .failed(let code): code
            }
        }
    }

    /// Calls by ``Status/name``.
    package private(set) var statuses: [String: Int] = [:]
    /// From the intended start of each answered call to its answer.
    package private(set) var times: LatencyHistogram

    package init(_ precision: LatencyHistogram.Precision = .thousandth) {
        times = LatencyHistogram(precision)
    }

    package mutating func record(_ status: Status, _ time: Duration) {
        statuses[status.name, default: 0] += 1
        if status == .ok || status == .partial { times.record(time) }
    }

    package mutating func add(_ other: CallFigures) {
        statuses.merge(other.statuses, uniquingKeysWith: +)
        times.add(other.times)
    }

    package var count: Int { statuses.values.reduce(0, +) }
    package var okCount: Int { statuses["ok"] ?? 0 }
    package var partialCount: Int { statuses["partial"] ?? 0 }
    package var notSentCount: Int { statuses["notSent"] ?? 0 }
    package var failedCount: Int { count - okCount - partialCount - notSentCount }
    /// Share of the calls that were not answered in full.
    package var errorShare: Double { count == 0 ? 0 : Double(count - okCount) / Double(count) }

    /// The time in microseconds within which this share (0…100) of all calls were answered.
    ///
    /// - Returns: nil when fewer were answered at all, and without any call.
    package func percentileOfAll(_ percent: Double) -> UInt64? {
        guard count > 0, !times.isEmpty else { return nil }
        let ofAnswered = percent * Double(count) / Double(times.count)
        return ofAnswered <= 100 + 1e-9 ? times.percentile(min(100, ofAnswered)) : nil
    }

    /// Other than `ok`, by name.
    package var problems: [(name: String, count: Int)] {
        statuses.filter { $0.key != "ok" }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}

extension CallFigures: Codable {
    private enum CodingKeys: String, CodingKey {
        case statuses
        case times
        case summary
    }

    /// What a reader wants of the times without adding up buckets: in microseconds.
    private struct Summary: Encodable {
        var mean: Double
        var p50: UInt64
        var p90: UInt64
        var p99: UInt64
        var p999: UInt64
        var max: UInt64
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(statuses, forKey: .statuses)
        try container.encode(times, forKey: .times)
        guard !times.isEmpty else { return }
        let summary = Summary(
            mean: times.meanMicroseconds.rounded(),
            p50: times.percentile(50),
            p90: times.percentile(90),
            p99: times.percentile(99),
            p999: times.percentile(99.9),
            max: times.longestMicroseconds
        )
        try container.encode(summary, forKey: .summary)
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        statuses = try container.decode([String: Int].self, forKey: .statuses)
        times = try container.decode(LatencyHistogram.self, forKey: .times)
    }
}
