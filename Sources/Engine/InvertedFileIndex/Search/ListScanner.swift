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
    /// Lists that one probe alone scans between two questions whether to stop.
    private static let listsPerStep = 64

    private let codebook: Codebook
    private let missRate: Double

    /// - Parameter missRate: share that codes may lose of the mates at exactly the similarity that matters, 0.0001…0.1.
    package init(codebook: Codebook, missRate: Double) {
        self.codebook = codebook
        self.missRate = missRate
    }

    /// - Parameters:
    ///   - selections: the lists each probe visits, one per probe.
    ///   - comparisonCount: rows compared after each round.
    ///   - candidateLimit: rows kept per probe between two comparisons.
    ///   - shouldStop: asked every few thousand rows; ends the scan with what was found.
    ///   - similarityThatMatters: compares rows with a probe in full and returns the similarity below which a row is of
    ///     no use to the probe; minus infinity while every row is.
    package func scan<Lists: InvertedLists>(
        probes: PreparedProbes,
        selections: [ListSelection],
        lists: Lists,
        comparisonCount: Int,
        candidateLimit: Int,
        shouldStop: () -> Bool,
        comparing similarityThatMatters: (_ probe: Int, _ rows: [UInt32]) throws(Lists.Failure) -> Float
    ) throws(Lists.Failure) -> Outcome {
        var outcome = Outcome()
        var candidates = (0..<probes.probeCount).map { _ in CandidateSet(capacity: candidateLimit) }
        let scratch = ScanScratch(codebook: codebook, probes: probes, missRate: missRate)
        let plannedVisits = selections.reduce(0) { $0 + $1.listCount }
        var visits = 0
        var isStopped = false
        func compare(_ probe: Int, taking rows: [UInt32]) throws(Lists.Failure) -> Float {
            outcome.rowsReranked += UInt64(rows.count)
            return try similarityThatMatters(probe, rows)
        }
        for round in 0..<(selections.map(\.rounds.count).max() ?? 0) where !isStopped {
            for step in Self.steps(ofRound: round, selections, listCount: codebook.listCount) {
                isStopped = shouldStop()
                if isStopped { break }
                let rowCount = try lists.forEachBlock(ofLists: step.lists) { block in
                    unsafe candidates.withUnsafeMutableBufferPointer { candidates in
                        unsafe scratch.scan(block, probes: step.probes, lists: lists, into: candidates)
                    }
                }
                outcome.rowsVisited += UInt64(rowCount * step.probes.count)
                visits += step.lists.count * step.probes.count
            }
            for probe in candidates.indices {
                let least = try compare(probe, taking: candidates[probe].takeBest(comparisonCount))
                candidates[probe].raiseThreshold(to: scratch.setLeastSimilarity(least, probe: probe))
            }
        }
        for probe in candidates.indices {
            // In falling order, as long as a row may still be of use.
            while true {
                let rows = candidates[probe].takeBest(Self.laterComparison)
                if rows.isEmpty { break }
                let least = try compare(probe, taking: rows)
                candidates[probe].raiseThreshold(to: scratch.setLeastSimilarity(least, probe: probe))
            }
        }
        outcome.listsVisited = UInt64(visits)
        if plannedVisits > 0 { outcome.completedShare = Double(visits) / Double(plannedVisits) }
        return outcome
    }

    /// Lists that the same probes visit.
    private struct Step {
        let lists: ArraySlice<UInt32>
        let probes: ArraySlice<UInt32>
    }

    /// One probe takes many lists in a step; several probes take one list at a time, in order.
    private static func steps(ofRound round: Int, _ selections: [ListSelection], listCount: Int) -> [Step] {
        if selections.count == 1 {
            let lists = selections[0].rounds[round]
            return stride(from: 0, to: lists.count, by: listsPerStep).map { first in
                Step(lists: lists[first..<min(lists.count, first + listsPerStep)], probes: [0])
            }
        }
        // Counting sort of (list, probe): probes come in order, so their order within a list is kept.
        var ends = [Int](repeating: 0, count: listCount + 1)
        for selection in selections where round < selection.rounds.count {
            for list in selection.rounds[round] { ends[Int(list) + 1] += 1 }
        }
        for list in 1...listCount { ends[list] += ends[list - 1] }
        var next = ends
        var probes = [UInt32](repeating: 0, count: ends[listCount])
        for (probe, selection) in selections.enumerated() where round < selection.rounds.count {
            for list in selection.rounds[round] {
                probes[next[Int(list)]] = UInt32(probe)
                next[Int(list)] += 1
            }
        }
        let lists = (0..<UInt32(listCount)).filter { ends[Int($0)] < ends[Int($0) + 1] }
        return lists.indices.map { index in
            let list = Int(lists[index])
            return Step(lists: lists[index...index], probes: probes[ends[list]..<ends[list + 1]])
        }
    }
}
