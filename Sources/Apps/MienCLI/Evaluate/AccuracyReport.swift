import BiometricEvaluation
import FaceModel
import MienClient

/// The error rates of one collection as text and as JSON.
struct AccuracyReport {
    /// False positive identification rates that thresholds are chosen for, as NIST does.
    static let falsePositiveTargets = [0.003, 0.001]
    /// Fewer false positives than this leave a threshold to chance.
    private static let leastFalsePositives = 10

    let collection: CollectionInfo
    let persons: PersonCount
    let matchLimit: Int
    let timesNote: String
    /// Exact search first.
    let results: [EffortResult]

    private var exact: EffortResult { results[0] }

    /// The threshold of exact search for a rate; nil when there are too few nonmated searches.
    func threshold(_ target: Double) -> Float? { exact.identification.threshold(falsePositiveRate: target) }

    /// What an effort comes to at the thresholds that exact search needs, with the FPIR that each is for.
    func operatingPoints(
        _ result: EffortResult
    ) -> [(target: Double, point: (falsePositives: Proportion, falseNegatives: Proportion))] {
        Self.falsePositiveTargets.compactMap { target in
            threshold(target).map { threshold in
                let test = result.identification
                return (target, (test.falsePositives(threshold: threshold), test.falseNegatives(threshold: threshold)))
            }
        }
    }

    var text: String {
        let notes = noteLines.map { $0 + "\n" }.joined()
        return [
            (headLines + [templateLine]).map { $0 + "\n" }.joined(), accuracyTable.rendered(), notes,
            timeTable.rendered(), timesNote + "\n", missTable.rendered(),
        ].filter { !$0.isEmpty }.joined(separator: "\n")
    }

    /// What was searched, and with what.
    var headLines: [String] {
        [
            "\(collection.options.name): N = \(NumberText.counted(collection.faceCount, "face")) \(persons.text), "
                + NumberText.counted(collection.shards.count, "shard")
                + ", \(collection.freshCount) faces not in a list yet",
            "\(exact.identification.matedCount) mated and \(exact.identification.nonmatedCount) nonmated probes, "
                + "L = \(NumberText.counted(matchLimit, "match", plural: "matches"))",
        ]
    }

    /// Bytes of a row's int8 besides one for each component: its scale, its error and its norm.
    private static let roundingOverhead = 12

    private var embeddingByteCount: Int {
        collection.options.dimension * (collection.options.storedPrecision == .float16 ? 2 : 4)
    }
    private var roundingByteCount: Int { collection.options.dimension + Self.roundingOverhead }

    /// What is kept of one face, and what of it a search scans.
    var templateLine: String {
        let code =
            collection.codebook.map { "the code that searches scan \($0.codeByteCount)" } ?? "there are no codes yet"
        return "Bytes of a template: the embedding \(embeddingByteCount), its rounding \(roundingByteCount); \(code)."
    }

    var accuracyTable: TextTable {
        var table = TextTable(
            [.init("effort"), .init("FNIR(N,1,0)", .right)]
                + Self.falsePositiveTargets.map { .init("FNIR(N,L,T) at FPIR \($0)", .right) }
                + [.init("recall@\(matchLimit)", .right), .init("mates missed by the index", .right)]
        )
        for result in results {
            var cells = ["\(result.effort)", Self.text(result.identification.falseNegatives(withinRank: 1))]
            for target in Self.falsePositiveTargets {
                cells.append(
                    threshold(target).map { Self.text(result.identification.falseNegatives(threshold: $0)) } ?? "-"
                )
            }
            cells.append(Self.text(result))
            cells.append(result.effort == .exact ? "-" : Self.text(result.missed()))
            table.append(cells)
        }
        return table
    }

    /// Why mates may look missed that are not, as a sentence; nil when there is no reason to think so.
    var mateRemark: String? { exact.mates.remark }

    /// What the thresholds are, and how far they and the mates can be trusted.
    var noteLines: [String] {
        var lines = [mateRemark].compactMap(\.self)
        let nonmatedCount = exact.identification.nonmatedCount
        for target in Self.falsePositiveTargets {
            guard let threshold = threshold(target) else {
                let needed = Int((1 / target).rounded(.up))
                lines.append("FPIR \(target) cannot be told from \(nonmatedCount) nonmated probes; it needs \(needed).")
                continue
            }
            let positives = exact.identification.falsePositives(threshold: threshold)
            let interval = positives.interval()
            let (low, high) = (NumberText.fixed(interval.lowerBound, 4), NumberText.fixed(interval.upperBound, 4))
            let isFew = positives.count < Self.leastFalsePositives
            lines.append(
                "FPIR \(target): T = \(NumberText.fixed(Double(threshold), 4)), \(positives.count) of "
                    + "\(positives.total) nonmated searches pass it"
                    + (isFew ? "; so few leave the rate anywhere from \(low) to \(high)." : " (\(low)–\(high)).")
            )
        }
        return lines
    }

    var timeTable: TextTable {
        let limits = exact.otherLimits
        var table = TextTable(
            [
                .init("effort"), .init("visited", .right),
                .init(limits.isEmpty ? "single ms" : "single ms, L = \(matchLimit)", .right),
            ] + limits.map { .init("L = \($0)", .right) } + [
                .init("photo ms a probe", .right), .init("times faster than exact", .right),
            ]
        )
        for result in results {
            table.append(
                [
                    "\(result.effort)", NumberText.percent(result.visitedShare),
                    NumberText.fixed(result.singleMilliseconds, 2),
                ] + limits.map { NumberText.fixed(result.singleMilliseconds(matchLimit: $0), 2) } + [
                    NumberText.fixed(result.photoMilliseconds, 3),
                    NumberText.fixed(exact.singleMilliseconds / result.singleMilliseconds, 1) + " / "
                        + NumberText.fixed(exact.photoMilliseconds / result.photoMilliseconds, 1),
                ]
            )
        }
        return table
    }

