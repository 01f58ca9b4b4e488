
/// Finds, for every probe of a batch, the rows whose codes promise the greatest similarity.
///
/// List-major: a list's block is loaded once and scored against every probe that visits it, four at a time. A first
/// round visits each probe's nearest lists, so that its threshold is high before the bulk is scanned.
package struct ListScanner {
    /// What a scan found and saw.
    package struct Outcome: Sendable {
        /// Per probe: the best rows by estimated similarity.
        package var candidates: [CandidateSet]
        /// Rows scored, summed over probes.
        package var rowsVisited: UInt64
        /// Lists visited, summed over probes.
        package var listsVisited: UInt64
        /// Share of the planned visits that were made before `shouldStop` ended the scan, 0…1.
        package var completedShare: Double
    }

    /// Share of each probe's lists that its first round takes.
    private static let firstRoundShare = 0.1

    private let codebook: Codebook

    package init(codebook: Codebook) {
        self.codebook = codebook
    }

    /// - Parameters:
    ///   - selections: the lists each probe visits, one per probe.
    ///   - candidateLimit: rows wanted per probe.
    ///   - shouldStop: asked before every list; ends the scan with what was found.
    package func scan<Lists: InvertedLists>(
        probes: PreparedProbes,
        selections: [ListSelection],
        lists: Lists,
        candidateLimit: Int,
        shouldStop: () -> Bool
    ) throws(Lists.Failure) -> Outcome {
        var outcome = Outcome(
            candidates: (0..<probes.probeCount).map { _ in CandidateSet(capacity: candidateLimit) },
            rowsVisited: 0,
            listsVisited: 0,
            completedShare: 1
        )
        let visits = Self.visits(selections, probes: probes, listCount: codebook.listCount)
        let scratch = ScanScratch(planeCount: codebook.plan.planeCount, probes: probes)
        var next = 0
        while next < visits.count {
            if shouldStop() {
                outcome.completedShare = Double(next) / Double(visits.count)
                break
            }
            let list = visits[next].list
            var end = next + 1
            while end < visits.count, visits[end].list == list, visits[end].round == visits[next].round { end += 1 }
            let visiting = visits[next..<end]
            try lists.forEachBlock(ofList: list) { block in
                unsafe outcome.candidates.withUnsafeMutableBufferPointer { candidates in
                    unsafe scratch.scan(block, visits: visiting, lists: lists, into: candidates)
                }
                outcome.rowsVisited += UInt64(block.rowCount * visiting.count)
            }
            outcome.listsVisited += UInt64(end - next)
            next = end
        }
        return outcome
    }

    /// Every (list, probe) pair, in the order of scanning: by round, then list, then probe.
    private static func visits(_ selections: [ListSelection], probes: PreparedProbes, listCount: Int) -> [Visit] {
        var isNear = [Bool](repeating: false, count: listCount)
        // Counting sort over (round, list): probes come in order, so their order within a place is kept.
        var ends = [Int](repeating: 0, count: 2 * listCount + 1)
        var rounds: [[UInt8]] = []
        for (probe, selection) in selections.enumerated() {
            let firstRound = max(1, Int(Double(selection.lists.count) * firstRoundShare))
            let near = probes.lists(ofProbe: probe, count: firstRound).lists
            for list in near { isNear[Int(list)] = true }
            rounds.append(selection.lists.map { isNear[Int($0)] ? 0 : 1 })
            for list in near { isNear[Int(list)] = false }
            for (round, list) in zip(rounds[probe], selection.lists) {
                ends[Int(round) * listCount + Int(list) + 1] += 1
            }
        }
        for place in 1..<ends.count { ends[place] += ends[place - 1] }
        var visits = [Visit](repeating: Visit(round: 0, list: 0, probe: 0), count: ends[2 * listCount])
        for (probe, selection) in selections.enumerated() {
            for (round, list) in zip(rounds[probe], selection.lists) {
                let place = Int(round) * listCount + Int(list)
                visits[ends[place]] = Visit(round: round, list: list, probe: UInt32(probe))
                ends[place] += 1
            }
        }
        return visits
    }

    struct Visit {
        let round: UInt8
        let list: UInt32
        let probe: UInt32
    }
}
