internal import FaceModel
internal import LMDB
internal import VectorMath

/// Equal similarities at the end of the matches.
extension SearchPlan {
    /// Sees to it that face ids rank equal similarities: probes for which more rows may be as similar as the last match
    /// than had room are searched for again, on the same commit, with more of it.
    ///
    /// With many equal rows it takes many repetitions, each with four times the room of the one before, of fewer probes
    /// at a time: what they hold stays within bounds, or is that of one probe.
    ///
    /// All that was found stays when that is stopped: the similarities are those of the best rows, and open is only
    /// which of the equal ones the last matches are.
    func rankEquals(
        in outcome: inout SearchPass.Outcome,
        _ team: SearchTeam,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws {
        var room = self.room
        var probes = Array(outcome.best.indices)
        while outcome.isWhole {
            probes = probes.filter { mayLackEquals(outcome.best[$0]) }
            if probes.isEmpty { return }
            room *= 4
            let groupSize = max(1, partition.options.roomForEquals / room)
            for first in stride(from: 0, to: probes.count, by: groupSize) {
                let group = Array(probes[first..<min(probes.count, first + groupSize)])
                let again = try narrowed(to: group, room: room).run(team, transaction, shouldStop: shouldStop)
                outcome.addWork(of: again)
                guard again.isWhole else {
                    outcome.areEqualsOpen = true
                    return
                }
                for (probe, kept) in zip(group, again.best) { outcome.best[probe] = kept }
            }
        }
    }

    /// Whether more rows may be as similar as the last match than were kept.
    private func mayLackEquals(_ kept: BoundedTopK) -> Bool {
        kept.count == kept.capacity && kept.score(ofRank: search.parameters.matchLimit) == kept.threshold
    }
}
