/// Which contents a face may have in the end, whatever shards and logs its writes went through: that of an acknowledged
/// write which no acknowledged one followed, or of a write of unknown outcome.
struct FaceOracle: Sendable {
    private struct Candidate: Sendable {
        var write: SimulatedWrite
        var began: Duration
        /// Nil before that.
        var acknowledged: Duration?
    }

    private var candidates: [Int: [Candidate]] = [:]

    mutating func began(_ write: SimulatedWrite, at time: Duration) {
        for face in write.faces.faces {
            candidates[face, default: []].append(Candidate(write: write, began: time))
        }
    }

    /// Whatever was acknowledged before this write began is over.
    mutating func acknowledged(_ write: SimulatedWrite, at time: Duration) {
        for face in write.faces.faces {
            guard var known = candidates[face],
                let index = known.firstIndex(where: { $0.write.origin == write.origin }),
                known[index].acknowledged == nil
            else { continue }
            known[index].acknowledged = time
            let began = known[index].began
            candidates[face] = known.filter { $0.acknowledged.map { $0 >= began } ?? true }
        }
    }

    mutating func rejected(_ write: SimulatedWrite) {
        for face in write.faces.faces { candidates[face]?.removeAll { $0.write.origin == write.origin } }
    }

    /// - Parameter value: nil when it is not there.
    func mayBe(_ value: UInt64?, _ face: Int) -> Bool {
        let known = candidates[face] ?? []
        // Without an acknowledged write it may be as it was at first: not there.
        if value == nil, known.allSatisfy({ $0.acknowledged == nil }) { return true }
        return known.contains { $0.write.value == value }
    }
}
