import ArgumentParser
import EmbeddingFiles
import SyntheticGallery

extension GalleryProfile: ExpressibleByArgument {}
extension NpyPrecision: ExpressibleByArgument {}

struct GenerateCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Write a gallery of synthetic faces, with probes and their truth.",
        discussion: """
            EXAMPLE
              mien generate gallery --faces 100000 --profile wild --probes 1000 --seed 1

            Writes embeddings.npy, ids.txt, persons.txt, probes.npy, probe-truth.jsonl and gallery.json, and \
            the first 100 probes once more as photo.npy with photo-truth.jsonl. Equal options give equal \
            files; a folder that holds them already is left as it is. No real person's data is used.
            """
    )

    @Argument(help: ArgumentHelp("Folder to write.", valueName: "folder"))
    var folder: String
    @Option(parsing: .unconditional, help: "Number of faces.")
    var faces: Int
    @Option(parsing: .unconditional, help: "Number of probes.")
    var probes = 1000
    @Option(help: "Kind of images: wild, mugshot or surveillance.")
    var profile = GalleryProfile.wild
    @Option(parsing: .unconditional, help: "Numbers of each embedding: a multiple of 8 from 64 to 2048.")
    var dimension = 512
    @Option(parsing: .unconditional, help: "Effective dimension of the faces (140 at dimension 512 unless given).")
    var effectiveDimension: Double?
    @Option(parsing: .unconditional, help: "Equal seeds give equal galleries.")
    var seed: UInt64 = 1
    @Option(help: "float32 or float16 for embeddings.npy.")
    var precision = NpyPrecision.float32
    @Option(parsing: .unconditional, help: "Share of the probes whose person is enrolled.")
    var matedShare = 0.9
    @Option(parsing: .unconditional, help: "Rows after the faces that an import must refuse or repair.")
    var hostileRows = 0
    @Flag(help: "Write the probes and their truth, and no file of the faces.")
    var probesOnly = false
    @Flag(help: "Write JSON for programs.")
    var json = false

    func validate() throws {
        guard (0...1_000_000).contains(probes) else { throw ValidationError("--probes must be from 0 to 1000000.") }
        guard !probesOnly || hostileRows == 0 else {
            throw ValidationError("--hostile-rows come with the faces; leave --probes-only out.")
        }
        guard (0...1_000_000).contains(hostileRows) else {
            throw ValidationError("--hostile-rows must be from 0 to 1000000.")
        }
    }

    func run(on console: Console) async throws(CommandFailure) {
        var parameters = GalleryParameters(
            faceCount: faces,
            dimension: dimension,
            effectiveDimension: effectiveDimension,
            profile: profile,
            seed: seed
        )
        parameters.matedShare = matedShare
        let output = GalleryOutput(
            precision: precision,
            probeCount: probes,
            hostileRowCount: hostileRows,
            includesFaces: !probesOnly
        )
        let photo = GalleryPhoto(folder: folder, probeCount: probes)
        let wasComplete =
            GalleryWriter.isComplete(at: folder, parameters: parameters, output: output)
            && photo.isComplete(dimension: dimension)
        if !wasComplete {
            do throws(GalleryError) {
                let gallery = try SyntheticGallery(parameters)
                var line = ProgressLine(console: console, noun: "faces", total: faces)
                defer { line.clear() }
                try GalleryWriter(gallery, output: output).write(to: folder) { line.update(done: $0.facesWritten) }
            } catch {
                throw Self.failure(error)
            }
            try photo.write(dimension: dimension)
        }
        if json {
            let document = JSONValue.object([
                ("folder", .string(folder)), ("faces", .count(faces)), ("probes", .count(probes)),
                ("dimension", .count(dimension)), ("profile", .string(profile.rawValue)), ("seed", .count(seed)),
                ("was_complete", .flag(wasComplete)),
            ])
            console.writeOutput(document.document)
        } else {
            let probeText = "\(NumberText.counted(probes, "probe")) of \(NumberText.counted(faces, "face"))"
            let what =
                probesOnly
                ? probeText : "\(NumberText.counted(faces, "face")) and \(NumberText.counted(probes, "probe"))"
            console.line(wasComplete ? "\(folder) holds \(what) already." : "Generated \(what) in \(folder).")
        }
    }

    private static func failure(_ error: GalleryError) -> CommandFailure {
        switch error {
        case .outOfRange: CommandFailure(.usage, error.description)
        case .occupied, .folder: CommandFailure(.fileSystem, error.description)
        case .file(let error): CommandFailure(error)
        }
    }
}
