import ArgumentParser

struct BenchSpectrumCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "spectrum",
        abstract: "Measure what embeddings are like: energy by component, similarities of strangers and mates.",
        discussion: """
            EXAMPLE
              mien bench spectrum gallery
              mien bench spectrum --model surveillance --faces 100000

            Of a folder with embeddings.npy and persons.txt (and probes.npy, if there is one) the first rows are \
            read; without a folder a gallery is made. What codes and lists can do depends on these figures.
            """
    )

    @Argument(help: ArgumentHelp("Folder of a gallery.", valueName: "folder"))
    var folder: String?
    @Option(help: "Kind of gallery to make: wild, mugshot, surveillance or lowdim.")
    var model = GalleryModel.wild
    @Option(help: "Faces to make or to read.")
    var faces = 100_000
    @Option(help: "Probes to make or to read.")
    var probes = 5000
    @Option(help: "Equal seeds give equal galleries and pairs.")
    var seed: UInt64 = 1
    @Flag(help: "Write JSON for programs.")
    var json = false

    func validate() throws {
        guard (1...100_000_000).contains(faces), (0...1_000_000).contains(probes) else {
            throw ValidationError("--faces must be 1 to 100000000, --probes 0 to 1000000.")
        }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let source =
            if let folder {
                try LabelledFaces(folder: folder, faceLimit: faces, probeLimit: probes)
            } else {
                LabelledFaces(try model.gallery(faceCount: faces, seed: seed), probeCount: probes)
            }
        guard source.faceCount > 0 else { throw CommandFailure(.badData, "there are no faces to measure") }
        SpectrumExperiment(source, seed: seed).report(of: folder ?? model.rawValue)
            .write(to: console, asJSON: json)
    }
}
