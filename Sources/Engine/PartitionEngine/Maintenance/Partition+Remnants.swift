internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization

/// What a step of erasing remnants has come to.
package enum ErasingStep: Hashable, Sendable {
    /// Nothing is to be erased yet.
    case idle
    /// Something was done, and another step is worth while.
    case advanced
    /// Entries of the log through this sequence have to be forgotten first, which the partition does not do by itself.
    case needsLogForgotten(through: UInt64, isPressing: Bool)
    /// Something has to end first: a read that began before, or the want of room on the disk.
    case waits
}

/// A round of erasing that is under way. It lies in memory: one that is cut short begins anew, with what is dead by
/// then.
struct ErasingRound: Sendable {
    enum Stage: Sendable {
        /// Readers that may have a dead row for a live one have to end: those of commits before this one.
        case readers(commit: UInt64)
        /// Dead rows are overwritten, from this chunk on.
        case chunks(next: UInt32)
        /// Runs are written again without their dead rows.
        case codes
        case log
        /// Nothing that is in use holds a remnant; what commits through this one freed may.
        case pages(commit: UInt64, next: Int)
    }

    /// Last write whose remnants go.
    let sequence: UInt64
    /// Of the oldest remnant that may be in the log, when it began; nil when there was none.
    let oldestLogged: RemnantRecord.Moment?
    /// Dead rows of the unfinished chunk, when it began: readers of later commits may have others for live ones.
    let deadTailRows: [UInt32]
    var stage: Stage
    /// Runs that had dead rows when it began.
    var spoiltRuns: Set<UInt32> = []
    /// Some of them go only once their rows have been coded again.
    var leavesCodes = false
}

/// What a round has left that took everything else away: codes of an older codebook, which ``Partition/recode()`` does
/// away with, however long that is put off. In memory, as the round was.
struct LeftCodes: Sendable {
    /// Last write whose remnants went, but for those codes.
    let sequence: UInt64
    /// When the round ended.
    let moment: RemnantRecord.Moment
}

/// The bytes of embeddings that belong to no face any more, and how they leave the file within
/// ``PartitionOptions/erasurePeriod``: dead rows of chunks and of the unfinished chunk, codes of dead rows, entries of
/// the log, and after them everything that is left in free pages.
extension Partition {
    /// Does one bounded step of erasing what deleted, replaced and expired faces have left, when its time has come.
    ///
    /// Each step is durable by itself, and a crash loses none of what it did; the round begins anew after one. Call
    /// from the write lane only.
    ///
    /// - Parameter isAtOnce: begins a round if there is any remnant.
    package func eraseRemnants(isAtOnce: Bool = false) throws(PartitionError) -> ErasingStep {
        do {
            guard var round = erasingRound.withLock({ $0 }) else { return try beginRound(isAtOnce: isAtOnce) }
            let step = try advance(&round)
            let isDone = if case .pages(_, next: .max) = round.stage { true } else { false }
            erasingRound.withLock { $0 = isDone ? nil : round }
            return step
        } catch {
            throw PartitionError(error)
        }
    }

