import Foundation
import MienClient
import Testing

extension Integration {
    /// Workers come, go and are restarted while faces are written and searched for, and nobody who does so notices.
    @Suite struct ElasticityTests {
        @Test(.timeLimit(.minutes(5)))
        func workersComeAndGoUnderLoad() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("elasticity")
                let cluster = try Cluster(stage, workers: 3, coordinatorSettings: ["coordinator.spare_disk=16MiB"])
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(8), timeout: .seconds(10))
                _ = try await client.createCollection(
                    CollectionOptions(
                        name: FaceWriter.collection,
                        dimension: FaceWriter.dimension,
                        embeddingModel: FaceWriter.model,
                        shardCount: 4,
                        replicationFactor: 2,
                        minimumInSync: 1
                    )
                )
                let pause = FaceWriter.Pause()
                let searcher = try await Searcher(client)
                let writers = try await withThrowingTaskGroup(of: FaceWriter?.self) { group in
                    for number in 1...3 {
                        let writer = FaceWriter(seed: seed &+ UInt64(number))
                        group.addTask { await writer.writing(to: client, until: pause) }
                    }
                    group.addTask {
                        await searcher.searching(until: pause)
                        return nil
                    }
                    defer { pause.ask() }
                    try await Self.change(cluster, client)
                    pause.ask()
                    var writers: [FaceWriter] = []
                    for try await writer in group { if let writer { writers.append(writer) } }
                    return writers
                }
                var stored = try await FaceWriter.storedFaces(client)
                for face in Searcher.faces { stored[face] = nil }
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
                let verified = try await cluster.mien("verify", FaceWriter.collection, "--json")
                #expect(verified.status == 0, "\(verified)")
                print(
                    "elasticity: \(writers.map(\.acknowledgedCount).reduce(0, +)) writes acknowledged, "
                        + "\(searches.count) searches, 99th percentile \(searches.percentile(0.99)), "
                        + "longest \(searches.percentile(1))"
                )
                await client.close()
            }
        }

        /// 3 workers, then 5, then 3 of them; 2 copies, then 3, then 2; then every worker is restarted.
        private static func change(_ cluster: Cluster, _ client: MienClient) async throws {
            for _ in 0..<2 { try cluster.addWorker() }
            try await cluster.start()
            try await done(cluster, "rebalance", "--wait")
            try await expectReplicas(cluster, client) { $0.allSatisfy { $0 >= 1 } }

            let first = cluster.workerAddresses[0]
            let planned = try await cluster.mien("plan", "drain", first)
            #expect(planned.status == 0 && planned.output.contains("Nothing was changed."), "\(planned)")
            try await done(cluster, "drain", first, "--wait")
            try await expectReplicas(cluster, client) { $0[0] == 0 }
            let explained = try await cluster.mien("explain", FaceWriter.collection, "0")
            #expect(explained.output.contains("being drained"), "\(explained)")
            try await done(cluster, "recommission", first)

            try await done(cluster, "collection", "copies", FaceWriter.collection, "--copies", "3", "--wait")
            try await done(
                cluster,
                "collection",
                "copies",
                FaceWriter.collection,
                "--copies",
                "2",
                "--min-copies",
                "1",
                "--wait"
            )
            for number in [3, 1] { try await done(cluster, "decommission", cluster.workerAddresses[number], "--wait") }
            try await expectReplicas(cluster, client) { $0[1] == 0 && $0[3] == 0 }

            for number in [0, 2, 4] {
                let status = try await cluster.workers[number].stop()
                #expect(status == 0)
                try await cluster.workers[number].start()
                try await eventually("every copy is in sync after a restart", within: .seconds(30)) {
                    let collection = try await client.describe(FaceWriter.collection)
                    return collection.shards.allSatisfy { $0.inSyncCount == 2 } ? () : nil
                }
            }
        }

        private static func done(_ cluster: Cluster, _ words: String...) async throws {
            let result = try await cluster.mien(words)
            #expect(result.status == 0, "mien \(words.joined(separator: " ")): \(result)")
        }

        private static func expectReplicas(
            _ cluster: Cluster,
            _ client: MienClient,
            _ condition: ([Int]) -> Bool
        ) async throws {
            let addresses = cluster.workerAddresses
            try await eventually("replicas are where they should be", within: .seconds(10)) {
                let workers = try await client.status().workers
                let counts = addresses.map { address in
                    workers.first { $0.address == address }?.replicaCount ?? -1
                }
                return condition(counts) ? () : nil
            }
        }
    }
}
