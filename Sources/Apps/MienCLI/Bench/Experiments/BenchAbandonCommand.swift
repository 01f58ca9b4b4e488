import ArgumentParser
import InvertedFileIndex

struct BenchAbandonCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "abandon",
        abstract: "Measure how early rows can be given up while codes are scanned, and what that loses.",
        discussion: """
            EXAMPLE
              mien bench abandon --faces 200000 --margin 0.4 --margin 0.8 --margin 1.6

            Every probe visits all lists and keeps the best rows by estimate. A row is read beyond its heads when \
            they lie no further than the margin, in deviations, below what is to be expected of the worst candidate \
            kept so far. 'final threshold' knows that candidate beforehand: what a live threshold could gain. Times \
            are CPU times of one thread.
            """
    )

    @Option(help: "Kind of gallery: wild, mugshot, surveillance or lowdim.")
    var model = GalleryModel.wild
    @Option(help: "Faces of the gallery.")
    var faces = 100_000
    @Option(help: "Lists of the codebook; 0 chooses by the number of faces.")
    var lists = 0
    @Option(help: "Candidates that are kept.")
    var candidates = 100
    @Option(
        name: .customLong("margin"),
        parsing: .unconditionalSingleValue,
        help: "A margin in deviations; may be repeated."
    )
    var margins: [Float] = []
    @Option(help: "Timed scans of each probe and margin, of which the median counts.")
    var rounds = 3
    @OptionGroup var options: ExperimentOptions

    func validate() throws {
        try ExperimentOptions.check(faces: faces)
        guard candidates > 0, lists >= 0, (1...1000).contains(rounds), candidates < faces else {
            throw ValidationError(
                "--candidates must be at least 1 and fewer than --faces, --lists at least 0, --rounds 1 to 1000."
            )
        }
        guard margins.allSatisfy({ (-10...100).contains($0) }) else {
            throw ValidationError("--margin must be -10 to 100.")
        }
    }

    func run(on console: Console) async throws(CommandFailure) {
        var clock = CPUClock()
        let gallery = try MeasuredGallery(model, faceCount: faces, perBand: options.perBand, seed: options.seed)
        let codebook = try gallery.codebook(listCount: lists, seed: options.seed)
        let codes = PackedCodes(faces: gallery.faces, rows: Array(0..<faces), codebook: codebook)
        console.writeError("\(model.rawValue): \(codebook.listCount) lists: \(clock.lap())\n")
        let experiment = AbandonExperiment(gallery: gallery, codes: codes, candidateCount: candidates)
        let rules = AbandonExperiment.rules(margins: margins.isEmpty ? [0, 0.4, 0.8, 1.2, 1.6, 2.4] : margins)
        let report = ExperimentReport(
            facts: [
                ("faces", .count(faces)), ("probes", .count(gallery.probes.count)),
                ("lists", .count(codebook.listCount)),
                ("plan", .text(CodeVariant.bitsText(codebook.plan))), ("slot_bytes", .count(codes.slotByteCount)),
                ("seed", .text("\(options.seed)")),
            ],
            tables: [experiment.table(rules, rounds: rounds)]
        )
        console.writeError("\(model.rawValue): \(rules.count) rules: \(clock.lap())\n")
        report.write(to: console, asJSON: options.json)
    }
}
