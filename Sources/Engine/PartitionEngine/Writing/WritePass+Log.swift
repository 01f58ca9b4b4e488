internal import LMDB
internal import PartitionStore

/// What a replica does with its log, in the transaction of what the entries change.
extension WritePass {
    /// Raises the promised epoch; a lower one changes nothing.
    mutating func promise(_ epoch: UInt64) {
        state.promisedEpoch = max(state.promisedEpoch, epoch)
    }

    /// Drops the entries behind a sequence. What is applied cannot be dropped.
    mutating func truncateLog(after sequence: UInt64, _ transaction: borrowing WriteTransaction) throws {
        guard sequence >= state.sequence else {
            throw PartitionError.logRefused(.truncatesApplied(after: sequence, applied: state.sequence))
        }
        guard sequence < state.lastLogged.sequence else { return }
        try transaction.removeAll(tables.log, in: .from(sequence + 1))
        try noteRemnants(transaction)
        var place = state.applied
        if sequence > state.sequence {
            let entry = try tables.logEntry(sequence, transaction.reading)
            place = PartitionState.LogPlace(sequence: sequence, epoch: entry.epoch, chain: entry.chain)
        }
        state.endLog(with: place)
    }

    /// Puts the next entry behind the last.
    mutating func appendToLog(_ entry: LogEntry, _ transaction: borrowing WriteTransaction) throws {
        let last = state.lastLogged
        guard entry.sequence == last.sequence + 1, entry.sequence < .max else {
            throw PartitionError.logRefused(.notNext(sequence: entry.sequence, last: last.sequence))
        }
        guard entry.continues(last.chain) else {
            throw PartitionError.logRefused(.chainBroken(sequence: entry.sequence))
        }
        let promised = max(state.promisedEpoch, state.epoch)
        guard entry.epoch >= last.epoch, entry.epoch <= promised else {
            throw PartitionError.logRefused(
                .epochOutOfOrder(epoch: entry.epoch, last: last.epoch, promised: promised)
            )
        }
        let value = entry.operation.bringsFaces ? tables.withOwnPages(entry.encoded()) : entry.encoded()
        try transaction.put(tables.log, key: entry.sequence, value: value, options: .append)
        state.endLog(with: PartitionState.LogPlace(sequence: entry.sequence, epoch: entry.epoch, chain: entry.chain))
    }

    /// Applies the next entries, through a sequence or the last there is.
    ///
    /// - Parameter appended: entries that this transaction has appended, which need not be read again; ascending.
    mutating func applyLog(
        through sequence: UInt64,
        appended: [LogEntry],
        _ transaction: borrowing WriteTransaction
    ) throws -> [AppliedEntry] {
        var applied: [AppliedEntry] = []
        while state.sequence < min(sequence, state.lastLogged.sequence) {
            let next = state.sequence + 1
            let entry: LogEntry
            if let first = appended.first, next >= first.sequence {
                entry = appended[Int(next - first.sequence)]
            } else {
                entry = try tables.logEntry(next, transaction.reading)
                guard entry.continues(state.chain) else {
                    throw PartitionStoreError.contradiction(
                        table: "log",
                        key: next,
                        reason: "it does not continue the entry before"
                    )
                }
            }
            applied.append(AppliedEntry(sequence: next, receipt: try apply(entry, transaction)))
        }
        return applied
    }

    /// Removes entries that are applied, through a sequence.
    mutating func forgetLog(through sequence: UInt64, _ transaction: borrowing WriteTransaction) throws {
        let end = min(sequence, state.sequence) + 1
        guard end > state.firstLogged else { return }
        try transaction.removeAll(tables.log, in: .from(state.firstLogged, before: end))
        state.firstLogged = end
    }

    /// Ends the log before a write that is in none: what is behind it would not continue it.
    mutating func leaveLog(_ transaction: borrowing WriteTransaction) throws {
        guard state.isLogged else { return }
        guard !state.hasUnapplied else {
            throw PartitionError.logRefused(
                .writeBeforeUnapplied(applied: state.sequence, last: state.lastLogged.sequence)
            )
        }
        try forgetLog(through: state.sequence, transaction)
        state.isLogged = false
    }
}
