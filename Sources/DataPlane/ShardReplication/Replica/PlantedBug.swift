/// Faults of the protocol that the simulator's tests plant, one at a time, to show that its checks find them.
///
/// A replica has none of them unless a test asks for one: see ``ReplicaStateMachine/init(node:log:timings:bug:)``.
package enum PlantedBug: String, CaseIterable, Sendable {
    /// Entries are applied as soon as they are in the log.
    case applyBeforeCommit
    /// A write is acknowledged when its primary alone has it.
    case acknowledgeAfterLocalWrite
    /// A write is acknowledged when it is committed, though a replica in sync has yet to apply it.
    case acknowledgeBeforeApplied
    /// A deletion does not wait until those that left the in-sync set have ceased to answer reads.
    case deleteWithoutQuarantine
    /// Entries of a primary that was superseded are taken.
    case noPromiseCheck
    /// A promise is kept in memory only.
    case promiseNotPersisted
    /// A replica replies before its disk has what it was sent.
    case replyBeforeSync
    /// After a restart a primary goes on in its old epoch.
    case resumeSameEpoch
    /// A lost proposal to take over is not made again.
    case noTakeOverRetry
    /// A silent replica counts no more as soon as its removal has been asked for.
    case shrinkBeforeAnswer
    /// A learner that is to join counts only when the metadata store says so.
    case growWithoutUnion
    /// A learner joins before it has applied what was acknowledged.
    case growBeforeApplied
    /// A learner joins without entries that were committed, and are not applied at the primary yet.
    case growBeforeCommitted
    /// Reads are answered without a lease.
    case readWithoutLease
    /// A lease runs from when it arrived.
    case leaseFromArrival
    /// A lease does not count how long ago the others confirmed the primary.
    case leaseWithoutConfirmation
    /// Replies to an earlier epoch's requests count.
    case countOldReplies
    /// A replica says that all of its log agrees, not only what was compared.
    case matchIsLast
    /// Entries that disagree with the primary's stay.
    case noTruncation
    /// A primary whose disk went back goes on.
    case leadWithoutItsEntries
    /// A replica whose disk went back answers reads before it has what it lacks.
    case readWithoutItsEntries
    /// A primary that begins anew answers reads once the others are silent, whatever the metadata store says.
    case readUnconfirmed
    /// A strong read rests on what the others had said before it was asked for.
    case confirmWithoutAsking
    /// A primary answers strong reads by what it has applied itself, though others may have shown more.
    case confirmApplied
    /// A primary answers strong reads before what its predecessors may have shown is committed.
    case confirmBeforeInherited
}
