/// Finds, for every probe of a batch, the rows whose codes promise a similarity that matters, and has them compared in
/// full.
///
/// Lists are scanned in rounds, each probe's nearest first. After a round the best candidates are compared, and the
/// similarity that a further row must reach is known better: together with the worst candidate that is kept it decides
/// how early the next round gives rows up. Within a round the scan is list-major: a block of codes is loaded once and
/// scored against every probe that visits it, four at a time.
package struct ListScanner {
    /// What a scan saw.
    package struct Outcome: Sendable {
        /// Rows scored, summed over probes.
        package var rowsVisited: UInt64 = 0
        /// Lists visited, summed over probes.
        package var listsVisited: UInt64 = 0
        /// Rows that were compared in full, summed over probes.
        package var rowsReranked: UInt64 = 0
        /// Share of the planned visits that were made before `shouldStop` ended the scan, 0…1.
        package var completedShare = 1.0
    }

    /// Candidates compared at a time after the last round.
    private static let laterComparison = 32

    private let codebook: Codebook
    private let missRate: Double

    /// - Parameter missRate: share that codes may lose of the mates at exactly the similarity that matters, 0.0001…0.1.
    package init(codebook: Codebook, missRate: Double) {
        self.codebook = codebook
        self.missRate = missRate
    }

    /// - Parameters:
    ///   - plan: the lists of each probe and how many of them it visits.
    ///   - comparisonCount: rows compared after each round.
    ///   - candidateLimit: rows kept per probe between two comparisons.
    ///   - shouldStop: asked every few thousand rows; ends the scan with what was found.
    ///   - similarityThatMatters: compares rows with a probe in full and returns the similarity below which a row is of
    ///     no use to the probe; minus infinity while every row is.
    package func scan<Lists: InvertedLists>(
        probes: PreparedProbes,
        plan: VisitPlan,
        lists: Lists,
        comparisonCount: Int,
        candidateLimit: Int,
        shouldStop: () -> Bool,
        comparing similarityThatMatters: (_ probe: Int, _ rows: [UInt32]) throws(Lists.Failure) -> Float
    ) throws(Lists.Failure) -> Outcome {
        var outcome = Outcome()
        var candidates = (0..<probes.probeCount).map { _ in CandidateSet(capacity: candidateLimit) }
        let scratch = ScanScratch(codebook: codebook, probes: probes, missRate: missRate)
        var visit = ListVisit(plan, listCount: codebook.listCount)
        func compare(_ probe: Int, taking rows: [UInt32]) throws(Lists.Failure) -> Float {
            outcome.rowsReranked += UInt64(rows.count)
            let least = try similarityThatMatters(probe, rows)
            candidates[probe].raiseThreshold(to: scratch.setLeastSimilarity(least, probe: probe))
            return least
        }
        var isStopped = false
        while !isStopped, let round = visit.nextRound() {
            for step in round.steps {
                isStopped = shouldStop()
                if isStopped { break }
                let rowCount = try lists.forEachBlock(ofLists: step.lists) { block in
                    unsafe candidates.withUnsafeMutableBufferPointer { candidates in
                        unsafe scratch.scan(block, probes: step.probes, lists: lists, into: candidates)
                    }
                }
                outcome.rowsVisited += UInt64(rowCount * step.probes.count)
                outcome.listsVisited += UInt64(step.lists.count * step.probes.count)
            }
            for probe in round.probes {
                visit.setLeastSimilarity(
                    try compare(probe, taking: candidates[probe].takeBest(comparisonCount)),
                    probe: probe
                )
            }
        }
        for probe in candidates.indices {
            // In falling order, as long as a row may still be of use.
            while true {
                let rows = candidates[probe].takeBest(Self.laterComparison)
                if rows.isEmpty { break }
                _ = try compare(probe, taking: rows)
            }
        }
        if isStopped {
            outcome.completedShare = Double(outcome.listsVisited) / Double(visit.plannedListCount())
        }
        return outcome
    }
}
