import ClusterModel
import WireProtocol

/// A time in which a lane orders no write, so that all shards of a collection can be cut at one moment. It ends by
/// itself: whoever asked for it may be gone.
struct WriteHold: Sendable {
    let snapshot: SnapshotID
    let end: ContinuousClock.Instant
}

/// A cut that waits for its turn on the lane.
struct PendingCut: Sendable {
    let snapshot: SnapshotID
    let epoch: Epoch
    /// Called once: with the sequence of the cut, behind which nothing is ordered before the hold ends.
    let finish: @Sendable (Result<UInt64, WireStatus>) -> Void
}

extension Replica.State {
    /// The hold that is in force.
    func activeHold(now: ContinuousClock.Instant) -> WriteHold? {
        hold.flatMap { $0.end > now ? $0 : nil }
    }
}
