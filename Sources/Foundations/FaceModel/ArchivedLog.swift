/// A place in the log of a shard, as an archive of it knows the place: behind an entry.
package struct ArchivePosition: Hashable, Sendable {
    package var sequence: UInt64
    /// Of the entry.
    package var epoch: UInt64
    /// At the entry; links it to all before.
    package var chain: UInt64
    /// When it was ordered, by the clock of its primary; never falls from one entry to the next.
    package var time: Timestamp

    package init(sequence: UInt64, epoch: UInt64, chain: UInt64, time: Timestamp) {
        self.sequence = sequence
        self.epoch = epoch
        self.chain = chain
        self.time = time
    }

    /// Whether another place can follow, and its time is one. A log has no other places; what comes from outside may.
    package var isPossible: Bool { sequence < .max && Timestamp.computable.contains(time) }
}

/// One entry of a shard's log, as an archive keeps it.
///
/// An entry that brings faces has their embeddings in it: it is never logged or shown.
package struct ArchivedEntry: Hashable, Sendable {
    /// What came of it when it was applied.
    package enum Effect: UInt8, CaseIterable, Sendable {
        /// It did what it says.
        case applied = 0
        /// It is a write that was sent again, or one of a restoration that had ended, and changed nothing.
        case repeated = 1
        /// The receipt that would tell is no longer kept.
        case unknown = 2
    }

    /// When it was ordered; see ``ArchivePosition/time``.
    package var time: Timestamp
    package var effect: Effect
    /// As it is in the log.
    package var bytes: [UInt8]

    package init(time: Timestamp, effect: Effect, bytes: [UInt8]) {
        self.time = time
        self.effect = effect
        self.bytes = bytes
    }
}

/// Entries of a shard's log behind a place that an archive has reached.
package struct ArchivedEntries: Hashable, Sendable {
    /// Behind which the entries come: the place that was asked for, if the log goes on from there.
    package var start: ArchivePosition
    /// Whether it does. If not, entries between may be missing, and what was archived before is of another past.
    package var continues: Bool
    package var entries: [ArchivedEntry]
    package var end: ArchivePosition
    /// Every entry that was ordered up to then is among those through `end`. Nil where that is not known.
    package var until: Timestamp?
    /// Entries, and about how many bytes of them, that are applied and come behind `end`.
    package var remainingCount: UInt64
    package var remainingByteCount: UInt64

    package init(
        start: ArchivePosition,
        continues: Bool,
        entries: [ArchivedEntry],
        end: ArchivePosition,
        until: Timestamp?,
        remainingCount: UInt64,
        remainingByteCount: UInt64
    ) {
        self.start = start
        self.continues = continues
        self.entries = entries
        self.end = end
        self.until = until
        self.remainingCount = remainingCount
        self.remainingByteCount = remainingByteCount
    }

    /// Largest answer, about: it has one entry in any case.
    package static let byteLimit = 4 << 20
    package static let entryLimit = 4096
}
