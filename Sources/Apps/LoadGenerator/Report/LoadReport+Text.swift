package import MienClient

extension LoadReport {
    /// The report for a terminal.
    package var text: String {
        var lines: [String] = [""]
        lines.append(truthLine)
        lines += truth.findings.examples.map { "  " + $0 }
        lines += truth.unchecked.map { "  not checked: " + $0 }
        lines.append("")
        lines += facts
        lines.append("")
        lines += Self.table(
            ["", "calls", "answered/s", "failed", "mean", "p50", "p90", "p99", "p99.9", "max"],
            operationRows
        )
        lines.append("  times of answered calls, from their intended start")
        if !phases.isEmpty {
            lines.append("")
            lines += Self.table(
                ["phase", "from", "to", "calls/s", "ok", "partial", "failed", "p50", "p99", "max"],
                phases.map(Self.row)
            )
        }
        lines.append("")
        lines += sparklines
        return lines.joined(separator: "\n") + "\n"
    }

    /// The verdict in one line.
    package var truthLine: String {
        let counts = TruthFindings.Kind.allCases.map { "\(truth.findings.count($0)) \($0.title)" }
        let title =
            switch verdict {
            case .untrue: "NOT TRUE"
            case .unanswered: "NO SEARCH WAS ANSWERED"
            case .unchecked: "Not all was checked"
            case .sound: "The answers were true"
            }
        return "\(title): " + counts.joined(separator: ", ")
    }

    /// What there is to say in words, each with what it is about.
    package var truthFacts: [(name: String, text: String)] {
        var facts = [
            (
                "checked while it ran",
                "\(FigureText.count(truth.checkedAnswerCount)) answers with "
                    + "\(FigureText.count(truth.checkedMatchCount)) matches"
            ),
            (
                "read back at the end",
                "\(FigureText.count(truth.readBackCount)) of \(FigureText.count(truth.readableCount)) faces, "
                    + "\(FigureText.count(truth.embeddingCount)) with embeddings; "
                    + "\(FigureText.count(truth.writtenFaceCount)) were written, "
                    + "\(FigureText.count(truth.uncertainFaceCount)) with an outcome that nobody knows"
            ),
        ]
        if let start = truth.start { facts.insert(("before the load", start.text), at: 0) }
        if truth.deletedSearchCount > 0 {
            let all = truth.deletedFaceCount.map { " of \(FigureText.count($0))" } ?? ""
            let exact = truth.deletedExactCount.map { ", \(FigureText.count($0)) of them exactly" } ?? ""
            facts.append(
                (
                    "deleted faces",
                    "\(FigureText.count(truth.deletedSearchCount))\(all) searched for with their own embeddings"
                        + exact
                )
            )
        }
        if let own = truth.ownSearches {
            facts.append(
                (
                    "faces that are there",
                    "\(FigureText.count(own.searchCount)) of \(FigureText.count(own.knownCount)) searched for with "
                        + "their own embeddings, exactly and by \(load.effort), which found "
                        + FigureText.count(own.foundCount)
                )
            )
        }
        facts.append(
            ("partial answers", "\(FigureText.count(truth.flaggedPartialCount)) said that they were")
        )
        if let count = truth.lossAnswerCount {
            facts.append(("faces given up", "\(FigureText.count(count)) answers said that there may be such"))
        }
        if let share = truth.mateShare {
            facts.append(
                (
                    "mates",
                    "\(FigureText.share(share)) of \(FigureText.count(truth.matedSearchCount)) mated probes found "
                        + "theirs among \(load.matchLimit) matches"
                )
            )
        }
        if let recall = truth.recall {
            facts.append(
                (
                    "against exact search",
                    "\(FigureText.share(recall)) of \(FigureText.count(truth.requiredMatchCount)) matches, "
                        + "\(FigureText.count(truth.foundMateCount)) of \(FigureText.count(truth.requiredMateCount)) "
                        + "mates, in \(FigureText.count(truth.comparedAnswerCount)) sampled answers"
                )
            )
        }
        return facts
    }

    private var facts: [String] {
        var facts = [
            ("load", load.arrivals),
            ("mix", load.mix + (load.streams.map { "; " + $0 } ?? "")),
            (
                "time",
                "\(FigureText.seconds(load.durationSeconds)) measured after "
                    + "\(FigureText.seconds(load.warmUpSeconds)) of warm-up"
            ),
            (
                "answered",
                "\(FigureText.rate(answeredPerSecond)), \(FigureText.share(1 - all.errorShare)) of all calls"
                    + (all.errorShare > 0 ? " (\(problemText(all)))" : "")
            ),
            (
                "begun late by",
                "\(FigureText.time(pacing.percentile(50))) (p50), \(FigureText.time(pacing.percentile(99))) (p99), "
                    + "\(FigureText.time(pacing.longestMicroseconds)) at most; that is part of the times"
            ),
        ]
        if let resends { facts.append(("sent again", resends.text)) }
        facts += truthFacts
        if let objective, let objectiveIsMet {
            facts.append(("objective", "\(objective): \(objectiveIsMet ? "met" : "not met")"))
        }
        let width = facts.map(\.0.count).max() ?? 0
        return facts.map { $0.0 + String(repeating: " ", count: width - $0.0.count) + "  " + $0.1 }
    }

