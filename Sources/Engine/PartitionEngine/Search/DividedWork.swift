/// Which parts of a divided piece of work are to be begun, under way, and done; no threads.
///
/// A part is open, then claimed, then finished. After a failure no part is open.
package struct DividedWork<Outcome> {
    /// What a thread that has no part does.
    package enum Standing {
        /// Parts are open.
        case claimable
        /// Others are at the last parts.
        case underWay
        case ended
    }

    /// Parts that nobody has begun.
    private var open: [Int]
    private var runningCount = 0
    private var outcomes: [Outcome?]
    private var error: (any Error)?

    package init(partCount: Int) {
        open = (0..<partCount).reversed()
        outcomes = [Outcome?](repeating: nil, count: partCount)
    }

    package var standing: Standing {
        if !open.isEmpty { return .claimable }
        return runningCount > 0 ? .underWay : .ended
    }

    package mutating func claim() -> Int? {
        guard let part = open.popLast() else { return nil }
        runningCount += 1
        return part
    }

    package mutating func finish(_ part: Int, _ outcome: Outcome) {
        outcomes[part] = outcome
        runningCount -= 1
    }

    package mutating func fail(_ failure: any Error) {
        error = error ?? failure
        open = []
        runningCount -= 1
    }

    /// The outcomes of all parts, once ended.
    package func result() throws -> [Outcome] {
        if let error { throw error }
        return outcomes.map { outcome in
            guard let outcome else { preconditionFailure("a part of a divided search was neither done nor failed") }
            return outcome
        }
    }
}
