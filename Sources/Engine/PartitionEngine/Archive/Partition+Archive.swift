package import FaceModel
internal import LMDB
package import PartitionStore

extension Partition {
    /// Applied entries of the log behind a place that an archive has reached.
    ///
    /// When the log does not go on from there, because it has been forgotten or is another, or nothing is archived yet,
    /// the answer begins anew: with what there is of the log, or where it now ends. What it still has is of use behind
    /// a backup that was cut in it.
    ///
    /// - Parameters:
    ///   - position: nil when nothing is archived.
    ///   - applied: entries up to it are given, at most; they must be applied.
    ///   - now: an entry that nothing tells the time of was ordered before it.
    /// - Returns: without ``ArchivedEntries/until``, and how many bytes remain.
    package func archivedEntries(
        after position: ArchivePosition?,
        through applied: UInt64,
        now: Timestamp,
        byteLimit: Int
    ) throws(PartitionError) -> ArchivedEntries {
        do {
            return try environment.read { transaction in
                let state = try state(transaction)
                let last = min(applied, state.sequence)
                if let position, try continues(from: position, last, state, transaction) {
                    let dating = EntryDating(after: position)
                    return try entries(from: position, dating, through: last, now, byteLimit, transaction)
                }
                var answer: ArchivedEntries
                if state.firstLogged <= last {
                    let entry = try tables.logEntry(state.firstLogged, transaction)
                    var dating = EntryDating(undatedFrom: entry.epoch)
                    dating.add(entry)
                    let start = ArchivePosition(
                        sequence: entry.sequence,
                        epoch: entry.epoch,
                        chain: entry.chain,
                        time: now
                    )
                    answer = try entries(from: start, dating, through: last, now, byteLimit, transaction)
                } else {
                    let entry: LogEntry? = last == state.sequence ? nil : try tables.logEntry(last, transaction)
                    let start = ArchivePosition(
                        sequence: last,
                        epoch: entry?.epoch ?? state.epoch,
                        chain: entry?.chain ?? state.chain,
                        time: now
                    )
                    answer = try entries(
                        from: start,
                        EntryDating(after: start),
                        through: last,
                        now,
                        byteLimit,
                        transaction
                    )
                }
                answer.continues = false
                return answer
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Whether the log goes on behind a place that an archive has reached.
    private func continues(
        from position: ArchivePosition,
        _ last: UInt64,
        _ state: PartitionState,
        _ transaction: borrowing ReadTransaction
    ) throws -> Bool {
        if position.sequence == state.sequence { return position.chain == state.chain }
        // A place from outside may be behind everything: nothing is added to it before it is known not to be.
        guard position.sequence <= state.lastLogged.sequence, position.sequence < .max,
            position.sequence + 1 >= state.firstLogged
        else { return false }
        // A new primary has every entry that was committed, and may have yet to apply some.
        if position.sequence > last {
            return try tables.logEntry(position.sequence, transaction).chain == position.chain
        }
        return try tables.logEntry(position.sequence + 1, transaction).continues(position.chain)
    }

    /// - Parameter dating: has the entries behind which the first one comes; those that it was given are not in the
    ///   answer, the last of them is `start`.
    private func entries(
        from start: ArchivePosition,
        _ dating: EntryDating,
        through last: UInt64,
        _ now: Timestamp,
        _ byteLimit: Int,
        _ transaction: borrowing ReadTransaction
    ) throws -> ArchivedEntries {
        var (start, dating) = (start, dating)
        var archived: [ArchivedEntry] = []
        var end = start
        var byteCount = 0
        var next = start.sequence + 1
        while next <= last, archived.count < ArchivedEntries.entryLimit {
            let entry = try tables.logEntry(next, transaction)
            byteCount += entry.byteCount
            if !archived.isEmpty, byteCount > byteLimit { break }
            guard entry.continues(end.chain) else {
                throw PartitionStoreError.contradiction(
                    table: "log",
                    key: next,
                    reason: "it does not continue the entry before"
                )
            }
            archived.append(
                ArchivedEntry(time: start.time, effect: try effect(of: entry, transaction), bytes: entry.encoded())
            )
            dating.add(entry)
            (end.sequence, end.epoch, end.chain) = (entry.sequence, entry.epoch, entry.chain)
            next += 1
        }
        let times = dating.times(until: now)
        for (index, time) in times.suffix(archived.count).enumerated() { archived[index].time = time }
        // Where it begins anew. What follows a page that ends where nothing tells the time would look younger than it
        // is, so no moment before now is promised then.
        if times.count > archived.count { start.time = next <= last && dating.endsUndated ? now : times[0] }
        end.time = archived.last?.time ?? start.time
        return ArchivedEntries(
            start: start,
            continues: true,
            entries: archived,
            end: end,
            until: nil,
            remainingCount: last > end.sequence ? last - end.sequence : 0,
            remainingByteCount: 0
        )
    }

    /// Whether an entry that is applied did what it says: not when the receipt under its key is of an earlier one, nor
    /// when it brings faces of a backup behind the last.
    private func effect(
        of entry: LogEntry,
        _ transaction: borrowing ReadTransaction
    ) throws -> ArchivedEntry.Effect {
        switch entry.operation {
        case .beginEpoch, .expire: return .applied
        case .restore:
            guard let end = try restorationEnd(transaction) else { return .applied }
            return end.sequence < entry.sequence ? .repeated : .applied
        case .enrol, .delete:
            guard let receipt = try tables.receipt(of: entry.key, transaction) else { return .unknown }
            return receipt.sequence < entry.sequence ? .repeated : .applied
        }
    }

    /// Whether the newest entries of the log, up to so many bytes of them, have a mark of time: then somebody archives
    /// it, or did a while ago.
    package func hasRecentTimeMark(byteLimit: Int) throws(PartitionError) -> Bool {
        do {
            return try environment.read { transaction in
                let state = try state(transaction)
                var byteCount = 0
                var next = state.lastLogged.sequence
                while next >= state.firstLogged, next > 0, byteCount < byteLimit {
                    let entry = try tables.logEntry(next, transaction)
                    if entry.operation.isTimeMark { return true }
                    byteCount += entry.byteCount
                    next -= 1
                }
                return false
            }
        } catch {
            throw PartitionError(error)
        }
    }
}

extension LogOperation {
    /// An entry that removes nothing, and tells when the entries behind it were ordered.
    package var isTimeMark: Bool {
        if case .expire(_, let faces) = self { faces.isEmpty } else { false }
    }
}

extension WriteBatch.Operation {
    /// The mark of time that a primary puts before what it orders; see ``EntryDating``.
    package static func timeMark(_ time: Timestamp) -> WriteBatch.Operation { .expire(at: time, faces: []) }
}

/// When entries of a log were ordered, by the marks of time among them. Pure.
///
/// An entry has the time of the last mark before it, unless its primary has made none yet in its epoch: then it has
/// that of the next one, which is later than it was. Times never fall.
package struct EntryDating: Sendable {
    private var epoch: UInt64
    private var time: Timestamp
    private var isDated = true
    /// Nil for those that wait for the next mark.
    private var known: [Timestamp?] = []

    package init(after position: ArchivePosition) {
        epoch = position.epoch
        time = position.time
    }

    /// - Parameter epoch: of the first entry, and nothing tells when the one before was ordered.
    package init(undatedFrom epoch: UInt64) {
        self.epoch = epoch
        time = Timestamp(milliseconds: .min)
        isDated = false
    }

    package mutating func add(_ entry: LogEntry) {
        if entry.epoch != epoch {
            epoch = entry.epoch
            isDated = false
        }
        if case .expire(let moment, _) = entry.operation {
            time = max(time, moment)
            isDated = true
        }
        known.append(isDated ? time : nil)
    }

    /// Whether the last entry waits for the next mark.
    var endsUndated: Bool { !isDated }

    /// The times of all entries, in order.
    ///
    /// - Parameter end: a time by which all of them had been ordered.
    package func times(until end: Timestamp) -> [Timestamp] {
        var next = max(end, time)
        var times: [Timestamp] = []
        for time in known.reversed() {
            next = time ?? next
            times.append(next)
        }
        return times.reversed()
    }
}
