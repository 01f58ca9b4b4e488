import ArgumentParser
import FaceModel
import PartitionEngine

struct BenchFilterCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "filter",
        abstract: "Measure filtered searches of one partition in this process against searches without a filter.",
        discussion: """
            EXAMPLE
              mien bench filter gallery --share 1 --share 0.5 --share 0.01 --share 0.0001

            Makes a partition from a gallery of 'mien generate' (dimension 512), or opens the one made before, and \
            searches it round after round, without a filter and with a range of creation times that any share of \
            the faces lies in, spread over all of them; last with one person's faces, a ten-thousandth. 'first' is \
            the first search with a filter, which has to find the rows that pass it. Times are CPU times of the \
            process for one probe.
            """
    )

    @OptionGroup var measured: IndexBenchOptions
    @Option(name: .customLong("share"), help: "Share of the faces that passes a filter; may be repeated.")
    var shares: [Double] = []
    @Option(help: "Probes to search.")
    var probes = 200
    @Option(
        name: .customLong("scattered-row-cost"),
        help: "What comparing a row takes, in codes scanned: 0 compares all that pass, inf scans always."
    )
    var scatteredRowCost = PartitionOptions().scatteredRowCost
    @Flag(help: "Write JSON for programs.")
    var json = false

    func validate() throws {
        guard probes > 0 else { throw ValidationError("--probes must be at least 1.") }
        guard shares.allSatisfy({ $0 > 0 && $0 <= 1 }) else {
            throw ValidationError("--share must be above 0 and at most 1.")
        }
        guard scatteredRowCost >= 0 else { throw ValidationError("--scattered-row-cost must be at least 0.") }
    }

    private struct Row {
        let name: String
        let effort: SearchEffort
        let filter: FaceFilter?
        var first = 0.0
        var single: [Double] = []
        var photo: [Double] = []
        var visited = 0.0
        var matches = 0.0
    }

    func run(on console: Console) async throws(CommandFailure) {
        var options = PartitionOptions()
        options.scatteredRowCost = scatteredRowCost
        let bench = try IndexBench(
            gallery: measured.gallery,
            partition: measured.partition ?? "\(measured.gallery)/partition-filter",
            listCount: 0,
            options: options,
            metadata: Self.metadata
        ) { console.writeError("\($0)\n") }
        defer { bench.close() }
        bench.threshold = measured.threshold
        let probeCount = min(probes, bench.probeCount)
        var rows = plan()
        let range = 0..<probeCount
        // Whatever is touched first is read from disk.
        _ = try bench.search(range, effort: .full, matchLimit: measured.matchLimit, batch: measured.photo)
        _ = try bench.search(0..<1, effort: .exact, matchLimit: measured.matchLimit, batch: 1)
        for round in 0..<measured.rounds {
            for index in rows.indices {
                let row = rows[index]
                func pass(_ range: Range<Int>, batch: Int) throws(CommandFailure) -> IndexBench.Pass {
                    try bench.search(
                        range,
                        effort: row.effort,
                        filter: row.filter,
                        matchLimit: measured.matchLimit,
                        batch: batch
                    )
                }
                if round == 0 { rows[index].first = try pass(0..<1, batch: 1).cpuTime / .milliseconds(1) }
                let single = try pass(range, batch: 1)
                let photo = try pass(range, batch: measured.photo)
                rows[index].single.append(single.cpuTime / .milliseconds(1) / Double(probeCount))
                rows[index].photo.append(photo.cpuTime / .milliseconds(1) / Double(probeCount))
                rows[index].visited = Double(single.rowsVisited) / Double(probeCount)
                rows[index].matches = Double(single.rows.reduce(0) { $0 + $1.count }) / Double(probeCount)
            }
        }
        let heading = "\(bench.faceCount) faces, \(probeCount) probes, CPU time a probe, median of the rounds\n\n"
        console.writeOutput(json ? Self.json(rows, bench, probeCount: probeCount) : heading + Self.text(rows))
    }

    /// Creation times are the row numbers, shuffled over 32 bits; a person has one face of ten thousand.
    private static func metadata(_ row: Int) -> FaceMetadata {
        FaceMetadata(
            personID: "person-\(row % 10_000)",
            created: Timestamp(milliseconds: Int64(UInt32(truncatingIfNeeded: row) &* 2_654_435_769)),
            attributes: ["gate": row % 2 == 0 ? "north" : "south"]
        )
    }

    private func plan() -> [Row] {
        var filters: [(String, FaceFilter?)] = [("none", nil)]
        for share in shares.isEmpty ? [1, 0.5, 0.01, 0.0001] : shares {
            let end = Timestamp(milliseconds: Int64(share * 4_294_967_296))
            filters.append((NumberText.fixed(share * 100, 3) + " %", FaceFilter(createdBefore: end)))
        }
        filters.append(("one person", FaceFilter(personIDs: ["person-4711"])))
        return (measured.efforts.isEmpty ? [SearchEffort.default, .full, .exact] : measured.efforts).flatMap { effort in
            filters.map { Row(name: $0.0, effort: effort, filter: $0.1) }
        }
    }

    private static func text(_ rows: [Row]) -> String {
        var table = TextTable([
            .init("effort"), .init("passing"), .init("first ms", .right), .init("single ms", .right),
            .init("photo ms", .right), .init("compared", .right), .init("matches", .right),
        ])
        for row in rows {
            table.append([
                "\(row.effort)", row.name, NumberText.fixed(row.first, 2),
                NumberText.fixed(PairedTimes.median(row.single), 4),
                NumberText.fixed(PairedTimes.median(row.photo), 4), NumberText.fixed(row.visited, 0),
                NumberText.fixed(row.matches, 1),
            ])
        }
        return table.rendered()
    }

    private static func json(_ rows: [Row], _ bench: IndexBench, probeCount: Int) -> String {
        JSONValue.object([
            ("faces", .count(bench.faceCount)), ("probes", .count(probeCount)),
            (
                "searches",
                .array(
                    rows.map { row in
                        .object([
                            ("effort", .string("\(row.effort)")), ("passing", .string(row.name)),
                            ("first_cpu_ms", .number(row.first)),
                            ("single_cpu_ms", .array(row.single.map { .number($0) })),
                            ("photo_cpu_ms", .array(row.photo.map { .number($0) })),
                            ("compared", .number(row.visited)), ("matches", .number(row.matches)),
                        ])
                    }
                )
            ),
        ]).document
    }
}
