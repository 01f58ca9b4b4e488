import ArgumentParser
import LoadGenerator
import MienClient
import SyntheticGallery

struct LoadCommand: ConsoleCommand {
    /// How long a batch of the fill is sent again while the cluster is away for a moment.
    private static let retryDuration = Duration.seconds(60)

    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Fill a collection with generated faces, as many as you like.",
        discussion: """
            EXAMPLE
              mien load people --fill 1000000

            The faces are those of 'mien generate' with the same seed and dimension, made on the way: nothing \
            is written to a file, and memory does not grow with their number. A collection that does not exist \
            is created. Faces that are there already are left as they are, so that a fill that was \
            interrupted goes on where it stopped.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Option(parsing: .unconditional, help: "Enrol this many faces.")
    var fill: Int
    @OptionGroup var gallery: LoadGalleryOptions
    @Option(
        name: .customLong("fill-batch"),
        parsing: .unconditional,
        help: ArgumentHelp("Faces of one request of the fill; a multiple of 128.", valueName: "faces")
    )
    var fillBatch = 1024
    @Option(
        name: .customLong("fill-in-flight"),
        parsing: .unconditional,
        help: ArgumentHelp("Requests of the fill under way at once.", valueName: "count")
    )
    var fillInFlight = 4
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard (1...Int(UInt32.max) / 2).contains(fill) else {
            throw ValidationError("--fill must be from 1 to \(UInt32.max / 2).")
        }
        guard (128...4096).contains(fillBatch), fillBatch.isMultiple(of: 128) else {
            throw ValidationError("--fill-batch must be a multiple of 128 from 128 to 4096.")
        }
        guard (1...64).contains(fillInFlight) else { throw ValidationError("--fill-in-flight must be from 1 to 64.") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console, retryDuration: Self.retryDuration)
        let collection = try await gallery.collection(name, client, console)
        let population = try gallery.population(faceCount: fill, dimension: collection.options.dimension)
        var line = ProgressLine(console: console, noun: "faces", total: fill)
        let filling = GalleryFill(
            client: client,
            collection: name,
            model: collection.options.embeddingModel,
            population: population,
            batchFaceCount: fillBatch,
            inFlightLimit: fillInFlight
        )
        let tally: FillTally
        do throws(GalleryFill.Interruption) {
            tally = try await filling.run(0..<fill, asksFirst: collection.faceCount > 0) {
                line.update(done: $0.faceCount)
            }
        } catch {
            line.clear()
            var failure = CommandFailure(error.error)
            failure.message +=
                "\nthe fill stopped at face \(error.firstUnknownFace); run the same command again, which goes on "
                + "there"
            throw failure
        }
        line.clear()
        await client.close()
        console.writeOutput(
            connection.json ? tally.json(collection: name).document : tally.text(collection: name)
        )
        guard tally.rejected == 0 else {
            throw CommandFailure(.internalError, "\(NumberText.counted(tally.rejected, "generated face")) refused")
        }
    }
}
