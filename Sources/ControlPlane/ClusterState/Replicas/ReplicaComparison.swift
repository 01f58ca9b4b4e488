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
        /// It was read at another sequence than the others.
        case notCompared
        /// It differs in so many slices from the good ones.
        case different(sliceCount: Int)
        case damaged
        case unreachable
    }

    /// Of replicas at one sequence that differ, those are good that most agree with; of as many, those that agree with
    /// the primary.
    package static func verdicts(_ readings: [NodeID: Reading], primary: NodeID) -> [NodeID: Verdict] {
        var verdicts: [NodeID: Verdict] = [:]
        var wholes: [UInt64: [NodeID: [UInt128]]] = [:]
        for (node, reading) in readings {
            switch reading {
            case .whole(let sequence, let slices): wholes[sequence, default: [:]][node] = slices
            case .damaged: verdicts[node] = .damaged
            case .unreachable: verdicts[node] = .unreachable
            }
        }
        for (_, holders) in wholes {
            if holders.count == 1, readings.count > 1, wholes.count > 1 {
                for node in holders.keys { verdicts[node] = .notCompared }
                continue
            }
            let counts = Dictionary(grouping: holders.keys) { holders[$0]! }.mapValues(\.count)
            let most = counts.values.max() ?? 0
            let candidates = counts.filter { $0.value == most }.keys
            let good =
                candidates.first { $0 == holders[primary] }
                ?? candidates.min { $0.lexicographicallyPrecedes($1) } ?? []
            for (node, slices) in holders {
                let differing = zip(slices, good).count { $0 != $1 }
                verdicts[node] = differing == 0 ? .sound : .different(sliceCount: differing)
            }
        }
        return verdicts
    }
}
