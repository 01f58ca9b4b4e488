import BiometricEvaluation
import MienClient

/// How times and misses of one collection changed as it grew.
struct GrowthReport {
    struct Step {
        var collection: CollectionInfo
        /// Of whom the faces are by then.
        var persons: PersonCount
        /// Faces a second.
        var importRate: Double
        /// From the last acknowledged face until the index had all of them, as NIST calls it.
        var finalisationTime: Duration
        var results: [EffortResult]
    }

    let matchLimit: Int
    /// Of the largest size measured: a fit says nothing beyond.
    private static let farthestFactor = 10.0

    /// Times whose N is told.
    let limits: [Duration]
    let timesNote: String
    var steps: [Step] = []

    enum Batch: String, CaseIterable {
        case single
        case photo

        func milliseconds(_ result: EffortResult) -> Double {
            self == .single ? result.singleMilliseconds : result.photoMilliseconds
        }

        var title: String { self == .single ? "single probe" : "photo, a probe" }
        var heading: String { self == .single ? "A search with one probe" : "A photo's search, for each probe" }
    }

    var efforts: [SearchOptions.Effort] { steps.first?.results.map(\.effort) ?? [] }

    func law(_ effort: Int, _ batch: Batch) -> PowerLaw? {
        PowerLaw(steps.map { (Double($0.collection.faceCount), batch.milliseconds($0.results[effort])) })
    }

    /// Below the fits.
    static let fitNote =
        "± is the standard error of b; brackets are 95 % intervals (Student, Fieller) and rest on the scatter of the "
        + "sizes about the curve, so few sizes leave them wide."

    var text: String {
        [stepTable.rendered() + timesNote + "\n", accuracyTable.rendered()].joined(separator: "\n")
            + mateRemarks.map { $0 + "\n" }.joined()
            + (fitTable.map { "\n" + $0.rendered() + Self.fitNote + "\n" } ?? "")
    }

    /// Why mates may look missed that are not, once for all sizes.
    var mateRemarks: [String] {
        steps.lazy.compactMap { $0.results.first?.mates.remark }.prefix(1).map(\.self)
    }

    var stepTable: TextTable {
        var table = TextTable(
            [
                .init("N", .right), .init("persons", .right), .init("import/s", .right), .init("finalisation", .right),
                .init("lists", .right), .init("effort"), .init("visited", .right),
            ] + timeColumns + [.init("photo ms a probe", .right)]
        )
        let limits = otherLimits
        for step in steps {
            for (row, result) in step.results.enumerated() {
                let stepCells =
                    row > 0
                    ? ["", "", "", "", ""]
                    : [
                        "\(step.collection.faceCount)", step.persons.cell, NumberText.fixed(step.importRate, 0),
                        NumberText.duration(step.finalisationTime),
                        step.collection.codebook.map { "\($0.listCount)" } ?? "-",
                    ]
                table.append(
                    stepCells + [
                        "\(result.effort)", NumberText.percent(result.visitedShare),
                        NumberText.fixed(result.singleMilliseconds, 2),
                    ] + limits.map { NumberText.fixed(result.singleMilliseconds(matchLimit: $0), 2) } + [
                        NumberText.fixed(result.photoMilliseconds, 3)
                    ]
                )
            }
        }
        return table
    }

    private var otherLimits: [Int] { steps.first?.results.first?.otherLimits ?? [] }

    /// Of single-probe searches, one for each list length.
    private var timeColumns: [TextTable.Column] {
        let limits = otherLimits
        return [.init(limits.isEmpty ? "single ms" : "single ms, L = \(matchLimit)", .right)]
            + limits.map { .init("L = \($0)", .right) }
    }

    /// The error rates at each size.
    private var rates: [AccuracyReport] {
        steps.map {
            AccuracyReport(
                collection: $0.collection,
                persons: $0.persons,
                matchLimit: matchLimit,
                timesNote: timesNote,
                results: $0.results
            )
        }
    }

    /// False positive rates that can be told at one size at least.
    private var falsePositiveTargets: [Double] {
        let rates = rates
        return AccuracyReport.falsePositiveTargets.filter { target in rates.contains { $0.threshold(target) != nil } }
    }

    /// What was found at each size, with 95 % intervals; thresholds are those of each size's exact search.
    var accuracyTable: TextTable {
        let targets = falsePositiveTargets
        var table = TextTable(
            [.init("N", .right), .init("effort"), .init("FNIR(N,1,0)", .right)]
                + targets.map { .init("FNIR(N,L,T) at FPIR \($0)", .right) }
                + [.init("recall@\(matchLimit)", .right), .init("mates missed by the index", .right)]
        )
        for rates in rates {
            for (row, result) in rates.results.enumerated() {
                let atThresholds = targets.map { target in
                    rates.threshold(target).map {
                        AccuracyReport.text(result.identification.falseNegatives(threshold: $0))
                    } ?? "-"
                }
                table.append(
                    [
                        row > 0 ? "" : "\(rates.collection.faceCount)", "\(result.effort)",
                        AccuracyReport.text(result.identification.falseNegatives(withinRank: 1)),
                    ] + atThresholds + [
                        AccuracyReport.text(result), row == 0 ? "-" : AccuracyReport.text(result.missed()),
                    ]
                )
            }
        }
        return table
    }

