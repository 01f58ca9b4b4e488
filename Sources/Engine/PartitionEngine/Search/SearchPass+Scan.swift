internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// The way over codes.
extension SearchPass {
    /// Scans the codes of every generation; the share of the plan that was done.
    mutating func scanLists(
        _ snapshot: CodeSnapshot,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Double {
        let rowCount = Double(max(1, snapshot.rowCount))
        var isComplete = true
        var done = 0.0
        for generation in snapshot.generations {
            let part = snapshot.generations.count > 1 ? Double(generation.rowCount) / rowCount : 1
            let share = try scanLists(generation, part: part, transaction, shouldStop: shouldStop)
            isComplete = isComplete && share >= 1
            done += share * part
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
        let begin = StageClock.now
        let prepared = PreparedProbes(probes: probes.values, codebook: codebook)
        let visits = visitPlan(prepared, codebook)
        outcome.stages.rank += StageClock.now - begin
        let matchLimit = parameters.matchLimit
        let tolerance = codeTolerance(codebook)
        var limit = partition.options.candidateFloor + partition.options.candidatesPerMatch * matchLimit
        if case .recall = parameters.effort {
            limit = Int((Double(limit) * max(1, candidateGrowth * tolerance.candidateShare)).rounded())
        } else {
            limit *= 8
        }
        let scanner = ListScanner(codebook: codebook, tolerance: tolerance)
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
            comparisonCount: expected(of: matchLimit + SearchPlan.spareRoom, in: rowShare),
            candidateLimit: max(expected(of: limit, in: rowShare), plan.room),
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
                done: scanned.completedShare * Double(scanned.listsPlanned)
            )
        )
        outcome.rowsReranked += scanned.rowsReranked
        return scanned.completedShare
    }

    /// How many times as many candidates as of a small collection. The more rows there are, the more strangers look as
    /// promising as a mate of low similarity; about as the root of their number (decision 9).
    private var candidateGrowth: Double {
        let rowCount = Double(plan.codeCount) / plan.search.collectionShare
        return max(1, (rowCount / partition.options.candidateRowCount).squareRoot())
    }

    /// What codes may lose: more where the target lies below the tabulated one that its visits are for. Only `recall`
    /// has a promise that says so.
    private func codeTolerance(_ codebook: Codebook) -> CodeTolerance {
        guard case .recall(let recall) = parameters.effort else { return .strict }
        return CodeTolerance(
            codebook.calibration.curve(atOrAbove: SearchPlan.leastSimilarity(parameters)),
            recall: plan.recallFactor.target(for: recall, generation: codebook.generation)
        )
    }

    /// The lists of every probe and how many of them the effort visits.
    private func visitPlan(_ probes: PreparedProbes, _ codebook: Codebook) -> VisitPlan {
        let order = 0..<probes.probeCount
        switch parameters.effort {
        case .exact: preconditionFailure("exact searches scan no lists")
        case .full: return VisitPlan(walks: order.map(probes.walk), slice: part.slice) { _ in .infinity }
        case .lists(let count):
            return VisitPlan(walks: order.map(probes.walkCountingLists), slice: part.slice) { _ in Double(count) }
        case .recall(let recall):
            let target = plan.recallFactor.target(for: recall, generation: codebook.generation)
            // Rows that are of no use need not be found: the budget is that of the mates which still are.
            let (calibration, threshold) = (codebook.calibration, SearchPlan.leastSimilarity(parameters))
            return VisitPlan(walks: order.map(probes.walk), slice: part.slice) { least in
                let curve = calibration.curve(atOrAbove: max(threshold, least))
                let share = curve.visitedShare(forRecall: target)
                // All of the sample is all lists, those that were empty in it as well.
                return share >= 1 ? .infinity : share
            }
        }
    }

    /// How many of the best rows of the whole collection are to be expected in this part of a share of the rows here,
    /// and two standard deviations more.
    private func expected(of count: Int, in rowShare: Double) -> Int {
        let expected = Double(count) * plan.search.collectionShare * rowShare / Double(part.slice.count)
        return min(count, Int((expected + 2 * expected.squareRoot()).rounded(.up)))
    }

    /// The similarity below which no row is of use to any probe, before one has been compared: the threshold.
    ///
    /// Only `recall` trusts the calibrated line from similarities to estimates: it promises a share of the mates. Other
    /// efforts owe every match of the rows they visit, and an estimate has no bound on its error: a threshold that gave
    /// rows up by it would lose some of the matches just above, which a lower one finds. So these keep the best
    /// candidates by rank alone, whatever the threshold, and nothing is missed while they hold every row.
    private var startingSimilarity: Float {
        guard case .recall = parameters.effort else { return -.infinity }
        return parameters.threshold ?? -.infinity
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
