import ClusterModel

/// The positions of a log from the last one applied durably to its end, those not yet on disk among them.
struct LogTail: Sendable {
    /// The last entry applied durably: it is committed, so every log that reaches it agrees up to it.
    private(set) var base: LogPosition
    /// Epochs of the entries behind the base.
    private var epochs: ArraySlice<Epoch>

    init(_ log: DurableLog) {
        base = log.applied
        epochs = log.unapplied.map(\.epoch)[...]
    }

    var last: LogPosition {
        LogPosition(sequence: base.sequence + UInt64(epochs.count), epoch: epochs.last ?? base.epoch)
    }

    /// Epoch of the entry at a sequence; nil before the base and behind the end.
    func epoch(at sequence: UInt64) -> Epoch? {
        if sequence == base.sequence { return base.epoch }
        guard sequence > base.sequence, sequence <= last.sequence else { return nil }
        return epochs[epochs.startIndex + Int(sequence - base.sequence) - 1]
    }

    mutating func append(_ epoch: Epoch) { epochs.append(epoch) }

    mutating func truncate(after sequence: UInt64) {
        precondition(sequence >= base.sequence, "what is applied stays")
        epochs.removeLast(Int(last.sequence - min(sequence, last.sequence)))
    }

    /// Everything up to here is applied durably.
    mutating func applied(through sequence: UInt64) {
        guard sequence > base.sequence, let epoch = epoch(at: sequence) else { return }
        epochs.removeFirst(Int(sequence - base.sequence))
        base = LogPosition(sequence: sequence, epoch: epoch)
    }
}
