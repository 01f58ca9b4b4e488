package import FaceModel
import Synchronization

/// How far the archive has shards' logs, as far as others wait for that which are to take their place.
package struct ArchiveObservation: Hashable, Sendable {
    /// The last entry that is archived, of shards of which the archive had all that there was a moment ago.
    package var sequences: [ShardID: UInt64]
    /// Those among them of which it was asked for more after their logs had ended.
    package var closed: Set<ShardID>
    /// Shards whose archive has been waited for long enough.
    package var givenUp: Set<ShardID>

    package init(
        sequences: [ShardID: UInt64] = [:],
        closed: Set<ShardID> = [],
        givenUp: Set<ShardID> = []
    ) {
        self.sequences = sequences
        self.closed = closed
        self.givenUp = givenUp
    }

    /// Whether the archive lacks little of the shard's log, or is not waited for any more.
    package func isNear(_ shard: ShardID) -> Bool { givenUp.contains(shard) || sequences[shard] != nil }

    /// Whether it has the log up to its last entry, and says so of the moment at which that ended, or is not waited for
    /// any more.
    package func has(_ shard: ShardID, through sequence: UInt64) -> Bool {
        givenUp.contains(shard) || closed.contains(shard) && sequences[shard].map { $0 >= sequence } ?? false
    }
}

/// What passes between the controller, which has shards take others' place, and whoever archives their logs: the old
/// shards' logs are to be archived to their ends before they go, and that is waited for, though not for ever.
///
/// Any thread may call it.
package final class ArchiveLedger: Sendable {
    private struct Reach {
        var sequence: UInt64
        var time: ContinuousClock.Instant
    }

    private struct Wish {
        var since: ContinuousClock.Instant
        /// When it was last wanted.
        var last: ContinuousClock.Instant
        var isWanted = true
        /// Since when the shard's log is known to have ended; nil while it goes on.
        var ended: ContinuousClock.Instant?
    }

    private struct State {
        /// Shards that others are about to take the place of, or were a while ago.
        var wanted: [ShardID: Wish] = [:]
        var reached: [ShardID: Reach] = [:]
        /// Where the logs of shards have ended that go, or have just gone.
        var ends: [ShardID: UInt64] = [:]
        var notify: (@Sendable () -> Void)?
    }

    /// What the archive had of a shard counts for so long. Writes wait for a turn of the archive that begins after the
    /// logs have ended, one that was under way before it: both together take less than writes may wait.
    private static let nearTime = Duration.milliseconds(1300)
    private let patience: Duration
    private let state = Mutex(State())

    /// - Parameter patience: how long the archive of a shard is waited for: primaries keep what it lacks for an hour.
    ///   It goes on while the shard is not wanted for a sixth of that: a worker is away, or an operation paused.
    package init(patience: Duration = .seconds(3600)) {
        self.patience = patience
    }

    // MARK: For who has shards take others' place

    /// These shards are about to go, and no others.
    ///
    /// - Parameter ended: those among them that order no writes any more, and have finished what they ordered.
    package func want(_ shards: Set<ShardID>, ended: Set<ShardID> = [], now: ContinuousClock.Instant) {
        state.withLock { state in
            state.wanted = state.wanted.filter { shards.contains($0.key) || now - $0.value.last < patience / 6 }
            for shard in state.wanted.keys where !shards.contains(shard) {
                state.wanted[shard]?.isWanted = false
                state.wanted[shard]?.ended = nil
            }
            for shard in shards {
                var wish = state.wanted[shard] ?? Wish(since: now, last: now)
                wish.last = now
                wish.isWanted = true
                wish.ended = ended.contains(shard) ? wish.ended ?? now : nil
                state.wanted[shard] = wish
            }
        }
    }

    /// - Parameter body: called whenever the archive has come further with a shard that is about to go.
    package func whenReached(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.notify = body } }

    /// How far the shards are archived that are about to go.
    package func observation(now: ContinuousClock.Instant) -> ArchiveObservation {
        state.withLock { state in
            var observation = ArchiveObservation()
            for (shard, wish) in state.wanted where wish.isWanted {
                if now - wish.since >= patience { observation.givenUp.insert(shard) }
                guard let reach = state.reached[shard], now - reach.time < Self.nearTime else { continue }
                observation.sequences[shard] = reach.sequence
                if let ended = wish.ended, reach.time >= ended { observation.closed.insert(shard) }
            }
            return observation
        }
    }

    /// If these shards go now, this is where their logs ended.
    package func end(_ sequences: [ShardID: UInt64]) {
        state.withLock { $0.ends.merge(sequences) { $1 } }
    }

    /// They did not go, or nobody knows where they ended, or needs to any more.
    package func forgetEnds(of shards: some Sequence<ShardID>) {
        state.withLock { state in
            for shard in shards { state.ends[shard] = nil }
        }
    }

    // MARK: For who archives

    /// Shards that are about to go.
    package var wanted: Set<ShardID> { state.withLock { Set($0.wanted.filter(\.value.isWanted).keys) } }

    /// The archive has everything of these shards that there was at a time, and where that ended.
    package func reached(_ sequences: [ShardID: UInt64], asOf time: ContinuousClock.Instant) {
        let notify = state.withLock { state -> (@Sendable () -> Void)? in
            state.reached = state.reached.filter { time - $0.value.time < Self.nearTime }
            for (shard, sequence) in sequences { state.reached[shard] = Reach(sequence: sequence, time: time) }
            return sequences.keys.contains { state.wanted[$0]?.isWanted ?? false } ? state.notify : nil
        }
        notify?()
    }

    /// Where logs of a collection's shards have ended that have gone, by their indices.
    package func ends(of collection: CollectionID) -> [UInt32: UInt64] {
        state.withLock { state in
            var ends: [UInt32: UInt64] = [:]
            for (shard, sequence) in state.ends where shard.collection == collection { ends[shard.index] = sequence }
            return ends
        }
    }
}
