import Foundation
import Glibc
import MienClient
import Testing

extension Integration {
    /// A data file is cut short while a worker has it open.
    @Suite struct CutFileTests {
        private static let dimension = 256

        @Test(.timeLimit(.minutes(1))) func aWorkerWhoseFileIsCutSaysSoAndTheReplicaLeavesService() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.start()
                let client = try cluster.client()
                var file: String?
                for name in ["people", "others"] {
                    _ = try await client.createCollection(
                        CollectionOptions(name: name, dimension: Self.dimension, embeddingModel: "m", shardCount: 1)
                    )
                    file = try file ?? partitionFile(stage)
                }
                var random = SeededRandom(seed: 21)
                let embeddings = (0..<2000).map { _ in random.direction(dimension: Self.dimension) }
                for name in ["people", "others"] {
                    _ = try await client.enrol(
                        (0..<2000).map { NewFace(id: Face.ID(high: 1, low: $0)) },
                        embeddings: Embeddings(dimension: Self.dimension, values: embeddings.flatMap { $0 }),
                        into: name,
                        model: "m"
                    )
                }
                #expect(truncate(try #require(file), 16384) == 0)
                let worker = try #require(cluster.workers[0].process)
                let hasty = client.with(calls: .init(timeout: .seconds(2), retryDuration: .zero))
                // What it still has in memory of the file is gone, too.
                _ = try? await search("people", embeddings[0], hasty)
                #expect(try await worker.end(within: .seconds(10)) == 74)
                #expect(worker.error.contains("it was cut short while it was open"), "\(worker.error.suffix(400))")

                try await cluster.start()
                let found = try await eventually("the other collection is served", within: .seconds(20)) {
                    try? await search("others", embeddings[0], hasty)
                }
                #expect(found == Face.ID(high: 1, low: 0))
                let error = await #expect(throws: MienClientError.self) {
                    try await search("people", embeddings[0], hasty)
                }
                #expect(error?.message.contains("out of service") ?? false, "\(String(describing: error))")
                await client.close()
            }
        }

        private func partitionFile(_ stage: Stage) throws -> String {
            let folder = stage.path("worker-1")
            let names = FileManager.default.enumerator(atPath: folder)
            while let name = names?.nextObject() as? String {
                if name.hasSuffix("/partition/data.mdb") { return "\(folder)/\(name)" }
            }
            throw StoryError("the worker has no partition")
        }

        private func search(
            _ collection: String,
            _ probe: [Float],
            _ client: MienClient
        ) async throws -> Face.ID? {
            let results = try await client.search(
                collection,
                probes: Embeddings(dimension: Self.dimension, values: probe),
                model: "m",
                options: SearchOptions(matchLimit: 1, effort: .exact)
            )
            guard case .matches(let matches) = results.outcomes[0] else { return nil }
            return matches.first?.id
        }
    }
}
