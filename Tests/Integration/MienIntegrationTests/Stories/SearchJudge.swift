import MienClient

/// Holds answers to a search for faces that nobody changes against what is known of them: which there are, and which
/// shard has each.
///
/// Every face is its own probe, in one search. A face whose shard answered is its own first match; one whose shard is
/// missing is nobody's match. Pure.
struct SearchJudge: Sendable {
    /// What an answer says, as far as it is judged.
    struct Answer: Sendable {
        /// For each probe the faces found, best first; none for a probe that was refused.
        var matches: [[Face.ID]]
        var shardsAsked: Int
        var shardsAnswered: Int
        var facesTotal: UInt64
        var facesAnswered: UInt64
        /// Numbers of the shards that did not answer.
        var missing: [Int]
        var isFull: Bool
        /// Of the faces those that were covered, 0…1.
        var share: Double
    }

    /// In the order of the probes.
    let faces: [Face.ID]
    /// The faces that each shard has, by its number; empty where nobody has learnt it.
    let shards: [Int: Set<Face.ID>]

    /// Whether it is known of an answer with missing shards which faces it must not have: not so once the collection
    /// was divided anew.
    func knowsWhatIsMissing(in answer: Answer) -> Bool {
        !answer.missing.isEmpty && answer.missing.allSatisfy { shards[$0] != nil }
    }

    /// - Returns: what is not true of an answer, as a sentence; nil when all is.
    func fault(of answer: Answer) -> String? { faultOfNumbers(answer) ?? faultOfMatches(answer) }

    /// The numbers agree with each other and with the flag, and with the faces that are known to be there.
    ///
    /// How many faces a missing shard has is an estimate, which nobody can hold to more than that there are some.
    private func faultOfNumbers(_ answer: Answer) -> String? {
        let said =
            "\(answer.shardsAnswered) of \(answer.shardsAsked) shards, \(answer.facesAnswered) of "
            + "\(answer.facesTotal) faces, without the shards \(answer.missing)"
        guard Set(answer.missing).count == answer.missing.count,
            answer.shardsAnswered + answer.missing.count == answer.shardsAsked
        else { return "the shards do not add up: \(said)" }
        guard answer.facesAnswered <= answer.facesTotal else { return "more answered than there are: \(said)" }
        let isWhole = answer.missing.isEmpty && answer.facesAnswered == answer.facesTotal
        guard answer.isFull == isWhole else { return "it says that it is \(answer.isFull ? "" : "not ")full: \(said)" }
        let share = Double(answer.facesAnswered) / Double(max(answer.facesTotal, 1))
        guard abs(answer.share - share) < 1e-9 else { return "a share of \(answer.share): \(said)" }
        guard isWhole || knowsWhatIsMissing(in: answer) else { return nil }
        let present = faces.count - absent(in: answer).count
        guard answer.facesAnswered >= UInt64(present) else {
            return "\(present) faces that are there are in shards that answered: \(said)"
        }
        guard isWhole || present == 0 || answer.facesTotal > answer.facesAnswered else {
            return "a shard is missing and none of the faces: \(said)"
        }
        return nil
    }

    private func faultOfMatches(_ answer: Answer) -> String? {
        guard answer.matches.count == faces.count else {
            return "\(answer.matches.count) outcomes for \(faces.count) probes"
        }
        let absent = absent(in: answer)
        let shown = Set(answer.matches.joined())
        if let stray = faces.first(where: { absent.contains($0) && shown.contains($0) }) {
            return "the face \(stray) is shown, and its shard is one of \(answer.missing), which did not answer"
        }
        let isKnown = answer.isFull || knowsWhatIsMissing(in: answer)
        for (face, matches) in zip(faces, answer.matches) where !absent.contains(face) {
            // Whose shard is not known may be missing as a whole; who is cut off by the deadline may be anybody.
            let isExcused = !isKnown && (answer.missing.isEmpty || !shown.contains(face))
            if matches.first != face, !isExcused {
                return "the face \(face) is not its own first match, but \(matches.first.map { "\($0)" } ?? "nobody"); "
                    + "\(answer.shardsAnswered) of \(answer.shardsAsked) shards answered, not \(answer.missing)"
            }
        }
        return nil
    }

    /// The faces whose shards are known to be missing.
    private func absent(in answer: Answer) -> Set<Face.ID> {
        answer.missing.reduce(into: Set()) { $0.formUnion(shards[$1] ?? []) }
    }
}

extension SearchJudge.Answer {
    init(_ results: SearchResults) {
        matches = results.outcomes.map { outcome -> [Face.ID] in
            if case .matches(let matches) = outcome { matches.map(\.id) } else { [] }
        }
        shardsAsked = results.coverage.shardsAsked
        shardsAnswered = results.coverage.shardsAnswered
        facesTotal = results.coverage.facesTotal
        facesAnswered = results.coverage.facesAnswered
        missing = results.coverage.missing.map(\.index)
        isFull = results.coverage.isFull
        share = results.coverage.share
    }
}
