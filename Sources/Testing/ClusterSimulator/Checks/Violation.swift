/// A promise that a run broke.
package struct Violation: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Promise: String, CaseIterable, Sendable {
        /// Two replicas applied different entries at one sequence.
        case oneLog
        /// A write that was acknowledged is not there.
        case durability
        /// A write that was refused is there.
        case rejection
        /// A face of a write was written under two keys, a shard was told that a write is new which it had been sent
        /// before, or it refused one that came again as another write.
        case keys
        /// A read missed what it had to show.
        case freshness
        /// A read showed what had been deleted before it began.
        case deletion
        /// A read with a token missed its write.
        case readYourWrites
        /// A strong read missed what was acknowledged before it was asked for.
        case strongReads
        /// A search said that its answer covers what it does not.
        case coverage
        /// A replica's faces are not those that its log makes.
        case equality
        /// Two primaries acknowledged writes in one epoch.
        case onePrimary
        /// A replica began without a promise that it had answered under, though its disk was not lost or put back.
        case memory
        /// The in-sync set was smaller than its minimum.
        case minimum
        /// Places on the ring have no owner, or several.
        case oneOwner
        /// A shard has no replica in sync that has every acknowledged write.
        case fullReplica
        /// An operation that was taken back did not leave things as they were.
        case former
        /// What an operator had pinned was moved, or pinned while it moved.
        case pins
        /// The healed cluster did not become whole.
        case liveness
    }

    package let promise: Promise
    /// Simulated time.
    package let time: Duration
    package let details: String

    package var description: String { "\(promise.rawValue) at \(time): \(details)" }
}
