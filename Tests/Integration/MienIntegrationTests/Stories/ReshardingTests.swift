import Foundation
import MienClient
import Testing

extension Integration {
    /// Shards are split and merged while faces are written and searched for, and nobody who does so notices.
    @Suite struct ReshardingTests {
        @Test(.timeLimit(.minutes(5)))
        func shardsAreSplitAndMergedUnderLoad() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("resharding")
                let cluster = try Cluster(stage, workers: 3, coordinatorSettings: ["coordinator.spare_disk=16MiB"])
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(8), timeout: .seconds(10))
                _ = try await client.createCollection(
                    CollectionOptions(
                        name: FaceWriter.collection,
                        dimension: FaceWriter.dimension,
                        embeddingModel: FaceWriter.model,
                        shardCount: 2,
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
                    try await Self.reshard(cluster, client)
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
                    "resharding: \(writers.map(\.acknowledgedCount).reduce(0, +)) writes acknowledged, "
                        + "\(searches.count) searches, 99th percentile \(searches.percentile(0.99)), "
                        + "longest \(searches.percentile(1))"
                )
                await client.close()
            }
        }

        @Test(.timeLimit(.minutes(2))) func whatOutgrowsItsShardIsSplitByItself() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 1,
                    coordinatorSettings: ["coordinator.split_above=20", "coordinator.spare_disk=16MiB"]
                )
                try await cluster.start()
                let client = try cluster.client()
                _ = try await client.createCollection(
                    CollectionOptions(
                        name: FaceWriter.collection,
                        dimension: FaceWriter.dimension,
                        embeddingModel: FaceWriter.model,
                        shardCount: 1
                    )
                )
                let searcher = try await Searcher(client)
                let pause = FaceWriter.Pause()
                let searching = Task { await searcher.searching(until: pause) }
                let seed = SeededRandom.storySeed("growth")
                let writing = Task { await FaceWriter(seed: seed).writing(to: client, until: pause) }
                try await eventually("shards have been divided", within: .seconds(60)) {
                    try await client.describe(FaceWriter.collection).shards.count >= 3 ? () : nil
                }
                pause.ask()
                await searching.value
                var writer = await writing.value
                let operations = try await client.operations()
                #expect(operations.allSatisfy { $0.note?.contains("by itself") == true })
                let tally = await searcher.tally
                #expect(tally.failures.isEmpty && tally.count > 0, "\(tally.failures.prefix(3))")
                var stored = try await FaceWriter.storedFaces(client)
                for face in Searcher.faces { stored[face] = nil }
                let faults = writer.check(&stored)
                #expect(faults.isEmpty && stored.isEmpty, "\(faults.prefix(3)), \(stored.count) strays")
                await client.close()
            }
        }

        /// 2 shards, then 4, then 2 again; the second time a worker is killed in the middle.
        private static func reshard(_ cluster: Cluster, _ client: MienClient) async throws {
            let name = FaceWriter.collection
            let planned = try await cluster.mien("plan", "shard", "split", name, "--all")
            #expect(planned.status == 0 && planned.output.contains("Nothing was changed."), "\(planned)")
            try await done(cluster, "shard", "split", name, "--all", "--wait")
            try await expectShards([2, 3, 4, 5], client)
            try await done(cluster, "rebalance", allowingFailure: true)
            try await settled(client)
            try await done(cluster, "shard", "merge", name, "--all", "--wait")
            try await expectShards([6, 7], client)

            // Whoever dies in the middle: it ends by itself.
            try await done(cluster, "shard", "split", name, "6")
            try await Task.sleep(for: .milliseconds(300))
            cluster.workers[0].kill()
            try await Task.sleep(for: .milliseconds(500))
            try await cluster.workers[0].start()
            try await settled(client)
            try await expectShards([7, 8, 9], client)
            let refused = try await cluster.mien("shard", "merge", name, "7", "7")
            #expect(refused.status != 0 && refused.output.isEmpty, "\(refused)")
        }

        private static func settled(_ client: MienClient) async throws {
            try await eventually("no operation is open", within: .seconds(60)) {
                try await client.operations().allSatisfy(\.state.hasEnded) ? () : nil
            }
        }

        private static func expectShards(_ indices: [Int], _ client: MienClient) async throws {
            try await eventually("shards are \(indices), each with two copies in sync", within: .seconds(30)) {
                let shards = try await client.describe(FaceWriter.collection).shards
                return shards.map(\.index).sorted() == indices && shards.allSatisfy { $0.inSyncCount == 2 } ? () : nil
            }
        }

        private static func done(
            _ cluster: Cluster,
            _ words: String...,
            allowingFailure: Bool = false
        ) async throws {
            let result = try await cluster.mien(words)
            #expect(allowingFailure || result.status == 0, "mien \(words.joined(separator: " ")): \(result)")
        }
    }
}
