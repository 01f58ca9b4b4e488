import MienClient

extension LoadRecorder {
    /// Holds what an answer says of its coverage against itself, and against the faces that there can have been.
    func judgeCoverage(_ coverage: SearchResults.Coverage, since start: ReadStart, _ state: inout State) {
        // A coordinator that is cut off from the metadata store may say so without a loss: it is told, and asked at the
        // end.
        if coverage.hasLoss { state.truth.lossAnswerCount = (state.truth.lossAnswerCount ?? 0) + 1 }
        if !coverage.isFull { state.truth.flaggedPartialCount += 1 }
        // What other parts of the load write, nobody knows here.
        let isKnown = plan.isAlone || !plan.mix.hasWrites
        let possible = isKnown ? WriteLedger.Bounds.faceCount(from: start.bounds, to: state.ledger.currentBounds) : nil
        guard let problem = coverage.problem(asked: plan.options.coverage, possible: possible) else { return }
        let faces = possible.map { "; there were \($0.lowerBound) to \($0.upperBound)" } ?? ""
        state.truth.findings.add(
            coverage.isFull ? .unflaggedPartial : .wrongCoverage,
            "an answer \(problem) with \(coverage.shardsAnswered) of \(coverage.shardsAsked) shards, "
                + "\(coverage.missing.count) named as missing, and \(coverage.facesAnswered) of "
                + "\(coverage.facesTotal) faces\(faces)"
        )
    }
}

extension SearchResults.Coverage {
    /// What cannot be of it, as the predicate of a sentence; nil when everything agrees.
    ///
    /// - Parameter possible: how many faces there can have been while the search ran; nil when nobody knows.
    func problem(asked: SearchOptions.Coverage, possible: ClosedRange<Int>?) -> String? {
        let (answered, total) = (Int(clamping: facesAnswered), Int(clamping: facesTotal))
        if isFull {
            let isWhole = missing.isEmpty && shardsAnswered == shardsAsked && answered == total
            return isWhole && possible?.contains(total) ?? true ? nil : "calls itself full"
        }
        switch asked {
        case .full: return "is partial, though all was asked for,"
        case .atLeast(let least): if share < least { return "covers less than was asked for" }
        }
        if answered > total { return "covers more faces than it says there are" }
        guard shardsAnswered + missing.count == shardsAsked, Set(missing.map(\.index)).count == missing.count else {
            return "does not name every shard that is missing once"
        }
        guard let possible else { return nil }
        if answered > possible.upperBound { return "covers more faces than there can be" }
        // What missing shards hold is taken from reports of a moment before, or from those that answered: half of it
        // must be there, and without any answer there may be neither.
        let unknown = possible.lowerBound / max(1, shardsAsked) * missing.count / 2
        if shardsAnswered > 0, total < possible.lowerBound - unknown { return "leaves out the faces of missing shards" }
        return nil
    }
}
