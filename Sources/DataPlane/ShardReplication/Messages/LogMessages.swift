package import ClusterModel

/// One write in the log of a shard. Two entries of one epoch and sequence are the same entry.
package struct LogItem<Payload: Sendable>: Sendable {
    package let sequence: UInt64
    /// Epoch of the primary that ordered it.
    package let epoch: Epoch
    package let payload: Payload
    /// Of the payload, as far as limits are concerned.
    package let byteCount: Int

    package init(sequence: UInt64, epoch: Epoch, payload: Payload, byteCount: Int) {
        self.sequence = sequence
        self.epoch = epoch
        self.payload = payload
        self.byteCount = byteCount
    }
}

/// Where a log is: a sequence and the epoch of the entry there. Logs that share a position are equal up to it.
package struct LogPosition: Hashable, Sendable {
    package var sequence: UInt64
    package var epoch: Epoch

    package init(sequence: UInt64, epoch: Epoch) {
        self.sequence = sequence
        self.epoch = epoch
    }

    package static let start = LogPosition(sequence: 0, epoch: Epoch(0))

    /// Whether a log that ends here may hold committed entries that one which ends at `other` lacks: of two logs the
    /// one that was written to in the later epoch has all of them, and of one epoch the longer.
    func mayHoldMore(than other: LogPosition) -> Bool { (epoch, sequence) > (other.epoch, other.sequence) }
}

/// What the primary sends to the others: entries, or none to say that it is there and what is committed.
package struct AppendRequest<Payload: Sendable>: Sendable {
    package var epoch: Epoch
    /// The entry before the first one sent.
    package var previous: LogPosition
    package var entries: [LogItem<Payload>]
    /// Everything up to here is committed.
    package var committed: UInt64
    /// Clock of the primary when it sent this; comes back with the reply.
    package var sent: Duration
    /// Lets the receiver answer reads, when it is in sync.
    package var lease: Lease?
    /// Asks for the receiver's standing, and changes nothing but its promise: the sender has begun anew, and does not
    /// know whether its disk holds all that it had acknowledged.
    package var asks = false

    /// The primary was confirmed by all replicas in sync `confirmationAge` before it sent this, after the receiver's
    /// clock had shown `echo`.
    package struct Lease: Hashable, Sendable {
        package var echo: Duration
        package var confirmationAge: Duration

        package init(echo: Duration, confirmationAge: Duration) {
            self.echo = echo
            self.confirmationAge = confirmationAge
        }
    }

    package init(
        epoch: Epoch,
        previous: LogPosition,
        entries: [LogItem<Payload>],
        committed: UInt64,
        sent: Duration,
        lease: Lease?,
        asks: Bool = false
    ) {
        self.asks = asks
        self.epoch = epoch
        self.previous = previous
        self.entries = entries
        self.committed = committed
        self.sent = sent
        self.lease = lease
    }
}

/// What a replica answers once its disk has what was asked for.
package struct AppendReply: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        /// The log agrees with the primary's up to `matched`, durably, and is applied up to `applied`.
        case accepted(matched: UInt64, applied: UInt64)
        /// The log does not hold the entry before the first one sent; it may from `last` on.
        case mismatch(last: UInt64)
        /// A later primary has been promised obedience.
        case fenced(promised: Epoch)
        /// The primary lacks what is applied here, up to `applied`, and therefore committed: its disk went back.
        case ahead(applied: UInt64)
        /// The answer to one that asks: the end of the log, and what of it is applied.
        case standing(last: LogPosition, applied: UInt64)
    }

    /// Epoch of the request.
    package var epoch: Epoch
    package var outcome: Outcome
    /// From the request.
    package var sent: Duration
    /// Clock of the replica when it replied; comes back with a lease.
    package var replied: Duration
    /// Version of the group that the replica goes by; 0 when it has heard of none.
    package var version: UInt64
    /// The replica's disk takes more than what is in the log already.
    package var hasRoom: Bool

    package init(
        epoch: Epoch,
        outcome: Outcome,
        sent: Duration,
        replied: Duration,
        version: UInt64,
        hasRoom: Bool = true
    ) {
        self.hasRoom = hasRoom
        self.epoch = epoch
        self.outcome = outcome
        self.sent = sent
        self.replied = replied
        self.version = version
    }
}

extension AppendReply.Outcome {
    /// What is applied at the replica, where it says so.
    var applied: UInt64? {
        switch self {
        case .accepted(_, let applied), .ahead(let applied), .standing(_, let applied): applied
        case .mismatch, .fenced: nil
        }
    }

    var isAhead: Bool { if case .ahead = self { true } else { false } }
}

package enum ReplicaMessage<Payload: Sendable>: Sendable {
    case append(AppendRequest<Payload>)
    case reply(AppendReply)
}
