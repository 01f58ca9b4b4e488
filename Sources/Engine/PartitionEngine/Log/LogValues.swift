package import PartitionStore

/// What one step of a replica does with its log and its tables, in this order and in one commit.
///
/// A transaction that changes nothing makes the partition a replica's all the same; see ``Partition/commit(_:)``.
package struct LogTransaction: Sendable {
    /// Epoch below which nothing is acknowledged from now on. Never lowers what was promised before.
    package var promise: UInt64?
    /// Drops the entries behind this sequence; refused when any of them is applied.
    package var truncateAfter: UInt64?
    /// Entries that continue the log: the next sequence, the chain, no falling epoch and none above the promise.
    package var append: [LogEntry]
    /// Applies the entries through this sequence, at most the last.
    package var applyThrough: UInt64
    /// Removes entries through this sequence, at most the last one applied.
    package var forgetThrough: UInt64?

    package init(
        promise: UInt64? = nil,
        truncateAfter: UInt64? = nil,
        append: [LogEntry] = [],
        applyThrough: UInt64 = 0,
        forgetThrough: UInt64? = nil
    ) {
        self.promise = promise
        self.truncateAfter = truncateAfter
        self.append = append
        self.applyThrough = applyThrough
        self.forgetThrough = forgetThrough
    }
}

/// Where a partition's log stands. All of it is durable.
package struct LogExtent: Hashable, Sendable {
    /// At least the epoch of every entry and write.
    package var promisedEpoch: UInt64
    /// Last entry, applied or not; the last write when there are none.
    package var lastSequence: UInt64
    package var lastEpoch: UInt64
    package var lastChain: UInt64
    /// What searches see.
    package var appliedSequence: UInt64
    /// Of the last entry applied, or the last write, which need not be in the log any more.
    package var appliedEpoch: UInt64
    /// First entry that ``Partition/logEntries(from:byteLimit:)`` can give; `lastSequence + 1` when there is none.
    package var firstLogged: UInt64

    init(_ state: PartitionState) {
        promisedEpoch = max(state.promisedEpoch, state.epoch)
        lastSequence = state.lastLogged.sequence
        lastEpoch = state.lastLogged.epoch
        lastChain = state.lastLogged.chain
        appliedSequence = state.applied.sequence
        appliedEpoch = state.applied.epoch
        firstLogged = state.firstLogged
    }
}

/// One entry that a transaction applied.
package struct AppliedEntry: Hashable, Sendable {
    package var sequence: UInt64
    /// That of the first entry with its key: its own sequence may be lower.
    package var receipt: WriteReceipt
}

/// What a ``LogTransaction`` led to.
@dynamicMemberLookup
package struct LogOutcome: Hashable, Sendable {
    package var extent: LogExtent
    /// Ascending.
    package var applied: [AppliedEntry]

    package subscript<Value>(dynamicMember member: KeyPath<LogExtent, Value>) -> Value { extent[keyPath: member] }
}

/// Why a transaction of the log was refused: a replica asked for what its log does not allow. Nothing was changed.
package enum LogRefusal: Hashable, Sendable {
    case truncatesApplied(after: UInt64, applied: UInt64)
    case notNext(sequence: UInt64, last: UInt64)
    /// The entry does not continue the one before it.
    case chainBroken(sequence: UInt64)
    case epochOutOfOrder(epoch: UInt64, last: UInt64, promised: UInt64)
    /// A write outside the log while entries of it wait.
    case writeBeforeUnapplied(applied: UInt64, last: UInt64)
    /// A write outside the log in an epoch below the one promised.
    case writeBelowPromise(epoch: UInt64, promised: UInt64)
    /// Entries that the log has no more, or not yet.
    case notInLog(sequence: UInt64, first: UInt64, last: UInt64)
}

extension LogRefusal: CustomStringConvertible {
    package var description: String {
        switch self {
        case .truncatesApplied(let after, let applied):
            "the log cannot be cut after \(after): entries through \(applied) are applied"
        case .notNext(let sequence, let last): "entry \(sequence) cannot follow entry \(last)"
        case .chainBroken(let sequence): "entry \(sequence) does not continue this log"
        case .epochOutOfOrder(let epoch, let last, let promised):
            "an entry of epoch \(epoch) cannot follow one of epoch \(last) where \(promised) is promised"
        case .writeBeforeUnapplied(let applied, let last):
            "entries \(applied + 1) to \(last) wait to be applied; a write outside the log would overtake them"
        case .writeBelowPromise(let epoch, let promised):
            "a write of epoch \(epoch) came after epoch \(promised) was promised"
        case .notInLog(let sequence, let first, let last):
            "entry \(sequence) is not in the log, which has \(first) to \(last)"
        }
    }
}
