import FaceModel
import Foundation
import PartitionEngine

/// Times and recall of some efforts against exact search.
struct IndexBenchReport {
    private struct Measurement {
        let effort: SearchEffort
        /// CPU milliseconds a probe, one entry a round.
        var single: [Double] = []
        var photo: [Double] = []
        var recall = 0.0
        var visitedShare = 0.0
        /// Rows compared in full, a probe.
        var reranked = 0.0
        /// Of the last round, single probes and photos.
        var stages: [SearchStages] = []
        /// By band.
        var missed: [Int] = []
    }

    private let bench: IndexBench
    private let probeCount: Int
    private let matchLimit: Int
    private let exact: IndexBench.Pass
    /// Per probe: its band when exact search ranks its mate first.
    private let bands: [Int?]
    private var measurements: [Measurement] = []

    init(bench: IndexBench, gallery: String, probeCount: Int, matchLimit: Int) throws(CommandFailure) {
        self.bench = bench
        self.probeCount = probeCount
        self.matchLimit = matchLimit
        exact = try bench.search(0..<probeCount, effort: .exact, matchLimit: matchLimit, batch: 100)
        let truth = try ProbeTruth(path: "\(gallery)/probe-truth.jsonl")
        let persons = try Self.lines("\(gallery)/persons.txt")
        let similarities = exact.bestSimilarities
        bands = exact.rows.enumerated().map { probe, rows in
            guard let best = rows.first, best >= 0, best < persons.count, truth.isMate(persons[best], ofProbe: probe)
            else { return nil }
            return SimilarityBands.band(of: similarities[probe])
        }
    }

    private static func lines(_ path: String) throws(CommandFailure) -> [String] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw CommandFailure(.fileSystem, "\(path) cannot be read; make the gallery with 'mien generate'")
        }
        return text.split(separator: "\n").map { String($0) }
    }

    mutating func measure(_ effort: SearchEffort, photo: Int) throws(CommandFailure) {
        let single = try bench.search(0..<probeCount, effort: effort, matchLimit: matchLimit, batch: 1)
        let batched = try bench.search(0..<probeCount, effort: effort, matchLimit: matchLimit, batch: photo)
        var index = measurements.firstIndex { $0.effort == effort }
        if index == nil {
            measurements.append(Measurement(effort: effort))
            index = measurements.count - 1
        }
        guard let index else { return }
        measurements[index].single.append(single.cpuTime / .milliseconds(1) / Double(probeCount))
        measurements[index].photo.append(batched.cpuTime / .milliseconds(1) / Double(probeCount))
        measurements[index].visitedShare =
            Double(single.rowsVisited) / Double(probeCount) / Double(max(1, bench.faceCount))
        measurements[index].reranked = Double(single.rowsReranked) / Double(probeCount)
        measurements[index].stages = [single.stages, batched.stages]
        var agreed = 0
        var wanted = 0
        var missed = [Int](repeating: 0, count: SimilarityBands.count)
        for probe in 0..<probeCount {
            let found = Set(single.rows[probe])
            wanted += exact.rows[probe].count
            agreed += exact.rows[probe].count { found.contains($0) }
            if let band = bands[probe], single.rows[probe].first != exact.rows[probe].first { missed[band] += 1 }
        }
        measurements[index].recall = Double(agreed) / Double(max(1, wanted))
        measurements[index].missed = missed
    }

    private var mateCounts: [Int] {
        (0..<SimilarityBands.count).map { band in bands.count { $0 == band } }
    }

    var text: String {
        var times = TextTable([
            .init("effort"), .init("single ms", .right), .init("photo ms", .right), .init("visited", .right),
            .init("reranked", .right),
            .init("recall@\(matchLimit)", .right), .init("mate@1", .right),
        ])
        var misses = TextTable(
            [.init("mates missed, by similarity from")]
                + SimilarityBands.names.map { .init($0, .right) }
        )
        let counts = mateCounts
        misses.append(["mates"] + counts.map { "\($0)" })
        for measurement in measurements {
            times.append([
                "\(measurement.effort)", NumberText.fixed(PairedTimes.median(measurement.single), 3),
                NumberText.fixed(PairedTimes.median(measurement.photo), 3),
                NumberText.percent(measurement.visitedShare), NumberText.fixed(measurement.reranked, 0),
                NumberText.fixed(measurement.recall, 4),
                NumberText.fixed(mateRecall(measurement), 4),
            ])
            misses.append(["\(measurement.effort)"] + measurement.missed.map { "\($0)" })
        }
        let exactTime = exact.cpuTime / .milliseconds(1) / Double(probeCount)
        let stages = "Wall time of the stages, µs a probe, in the last round\n\n" + stageTable.rendered()
        return "\(bench.faceCount) faces, \(probeCount) probes, CPU time a probe, median of the rounds; "
            + "exact in a photo \(NumberText.fixed(exactTime, 3)) ms\n\n" + times.rendered() + "\n" + stages + "\n"
            + misses.rendered()
    }

    /// Microseconds a probe of the stages of a search, in their order.
    private func times(_ stages: SearchStages) -> [(name: String, microseconds: Double)] {
        [
            ("plan", stages.plan), ("rank lists", stages.rank), ("scan", stages.scan),
            ("rerank", stages.compare), ("rows in no list", stages.flat), ("answer", stages.answer),
        ].map { ($0.0, Double($0.1) / 1000 / Double(probeCount)) }
    }

    private var stageTable: TextTable {
        var table = TextTable(
            [.init("effort"), .init("search")] + times(SearchStages()).map { .init($0.name, .right) }
        )
        for measurement in measurements {
            for (search, stages) in zip(["single", "photo"], measurement.stages) {
                table.append(
                    ["\(measurement.effort)", search]
                        + times(stages).map { NumberText.fixed($0.microseconds, 1) }
                )
            }
        }
        return table
    }

    private func mateRecall(_ measurement: Measurement) -> Double {
        let mates = mateCounts.reduce(0, +)
        return mates == 0 ? 1 : 1 - Double(measurement.missed.reduce(0, +)) / Double(mates)
    }

    var json: JSONValue {
        .object([
            ("faces", .count(bench.faceCount)), ("probes", .count(probeCount)), ("k", .count(matchLimit)),
            ("band_floors", .array(SimilarityBands.floors.map { .number($0) })),
            ("mates", .array(mateCounts.map { .count($0) })),
            (
                "efforts",
                .array(
                    measurements.map { measurement in
                        .object([
                            ("effort", .string("\(measurement.effort)")),
                            ("single_cpu_ms", .array(measurement.single.map { .number($0) })),
                            ("photo_cpu_ms", .array(measurement.photo.map { .number($0) })),
                            ("visited_share", .number(measurement.visitedShare)),
                            ("reranked", .number(measurement.reranked)), ("recall", .number(measurement.recall)),
                            ("mate_recall", .number(mateRecall(measurement))),
                            (
                                "stages_us",
                                .array(
                                    measurement.stages.map { stages in
                                        .object(times(stages).map { ($0.name, .number($0.microseconds)) })
                                    }
                                )
                            ),
                            ("missed", .array(measurement.missed.map { .count($0) })),
                        ])
                    }
                )
            ),
        ])
    }
}
