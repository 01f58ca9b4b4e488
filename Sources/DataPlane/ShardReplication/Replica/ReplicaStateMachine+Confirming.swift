import ClusterModel

/// What a strong read rests on: a place in the log behind everything that was acknowledged, or seen by a read, before
/// it was asked for.
extension ReplicaStateMachine {
    /// The last entry committed, once it is certain that it is not before any that was acknowledged or seen before
    /// `asked`, under this primary or another; nil while that is not known.
    ///
    /// Every replica in sync has obeyed this primary since `asked`, and knew of no newer record. Whoever leads after it
    /// is one of them, and obeys nobody else once it leads: so nobody else can have acknowledged anything by then. What
    /// predecessors committed is in the log that this one began to lead with, and may have been seen: all of that has
    /// to be committed here first. What is committed now may be applied, and seen, at another replica before.
    /// - Parameter asked: of this replica's clock.
    /// - SeeAlso: Ongaro, "Consensus: Bridging Theory and Practice" (2014), section 6.4, where it is the read index.
    package func confirmedPosition(since asked: Duration) -> UInt64? {
        guard role == .primary, let group, !group.isFrozen, isWhole else { return nil }
        guard committed >= inherited || bug == .confirmBeforeInherited else { return nil }
        for member in required where member != node {
            guard let confirmed = progress[member]?.confirmed, confirmed >= asked || bug == .confirmWithoutAsking else {
                return nil
            }
        }
        return bug == .confirmApplied ? applied : max(applied, committed)
    }

    /// Asks those whose word ``confirmedPosition(since:)`` waits for, without waiting for the next heartbeat.
    package mutating func seekConfirmation(since asked: Duration, now: Duration) {
        guard role == .primary, let group else { return }
        for member in required where member != node {
            guard var follower = progress[member], follower.lastSent.map({ $0 < asked }) ?? true else { continue }
            send([], to: member, &follower, group, now: now)
            progress[member] = follower
        }
    }
}
