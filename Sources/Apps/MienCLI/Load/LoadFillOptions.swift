import ArgumentParser
import LoadGenerator
import MienClient

/// How a fill sends its faces.
struct LoadFillOptions: ParsableArguments {
    /// How long a batch is sent again while the cluster is away for a moment.
    private static let calls = MienClient.CallOptions(timeout: .seconds(120), retryDuration: .seconds(60))
    /// How long the index must have stayed the same to have formed: two heartbeats and the pace of folds.
    private static let steadyTime = Duration.seconds(4)

    @Option(
        name: .customLong("fill-batch"),
        parsing: .unconditional,
        help: ArgumentHelp("Faces of one request; a multiple of 128.", valueName: "faces")
    )
    var batchFaceCount = 1024
    @Option(
        name: .customLong("fill-in-flight"),
        parsing: .unconditional,
        help: ArgumentHelp("Requests under way at once.", valueName: "count")
    )
    var inFlightLimit = 4
    @Flag(name: .customLong("no-wait"), help: "Begin a load at once, while the index of a new fill still forms.")
    var doesNotWait = false

    func validate() throws {
        guard (128...4096).contains(batchFaceCount), batchFaceCount.isMultiple(of: 128) else {
            throw ValidationError("--fill-batch must be a multiple of 128 from 128 to 4096.")
        }
        guard (1...64).contains(inFlightLimit) else { throw ValidationError("--fill-in-flight must be from 1 to 64.") }
    }

    /// Enrols the faces of a population that are not there.
    func run(
        _ population: LoadPopulation,
        into collection: CollectionInfo,
        _ client: MienClient,
        _ console: Console
    ) async throws(CommandFailure) -> FillTally {
        let count = population.filledCount
        var line = ProgressLine(console: console, noun: "faces", total: count)
        let filling = GalleryFill(
            client: client.with(calls: Self.calls),
            collection: collection.options.name,
            model: collection.options.embeddingModel,
            population: population,
            batchFaceCount: batchFaceCount,
            inFlightLimit: inFlightLimit
        )
        let tally: FillTally
        do throws(GalleryFill.Interruption) {
            tally = try await filling.run(0..<count, asksFirst: collection.faceCount > 0) {
                line.update(done: $0.faceCount)
            }
            line.clear()
        } catch {
            line.clear()
            var failure = CommandFailure(error.error)
            failure.message +=
                "\nthe fill stopped at face \(error.firstUnknownFace); run the same command again, which goes on there"
            throw failure
        }
        guard tally.rejected == 0 else {
            throw CommandFailure(.internalError, "\(NumberText.counted(tally.rejected, "generated face")) refused")
        }
        return tally
    }

    /// Waits until the index has taken in the fill; a load meanwhile would measure its forming.
    func waitForIndex(
        of collection: String,
        _ client: MienClient,
        _ console: Console
    ) async throws(CommandFailure) {
        if doesNotWait { return }
        let info = try await calling { () async throws(MienClientError) in try await client.describe(collection) }
        // Searches compare every embedding, and go on doing so.
        if info.training == .notNeeded { return }
        _ = try await IndexWait(steadyTime: Self.steadyTime).run(for: collection, client) {
            console.writeError("waiting for the index to form (--no-wait begins at once)\n")
        }
    }
}
