package import FaceModel

/// What a primary does for an archive of its log: it marks when it orders, and knows up to which moment all that it
/// ordered is applied. Pure.
///
/// Once a log has marks they are made for good: an entry without one would pass for older than it is.
package struct ArchiveWatch: Sendable {
    /// Whether marks are made.
    package var isOn = false
    /// The epoch in which the log was last looked through for marks.
    package var checkedEpoch: UInt64?
    /// Entries up to it are archived, as far as is known.
    package private(set) var archived: UInt64?
    private var lastQuestion: ContinuousClock.Instant?
    /// The time of a mark that is on its way into the log.
    private var ordering: Timestamp?
    private var lastTime: Timestamp?
    /// Marks whose entries may not be applied yet, and the newest of those that are. Ascending.
    private var marks: [(sequence: UInt64, time: Timestamp)] = []

    /// How long entries are kept for an archive that does not ask for them any more.
    private static let patience = Duration.seconds(3600)

    package init() {}

    /// An archive has entries up to a sequence and asks for more; nil for one that begins.
    package mutating func asked(after sequence: UInt64?, now: ContinuousClock.Instant) {
        isOn = true
        archived = sequence
        lastQuestion = now
    }

    /// The last entry that an archive has, while it wants those behind.
    package func wanted(now: ContinuousClock.Instant) -> UInt64? {
        guard let lastQuestion, now - lastQuestion < Self.patience else { return nil }
        return archived
    }

    /// The time of the mark that comes before what is ordered now; nil when none is needed. ``ordered(at:)`` follows.
    package mutating func begin(now: Timestamp) -> Timestamp? {
        guard isOn else { return nil }
        let time = max(now, lastTime ?? now)
        ordering = time
        return time
    }

    /// - Parameters:
    ///   - sequence: of the mark, if it came into the log.
    package mutating func ordered(at sequence: UInt64?) {
        if let sequence, let ordering {
            marks.append((sequence, ordering))
            lastTime = ordering
        }
        ordering = nil
    }

    /// A moment up to which everything that was ordered is applied; nil when that is not known.
    ///
    /// - Parameters:
    ///   - applied: the last entry that is applied.
    ///   - last: the last entry.
    package mutating func until(now: Timestamp, applied: UInt64, last: UInt64) -> Timestamp? {
        // The mark that the next entry to be applied lies behind stays.
        while marks.count > 1, marks[1].sequence <= applied + 1 { marks.removeFirst() }
        var until = now
        if last > applied {
            guard let mark = marks.first, mark.sequence <= applied + 1 else { return nil }
            until = min(until, Timestamp(milliseconds: mark.time.milliseconds - 1))
        }
        if let ordering { until = min(until, Timestamp(milliseconds: ordering.milliseconds - 1)) }
        return until
    }
}
