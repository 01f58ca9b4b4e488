internal import FaceModel
internal import LMDB
internal import PartitionStore

extension Partition {
    /// Finds the best matches of every probe on the commit that is newest when it begins.
    ///
    /// Runs on its caller's thread, and on idle ones of the team; any number of searches may run at once. Similarities
    /// are inner products of the probe and the stored embedding, one order of summation whatever the effort; equal ones
    /// rank by face id.
    ///
    /// - Parameter shouldStop: asked every few hundred microseconds; ends the search with what was found, and
    ///   `facesAnswered` says how much that was. When nothing was open any more but which of many equally similar faces
    ///   come last, that is all but one. Asked while faces are looked up for the matches as well: probes that it leaves
    ///   none for have none, and `facesAnswered` lacks their share.
    /// - Throws: ``PartitionError/answerTooLarge(byteCount:byteLimit:)`` when the matches take more than the search's
    ///   bound, as soon as that is sure.
    package func search(
        _ search: PartitionSearch,
        team: SearchTeam = .none,
        shouldStop: () -> Bool
    ) throws(PartitionError) -> PartitionSearchAnswer {
        do {
            let begin = StageClock.now
            return try environment.read { transaction -> PartitionSearchAnswer in
                try answer(to: search, since: begin, team, transaction, shouldStop: shouldStop)
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// The same on the caller's thread alone, for an event loop: it does not wait for a moment in which the file gets
    /// more address space.
    ///
    /// - Returns: nil when it would have had to wait; nothing was done.
    package func searchWithoutWaiting(
        _ search: PartitionSearch,
        shouldStop: () -> Bool
    ) throws(PartitionError) -> PartitionSearchAnswer? {
        do {
            let begin = StageClock.now
            return try environment.readWithoutWaiting { transaction -> PartitionSearchAnswer in
                try answer(to: search, since: begin, .none, transaction, shouldStop: shouldStop)
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// The same on a transaction's commit, so that several searches may be of one.
    ///
    /// - Parameter begin: when the search began.
    func answer(
        to search: PartitionSearch,
        since begin: UInt64,
        _ team: SearchTeam,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> PartitionSearchAnswer {
        precondition(search.probes.dimension == shape.dimension, "probes have the collection's dimension")
        let state = try state(transaction)
        guard let passing = try passingRows(search.parameters.filter, state, transaction, shouldStop: shouldStop),
            let expired = try expiredRows(at: search.now, state, transaction, shouldStop: shouldStop)
        else { return PartitionSearchAnswer.nothing(of: state, probeCount: search.probes.rowCount) }
        let plan = try SearchPlan(
            self,
            search: search,
            state,
            passing,
            expired: expired,
            room: search.parameters.matchLimit + SearchPlan.spareRoom,
            transaction
        )
        try plan.refuseMoreThanFits()
        let planned = StageClock.now
        var outcome = try plan.run(team, transaction, shouldStop: shouldStop)
        try plan.rankEquals(in: &outcome, team, transaction, shouldStop: shouldStop)
        outcome.stages.plan = planned - begin
        return try plan.answer(outcome, transaction, shouldStop: shouldStop)
    }
}

extension PartitionSearchAnswer {
    /// The answer of a search that was stopped before it compared anything.
    fileprivate static func nothing(of state: PartitionState, probeCount: Int) -> PartitionSearchAnswer {
        PartitionSearchAnswer(
            matches: [[Match]](repeating: [], count: probeCount),
            faceCount: state.faceCount,
            facesAnswered: 0,
            rowsVisited: 0,
            listsVisited: 0,
            rowsReranked: 0,
            generation: 0
        )
    }
}
