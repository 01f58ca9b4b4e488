internal import FaceModel
internal import InvertedFileIndex

/// How many candidates a scan of codes keeps, and of how many probes at once.
extension SearchPlan {
    /// Ranges of the probes that are searched for one after the other, so that the shortlists of all threads together
    /// stay within ``PartitionOptions/shortlistByteLimit``, or are those of one probe. Hardly any search has more than
    /// one range: it takes many probes that want many matches.
    func probeGroups(memberLimit: Int) -> [Range<Int>] {
        let probeCount = search.probes.rowCount
        guard let snapshot, onlyRows == nil, probeCount > 1 else { return [0..<probeCount] }
        func groups(sliceCount: Int) -> [Range<Int>] {
            SearchDivision.groups(
                probeCount: probeCount,
                probeByteCount: snapshot.generations.reduce(0) { most, generation in
                    let capacity = candidateLimit(of: generation, sliceCount: sliceCount)
                    return max(most, sliceCount * CandidateSet.mostByteCount(capacity: capacity))
                },
                byteLimit: partition.options.shortlistByteLimit
            )
        }
        // Threads that take lists of their own have a shortlist each, all of them together more than one for all lists.
        let whole = groups(sliceCount: 1)
        let sliceCount = whole.reduce(1) { most, probes in
            max(most, parts(probeCount: probes.count, memberLimit: memberLimit)[0].slice.count)
        }
        return sliceCount == 1 ? whole : groups(sliceCount: sliceCount)
    }

    /// Rows of a generation that are kept for each probe between two comparisons, by each thread of those that divide
    /// the lists among them: never more than there are.
    func candidateLimit(of generation: CodeSnapshot.Generation, sliceCount: Int) -> Int {
        let options = partition.options
        var limit = options.candidateFloor + options.candidatesPerMatch * search.parameters.matchLimit
        switch search.parameters.effort {
        case .recall:
            let share = codeTolerance(generation.codebook).candidateShare
            limit = Int((Double(limit) * max(1, candidateGrowth * share)).rounded())
        case .lists(let count):
            // Codes may lose something where lists lose more.
            let visitedShare = min(1, Double(count) / Double(generation.codebook.listCount))
            limit = Int((8 * Double(limit) * min(1, max(0.5, 2 * visitedShare))).rounded())
        case .full, .exact: limit *= 8
        }
        let kept = max(expected(of: limit, in: rowShare(of: generation), sliceCount: sliceCount), room)
        return max(1, min(kept, Int(generation.rowCount)))
    }

    /// How many of the best rows of the whole collection are to be expected in one slice of a share of the rows here,
    /// and two standard deviations more.
    func expected(of count: Int, in rowShare: Double, sliceCount: Int) -> Int {
        let expected = Double(count) * search.collectionShare * rowShare / Double(sliceCount)
        return min(count, Int((expected + 2 * expected.squareRoot()).rounded(.up)))
    }

    /// Share of the coded rows that are of a generation.
    func rowShare(of generation: CodeSnapshot.Generation) -> Double {
        guard let snapshot, snapshot.generations.count > 1 else { return 1 }
        return Double(generation.rowCount) / Double(max(1, codeCount))
    }

    /// What codes may lose: more where visits find more than the target. Only `recall` has a promise that says so.
    func codeTolerance(_ codebook: Codebook) -> CodeTolerance {
        guard case .recall(let recall) = search.parameters.effort else { return .strict }
        return CodeTolerance(recallFactor.demand(forRecall: recall, of: codebook))
    }

    /// How many times as many candidates as of a small collection. The more rows there are, the more strangers look as
    /// promising as a mate of low similarity; about as the root of their number (decision 9).
    private var candidateGrowth: Double {
        let rowCount = Double(codeCount) / search.collectionShare
        return max(1, (rowCount / partition.options.candidateRowCount).squareRoot())
    }
}
