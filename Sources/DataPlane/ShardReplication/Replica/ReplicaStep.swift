package import ClusterModel

/// One transaction of a replica's disk: everything in it becomes durable at once, or nothing.
package struct LogStep<Payload: Sendable>: Sendable {
    /// Never obey a primary of a lower epoch from now on.
    package var promise: Epoch?
    /// Drop the entries behind this one; none of them is applied.
    package var truncateAfter: UInt64?
    /// To be appended, without a gap.
    package var append: [LogItem<Payload>] = []
    /// Apply the entries up to this one.
    package var applyThrough: UInt64

    package var isEmpty: Bool { promise == nil && truncateAfter == nil && append.isEmpty }
}

/// What a replica's disk holds; what a replica starts from.
package struct DurableLog: Hashable, Sendable {
    package var promised: Epoch
    package var applied: LogPosition
    /// Entries behind `applied`, in order.
    package var unapplied: [LogPosition]

    package init(promised: Epoch, applied: LogPosition, unapplied: [LogPosition]) {
        precondition(
            zip(unapplied, (applied.sequence + 1)...).allSatisfy { $0.sequence == $1 },
            "a log has no gaps"
        )
        self.promised = promised
        self.applied = applied
        self.unapplied = unapplied
    }

    package static let empty = DurableLog(promised: Epoch(0), applied: .start, unapplied: [])
}

/// What its driver has to do for a replica.
package enum ReplicaAction<Payload: Sendable>: Sendable {
    case send(ReplicaMessage<Payload>, to: NodeID)
    /// Read entries from `first` on, at most up to the last applied one, and hand them to
    /// ``ReplicaStateMachine/loaded(_:previous:for:in:now:)``; when they are no longer there, the replica needs a copy.
    case load(first: UInt64, for: NodeID, in: Epoch)
    /// Bring the replica a copy of this partition as it is now, unless one is on its way.
    case copy(to: NodeID)
    /// Ask the metadata store. The answer comes as a group, or not at all.
    case propose(GroupProposal)
    /// The write is durable on all replicas in sync and visible on them.
    case acknowledge(WriteTicket, sequence: UInt64)
    /// The write may or may not come to be: another primary decides.
    case abandon(WriteTicket)
    /// A disk holds less than it had acknowledged.
    case tell(DiskLoss)
}

/// A replica whose disk is an earlier state of itself: that of a snapshot, say.
package enum DiskLoss: Hashable, Sendable {
    /// This one's, which ends at `last`: `witness` has applied what it lacks. It leads no more.
    case own(witness: NodeID, applied: UInt64, last: UInt64)
    /// That of another, which had entries up to `acknowledged` and may have them up to `last`. It counts for nothing
    /// until it has them again.
    case other(NodeID, acknowledged: UInt64, last: UInt64)
}

/// Names a write that this replica was asked for, while it is under way.
package struct WriteTicket: Hashable, Comparable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) {
        self.number = number
    }

    package static func < (left: WriteTicket, right: WriteTicket) -> Bool { left.number < right.number }
}

/// Why a write was not taken; nothing of it was done.
package enum WriteRefusal: Error, Hashable, Sendable {
    /// Another replica orders writes, or none does at the moment.
    case notPrimary
    /// A replica that has to take part does not answer, and too few are left without it.
    case tooFewInSync(inSync: Int, minimum: Int)
}

/// How long a replica waits for what.
package struct ReplicationTimings: Hashable, Sendable {
    /// The primary is heard of at least this often.
    package var heartbeat: Duration
    /// What was not answered for so long is sent again.
    package var resend: Duration
    /// A replica silent for so long is to leave the in-sync set.
    package var silence: Duration
    /// A proposal that nothing came of is made again.
    package var proposal: Duration
    /// Reads are answered for so long after the last confirmation: what they may miss is younger than this.
    package var staleness: Duration
    /// A primary that has begun anew waits so long for the word of others in sync before it says who is.
    package var patience: Duration
    /// Most that clocks may disagree about a span of time, as a share of it.
    package var clockError: Double

    package init(
        heartbeat: Duration = .milliseconds(200),
        resend: Duration = .milliseconds(500),
        silence: Duration = .milliseconds(1500),
        proposal: Duration = .milliseconds(500),
        staleness: Duration = .seconds(2),
        patience: Duration = .seconds(30),
        clockError: Double = 0.01
    ) {
        self.heartbeat = heartbeat
        self.resend = resend
        self.silence = silence
        self.proposal = proposal
        self.staleness = staleness
        self.patience = patience
        self.clockError = clockError
    }
}

/// How far a write is of which its primary has the receipt.
package enum WriteStanding: Hashable, Sendable {
    /// As if it had just been acknowledged: whoever may answer reads has applied it.
    case settled
    /// Ordered in this epoch, so a moment ago, and others have yet to apply it.
    case underWay
    /// Applied before this epoch, and nothing is known of the others yet; or this replica does not lead.
    case unknown
}
