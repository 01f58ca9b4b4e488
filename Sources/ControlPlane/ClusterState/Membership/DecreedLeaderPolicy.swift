package import ClusterModel

/// Which replica leads when an operator decrees how a shard goes on. Pure.
///
/// Of replicas of one history, what one has applied begins with what another has, and epochs never fall along it: the
/// one of a later epoch has more. Where an operator has decreed a leader before, a replica that was away may have kept
/// what was given up then, and more of it than was written since. Of the two the later decree counts: what was
/// acknowledged by that is nowhere else.
package enum DecreedLeaderPolicy {
    /// The one of them that has most; of equal ones the first worker. By sequences alone where one of them does not say
    /// of which epoch its last entry is.
    ///
    /// - Returns: nil when there is none.
    package static func leader(of replicas: [(worker: NodeID, replica: ReplicaObservation)]) -> NodeID? {
        let areKnown = replicas.allSatisfy { $0.replica.appliedEpoch != nil || $0.replica.sequence == 0 }
        func epoch(_ replica: ReplicaObservation) -> Epoch { (areKnown ? replica.appliedEpoch : nil) ?? Epoch(0) }
        let leader = replicas.max { left, right in
            (epoch(left.replica), left.replica.sequence, right.worker)
                < (epoch(right.replica), right.replica.sequence, left.worker)
        }
        return leader?.worker
    }
}
