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
        /// Lists that the plan had for the probes, as far as was known; all were visited unless the scan was ended.
        package var listsPlanned: UInt64 = 0
        /// Rows that were compared in full, summed over probes.
        package var rowsReranked: UInt64 = 0
        /// Share of the planned visits whose promising rows were compared in full before `shouldStop` ended the scan,
        /// 0…1; 1 only when nothing was left out.
        package var completedShare = 1.0
    }

    /// Candidates compared between two questions whether to stop: each may wait for the disk.
    private static let rowsPerComparison = 32
    /// Lists that are announced before the one that is scanned.
    private static let listsAhead = 128

    private let codebook: Codebook
    private let tolerance: CodeTolerance

    /// - Parameter tolerance: what codes may lose of the mates in the lists that are visited.
    package init(codebook: Codebook, tolerance: CodeTolerance) {
        self.codebook = codebook
        self.tolerance = tolerance
    }

    /// - Parameters:
    ///   - plan: the lists of each probe and how many of them it visits.
    ///   - comparisonCount: rows compared after each round.
    ///   - candidateLimit: rows kept per probe between two comparisons.
    ///   - leastSimilarity: below which a row is of no use to any probe, as far as is known beforehand.
    ///   - shouldStop: asked before each step and every few rows compared; ends the scan with what was compared by
    ///     then. A step is one list for all of several probes, or 64 of a single one: 31 000 rows of a million in 2048
    ///     lists, 156 000 of ten million in 4096, which take half a millisecond.
    ///   - similarityThatMatters: compares rows with a probe in full and returns the similarity below which a row is of
    ///     no use to the probe; minus infinity while every row is.
    package func scan<Lists: InvertedLists>(
        probes: PreparedProbes,
        plan: VisitPlan,
        lists: Lists,
        comparisonCount: Int,
        candidateLimit: Int,
        leastSimilarity: Float = -.infinity,
        shouldStop: () -> Bool,
        comparing similarityThatMatters: (_ probe: Int, _ rows: [UInt32]) throws(Lists.Failure) -> Float
    ) throws(Lists.Failure) -> Outcome {
        var candidates = (0..<probes.probeCount).map { _ in CandidateSet(capacity: candidateLimit) }
        let scratch = ScanScratch(
            codebook: codebook,
            probes: probes,
            tolerance: tolerance,
            shortlistByteCount: candidates.reduce(0) { $0 + $1.mostByteCount }
        )
        var visit = ListVisit(plan, listCount: codebook.listCount)
        var progress = [ProbeProgress](repeating: ProbeProgress(), count: probes.probeCount)
        var outcome = Outcome()
        if leastSimilarity > -.infinity {
            for probe in candidates.indices {
                candidates[probe].raiseThreshold(to: scratch.setLeastSimilarity(leastSimilarity, probe: probe))
            }
        }
        var isStopped = false
        func stops() -> Bool {
            isStopped = isStopped || shouldStop()
            return isStopped
        }
        /// What further rows must reach; nil when the scan ended before all of the rows were compared.
        func compare(_ probe: Int, taking rows: [UInt32]) throws(Lists.Failure) -> Float? {
            var first = 0
            while true {
                let end = min(rows.count, first + Self.rowsPerComparison)
                if first < end, stops() {
                    progress[probe].waiting += rows.count - first
                    return nil
                }
                let least = try similarityThatMatters(probe, Array(rows[first..<end]))
                progress[probe].compared += end - first
                candidates[probe].raiseThreshold(to: scratch.setLeastSimilarity(least, probe: probe))
                if end == rows.count { return least }
                first = end
            }
        }
        scan: while let round = visit.nextRound() {
            var (announced, listsAhead) = (0, 0)
            for step in round.steps {
                if stops() { break }
                while announced < round.steps.count, listsAhead < Self.listsAhead {
                    try lists.announce(lists: round.steps[announced].lists)
                    listsAhead += round.steps[announced].lists.count
                    announced += 1
                }
                listsAhead -= step.lists.count
                let rowCount = try lists.forEachBlock(ofLists: step.lists) { block in
                    unsafe candidates.withUnsafeMutableBufferPointer { candidates in
                        unsafe scratch.add(block, probes: step.probes, lists: lists, into: candidates)
                    }
                }
                outcome.rowsVisited += UInt64(rowCount * step.probes.count)
                for probe in step.probes { progress[Int(probe)].visitedLists += step.lists.count }
            }
            unsafe candidates.withUnsafeMutableBufferPointer { candidates in
                unsafe scratch.scanBatch(before: nil, lists: lists, into: candidates)
            }
            if isStopped { break }
            for probe in round.probes {
                guard let least = try compare(probe, taking: candidates[probe].takeBest(comparisonCount)) else {
                    break scan
                }
                visit.setLeastSimilarity(least, probe: probe)
            }
        }
        for probe in candidates.indices where !isStopped {
            // In falling order, as long as a row may still be of use.
            while true {
                let rows = candidates[probe].takeNext(Self.rowsPerComparison)
                if rows.isEmpty { break }
                if try compare(probe, taking: rows) == nil { break }
            }
        }
        for probe in progress.indices {
            outcome.listsVisited += UInt64(progress[probe].visitedLists)
            outcome.rowsReranked += UInt64(progress[probe].compared)
            if isStopped { progress[probe].waiting += candidates[probe].waitingCount }
        }
        outcome.listsPlanned = outcome.listsVisited
        if isStopped {
            outcome.listsPlanned = UInt64(max(1, visit.plannedListCount()))
            outcome.completedShare = progress.reduce(0) { $0 + $1.completedLists } / Double(outcome.listsPlanned)
        }
        return outcome
    }
}

/// How far a scan has come with one probe.
private struct ProbeProgress {
    var visitedLists = 0
    var compared = 0
    /// Candidates that should have been compared and were not.
    var waiting = 0

    /// A list counts as far as the rows that it promised were compared: those left waiting may be matches.
    var completedLists: Double {
        waiting == 0 ? Double(visitedLists) : Double(visitedLists) * Double(compared) / Double(compared + waiting)
    }
}
