import MienClient

/// The lines below a search's results: coverage, effort, time, and how the probes with a known truth fared.
struct SearchSummary {
    var tally: SearchTally
    var effort: SearchOptions.Effort
    var matchLimit: Int
    var elapsed: Duration
    /// Whether all probes were searched: false when something failed after a request had been answered.
    var isComplete: Bool

    /// What the answers did not see, as one sentence; nil when they saw everything.
    var partialAnswer: String? {
        guard let coverage = tally.leastCoverage, !coverage.isFull else { return nil }
        return SearchResults.Coverage.gap(share: coverage.share, missing: tally.missing)
    }

    var text: String {
        var facts = TextTable([.init("", leastWidth: 8), .init("", widthLimit: 88)])
        if let coverage = tally.leastCoverage {
            let partial = coverage.isFull ? "" : ", partial"
            facts.append([
                "coverage",
                "\(coverage.shardsAnswered) of \(NumberText.counted(coverage.shardsAsked, "shard")), "
                    + "\(coverage.facesAnswered) of \(NumberText.counted(coverage.facesTotal, "face")) "
                    + "(\(NumberText.percent(coverage.share))\(partial))",
            ])
            if tally.hasLoss {
                facts.append(["lost", "faces that were given up with every copy of them are not counted above"])
            }
            facts.append([
                "effort",
                "\(effort): \(tally.rowsVisited) rows compared"
                    + (tally.listsVisited > 0 ? " in \(tally.listsVisited) lists" : ""),
            ])
        }
        facts.append([
            "time",
            "\(NumberText.duration(tally.coordinatorTime)) in the cluster, \(NumberText.duration(elapsed)) in all, for "
                + NumberText.counted(tally.probeCount, "probe") + " in "
                + NumberText.counted(tally.requestCount, "request"),
        ])
        if !isComplete { facts.append(["cut off", "no probe after those above was searched"]) }
        if tally.rejectedCount > 0 { facts.append(["refused", NumberText.counted(tally.rejectedCount, "probe")]) }
        if tally.matedCount > 0 {
            let share = NumberText.percent(Double(tally.rankOneCount) / Double(tally.matedCount))
            let within = matchLimit > 1 ? ", \(tally.foundCount) within rank \(matchLimit)" : ""
            facts.append(["mates", "\(tally.rankOneCount) of \(tally.matedCount) found at rank 1 (\(share))\(within)"])
        }
        if tally.nonmatedCount > 0 {
            let best = tally.bestNonmate.map {
                ", the most similar match at \(NumberText.fixed(Double($0.similarity), 4)) (probe \($0.probe))"
            }
            facts.append([
                "nonmates",
                NumberText.counted(tally.nonmatedCount, "probe") + " of people who are not enrolled" + (best ?? ""),
            ])
        }
        return facts.rendered(withTitles: false)
    }

    /// The last line of a search's JSON.
    var json: JSONValue {
        var members: [(String, JSONValue)] = [
            ("probes", .count(tally.probeCount)), ("rejected", .count(tally.rejectedCount)),
            ("requests", .count(tally.requestCount)), ("effort", .string(effort.description)),
            ("rows_visited", .count(tally.rowsVisited)), ("lists_visited", .count(tally.listsVisited)),
            ("cluster_seconds", .number(NumberText.seconds(tally.coordinatorTime))),
            ("seconds", .number(NumberText.seconds(elapsed))), ("complete", .flag(isComplete)),
        ]
        if let coverage = tally.leastCoverage {
            members.append(
                (
                    "coverage",
                    .object([
                        ("full", .flag(coverage.isFull)), ("share", .number(coverage.share)),
                        ("shards_asked", .count(coverage.shardsAsked)),
                        ("shards_answered", .count(coverage.shardsAnswered)),
                        ("faces_total", .count(coverage.facesTotal)),
                        ("faces_answered", .count(coverage.facesAnswered)), ("missing", tally.missing.json),
                        ("has_loss", .flag(tally.hasLoss)),
                    ])
                )
            )
        }
        if tally.matedCount > 0 {
            members += [
                ("mated_probes", .count(tally.matedCount)), ("mates_at_rank_1", .count(tally.rankOneCount)),
                ("mates_found", .count(tally.foundCount)),
                ("remark", tally.mates.remark.map { .string($0) } ?? .null),
            ]
        }
        if tally.nonmatedCount > 0 {
            members.append(("nonmated_probes", .count(tally.nonmatedCount)))
            members.append(("best_nonmate_similarity", tally.bestNonmate.map { .number($0.similarity) } ?? .null))
        }
        return .object([("summary", .object(members))])
    }
}
