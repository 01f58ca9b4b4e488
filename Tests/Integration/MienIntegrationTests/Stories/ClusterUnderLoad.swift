import MienClient
import Testing

/// Three workers whose faces are written and searched for while something changes; nobody who does so may notice, and
/// an oracle knows each answer of some searches.
enum ClusterUnderLoad {
    /// Starts the cluster and its writers and searchers, lets `change` happen, and checks what was written, what was
    /// searched for, and that all replicas are sound.
    ///
    /// - Parameters:
    ///   - shards: of the collection, each with two copies.
    ///   - variables: of the workers, until they are started anew.
    static func play(
        _ name: String,
        shards: Int,
        workersWith variables: (Stage) throws -> [String: String] = { _ in [:] },
        _ change: @Sendable @escaping (Cluster, MienClient) async throws -> Void
    ) async throws {
        try await Stage.play { stage in
            let seed = SeededRandom.storySeed(name)
            let cluster = try Cluster(stage, workers: 3, coordinatorSettings: ["coordinator.spare_disk=16MiB"])
            for worker in cluster.workers { try await worker.start(adding: variables(stage)) }
            try await cluster.start()
            let client = try cluster.client(retrying: .seconds(8), timeout: .seconds(10))
            try await FaceWriter.createCollection(shards: shards, copies: 2, minimumInSync: 1, client)
            let pause = FaceWriter.Pause()
            let searcher = try await Searcher(client)
            let oracle = try await OracleSearcher(client)
            let writers = try await withThrowingTaskGroup(of: FaceWriter?.self) { group in
                for number in 1...3 {
                    let writer = FaceWriter(seed: seed &+ UInt64(number))
                    group.addTask { await writer.writing(to: client, until: pause) }
                }
                group.addTask {
                    await searcher.searching(until: pause)
                    return nil
                }
                group.addTask {
                    await oracle.searching(until: pause)
                    return nil
                }
                defer { pause.ask() }
                try await change(cluster, client)
                pause.ask()
                var writers: [FaceWriter] = []
                for try await writer in group { if let writer { writers.append(writer) } }
                return writers
            }
            var stored = try await FaceWriter.storedFaces(client)
            for face in Searcher.faces + OracleSearcher.faces { stored[face] = nil }
            var faults: [String] = []
            for var writer in writers { faults += writer.check(&stored) }
            #expect(faults.isEmpty, "\(faults.count) faults, first \(faults.prefix(3))")
            #expect(stored.isEmpty, "\(stored.count) faces are listed that nobody wrote")
            #expect(
                writers.map(\.failedCount) == [0, 0, 0],
                "writes failed: \(writers.flatMap(\.surprises).prefix(3))"
            )
            let searches = await searcher.tally
            #expect(searches.failures.isEmpty, "\(searches.failures.count): \(searches.failures.prefix(3))")
            let (answerCount, untrue) = (await oracle.answerCount, await oracle.failures)
            #expect(untrue.isEmpty && answerCount > 10, "\(untrue.count) of \(answerCount): \(untrue.prefix(3))")
            let verified = try await cluster.mien("verify", FaceWriter.collection, "--json")
            #expect(verified.status == 0, "\(verified)")
            print(
                "\(name): \(writers.map(\.acknowledgedCount).reduce(0, +)) writes acknowledged, "
                    + "\(searches.count) searches, 99th percentile \(searches.percentile(0.99)), "
                    + "longest \(searches.percentile(1)); \(answerCount) times 30 searches as the oracle has them"
            )
            await client.close()
        }
    }
}
