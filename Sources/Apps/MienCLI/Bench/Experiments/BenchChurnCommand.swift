import ArgumentParser
import FaceModel

struct BenchChurnCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "churn",
        abstract: "Measure a partition while faces are replaced, deleted and enrolled: bytes written, file, pauses.",
        discussion: """
            EXAMPLE
              mien bench churn --faces 100000 --turnover 3
              mien bench churn --faces 1000000 --turnover 3 --batch 1000 --folder /var/tmp

            Grows a partition in a temporary folder to its size, then changes as many faces as --turnover says, in \
            collections: of each batch 60 % are replaced, 20 % deleted, 20 % new. Folds, merges and overwriting of \
            deleted embeddings run between the commits, as in a worker; a thread searches meanwhile. 'amplified' is \
            bytes written by bytes of the embeddings (float16) and ids of the changes.
            """
    )

    @Option(help: "Faces of the partition.")
    var faces = 50_000
    @Option(help: "Changes, in collections.")
    var turnover = 3.0
    @Option(help: "Changes of one commit.")
    var batch = 500
    @Option(help: "Kind of gallery: wild, mugshot, surveillance or lowdim.")
    var model = GalleryModel.wild
    @Option(
        help: ArgumentHelp("Effort of the searches meanwhile.", valueName: "effort"),
        transform: ArgumentText.partitionEffort
    )
    var effort = SearchEffort.default
    @Option(help: ArgumentHelp("Where the partition is kept meanwhile.", valueName: "folder"))
    var folder: String?
    @Option(help: "Equal seeds give equal faces and changes.")
    var seed: UInt64 = 1
    @Flag(help: "Write JSON for programs.")
    var json = false

    func validate() throws {
        try ExperimentOptions.check(faces: faces)
        guard (0...1000).contains(turnover), (1...100_000).contains(batch) else {
            throw ValidationError("--turnover must be 0 to 1000, --batch 1 to 100000.")
        }
        if let problem = effort.problem { throw ValidationError(problem) }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let experiment = ChurnExperiment(
            model: model,
            faceCount: faces,
            turnover: turnover,
            batchCount: batch,
            seed: seed,
            effort: effort,
            parent: folder
        )
        let stages = try experiment.run { console.writeError("\($0)\n") }
        ExperimentReport(
            facts: [
                ("gallery", .text(model.rawValue)), ("faces", .count(faces)),
                ("changes", .number(turnover, decimals: 1)), ("batch", .count(batch)), ("searches", .text("\(effort)")),
                ("seed", .text("\(seed)")),
            ],
            tables: ChurnReport(stages: stages).tables
        ).write(to: console, asJSON: json)
    }
}
