import ArgumentParser
import InvertedFileIndex
import VectorMath

struct BenchCodesCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "codes",
        abstract: "Compare ways to code embeddings, and codebooks of a collection with those of its partitions.",
        discussion: """
            EXAMPLE
              mien bench codes --faces 100000 --model wild --model surveillance --model lowdim
              mien bench codes --plan 2,2,1 --plan 3,2,1

            Scans all codes without giving any row up. 'error' is the deviation of estimates from similarities, \
            'mate bias' what mates are estimated too high, 'C .99' the candidates that must be compared for 99 % of \
            the ten nearest. Then the faces are divided over partitions by hash, and a codebook of all of them is \
            compared with one of each partition. Mates count when exact search has them among the \
            ten nearest.
            """
    )

    @Option(name: .customLong("model"), help: "Kinds of gallery; may be repeated. wild, surveillance and lowdim.")
    var models: [GalleryModel] = []
    @Option(help: "Faces of each gallery.")
    var faces = 50_000
    @Option(
        name: .customLong("plan"),
        help: "A further plan: bits of each segment of 128 components, 0 to 4; may be repeated.",
        transform: Self.plan
    )
    var plans: [CodePlan] = []
    @Option(help: "Candidates that are compared in full.")
    var candidates = 100
    @Option(help: "Partitions of the collection; 1 leaves the second part out.")
    var partitions = 4
    @Option(help: "Lists of a partition's codebook in the second part.")
    var lists = 128
    @OptionGroup var options: ExperimentOptions

    func validate() throws {
        try ExperimentOptions.check(faces: faces)
        guard candidates > 0, (1...1_000_000).contains(lists) else {
            throw ValidationError("--candidates must be at least 1, --lists 1 to 1000000.")
        }
        guard partitions >= 1, partitions == 1 || faces / partitions >= ExperimentOptions.leastFaceCount else {
            throw ValidationError(
                "--partitions must be at least 1 and leave each \(ExperimentOptions.leastFaceCount) faces."
            )
        }
    }

    @Sendable private static func plan(_ text: String) throws -> CodePlan {
        let words = text.split(separator: ",", omittingEmptySubsequences: false)
        let bits = words.compactMap { Int($0) }
        guard bits.count == words.count, bits.count <= MeasuredGallery.dimension / CodePlane.dimension,
            // Each before they are added up.
            bits.allSatisfy({ (0...4).contains($0) }),
            (1...VectorKernels.maximumPlaneCount).contains(bits.reduce(0, +)), bits.last != 0
        else {
            throw ValidationError(
                "'\(text)' is no plan; write the bits of up to four segments, such as 3,1,1, at most 8 together."
            )
        }
        return CodePlan(bits: bits)
    }

    func run(on console: Console) async throws(CommandFailure) {
        var report = ExperimentReport(facts: [
            ("faces", .count(faces)), ("seed", .text("\(options.seed)")), ("candidates", .count(candidates)),
        ])
        let progress: (String) -> Void = { console.writeError("\($0)\n") }
        var scopes: [ResultTable] = []
        for (index, model) in (models.isEmpty ? [.wild, .surveillance, .lowdim] : models).enumerated() {
            let gallery = try MeasuredGallery(model, faceCount: faces, perBand: options.perBand, seed: options.seed)
            let experiment = CodeExperiment(
                gallery: gallery,
                plans: plans,
                candidateCount: candidates,
                seed: options.seed
            )
            report.tables.append(try experiment.table(progress: progress))
            // Whether partitions need codebooks of their own does not depend on the kind of images.
            if index == 0, partitions > 1 {
                let scope = ScopeExperiment(
                    gallery: gallery,
                    partitionCount: partitions,
                    listCount: lists,
                    candidateCount: candidates,
                    seed: options.seed
                )
                scopes = try scope.tables(progress: progress)
            }
        }
        report.tables += scopes
        report.write(to: console, asJSON: options.json)
    }
}
