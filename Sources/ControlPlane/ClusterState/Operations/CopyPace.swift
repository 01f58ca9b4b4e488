/// How fast this cluster's last copies came, from the first look at a step until its replica had everything: made,
/// sent, written and caught up with.
package struct CopyPace: Hashable, Sendable {
    package struct Sample: Hashable, Sendable {
        package var byteCount: UInt64
        /// Positive.
        package var time: Duration

        package init(byteCount: UInt64, time: Duration) {
            self.byteCount = byteCount
            self.time = time
        }
    }

    private static let sampleLimit = 16
    /// Of smaller ones the time tells how long steps take, not how fast bytes go.
    package static let leastByteCount: UInt64 = 8 << 20

    /// The oldest first.
    private var samples: [Sample] = []

    package init() {}

    package mutating func add(_ sample: Sample) {
        guard sample.byteCount >= Self.leastByteCount, sample.time > .zero else { return }
        samples.append(sample)
        if samples.count > Self.sampleLimit { samples.removeFirst() }
    }

    package var count: Int { samples.count }
    package var byteCount: UInt64 { samples.reduce(0) { $0 + $1.byteCount } }
    package var time: Duration { samples.reduce(.zero) { $0 + $1.time } }

    /// Nil before anything was copied that is large enough to tell.
    package var bytesPerSecond: Double? {
        samples.isEmpty ? nil : Double(byteCount) / (time / .seconds(1))
    }
}