    var missTable: TextTable {
        var table = TextTable(
            [.init("missed, by similarity from")] + SimilarityBands.titles.map { .init($0, .right) }
        )
        table.append(["mates"] + exact.misses.map { "\($0.total)" })
        for result in results.dropFirst() {
            table.append(
                ["\(result.effort)"]
                    + result.misses.map { missed in
                        guard missed.total > 0 else { return "-" }
                        let interval = missed.interval()
                        let (low, high) = (interval.lowerBound * 100, interval.upperBound * 100)
                        return "\(missed.count) (\(NumberText.fixed(low, 1))–\(NumberText.fixed(high, 1)) %)"
                    }
            )
        }
        return table
    }

    /// Such as `0.0123 (0.0081–0.0179)`.
    static func text(_ proportion: Proportion) -> String {
        guard proportion.total > 0 else { return "-" }
        return text(proportion.rate, proportion.interval())
    }

    /// The recall of an effort, such as `0.9512 (0.9491–0.9533)`; that of exact search is 1 by definition.
    static func text(_ result: EffortResult) -> String {
        guard result.effort != .exact else { return "1" }
        guard result.recall.mean.isFinite else { return "-" }
        return text(result.recall.mean, result.recall.interval)
    }

    private static func text(_ rate: Double, _ interval: ClosedRange<Double>) -> String {
        let (low, high) = (NumberText.fixed(interval.lowerBound, 4), NumberText.fixed(interval.upperBound, 4))
        return "\(NumberText.fixed(rate, 4)) (\(low)–\(high))"
    }

    var json: JSONValue {
        .object([
            ("collection", .string(collection.options.name)), ("faces", .count(collection.faceCount)),
            ("persons", persons.count.map { .count($0) } ?? .null),
            ("faces_without_person", .count(persons.namelessFaceCount)),
            (
                "template_bytes",
                .object([
                    ("embedding", .count(embeddingByteCount)), ("rounding", .count(roundingByteCount)),
                    ("code", collection.codebook.map { .count($0.codeByteCount) } ?? .null),
                ])
            ),
            ("fresh", .count(collection.freshCount)), ("shards", .count(collection.shards.count)),
            ("match_limit", .count(matchLimit)), ("mated_probes", .count(exact.identification.matedCount)),
            ("nonmated_probes", .count(exact.identification.nonmatedCount)),
            ("remark", mateRemark.map { .string($0) } ?? .null),
            (
                "thresholds",
                .array(
                    Self.falsePositiveTargets.map { target in
                        .object([
                            ("fpir", .number(target)), ("threshold", threshold(target).map { .number($0) } ?? .null),
                            (
                                "false_positives",
                                threshold(target).map {
                                    Self.json(exact.identification.falsePositives(threshold: $0))
                                } ?? .null
                            ),
                        ])
                    }
                )
            ),
            ("efforts", .array(results.map(json))),
        ])
    }

    private func json(_ result: EffortResult) -> JSONValue {
        .object([
            ("effort", .string("\(result.effort)")), ("visited_share", .number(result.visitedShare)),
            ("single_ms", .number(result.singleMilliseconds)),
            (
                "single_ms_at",
                .array(
                    result.otherLimits.map {
                        .object([
                            ("match_limit", .count($0)),
                            ("single_ms", .number(result.singleMilliseconds(matchLimit: $0))),
                        ])
                    }
                )
            ),
            ("photo_ms_per_probe", .number(result.photoMilliseconds)),
            ("fnir_rank_1", Self.json(result.identification.falseNegatives(withinRank: 1))),
            (
                "fnir_at_fpir",
                .array(
                    Self.falsePositiveTargets.map { target in
                        threshold(target).map { Self.json(result.identification.falseNegatives(threshold: $0)) }
                            ?? .null
                    }
                )
            ),
            ("recall", .number(result.recall.mean)), ("recall_half_width", .number(result.recall.halfWidth)),
            ("recall_lower", .number(result.recall.interval.lowerBound)),
            ("recall_upper", .number(result.recall.interval.upperBound)),
            ("missed", Self.json(result.missed())),
            (
                "missed_by_index",
                .array(
                    zip(SimilarityBands.floors, result.misses).map { floor, missed in
                        .object([("similarity_from", .number(floor)), ("missed", Self.json(missed))])
                    }
                )
            ),
            (
                "trade_offs",
                .array(
                    result.identification.tradeOffs().map { point in
                        .object([
                            ("threshold", .number(point.threshold)), ("fpir", .number(point.falsePositiveRate)),
                            ("fnir", .number(point.falseNegativeRate)),
                        ])
                    }
                )
            ),
        ])
    }

    private static func json(_ proportion: Proportion) -> JSONValue {
        let interval = proportion.interval()
        return .object([
            ("count", .count(proportion.count)), ("total", .count(proportion.total)),
            ("rate", .number(proportion.rate)), ("lower", .number(interval.lowerBound)),
            ("upper", .number(interval.upperBound)),
        ])
    }
}
