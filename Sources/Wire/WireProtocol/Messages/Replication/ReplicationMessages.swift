package import ClusterModel

/// Primary → another replica of its shard: entries of the log, or none to say that it is there and what is committed.
///
/// Times are nanoseconds since a moment that only their sender knows; they come back unchanged.
package struct AppendEntries: Hashable, Sendable {
    /// Lets the receiver answer reads, when it is in sync.
    package struct Lease: Hashable, Sendable {
        /// The receiver's own clock, from an answer of its.
        package var echo: UInt64
        /// Time since the primary was confirmed by the others, when it sent this.
        package var confirmationAge: UInt64

        package init(echo: UInt64, confirmationAge: UInt64) {
            self.echo = echo
            self.confirmationAge = confirmationAge
        }
    }

    package var shard: ShardID
    package var sender: NodeID
    package var epoch: Epoch
    /// The entry before the first one sent.
    package var previousSequence: UInt64
    package var previousEpoch: Epoch
    /// Everything up to here is committed.
    package var committed: UInt64
    /// Clock of the sender.
    package var sent: UInt64
    package var lease: Lease?
    /// As they lie in the log (`docs/storage-format.md`): the receiver checks each.
    package var entries: [LogEntryBytes]
    /// Asks for the receiver's standing and changes nothing: the sender has begun anew.
    package var asks: Bool

    package init(
        shard: ShardID,
        sender: NodeID,
        epoch: Epoch,
        previousSequence: UInt64,
        previousEpoch: Epoch,
        committed: UInt64,
        sent: UInt64,
        lease: Lease?,
        entries: [LogEntryBytes],
        asks: Bool = false
    ) {
        self.asks = asks
        self.shard = shard
        self.sender = sender
        self.epoch = epoch
        self.previousSequence = previousSequence
        self.previousEpoch = previousEpoch
        self.committed = committed
        self.sent = sent
        self.lease = lease
        self.entries = entries
    }
}

package struct LogEntryBytes: Hashable, Sendable {
    package var bytes: [UInt8]

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }
}

/// Answer to ``AppendEntries``, once the disk has what was asked for.
package struct EntriesAppended: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        /// The log agrees with the primary's up to `matched`, durably, and is applied up to `applied`.
        case accepted(matched: UInt64, applied: UInt64)
        /// The log does not hold the entry before the first one sent; it may from `last` on.
        case mismatch(last: UInt64)
        /// A later primary has been promised obedience.
        case fenced(promised: Epoch)
        /// The primary lacks what is applied here, up to `applied`: its disk went back.
        case ahead(applied: UInt64)
        /// The answer to one that asks: the end of the log, and what of it is applied.
        case standing(lastSequence: UInt64, lastEpoch: Epoch, applied: UInt64)
    }

    /// Epoch of the request.
    package var epoch: Epoch
    package var outcome: Outcome
    /// From the request.
    package var sent: UInt64
    /// Clock of the replica that answers.
    package var replied: UInt64
    /// Version of the group that it goes by; 0 when it has heard of none.
    package var version: UInt64
    /// Its disk takes more than what is in the log already.
    package var hasRoom: Bool

    package init(epoch: Epoch, outcome: Outcome, sent: UInt64, replied: UInt64, version: UInt64, hasRoom: Bool) {
        self.hasRoom = hasRoom
        self.epoch = epoch
        self.outcome = outcome
        self.sent = sent
        self.replied = replied
        self.version = version
    }
}

/// Primary → another replica that needs more than the log has: a copy of its partition that it could send, or go on
/// sending. Changes nothing.
package struct OfferCopy: Hashable, Sendable {
    package var shard: ShardID
    package var sender: NodeID
    package var epoch: Epoch
    /// As in ``PartitionSlice/copy``.
    package var copy: UInt64
    /// The copy is applied up to here, or will be at least when it is not made yet.
    package var sequence: UInt64
    /// About, when the copy is not made yet.
    package var totalByteCount: UInt64

    package init(
        shard: ShardID,
        sender: NodeID,
        epoch: Epoch,
        copy: UInt64,
        sequence: UInt64,
        totalByteCount: UInt64
    ) {
        self.shard = shard
        self.sender = sender
        self.epoch = epoch
        self.copy = copy
        self.sequence = sequence
        self.totalByteCount = totalByteCount
    }
}

/// Answer to ``OfferCopy``, unless there is no room for it.
package struct CopyStanding: Hashable, Sendable {
    /// What has come of the copy, from its beginning: the next slice is to begin there. Nil when the replica takes no
    /// such copy now.
    package var receivedByteCount: UInt64?

    package init(receivedByteCount: UInt64?) {
        self.receivedByteCount = receivedByteCount
    }
}

/// Primary → another replica that needs more than the log has: a slice of a copy of its partition, in order. The
/// answer to the last one says that the copy has taken the place of what was there.
package struct PartitionSlice: Hashable, Sendable {
    package static let byteLimit = 4 << 20

    package var shard: ShardID
    package var sender: NodeID
    package var epoch: Epoch
    /// Tells the slices of one copy from those of another.
    package var copy: UInt64
    /// The copy is applied up to here.
    package var sequence: UInt64
    package var totalByteCount: UInt64
    package var offset: UInt64
    package var bytes: [UInt8]
    /// SHA-256 of the whole copy, with its last slice; nil with the others, and from a peer that sends none.
    package var digest: [UInt8]?

    package init(
        shard: ShardID,
        sender: NodeID,
        epoch: Epoch,
        copy: UInt64,
        sequence: UInt64,
        totalByteCount: UInt64,
        offset: UInt64,
        bytes: [UInt8],
        digest: [UInt8]? = nil
    ) {
        self.shard = shard
        self.sender = sender
        self.epoch = epoch
        self.copy = copy
        self.sequence = sequence
        self.totalByteCount = totalByteCount
        self.offset = offset
        self.bytes = bytes
        self.digest = digest
    }
}
