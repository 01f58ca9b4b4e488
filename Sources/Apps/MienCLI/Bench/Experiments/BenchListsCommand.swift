import ArgumentParser
import FaceModel

struct BenchListsCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "lists",
        abstract: "Compare scanning all codes with visiting inverted lists, at several sizes of a partition.",
        discussion: """
            EXAMPLE
              mien bench lists --faces 30000 --faces 100000 --faces 300000
              mien bench lists --faces 10000000 --folder /var/tmp --per-band 50 --rounds 1

            Makes two partitions of each size in a temporary folder: one whose codes lie in a single list, and one \
            of many lists. Then it says from which size on lists cost less than a flat scan while they find 99 % of \
            the mates that it finds. Times are CPU times of the process for one probe, in turn, medians of the \
            rounds. A million faces take 1.3 GB on disk, for each of the two.
            """
    )

    @Option(name: .customLong("faces"), help: "Faces of a partition; may be repeated.")
    var faces: [Int] = []
    @Option(help: "Kind of gallery: wild, mugshot, surveillance or lowdim.")
    var model = GalleryModel.wild
    @Option(help: "Inverted lists; 0 chooses by the number of faces.")
    var lists = 0
    @Option(
        name: .customLong("effort"),
        help: ArgumentHelp("An effort over lists; may be repeated.", valueName: "effort"),
        transform: ArgumentText.partitionEffort
    )
    var efforts: [SearchEffort] = []
    @Option(help: "Probes of a photo.")
    var photo = 100
    @Option(help: "Rounds over what is measured.")
    var rounds = 3
    @Option(help: ArgumentHelp("Where partitions are kept meanwhile.", valueName: "folder"))
    var folder: String?
    @OptionGroup var options: ExperimentOptions

    func validate() throws {
        for count in faces { try ExperimentOptions.check(faces: count) }
        guard photo > 0, rounds > 0, lists == 0 || (2...1_000_000).contains(lists) else {
            throw ValidationError("--photo and --rounds must be at least 1, --lists 0 or 2 to 1000000.")
        }
        for effort in efforts {
            if let problem = effort.problem { throw ValidationError(problem) }
        }
    }

    func run(on console: Console) async throws(CommandFailure) {
        var table = ResultTable(
            "lists_\(model.rawValue)",
            title: "\(model.rawValue): mates found, by similarity from",
            columns: [
                .init("faces"), .init("lists"), .init("effort"), .init("single_ms", "single ms"),
                .init("photo_ms", "photo ms"), .init("visited"),
                .init("recall", "recall@\(MeasuredGallery.matchLimit)"),
            ] + ResultTable.Column.bands
        )
        var crossover = ResultTable(
            "crossover",
            title: "Lists against a flat scan, at \(NumberText.percent(ListExperiment.equalShare)) of its mates",
            columns: [
                .init("faces"), .init("mates", "of mates from"), .init("effort"), .init("single", "single, ratio"),
                .init("photo", "photo, ratio"),
            ]
        )
        for count in faces.isEmpty ? [30_000, 100_000] : faces {
            let experiment = ListExperiment(
                model: model,
                faceCount: count,
                listCount: lists,
                efforts: efforts.isEmpty
                    ? [0.9, 0.95, 0.98, 0.99, 0.995, 0.998].map { .recall($0) } + [.full] : efforts,
                options: options,
                photo: photo,
                rounds: rounds,
                parent: folder
            )
            let (mates, results) = try experiment.run { console.writeError("\($0)\n") }
            table.append(
                [.count(count), .none, .text("mates"), .none, .none, .none, .none] + mates.map { .count($0) }
            )
            for result in results {
                table.append(
                    [
                        .count(count), .count(result.listCount), .text("\(result.effort)"),
                        .number(result.singleTime, decimals: 3), .number(result.photoTime, decimals: 3),
                        .share(result.visitedShare), .number(result.recall, decimals: 4),
                    ] + result.found.map { .count($0) }
                )
            }
            for least in [1, SimilarityBands.band(of: 0.40)] {
                let name = SimilarityBands.names[least]
                let equal = ListExperiment.equal(results, in: least..<SimilarityBands.count)
                crossover.append([
                    .count(count), .text(name), .text(equal.map { "\($0.effort)" } ?? "none"),
                    equal.map { .number($0.singleTime / results[0].singleTime, decimals: 2) } ?? .none,
                    equal.map { .number($0.photoTime / results[0].photoTime, decimals: 2) } ?? .none,
                ])
            }
        }
        ExperimentReport(
            facts: [("per_band", .count(options.perBand)), ("seed", .text("\(options.seed)"))],
            tables: [table, crossover]
        ).write(to: console, asJSON: options.json)
    }
}
