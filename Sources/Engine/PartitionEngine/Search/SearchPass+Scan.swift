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
        let probes = PreparedProbes(probes: search.probes.values, codebook: codebook)
        let selections = (0..<probes.probeCount).map { probe in
            switch search.parameters.effort {
            case .exact: preconditionFailure("exact searches scan no lists")
            case .full: probes.lists(ofProbe: probe, count: codebook.listCount)
            case .lists(let count): probes.lists(ofProbe: probe, count: count)
            case .recall(let target):
                probes.lists(ofProbe: probe, share: codebook.calibration.visitedShare(forRecall: target))
            }
        }
        let matchLimit = search.parameters.matchLimit
        var limit = partition.options.candidateFloor + partition.options.candidatesPerMatch * matchLimit
        if case .recall = search.parameters.effort {} else { limit *= 4 }
        let scanner = ListScanner(codebook: codebook, missRate: Self.codeMissRate)
        let outcome = try scanner.scan(
            probes: probes,
            selections: selections,
            lists: StoredInvertedLists(
                runs: generation.runs,
                liveness: liveness,
                planeCount: codebook.plan.planeCount
            ),
            comparisonCount: part(of: matchLimit + Self.spareRoom, rowShare),
            candidateLimit: max(part(of: limit, rowShare), room),
            shouldStop: shouldStop
        ) { probe, rows in
            try compare(rows, withProbe: probe, transaction)
            return leastUsefulSimilarity(probe: probe)
        }
        rowsVisited += outcome.rowsVisited
        listsVisited += outcome.listsVisited
        rowsReranked += outcome.rowsReranked
        return outcome.completedShare
    }

    /// How many of the best rows of the whole collection are to be expected in a share of the rows here, and two
    /// standard deviations more.
    private func part(of count: Int, _ rowShare: Double) -> Int {
        let expected = Double(count) * search.collectionShare * rowShare
        return min(count, Int((expected + 2 * expected.squareRoot()).rounded(.up)))
    }

    /// The similarity below which a further row changes nothing: that of the last match wanted, or the threshold.
    ///
    /// Only `recall` trusts the calibrated line from similarities to estimates: it promises a share of the mates. Other
    /// efforts keep the best candidates by rank alone, so nothing is missed while these hold every row.
    func leastUsefulSimilarity(probe: Int) -> Float {
        guard case .recall = search.parameters.effort else { return -.infinity }
        let floor = search.parameters.threshold ?? -.infinity
        guard best[probe].count >= search.parameters.matchLimit else { return floor }
        return max(floor, best[probe].score(ofRank: search.parameters.matchLimit))
    }
}