    /// Such as `12 deadlineExceeded, 3 notSent`.
    package func problemText(_ figures: CallFigures) -> String {
        figures.problems.map { "\(FigureText.count($0.count)) \($0.name)" }.joined(separator: ", ")
    }

    /// A row for each operation, and one for all when there are several.
    package var operationRows: [[String]] {
        let operations = LoadOperation.allCases.filter { totals[$0] != nil }
        var rows = operations.map { row($0.title, totals[$0] ?? CallFigures()) }
        if operations.count > 1 { rows.append(row("all", all)) }
        return rows
    }

    private func row(_ name: String, _ figures: CallFigures) -> [String] {
        let times = figures.times
        let answered = Double(figures.okCount + figures.partialCount) / max(load.durationSeconds, 1e-9)
        let failed = figures.count - figures.okCount - figures.partialCount
        return [
            name, FigureText.count(figures.count), FigureText.digits(answered),
            failed == 0 ? "0" : "\(FigureText.count(failed))",
            FigureText.time(times.meanMicroseconds), FigureText.time(times.percentile(50)),
            FigureText.time(times.percentile(90)), FigureText.time(times.percentile(99)),
            FigureText.time(times.percentile(99.9)), FigureText.time(times.longestMicroseconds),
        ]
    }

    /// The cells of a phase, as the tables of text and page have them.
    package static func row(_ phase: LoadPhase) -> [String] {
        let figures = phase.figures
        let seconds = max(phase.toSeconds - phase.fromSeconds, 1e-9)
        return [
            phase.name, FigureText.seconds(phase.fromSeconds), FigureText.seconds(phase.toSeconds),
            FigureText.digits(Double(figures.count) / seconds), FigureText.share(1 - figures.errorShare),
            FigureText.count(figures.partialCount), FigureText.count(figures.failedCount + figures.notSentCount),
            FigureText.time(figures.times.percentile(50)), FigureText.time(figures.times.percentile(99)),
            FigureText.time(figures.times.longestMicroseconds),
        ]
    }

    private var sparklines: [String] {
        let windows = series.windows.map(\.all)
        let width = 100
        func line(_ name: String, _ values: [Double?], _ top: (Double) -> String) -> String {
            let shown = values.suffix(width)
            return "\(name)  \(Sparkline.text(values, width: width))  up to "
                + top(shown.compactMap(\.self).max() ?? 0)
        }
        return [
            line("answered", windows.map { Double($0.okCount) / series.windowSeconds }) { FigureText.rate($0) },
            line("p50     ", windows.map { $0.times.isEmpty ? nil : Double($0.times.percentile(50)) }) {
                FigureText.time($0)
            },
            line("p99     ", windows.map { $0.times.isEmpty ? nil : Double($0.times.percentile(99)) }) {
                FigureText.time($0)
            },
            line("failed  ", windows.map { Double($0.count - $0.okCount) / series.windowSeconds }) {
                FigureText.rate($0)
            },
        ]
    }

    /// Cells in columns, the first one aligned to the left.
    private static func table(_ titles: [String], _ rows: [[String]]) -> [String] {
        let all = [titles] + rows
        let widths = titles.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { cells in
            cells.indices.map { column in
                let blanks = String(repeating: " ", count: widths[column] - cells[column].count)
                return column == 0 ? cells[column] + blanks : blanks + cells[column]
            }.joined(separator: "  ")
        }
    }
}

extension TruthReport.Start {
    /// What was found before the load, and what became of it.
    fileprivate var text: String {
        if wasExpected { return "had to be as its fill left it, and nothing was undone" }
        if removedCount == 0, restoredCount == 0 { return "nothing of an earlier load was found" }
        return "\(FigureText.count(removedCount)) faces removed and \(FigureText.count(restoredCount)) filled ones "
            + "given back as what an earlier load left; what was lost before is not told from that"
    }
}

extension MienClient.Resends {
    /// Such as `12 calls, 15 times in all`.
    package var text: String {
        callCount == 0
            ? "no call"
            : "\(FigureText.count(callCount)) \(callCount == 1 ? "call" : "calls"), "
                + "\(FigureText.count(sendingCount)) \(sendingCount == 1 ? "time" : "times") in all"
    }
}
