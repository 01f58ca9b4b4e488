import ArgumentParser
import LoadGenerator
import MienClient
import SyntheticGallery

/// Which generated faces a load works with, and the collection that holds them.
struct LoadGalleryOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: "Equal seeds give equal faces.")
    var seed: UInt64 = 1
    @Option(
        parsing: .unconditional,
        help: "Numbers of each embedding of a collection that is created: a multiple of 8 from 64 to 2048."
    )
    var dimension = 512
    @Option(
        parsing: .unconditional,
        help: "Shards of a collection that is created; as many as there are live workers unless given."
    )
    var shards: Int?

    /// Describes the collection, and creates it when it is not there.
    func collection(
        _ name: String,
        _ client: MienClient,
        _ console: Console
    ) async throws(CommandFailure) -> CollectionInfo {
        do throws(MienClientError) {
            return try await client.describe(name)
        } catch  where error.code == .notFound {
            return try await calling { () async throws(MienClientError) in
                var shardCount = shards
                if shardCount == nil { shardCount = try await client.status().placeableWorkerCount }
                return try await client.createCollection(
                    CollectionOptions(
                        name: name,
                        dimension: dimension,
                        embeddingModel: "synthetic-wild-\(dimension)",
                        shardCount: max(1, shardCount ?? 1)
                    )
                )
            }
        } catch {
            throw CommandFailure(error)
        }
    }

    /// - Parameter dimension: of the collection.
    func population(faceCount: Int, dimension: Int, writeCount: Int = 0) throws(CommandFailure) -> LoadPopulation {
        do throws(GalleryError) {
            return try LoadPopulation(
                GalleryParameters(faceCount: faceCount, dimension: dimension, seed: seed),
                writeCount: writeCount
            )
        } catch {
            throw CommandFailure(.usage, error.description)
        }
    }
}
