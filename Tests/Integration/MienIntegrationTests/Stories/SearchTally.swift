import MienClient

/// What came of searches under more load than there is room for.
struct SearchTally {
    var answeredCount = 0
    var refusedCount = 0
    /// Failures that too much load does not explain, and answers that are not true.
    private(set) var surprises: [String] = []

    /// An answer that was to cover everything, to a probe of each of these faces, which are there.
    mutating func note(_ results: SearchResults, of faces: [Face.ID]) {
        let best = results.outcomes.map { outcome -> Face.ID? in
            if case .matches(let matches) = outcome { matches.first?.id } else { nil }
        }
        note(best: best, isFull: results.coverage.isFull, of: faces)
    }

    /// - Parameters:
    ///   - best: the first match of each probe; nil where there is none.
    ///   - isFull: whether the answer says that it covers everything.
    mutating func note(best: [Face.ID?], isFull: Bool, of faces: [Face.ID]) {
        let found = zip(best, faces).count { $0 == $1 }
        if isFull, best.count == faces.count, found == faces.count {
            answeredCount += 1
        } else {
            let kind = isFull ? "a full answer" : "an answer that was to be full, and is not,"
            surprises.append("\(kind) has \(found) of \(faces.count) faces as the first match")
        }
    }

    mutating func note(_ error: MienClientError) {
        switch error.code {
        case .overloaded, .deadlineExceeded, .incompleteCoverage: refusedCount += 1
        default: surprises.append("\(error)")
        }
    }

    mutating func add(_ other: SearchTally) {
        answeredCount += other.answeredCount
        refusedCount += other.refusedCount
        surprises += other.surprises
    }
}
