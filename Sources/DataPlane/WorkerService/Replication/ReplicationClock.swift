/// The clock that replicas of this process go by: spans of time only, and no other process shows the same.
///
/// A time that comes back from another node may be of an earlier life of this worker. It begins at random, so that such
/// a time is never taken for one of this life.
enum ReplicationClock {
    private static let start = ContinuousClock.now
    private static let offset = Duration.nanoseconds(Int64.random(in: 0...(1 << 61)))

    static var now: Duration { time(of: .now) }

    static func time(of instant: ContinuousClock.Instant) -> Duration { offset + (instant - start) }
}

extension Duration {
    /// As it travels. Not negative.
    var wireNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(clamping: max(seconds, 0)) &* 1_000_000_000 &+ UInt64(max(attoseconds, 0) / 1_000_000_000)
    }

    init(wireNanoseconds: UInt64) {
        self = .nanoseconds(Int64(clamping: wireNanoseconds))
    }
}
