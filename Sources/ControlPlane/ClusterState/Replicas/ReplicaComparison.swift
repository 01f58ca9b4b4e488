package import ClusterModel

/// Says which replicas of a shard are good, from what each was found to hold. Pure.
package enum ReplicaComparison {
    /// What reading all of a replica found.
    package enum Reading: Hashable, Sendable {
        /// Every checksum is right: what it holds after this sequence, by slice of the ring.
        case whole(sequence: UInt64, slices: [UInt128])
        case damaged
        case unreachable
    }

    package enum Verdict: Hashable, Sendable {
        case sound
        /// It was read at another sequence than the others, or is a learner at another than those in sync.
        case notCompared
        /// It differs in so many slices from the good ones, or, where none can be told to be good, from another.
        case different(sliceCount: Int)
        case damaged
        case unreachable
    }

    /// The sequence at which, or behind which, replicas that were read at different ones can be held against each
    /// other; nil when all were read at one.
    package static func meetingPlace(of readings: some Collection<Reading>) -> UInt64? {
        let sequences = Set(readings.compactMap { if case .whole(let sequence, _) = $0 { sequence } else { nil } })
        return sequences.count > 1 ? sequences.max() : nil
    }

    /// Of replicas at one sequence that differ, those are good that most agree with; of as many, those that agree with
    /// the primary. If it is not among them none is: nobody can tell.
    ///
    /// - Parameters:
    ///   - checkpoints: what replicas that were read at different sequences held behind one later entry, by the sum
    ///     that each keeps with every write, which its reading found right; none where no such entry is known. Where
    ///     there are any, whoever has none is not compared.
    ///   - learners: those that are catching up: where one stands says nothing of the others.
    package static func verdicts(
        _ readings: [NodeID: Reading],
        checkpoints: [NodeID: ReplicaObservation.Checkpoint] = [:],
        learners: Set<NodeID> = [],
        primary: NodeID
    ) -> [NodeID: Verdict] {
        var verdicts: [NodeID: Verdict] = [:]
        var wholes: [UInt64: [NodeID: [UInt128]]] = [:]
        for (node, reading) in readings {
            switch reading {
            case .whole(let sequence, let slices):
                if let checkpoint = checkpoints[node] {
                    wholes[checkpoint.sequence, default: [:]][node] = [UInt128(checkpoint.digest)]
                } else if checkpoints.isEmpty {
                    wholes[sequence, default: [:]][node] = slices
                } else {
                    // The others go by another measure.
                    verdicts[node] = .notCompared
                }
            case .damaged: verdicts[node] = .damaged
            case .unreachable: verdicts[node] = .unreachable
            }
        }
        let placeCount = wholes.values.count { !learners.isSuperset(of: $0.keys) }
        for (_, holders) in wholes {
            if learners.isSuperset(of: holders.keys) || holders.count == 1 && placeCount > 1 {
                for node in holders.keys { verdicts[node] = .notCompared }
                continue
            }
            let good = good(of: holders, primary: primary)
            for (node, slices) in holders {
                let other = good ?? holders.values.first { $0 != slices } ?? []
                let differing = zip(slices, other).count { $0 != $1 }
                verdicts[node] = differing == 0 ? .sound : .different(sliceCount: differing)
            }
        }
        return verdicts
    }

    /// What good replicas hold; nil when as many hold one thing as another.
    private static func good(of holders: [NodeID: [UInt128]], primary: NodeID) -> [UInt128]? {
        let counts = Dictionary(grouping: holders.keys) { holders[$0]! }.mapValues(\.count)
        let most = counts.values.max()
        let candidates = counts.filter { $0.value == most }.keys
        return candidates.count == 1 ? candidates.first : candidates.first { $0 == holders[primary] }
    }
}
