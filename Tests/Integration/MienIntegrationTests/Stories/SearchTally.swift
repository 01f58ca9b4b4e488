import MienClient

/// What came of searches under more load than there is room for.
struct SearchTally {
    var answeredCount = 0
    var refusedCount = 0
    /// Failures that too much load does not explain.
    private(set) var surprises: [String] = []

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