    /// Times against N; nil with one size.
    var fitTable: TextTable? {
        guard steps.count > 1 else { return nil }
        var table = TextTable(
            [.init("effort"), .init("search"), .init("ms = a · N^b", .right), .init("b, 95 %", .right)]
                + limits.map { .init("N at \(NumberText.duration($0))", .right) }
        )
        for effort in efforts.indices {
            for batch in Batch.allCases {
                guard let law = law(effort, batch) else { continue }
                let error = law.exponentError.map { " ± \(NumberText.fixed($0, 2))" } ?? ""
                table.append(
                    [
                        "\(efforts[effort])", batch.title,
                        "\(Self.scientific(law.factor)) · N^\(NumberText.fixed(law.exponent, 2))\(error)",
                        law.exponentInterval.map {
                            "\(NumberText.fixed($0.lowerBound, 2)) to \(NumberText.fixed($0.upperBound, 2))"
                        } ?? "-",
                    ] + limits.map { sizeText(law, within: $0 / .milliseconds(1)) }
                )
            }
        }
        return table
    }

    /// Such as `1.2e-05`.
    private static func scientific(_ value: Double) -> String {
        guard value > 0, value.isFinite else { return "\(value)" }
        var (mantissa, exponent) = (value, 0)
        while mantissa < 1 { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
        while mantissa >= 10 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
        return exponent == 0 ? NumberText.fixed(mantissa, 2) : "\(NumberText.fixed(mantissa, 2))e\(exponent)"
    }

    /// Such as `12.5 M (8.1 M–over 100.0 M)`, without the interval where it cannot be told or lies beyond.
    private func sizeText(_ law: PowerLaw, within milliseconds: Double) -> String {
        guard let size = law.size(time: milliseconds) else { return "-" }
        guard let interval = law.sizeInterval(time: milliseconds), interval.lowerBound <= farthest else {
            return sizeText(size)
        }
        return "\(sizeText(size)) (\(sizeText(interval.lowerBound))–\(sizeText(interval.upperBound)))"
    }

    private var farthest: Double { Self.farthestFactor * Double(steps.map(\.collection.faceCount).max() ?? 0) }

    /// Such as `12.5 M`; what lies far beyond the sizes measured is not told, for other things will decide there.
    private func sizeText(_ count: Double) -> String {
        count > farthest ? "over \(Self.shortSize(farthest))" : Self.shortSize(count)
    }

    private static func shortSize(_ count: Double) -> String {
        count < 1e3
            ? NumberText.fixed(count, 0)
            : count < 1e6 ? NumberText.fixed(count / 1e3, 1) + " k" : NumberText.fixed(count / 1e6, 1) + " M"
    }

    /// The two bounds; null where they cannot be told.
    private static func json(_ interval: ClosedRange<Double>?) -> JSONValue {
        interval.map { .array([.number($0.lowerBound), .number($0.upperBound)]) } ?? .null
    }

    var json: JSONValue {
        .object([
            ("match_limit", .count(matchLimit)),
            (
                "steps",
                .array(
                    zip(steps, rates).map { step, rates in
                        .object([
                            ("import_faces_per_second", .number(step.importRate)),
                            ("finalisation_seconds", .number(NumberText.seconds(step.finalisationTime))),
                            ("lists", step.collection.codebook.map { .count($0.listCount) } ?? .null),
                            ("accuracy", rates.json),
                        ])
                    }
                )
            ),
            (
                "fits",
                .array(
                    efforts.indices.flatMap { effort in
                        Batch.allCases.compactMap { batch in
                            law(effort, batch).map { law in
                                .object([
                                    ("effort", .string("\(efforts[effort])")), ("search", .string(batch.rawValue)),
                                    ("factor_ms", .number(law.factor)), ("exponent", .number(law.exponent)),
                                    ("exponent_error", law.exponentError.map { .number($0) } ?? .null),
                                    ("exponent_interval", Self.json(law.exponentInterval)),
                                    ("factor_interval_ms", Self.json(law.factorInterval)),
                                    (
                                        "sizes",
                                        .array(
                                            limits.map { limit in
                                                let milliseconds = limit / .milliseconds(1)
                                                let size = law.size(time: milliseconds)
                                                return .object([
                                                    ("within_ms", .number(milliseconds)),
                                                    ("faces", size.map { .number($0.rounded()) } ?? .null),
                                                    ("interval", Self.json(law.sizeInterval(time: milliseconds))),
                                                ])
                                            }
                                        )
                                    ),
                                ])
                            }
                        }
                    }
                )
            ),
        ])
    }
}
