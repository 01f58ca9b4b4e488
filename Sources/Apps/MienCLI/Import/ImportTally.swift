import MienClient

/// What became of the rows of an import so far.
struct ImportTally: Equatable {
    var accepted = 0
    var replaced = 0
    /// Rows whose id came again later in the same batch.
    var superseded = 0
    var rejected = 0

    var rowCount: Int { accepted + replaced + superseded + rejected }

    /// Counts the outcomes of a batch.
    ///
    /// - Returns: the rows that the cluster refused, with the reason.
    mutating func count(_ outcomes: [EnrolmentReceipt.Outcome], rows: [Int]) -> [(row: Int, reason: String)] {
        var refused: [(row: Int, reason: String)] = []
        for (outcome, row) in zip(outcomes, rows) {
            switch outcome {
            case .accepted: accepted += 1
            case .replaced: replaced += 1
            case .superseded: superseded += 1
            case .rejected(let reason):
                rejected += 1
                refused.append((row, reason.description))
            }
        }
        return refused
    }

    func text(collection: String, elapsed: Duration) -> String {
        let seconds = NumberText.seconds(elapsed)
        let rate = NumberText.fixed(Double(rowCount) / max(seconds, 1e-9), 0)
        var facts = TextTable([.init("", leastWidth: 10), .init("", .right)])
        facts.append(["accepted", "\(accepted)"])
        facts.append(["replaced", "\(replaced)"])
        if superseded > 0 { facts.append(["superseded", "\(superseded)"]) }
        facts.append(["rejected", "\(rejected)"])
        return "Imported into \(collection): \(NumberText.counted(rowCount, "row")) in "
            + "\(NumberText.duration(elapsed)), \(rate) rows/s\n" + facts.rendered(withTitles: false)
    }

    func json(collection: String, elapsed: Duration) -> JSONValue {
        let seconds = NumberText.seconds(elapsed)
        return .object([
            ("collection", .string(collection)), ("rows", .count(rowCount)), ("accepted", .count(accepted)),
            ("replaced", .count(replaced)), ("superseded", .count(superseded)), ("rejected", .count(rejected)),
            ("seconds", .number(seconds)), ("rows_per_second", .number(Double(rowCount) / max(seconds, 1e-9))),
        ])
    }
}
