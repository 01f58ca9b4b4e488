import MienClient

/// The results of a search, as a table for people or as lines of JSON.
struct SearchReport {
    private let matchLimit: Int
    private let truth: ProbeTruth?
    private(set) var tally = SearchTally()
    private var hasTitles = false

    init(matchLimit: Int, truth: ProbeTruth?) {
        self.matchLimit = matchLimit
        self.truth = truth
    }

    /// Counts the work and the coverage of one request.
    mutating func count(_ results: SearchResults) { tally.count(results) }

    /// Counts the outcomes of some probes and gives what to write for them.
    ///
    /// - Parameters:
    ///   - outcomes: of each probe, its name for people and its number in the truth.
    ///   - coverage: of the request that the matches are from; nil when there was none.
    mutating func text(
        _ outcomes: [(probe: String, number: Int, outcome: ProbeOutcome)],
        of coverage: SearchResults.Coverage?,
        asJSON: Bool
    ) -> String {
        var lines = ""
        var table = TextTable(columns)
        for (probe, number, outcome) in outcomes {
            switch outcome {
            case .rejected(let reason):
                tally.countRejected()
                if asJSON {
                    lines += JSONValue.object([("probe", key(probe)), ("rejected", .string(reason))]).line + "\n"
                } else {
                    table.append(cells(probe, rank: "", face: "refused: \(reason)", "", "", mate: ""))
                }
            case .matches(let matches):
                let verdict = truth?.verdict(probe: number, matches: matches) ?? .unknown
                tally.count(probe: number, matches: matches, verdict: verdict)
                if let mate = truth?.mate(ofProbe: number) { tally.note(mate, matches: matches) }
                if asJSON {
                    lines += json(probe, matches, verdict, coverage).line + "\n"
                } else {
                    append(probe, matches, verdict, to: &table)
                }
            }
        }
        guard !asJSON else { return lines }
        defer { hasTitles = true }
        let gap = coverage?.gap.map { "(\($0))\n" } ?? ""
        return table.rendered(withTitles: !hasTitles) + gap
    }

    enum ProbeOutcome {
        case matches([SearchResults.Match])
        case rejected(String)
    }

    // MARK: Table

    private var columns: [TextTable.Column] {
        var columns: [TextTable.Column] = [.init("probe", .right, widthLimit: 9)]
        if matchLimit > 1 { columns.append(.init("rank", .right)) }
        columns += [
            .init(matchLimit > 1 ? "match" : "best match", widthLimit: 46, leastWidth: 36),
            .init("person", widthLimit: 22, leastWidth: 15), .init("similarity", .right),
        ]
        if truth != nil { columns.append(.init("mate", leastWidth: 6)) }
        return columns
    }

    private func cells(
        _ probe: String,
        rank: String,
        face: String,
        _ person: String,
        _ similarity: String,
        mate: String
    ) -> [String] {
        [probe] + (matchLimit > 1 ? [rank] : []) + [face, person, similarity] + (truth != nil ? [mate] : [])
    }

    private func append(
        _ probe: String,
        _ matches: [SearchResults.Match],
        _ verdict: ProbeTruth.Verdict,
        to table: inout TextTable
    ) {
        if matches.isEmpty {
            table.append(cells(probe, rank: "", face: "none", "", "", mate: mateText(verdict, rank: 1)))
        }
        for (position, match) in matches.enumerated() {
            table.append(
                cells(
                    position == 0 ? probe : "",
                    rank: "\(position + 1)",
                    face: match.id.description,
                    match.metadata.personID ?? "",
                    NumberText.fixed(Double(match.similarity), 4),
                    mate: mateText(verdict, rank: position + 1)
                )
            )
        }
    }

    /// `found` on the line of the mate, `missed` on the first line when there is none, `-` where no mate is enrolled.
    private func mateText(_ verdict: ProbeTruth.Verdict, rank: Int) -> String {
        switch verdict {
        case .unknown: ""
        case .nonmated: rank == 1 ? "-" : ""
        case .mated(nil): rank == 1 ? "missed" : ""
        case .mated(let found?): found == rank ? "found" : ""
        }
    }

    // MARK: JSON

    private func key(_ probe: String) -> JSONValue { Int64(probe).map { .integer($0) } ?? .string(probe) }

    private func json(
        _ probe: String,
        _ matches: [SearchResults.Match],
        _ verdict: ProbeTruth.Verdict,
        _ coverage: SearchResults.Coverage?
    ) -> JSONValue {
        var members: [(String, JSONValue)] = [("probe", key(probe))]
        members.append(
            (
                "matches",
                .array(
                    matches.enumerated().map { position, match in
                        .object(
                            [
                                ("rank", .count(position + 1)), ("face_id", .string(match.id.description)),
                                ("similarity", .number(match.similarity)),
                            ] + FaceReport.members(match.metadata)
                        )
                    }
                )
            )
        )
        switch verdict {
        case .unknown: break
        case .nonmated: members.append(("mated", .flag(false)))
        case .mated(let rank): members += [("mated", .flag(true)), ("mate_rank", rank.map { .count($0) } ?? .null)]
        }
        if let coverage {
            members += [
                ("coverage", .number(coverage.share)), ("missing", coverage.missing.json),
                ("has_loss", .flag(coverage.hasLoss)),
            ]
        }
        return .object(members)
    }
}