    /// How long ago the oldest face went of which bytes may be in the file; nil when there is none.
    package func remnantAge() throws(PartitionError) -> Duration? {
        do {
            return try environment.read { transaction in
                guard let record = try remnants(transaction) else { return .zero }
                return record.oldestOfAll.map { age(of: $0) }
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// nil in a partition of an earlier format that has not noted anything: it may have remnants.
    func remnants(_ transaction: borrowing ReadTransaction) throws -> RemnantRecord? {
        try unsafe transaction.value(of: tables.meta, key: MetaKey.remnants).map {
            try unsafe RemnantRecord(bytes: $0)
        }
    }

    var moment: RemnantRecord.Moment { RemnantRecord.Moment(time: time, wallTime: options.wallClock()) }

    /// By the clock that says more.
    private func age(of moment: RemnantRecord.Moment) -> Duration {
        let now = self.moment
        let own = Duration.milliseconds(now.time - min(moment.time, now.time))
        return max(own, .milliseconds(now.wallTime.milliseconds) - .milliseconds(moment.wallTime.milliseconds))
    }

    private var schedule: ErasureSchedule { ErasureSchedule(period: options.erasurePeriod) }

    private func change(_ change: (inout RemnantRecord) -> Void) throws -> PartitionState {
        try environment.write { transaction in
            var record = try remnants(transaction.reading) ?? RemnantRecord()
            change(&record)
            try transaction.put(tables.meta, key: MetaKey.remnants, value: record.encoded())
            return try state(transaction.reading)
        }
    }

    private func beginRound(isAtOnce: Bool) throws -> ErasingStep {
        let record = try environment.read { try remnants($0) }
        guard let record else {
            _ = try change { _ = $0.note(moment) }
            return .advanced
        }
        guard let oldest = record.oldestOfAll else { return .idle }
        let left = leftCodes.withLock { $0 }
        guard isAtOnce || isDue(record, oldest: oldest, left) else { return .idle }
        let state = try change { $0.beginRound() }
        // What they have written may have codes of rows that are dead by now; it is removed.
        merges.withLock { $0 = [:] }
        let (commit, deadTailRows) = try environment.read { reading -> (UInt64, [UInt32]) in
            (reading.number, try self.deadTailRows(reading))
        }
        // The log has none of what a round has taken from it, and nobody is pressed to let go of the rest.
        let round = ErasingRound(
            sequence: record.oldest == nil ? left?.sequence ?? state.sequence : state.sequence,
            oldestLogged: left == nil ? oldest : record.oldest,
            deadTailRows: deadTailRows,
            stage: .readers(commit: commit)
        )
        erasingRound.withLock { $0 = round }
        leftCodes.withLock { $0 = nil }
        return .advanced
    }

    /// Whether a round begins by itself: at once when one was cut short. Behind one that has left codes of an older
    /// codebook it begins when that codebook is gone, and for other remnants when their time has come; and after a
    /// third of the period, since some of those codes may be gone by then.
    private func isDue(_ record: RemnantRecord, oldest: RemnantRecord.Moment, _ left: LeftCodes?) -> Bool {
        guard let left else { return record.oldestOfRound != nil || schedule.beginsRound(atAge: age(of: oldest)) }
        if codebooks.withLock({ $0.older == nil }) { return true }
        let waiting = [left.moment] + (record.oldest.map { [$0] } ?? [])
        return waiting.contains { schedule.beginsRound(atAge: age(of: $0)) }
    }

    private func advance(_ round: inout ErasingRound) throws -> ErasingStep {
        switch round.stage {
        case .readers(let commit):
            if try environment.hasReaders(before: commit) { return .waits }
            round.spoiltRuns = try spoiltRuns()
            try overwriteTailRows(round.deadTailRows)
            round.stage = .chunks(next: 0)
        case .chunks(let next):
            round.stage = try overwriteDeadRows(from: next).map { .chunks(next: $0) } ?? .codes
        case .codes:
            let (left, isLeftToRecode) = try environment.read { reading -> (Set<UInt32>, Bool) in
                let loose = try looseRuns(reading).runs
                let left = try round.spoiltRuns.filter { run in
                    try loose.contains(run) || reading.contains(tables.runs, key: run)
                }
                return try (left, left.isSubset(of: runsToRecode(reading)))
            }
            if isLeftToRecode {
                // Nothing else waits for them: neither the log, nor free pages, nor what is deleted from now on.
                round.leavesCodes = !left.isEmpty
                round.stage = .log
            } else if try !removeLooseRuns() {
                let codebook = codebooks.withLock { $0.newest }
                guard let codebook, try mergeRuns(codebook, forced: left) else { return .waits }
            }
        case .log:
            guard try isLogClear(through: round.sequence) else {
                let isPressing = round.oldestLogged.map { schedule.isPressing(atAge: age(of: $0)) } ?? false
                return .needsLogForgotten(through: round.sequence, isPressing: isPressing)
            }
            let commit = try environment.lastCommit()
            // A commit more, so that pages freed by that one may be written to.
            _ = try change { _ in }
            round.stage = .pages(commit: commit, next: 0)
        case .pages(let commit, let next):
            guard let sweep = try overwriteFreePages(from: next, freedThrough: commit) else { return .waits }
            if sweep.nextPage == nil { try end(round) }
            round.stage = .pages(commit: commit, next: sweep.nextPage ?? .max)
        }
        return .advanced
    }

    /// Nil while a reader keeps some of them, or the disk has no room for zeros where the file has none yet. That is no
    /// harm to the file, unless it is the sync that fails.
    private func overwriteFreePages(from first: Int, freedThrough commit: UInt64) throws(LMDBError) -> FreePageSweep? {
        do throws(LMDBError) {
            return try environment.overwriteFreePages(
                from: first,
                count: max(1, options.freePageLimit),
                freedThrough: commit
            )
        } catch {
            guard case .noSpace = error, environment.fenceCause == nil else { throw error }
            return nil
        }
    }

    /// What has been left keeps its time: it is told how old it is until it is gone.
    private func end(_ round: ErasingRound) throws {
        guard round.leavesCodes else {
            _ = try change { $0.endRound() }
            return
        }
        let left = LeftCodes(sequence: round.sequence, moment: moment)
        leftCodes.withLock { $0 = left }
    }

    /// Runs that ``recode()`` does away with: those of an older codebook, and what it has coded of them.
    private func runsToRecode(_ reading: borrowing ReadTransaction) throws -> Set<UInt32> {
        guard let older = codebooks.withLock({ $0.older?.generation }) else { return [] }
        let runs = try snapshot(reading).runs(ofGeneration: older).map(\.manifest.run)
        return Set(runs).union(try recoding(reading)?.pendingRuns ?? [])
    }

    /// Runs that have codes of dead rows, those that no search scans among them.
    private func spoiltRuns() throws -> Set<UInt32> {
        // A merge that began with the round copies nothing of what was dead by then.
        let underWay = merges.withLock { $0.values.map(\.run) }
        return try environment.read { reading in
            let state = try state(reading)
            let tombstones = try tombstones(reading, rowCount: state.nextRow)
            var runs = Set(try looseRuns(reading).runs).subtracting(underWay)
            try unsafe reading.forEach(in: tables.runs) { entry in
                guard let run = unsafe entry.uint32Key else {
                    throw PartitionStoreError.malformed(table: "runs", reason: "a key that is no run")
                }
                let manifest = try unsafe manifest(entry.value, of: run, state)
                let liveCount = tombstones.liveCount(in: manifest.firstRow..<manifest.endRow)
                if liveCount < Int(manifest.rowCount) { runs.insert(run) }
                return .next
            }
            return runs
        }
    }

    /// Whether the log has no embeddings through a sequence.
    private func isLogClear(through sequence: UInt64) throws -> Bool {
        try environment.read { reading in
            let state = try state(reading)
            guard state.firstLogged <= min(sequence, state.lastLogged.sequence) else { return true }
            // The last entry that is applied stays until there is another.
            guard state.firstLogged == sequence else { return false }
            return try !tables.logEntry(sequence, reading).operation.bringsFaces
        }
    }
}
