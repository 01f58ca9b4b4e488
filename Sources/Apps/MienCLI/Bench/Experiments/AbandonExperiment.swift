import InvertedFileIndex
import VectorMath

/// Measures how early rows can be given up: what a scan reads and loses when it looks at the rest of a row's code only
/// if the heads promise as much as the worst candidate kept so far.
struct AbandonExperiment {
    /// How far below the line of the worst candidate heads may lie, and where the scan begins.
    struct Rule {
        enum Order: String {
            /// The nearest 3 % of the lists first, then those up to 15 %, then the rest, as a search does.
            case nearFirst = "near lists first"
            case stored = "as stored"
        }

        /// In deviations; nil reads the whole code of every row.
        let deviations: Float?
        let order: Order
        /// Whether the threshold is from the beginning what it will be at the end.
        let knowsThreshold: Bool
    }

    /// What one rule gave over all probes.
    private struct Result {
        /// Nanoseconds a row, one for each probe.
        var times: [Double] = []
        var recordCount = 0
        var agreedCount = 0
        var wantedCount = 0
        var lost = [Int](repeating: 0, count: SimilarityBands.count)
    }

    /// What searches do.
    private static let searchDeviations: Float = 0.8

    let gallery: MeasuredGallery
    let codes: PackedCodes
    /// Rows kept by estimate.
    let candidateCount: Int

    static func rules(margins: [Float]) -> [Rule] {
        [Rule(deviations: nil, order: .nearFirst, knowsThreshold: false)]
            + margins.map { Rule(deviations: $0, order: .nearFirst, knowsThreshold: false) }
            + [
                Rule(deviations: searchDeviations, order: .stored, knowsThreshold: false),
                Rule(deviations: searchDeviations, order: .nearFirst, knowsThreshold: true),
            ]
    }

    func table(_ rules: [Rule], rounds: Int) -> ResultTable {
        var results = rules.map { _ in Result() }
        for probe in 0..<gallery.probes.count {
            let prepared = PreparedProbes(probes: gallery.probe(probe), codebook: codes.codebook)
            var walk = prepared.walk(ofProbe: 0)
            let near = [0.03, 0.15, .infinity].map { walk.next(until: $0) }
            let scan = CodeProbe(gallery.probe(probe), codebook: codes.codebook)
            for (index, rule) in rules.enumerated() {
                measure(probe, rule, scan, near, rounds: rounds, into: &results[index])
            }
        }
        return table(rules, results)
    }

    private func measure(
        _ probe: Int,
        _ rule: Rule,
        _ scan: CodeProbe,
        _ near: [[UInt32]],
        rounds: Int,
        into result: inout Result
    ) {
        let parts: [[Int]] =
            switch rule.order {
            case .nearFirst: near.map { $0.map { Int($0) } }
            case .stored: [Array(0..<codes.codebook.listCount)]
            }
        // Counts what is read; that takes a scan of its own.
        var pass = Pass(scan: scan, deviations: rule.deviations, capacity: candidateCount)
        run(&pass, parts, counting: true)
        if rule.knowsThreshold {
            let floor = pass.best.score(ofRank: pass.best.count)
            pass = Pass(scan: scan, deviations: rule.deviations, capacity: candidateCount, floor: floor)
            run(&pass, parts, counting: true)
        }
        result.recordCount += pass.recordCount
        let times = (0..<rounds).map { _ -> Double in
            var timed = Pass(
                scan: scan,
                deviations: rule.deviations,
                capacity: candidateCount,
                floor: rule.knowsThreshold ? pass.floor : -.infinity
            )
            let start = CPUClock.ofThisThread
            run(&timed, parts, counting: false)
            return (CPUClock.ofThisThread - start) / .nanoseconds(1) / Double(codes.rowCount)
        }
        result.times.append(PairedTimes.median(times))
        let found = Set(pass.best.sorted().map { Int($0.id) })
        let truth = gallery.truths[probe]
        result.wantedCount += truth.neighbours.count
        result.agreedCount += truth.neighbours.count { found.contains($0) }
        if truth.holdsMate, !found.contains(gallery.probes.mates[probe]) {
            result.lost[gallery.probes.band(ofProbe: probe)] += 1
        }
    }

    /// One scan of one probe.
    private struct Pass {
        let scan: CodeProbe
        let deviations: Float?
        let floor: Float
        var best: BoundedTopK
        /// Rows that were read beyond their heads.
        var recordCount = 0

        init(scan: CodeProbe, deviations: Float?, capacity: Int, floor: Float = -.infinity) {
            self.scan = scan
            self.deviations = deviations
            self.floor = floor
            best = BoundedTopK(capacity: capacity)
        }

        /// The worst estimate that is of use.
        var worstKept: Float {
            best.count < best.capacity ? floor : max(floor, best.score(ofRank: best.count))
        }

        mutating func read(_ block: VectorKernels.CodeBlock, counting: Bool) {
            let worst = worstKept
            let threshold = deviations.map { scan.headThreshold(forEstimate: worst, deviations: $0) } ?? -1
            if counting { recordCount += unsafe scan.scan(block, headThreshold: threshold).rows.count }
            let found = unsafe scan.scan(block, headThreshold: threshold, leastEstimate: worst)
            for index in unsafe found.rows.indices {
                unsafe best.insert(score: found.estimates[index], id: UInt64(found.rows[index]))
            }
        }
    }

    private func run(_ pass: inout Pass, _ parts: [[Int]], counting: Bool) {
        for lists in parts {
            codes.forEachBlock(ofLists: lists) { pass.read($0, counting: counting) }
        }
    }

    private func table(_ rules: [Rule], _ results: [Result]) -> ResultTable {
        var table = ResultTable(
            "abandon_\(gallery.model.rawValue)",
            title: "\(gallery.model.rawValue), \(candidateCount) candidates: mates lost, by similarity from",
            columns: [
                .init("margin"), .init("order", "lists"), .init("passed", "pass heads"),
                .init("records", "records a probe"), .init("bytes", "bytes a row"), .init("nanoseconds", "ns a row"),
                .init("time", "time"), .init("recall", "recall@\(MeasuredGallery.matchLimit)"),
            ] + ResultTable.Column.bands
        )
        table.append(
            [.text("mates"), .text(""), .none, .none, .none, .none, .none, .none]
                + gallery.mateCounts.map { .count($0) }
        )
        let whole = results.first.map { PairedTimes.median($0.times) } ?? .nan
        for (rule, result) in zip(rules, results) {
            let records = Double(result.recordCount) / Double(max(1, gallery.probes.count))
            let passed = records / Double(codes.rowCount)
            let time = PairedTimes.median(result.times)
            table.append(
                [
                    .text(rule.deviations.map { NumberText.fixed(Double($0), 1) } ?? "whole code"),
                    .text(rule.order.rawValue + (rule.knowsThreshold ? ", final threshold" : "")), .share(passed),
                    .number(records, decimals: 0),
                    .number(Double(codes.headBytesPerRow) + passed * Double(codes.recordBytesPerRow), decimals: 1),
                    .number(time, decimals: 2), .number(time / whole, decimals: 2),
                    .number(Double(result.agreedCount) / Double(max(1, result.wantedCount)), decimals: 4),
                ] + result.lost.map { .count($0) }
            )
        }
        return table
    }
}
