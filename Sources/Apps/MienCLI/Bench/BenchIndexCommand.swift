import ArgumentParser
import FaceModel
import Foundation
import PartitionEngine

struct BenchIndexCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "index",
        abstract: "Measure the index of one partition in this process: time, recall, mates found.",
        discussion: """
            EXAMPLE
              mien bench index gallery --effort recall:0.99 --effort full --effort lists:64

            Makes a partition from a gallery of 'mien generate' (dimension 512), or opens the one made before, and \
            searches its probes with every effort in turn, round after round. Times are CPU times of the process \
            for one probe. With --interactive it answers lines "search EFFORT K BATCH FIRST COUNT" on its input, so \
            that another program can take turns with it.
            """
    )

    @OptionGroup var measured: IndexBenchOptions
    @Option(help: "Inverted lists of a new partition; 0 chooses by its size.")
    var lists = 0
    @Option(help: "Probes to search.")
    var probes = 1000
    @Option(help: "Threads that may work on one search.")
    var threads = 1
    @Flag(help: "Answer lines of the standard input.")
    var interactive = false
    @Flag(help: "Write JSON for programs.")
    var json = false

    func validate() throws {
        guard probes > 0, (0...1_000_000).contains(lists), (1...1024).contains(threads) else {
            throw ValidationError("--probes must be at least 1, --lists 0 to 1000000, --threads 1 to 1024.")
        }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let bench = try IndexBench(
            gallery: measured.gallery,
            partition: measured.partition ?? "\(measured.gallery)/partition",
            listCount: lists,
            threadCount: threads
        ) { console.writeError("\($0)\n") }
        defer { bench.close() }
        bench.threshold = measured.threshold
        if interactive { return try IndexBenchDialogue(bench: bench).run(on: console) }
        let efforts = measured.efforts.isEmpty ? [SearchEffort.default, .full] : measured.efforts
        var report = try IndexBenchReport(
            bench: bench,
            gallery: measured.gallery,
            probeCount: min(probes, bench.probeCount),
            matchLimit: measured.matchLimit
        )
        for _ in 0..<measured.rounds {
            for effort in efforts { try report.measure(effort, photo: measured.photo) }
        }
        console.writeOutput(json ? report.json.document : report.text)
    }
}

/// Answers "search EFFORT K BATCH FIRST COUNT", a line each.
private struct IndexBenchDialogue {
    let bench: IndexBench

    func run(on console: Console) throws(CommandFailure) {
        while let line = readLine() {
            let words = line.split(separator: " ")
            guard words.count == 6, words[0] == "search", let effort = SearchEffort(words[1]),
                let limit = Int(words[2]),
                let batch = Int(words[3]), let first = Int(words[4]), let count = Int(words[5]),
                effort.problem == nil, SearchParameters.matchLimitRange.contains(limit), batch > 0, first >= 0,
                count > 0, first <= bench.probeCount, count <= bench.probeCount - first
            else { throw CommandFailure(.usage, "a line is not of the form 'search EFFORT K BATCH FIRST COUNT'") }
            let pass = try bench.search(first..<first + count, effort: effort, matchLimit: limit, batch: batch)
            let answer = JSONValue.object([
                ("cpu_ms", .number(pass.cpuTime / .milliseconds(1))),
                ("wall_ms", .number(pass.wallTime / .milliseconds(1))),
                ("rows", .array(pass.rows.map { .array($0.map { .count($0) }) })),
            ])
            console.writeOutput(answer.line + "\n")
        }
    }
}
