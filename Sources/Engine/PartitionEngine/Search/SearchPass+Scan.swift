internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// The way over codes.
extension SearchPass {
    /// Probes whose lists are ranked without a question whether to stop. Rotating all probes and making their tables,
    /// which comes before that, asks nothing either, and takes no longer for more lists.
    private static let probesPerRanking = 64

    /// Scans the codes of every generation; the share of the plan that was done.
    mutating func scanLists(
        _ snapshot: CodeSnapshot,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Double {
        var isComplete = true
        var done = 0.0
        for generation in snapshot.generations {
            let rowShare = plan.rowShare(of: generation)
            let share = try scanLists(generation, part: rowShare, transaction, shouldStop: shouldStop)
            isComplete = isComplete && share >= 1
            done += share * rowShare
        }
        return isComplete ? 1 : min(done, 1)
    }

    /// Scans the codes of one generation and compares the stored embeddings of the best of them; the share of the plan
    /// that was done.
    ///
    /// - Parameter rowShare: share of the coded rows that are of this generation.
    private mutating func scanLists(
        _ generation: CodeSnapshot.Generation,
        part rowShare: Double,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Double {
        let codebook = generation.codebook
        if shouldStop() { return leaveOut(part: rowShare) }
        let begin = StageClock.now
        let prepared = PreparedProbes(probes: probes.values, codebook: codebook)
        let ranked = visitPlan(prepared, codebook, shouldStop: shouldStop)
        outcome.stages.rank += StageClock.now - begin
        guard let visits = ranked else { return leaveOut(part: rowShare) }
        let sliceCount = part.slice.count
        let scanner = ListScanner(codebook: codebook, tolerance: plan.codeTolerance(codebook))
        let reading = StoredInvertedLists.Reading()
        let scanned = try scanner.scan(
            probes: prepared,
            plan: visits,
            lists: StoredInvertedLists(
                runs: generation.runs,
                liveness: plan.liveness,
                planeCount: codebook.plan.planeCount,
                cold: partition.coldCodes,
                reading: reading
            ),
            comparisonCount: plan.expected(
                of: parameters.matchLimit + SearchPlan.spareRoom,
                in: rowShare,
                sliceCount: sliceCount
            ),
            candidateLimit: plan.candidateLimit(of: generation, sliceCount: sliceCount),
            leastSimilarity: startingSimilarity,
            shouldStop: shouldStop
        ) { probe, rows in
            if reading.isUnderWay {
                reading.isUnderWay = false
                noteFaults(of: partition.coldCodes)
            }
            try compare(rows, withProbe: probe, transaction)
            if !rows.isEmpty { noteFaults(of: partition.coldRows) }
            let least = leastUsefulSimilarity(probe: probe)
            return leastUseful?.raise(least, probe: part.probes.lowerBound + probe) ?? least
        }
        outcome.rowsVisited += scanned.rowsVisited
        outcome.listsVisited += scanned.listsVisited
        outcome.visits.append(
            ListVisits(
                rowShare: rowShare,
                planned: scanned.listsPlanned,
                done: scanned.completedShare * Double(scanned.listsPlanned),
                whole: wholeProbeCount
            )
        )
        outcome.rowsReranked += scanned.rowsReranked
        return scanned.completedShare
    }

    /// Notes of a generation that none of its lists was visited before a stop; the share of the plan that was done.
    ///
    /// Which lists there were to visit nobody has asked, and how many a recall takes cannot be told beforehand: probes
    /// are counted instead.
    private mutating func leaveOut(part rowShare: Double) -> Double {
        let whole = wholeProbeCount
        outcome.visits.append(ListVisits(rowShare: rowShare, planned: 0, done: 0, whole: whole, leftOut: whole))
        return 0
    }

    /// The probes of this part, each counted as the part of its lists that the part has.
    private var wholeProbeCount: Double { Double(probes.rowCount) / Double(part.slice.count) }

    /// The lists of every probe and how many of them the effort visits; nil when `shouldStop` said so before all were
    /// ranked.
    private func visitPlan(
        _ probes: PreparedProbes,
        _ codebook: Codebook,
        shouldStop: () -> Bool
    ) -> VisitPlan? {
        var isCounting = false
        if case .lists = parameters.effort { isCounting = true }
        var walks: [ListWalk] = []
        walks.reserveCapacity(probes.probeCount)
        for first in stride(from: 0, to: probes.probeCount, by: Self.probesPerRanking) {
            if first > 0, shouldStop() { return nil }
            let block = first..<min(probes.probeCount, first + Self.probesPerRanking)
            walks += isCounting ? probes.walksCountingLists(ofProbes: block) : probes.walks(ofProbes: block)
        }
        switch parameters.effort {
        case .exact: preconditionFailure("exact searches scan no lists")
        case .full: return VisitPlan(walks: walks, slice: part.slice) { _ in .infinity }
        case .lists(let count): return VisitPlan(walks: walks, slice: part.slice) { _ in Double(count) }
        case .recall(let recall):
            let listRecall = plan.recallFactor.demand(forRecall: recall, of: codebook).listRecall
            // Rows that are of no use need not be found: the budget is that of the mates which still are.
            let (calibration, threshold) = (codebook.calibration, SearchPlan.leastSimilarity(parameters))
            return VisitPlan(walks: walks, slice: part.slice) { least in
                let curve = calibration.curve(atOrAbove: max(threshold, least))
                let share = curve.visitedShare(finding: listRecall)
                // All of the sample is all lists, those that were empty in it as well.
                return share >= 1 ? .infinity : share
            }
        }
    }

    /// The similarity below which no row is of use to any probe, before one has been compared: the threshold.
    ///
    /// Only `recall` trusts the calibrated line from similarities to estimates: it promises a share of the mates. Other
    /// efforts owe every match of the rows they visit, and an estimate has no bound on its error: a threshold that gave
    /// rows up by it would lose some of the matches just above, which a lower one finds. So these keep the best
    /// candidates by rank alone, whatever the threshold, and nothing is missed while they hold every row.
    private var startingSimilarity: Float {
        guard case .recall = parameters.effort else { return -.infinity }
        return floor
    }

    /// The similarity below which a further row changes nothing: that of the last match wanted, or the threshold.
    mutating func leastUsefulSimilarity(probe: Int) -> Float {
        guard case .recall = parameters.effort else { return -.infinity }
        let floor = startingSimilarity
        guard outcome.best[probe].count >= parameters.matchLimit else { return floor }
        if let known = lastSimilarities[probe] { return max(floor, known) }
        let last = outcome.best[probe].score(ofRank: parameters.matchLimit)
        lastSimilarities[probe] = last
        return max(floor, last)
    }
}
