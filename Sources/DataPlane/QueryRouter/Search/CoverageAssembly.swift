package import ClusterModel
package import FaceModel
package import WireProtocol

/// Adds up what part of a collection the shards' answers cover.
package struct CoverageAssembly: Sendable {
    package private(set) var coverage: Coverage
    private(set) var failures: [ShardFailure] = []
    /// Ring width of the shards that answered, as a share of the whole.
    private var answeredWidth = 0.0

    /// - Parameter hasLoss: whether faces of the collection were given up.
    package init(shardCount: Int, hasLoss: Bool = false) {
        coverage = Coverage(shardsAsked: shardCount, hasLoss: hasLoss)
    }

    package mutating func add(_ answer: ShardSearchAnswer, of placement: ShardPlacement) {
        coverage.shardsAnswered += 1
        Self.add(answer.faceCount, to: &coverage.facesTotal)
        Self.add(min(answer.facesAnswered, answer.faceCount), to: &coverage.facesAnswered)
        Self.add(answer.rowsVisited, to: &coverage.rowsVisited)
        Self.add(answer.listsVisited, to: &coverage.listsVisited)
        if answer.generation > 0 {
            coverage.generation =
                coverage.generation == 0 ? answer.generation : min(coverage.generation, answer.generation)
        }
        answeredWidth += placement.range.share
    }

    package mutating func add(_ failure: ShardFailure, reason: Coverage.MissingShard.Reason) {
        failures.append(failure)
        coverage.missing.append(.init(shardIndex: failure.placement.shard.index, reason: reason))
    }

    /// Counts the faces of the missing shards. Once, after all answers.
    ///
    /// A shard is taken to hold what its worker last reported, or as many faces per ring width as the shards that
    /// answered, since ids are spread evenly: whichever is more. A report may be from before the last writes, or from a
    /// replica that could not be opened, and a share must not come out too high.
    /// - Parameter faceCount: of a shard as last reported.
    package mutating func countMissingFaces(_ faceCount: (ShardID) -> UInt64?) {
        let answered = Double(coverage.facesTotal)
        for failure in failures {
            let placement = failure.placement
            let expected = answeredWidth > 0 ? (answered / answeredWidth * placement.range.share).rounded() : 0
            let likely = UInt64(min(expected, Self.mostFacesOfAShard))
            Self.add(max(faceCount(placement.shard) ?? 0, likely), to: &coverage.facesTotal)
        }
    }

    /// As many as a partition has numbers for rows.
    private static let mostFacesOfAShard = 0x1p32

    /// A worker may say anything: no sum of it ends the process.
    private static func add(_ count: UInt64, to sum: inout UInt64) { sum += min(count, .max - sum) }

    /// Why the coverage is less than required; nil when it is enough.
    package func shortfall(of requirement: CoverageRequirement, collection: String) -> WireStatus? {
        switch requirement {
        case .full where coverage.isFull: return nil
        case .minimum(let share) where coverage.share >= share: return nil
        case .full, .minimum: break
        }
        // Against overload waiting helps. Else the caller decides: whether to do with less, to allow more time, or to
        // ask again once what is missing is back.
        let isOverload = !failures.isEmpty && failures.allSatisfy { $0.status.code == .overloaded }
        let required =
            if case .minimum(let share) = requirement { " \(percentage(share)) of the faces are required." } else { "" }
        return WireStatus(
            isOverload ? .overloaded : .incompleteCoverage,
            "Collection '\(collection)': \(coverage.shardsAnswered) of \(coverage.shardsAsked) shards answered, "
                + "covering \(percentage(coverage.share)) of the faces; \(gap). \(advice)\(required)",
            retryAfterMilliseconds: isOverload ? failures.map(\.status.retryAfterMilliseconds).max()! : 0
        )
    }

    private var gap: String {
        failures.isEmpty ? "the deadline stopped them before the end" : ShardFailureText.missing(failures)
    }

    private var advice: String {
        let reasons = Set(coverage.missing.map(\.reason))
        if reasons.isEmpty || reasons == [.deadlineExceeded] {
            return "Give a longer deadline, or pass a minimum coverage."
        }
        if reasons == [.overloaded] { return "Try again later, or pass a minimum coverage." }
        if reasons.contains(.unavailable) {
            return failures.count == 1
                ? "Start that worker, or pass a minimum coverage." : "Start those workers, or pass a minimum coverage."
        }
        return "See the worker's log, or pass a minimum coverage."
    }

    /// Rounded down, so that a gap never shows as 100 %.
    private func percentage(_ share: Double) -> String {
        let permille = Int((share * 1000).rounded(.down))
        return permille % 10 == 0 ? "\(permille / 10) %" : "\(permille / 10).\(permille % 10) %"
    }
}
