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
    /// How long the last turn for a shard took where that is longer than writes may wait for one: the longest.
    package var longTurn: Duration?

    package init(
        sequences: [ShardID: UInt64] = [:],
        closed: Set<ShardID> = [],
        givenUp: Set<ShardID> = [],
        longTurn: Duration? = nil
    ) {
        self.sequences = sequences
        self.closed = closed
        self.givenUp = givenUp
        self.longTurn = longTurn
    }

    /// Whether the archive lacks little of the shard's log, or is not waited for any more.
    package func isNear(_ shard: ShardID) -> Bool { givenUp.contains(shard) || sequences[shard] != nil }

    /// Whether it has the log up to its last entry, and says so of the moment at which that ended, or is not waited for
    /// any more.
    package func has(_ shard: ShardID, through sequence: UInt64) -> Bool {
        givenUp.contains(shard) || closed.contains(shard) && sequences[shard].map { $0 >= sequence } ?? false
    }
}

/// What whoever archives is to do about shards that are about to go.
package struct ArchiveDemand: Hashable, Sendable {
    /// Shards whose logs are to be carried now.
    package var due: Set<ShardID>
    /// Whether writes wait for that, or are about to: nothing else is to be begun.
    package var isPressing: Bool

    package init(due: Set<ShardID> = [], isPressing: Bool = false) {
        self.due = due
        self.isPressing = isPressing
    }
}

/// What passes between the controller, which has shards take others' place, and whoever archives their logs: the old
/// shards' logs are to be archived to their ends before they go, and that is waited for, though not for ever.
///
/// Any thread may call it.
package final class ArchiveLedger: Sendable {
    /// What a turn of the archive has come to.
    private struct Reach {
        var sequence: UInt64
        /// It has everything that there was then.
        var began: ContinuousClock.Instant
        /// Since then it is known to be there.
        var ended: ContinuousClock.Instant

        var time: Duration { ended - began }
        var isShort: Bool { time <= ArchiveLedger.turnLimit }
    }

    private struct Wish {
        var since: ContinuousClock.Instant
        /// Since when it is wanted without a break.
        var resumed: ContinuousClock.Instant
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

    /// Longest turn for which writes may wait: they do from a moment after one has ended until one has that began when
    /// the logs had ended, and for no more than 3 s (`OperationLedger`).
    package static let turnLimit = Duration.seconds(2)
    /// For so long after a turn the archive is near: then writes may begin to wait.
    private static let nearTime = Duration.seconds(1)
    /// For so long after a turn the next one waits for the logs' ends: one that begins before them has them not, and
    /// writes would wait for two.
    private static let restTime = nearTime + .milliseconds(300)
    /// What the archive had of a log that had ended counts for as long as writes wait.
    private static let closedTime = Duration.seconds(3)
    /// How long a turn took is told for so long.
    private static let memoryTime = Duration.seconds(60)
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
                var wish = state.wanted[shard] ?? Wish(since: now, resumed: now, last: now)
                if !wish.isWanted { wish.resumed = now }
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
                guard let reach = state.reached[shard] else { continue }
                if Self.isClosed(wish, reach, now: now) {
                    observation.sequences[shard] = reach.sequence
                    observation.closed.insert(shard)
                } else if !reach.isShort, reach.ended >= wish.resumed {
                    observation.longTurn = max(observation.longTurn ?? .zero, reach.time)
                } else if Self.isNear(wish, reach, for: Self.nearTime, now: now) {
                    observation.sequences[shard] = reach.sequence
                }
            }
            return observation
        }
    }

    /// Whether the archive lacks little of the log. A turn that ended before it was wanted does not count: whoever
    /// archives may be at something else by now.
    private static func isNear(
        _ wish: Wish,
        _ reach: Reach,
        for time: Duration,
        now: ContinuousClock.Instant
    ) -> Bool {
        reach.isShort && reach.ended >= wish.resumed && now - reach.ended < time
    }

    /// Whether the archive has the log to its end.
    private static func isClosed(_ wish: Wish, _ reach: Reach, now: ContinuousClock.Instant) -> Bool {
        guard let ended = wish.ended else { return false }
        return reach.began >= ended && now - reach.ended < closedTime
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

    /// What is to be done about them now: those whose logs have ended come first, since writes wait.
    ///
    /// - Parameter failed: collections for which nothing can be done now: no other waits for their shards.
    package func demand(
        now: ContinuousClock.Instant,
        leavingOut failed: Set<CollectionID> = []
    ) -> ArchiveDemand {
        state.withLock { state in
            var (going, ended): (Set<ShardID>, Set<ShardID>) = ([], [])
            var isNear = false
            for (shard, wish) in state.wanted where wish.isWanted && !failed.contains(shard.collection) {
                let reach = state.reached[shard]
                if let reach, Self.isClosed(wish, reach, now: now) { continue }
                if now - wish.since >= patience {
                    going.insert(shard)
                } else if wish.ended != nil {
                    ended.insert(shard)
                } else if let reach, Self.isNear(wish, reach, for: Self.restTime, now: now) {
                    isNear = true
                } else {
                    going.insert(shard)
                }
            }
            if !ended.isEmpty { return ArchiveDemand(due: ended, isPressing: true) }
            return isNear ? ArchiveDemand(isPressing: true) : ArchiveDemand(due: going)
        }
    }

    /// The archive has everything of these shards that there was at a time, and where that ended.
    ///
    /// - Parameters:
    ///   - began: that time: a turn of the archive began then.
    ///   - now: when everything of it was there.
    package func reached(
        _ sequences: [ShardID: UInt64],
        asOf began: ContinuousClock.Instant,
        now: ContinuousClock.Instant
    ) {
        let notify = state.withLock { state -> (@Sendable () -> Void)? in
            state.reached = state.reached.filter { now - $0.value.ended < Self.memoryTime }
            for (shard, sequence) in sequences {
                state.reached[shard] = Reach(sequence: sequence, began: began, ended: now)
            }
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
