internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// The way over codes.
extension SearchPass {
    /// Scans codes and compares the stored embeddings of the best of them; the share of the plan that was done.
    mutating func scanLists(
        _ codebook: Codebook,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Double {
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
                snapshot: try partition.snapshot(transaction),
                liveness: liveness,
                planeCount: codebook.plan.planeCount
            ),
            comparisonCount: part(of: matchLimit + Self.spareRoom),
            candidateLimit: max(part(of: limit), room),
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

    /// How many of the best rows of the whole collection are to be expected here, and two standard deviations more.
    func part(of count: Int) -> Int {
        let expected = Double(count) * search.collectionShare
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
