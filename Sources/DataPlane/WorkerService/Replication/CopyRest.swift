import ClusterModel
package import WireProtocol

/// What is known of attempts at copies for other workers.
struct CopyAttempts: Sendable {
    /// Why the last one for a worker failed.
    var refusals: [NodeID: String] = [:]
    /// After those that did not come about.
    var rests: [NodeID: CopyRest] = [:]
    private var count: UInt64 = 0

    /// A number that no other attempt has.
    mutating func next() -> UInt64 {
        count += 1
        return count
    }

    func mayBegin(for node: NodeID, now: ContinuousClock.Instant) -> Bool { rests[node].map { $0.end <= now } ?? true }

    mutating func ended(for node: NodeID, _ failure: CopyFailure?, now: ContinuousClock.Instant) {
        rests[node] = failure.map { CopyRest(after: $0, rests[node], now: now) }
    }

    /// - Parameter group: as last heard.
    mutating func forget(besides group: ReplicaGroup?, now: ContinuousClock.Instant) {
        guard !rests.isEmpty, let group else { return }
        for node in rests.keys where !group.members.contains(node) { rests[node]?.left(now: now) }
        rests = rests.filter { !$0.value.isForgotten(now: now) }
    }
}

/// Why a copy for another worker has not come about.
package struct CopyFailure: Sendable {
    /// It cost the disks something, and another attempt would most likely end in the same way: a disk fails, say.
    package var isForGood: Bool
    /// How long to wait at least.
    package var pause: Duration

    /// Nobody asked for it any more.
    package static let unwanted = CopyFailure(isForGood: false, pause: .zero)

    package init(isForGood: Bool, pause: Duration) {
        self.isForGood = isForGood
        self.pause = pause
    }

    /// Of a shard that is made here from others' replicas, which is a copy as well.
    ///
    /// - Parameter hasBegun: whether anything was written.
    package init(making status: WireStatus, hasBegun: Bool, pause: Duration) {
        self.init(isForGood: hasBegun && status.code.retry == .doNotRetry, pause: pause)
    }
}

/// Until when no copy is begun for a replica, or of a shard that is made beside others.
///
/// A copy costs both disks all of the partition. One that fails for good is tried again, since people may mend what was
/// wrong, but after pauses that double.
package struct CopyRest: Sendable {
    private static let firstPause = Duration.seconds(5)
    private static let longestPause = Duration.seconds(10 * 60)

    package private(set) var end: ContinuousClock.Instant
    /// The next one of a failure for good.
    private let nextPause: Duration

    /// - Parameter former: after the failure before, when no copy has come about since.
    package init(after failure: CopyFailure, _ former: CopyRest?, now: ContinuousClock.Instant) {
        let pause = former?.nextPause ?? Self.firstPause
        end = now + (failure.isForGood ? max(failure.pause, pause) : failure.pause)
        nextPause = failure.isForGood ? min(pause * 2, Self.longestPause) : pause
    }

    /// The other replica left the group. When it comes again that is another attempt, and the pause after it is as long
    /// as it would have been.
    package mutating func left(now: ContinuousClock.Instant) { end = min(end, now) }

    /// Whether it was so long ago that nothing is held against another attempt.
    package func isForgotten(now: ContinuousClock.Instant) -> Bool { now - end > Self.longestPause * 2 }
}
