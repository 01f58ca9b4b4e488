import MienClient
import Testing

extension Integration {
    /// An operator pins shards: a worker that joins gets none of them, commands that would move them are refused by
    /// name, and a restart of the coordinator forgets nothing.
    @Suite struct PinTests {
        @Test(.timeLimit(.minutes(1))) func whatIsPinnedStaysAndSaysSo() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 2,
                    coordinatorSettings: ["coordinator.spare_disk=16MiB"]
                )
                try await cluster.start()
                let client = try cluster.client()
                let name = FaceWriter.collection
                _ = try await client.createCollection(
                    CollectionOptions(
                        name: name,
                        dimension: FaceWriter.dimension,
                        embeddingModel: FaceWriter.model,
                        shardCount: 6
                    )
                )
                let before = try await client.describe(name).shards.map(\.workerID)
                for shard in 0..<5 {
                    let pinned = try await cluster.mien("shard", "pin", name, "\(shard)")
                    #expect(pinned.status == 0 && pinned.output.contains("It is pinned here."), "\(pinned)")
                }
                try cluster.addWorker()
                try await cluster.start()
                let plan = try await cluster.mien("plan", "rebalance")
                #expect(plan.output.contains("Shard 4 of collection '\(name)' is pinned"), "\(plan)")
                let levelled = try await cluster.mien("rebalance", "--wait")
                #expect(levelled.status == 0, "\(levelled)")
                #expect(try await client.describe(name).shards[5].workerID != before[5])
                #expect(try await client.describe(name).shards.prefix(5).map(\.workerID) == Array(before.prefix(5)))

                let worker = try #require(try await client.status().workers.first { $0.id == before[0] })
                let drain = try await cluster.mien("drain", worker.address)
                #expect(drain.status != 0 && drain.error.contains("is pinned to the worker at "), "\(drain)")
                #expect(drain.error.contains("mien shard unpin \(name)"), "\(drain)")
                let move = try await cluster.mien("shard", "move", name, "0", "--from", worker.address)
                #expect(move.status != 0 && move.error.contains("pinned"), "\(move)")

                _ = try await cluster.coordinator.stop()
                try await cluster.start()
                let explained = try await cluster.mien("explain", name, "0", "--json")
                #expect(explained.status == 0 && explained.output.contains("\"pinned\": true"), "\(explained)")
                #expect(explained.output.contains("\"rule\": \"pin\""), "\(explained)")
                let free = try await cluster.mien("shard", "unpin", name, "0")
                #expect(free.status == 0 && !free.output.contains("It is pinned here."), "\(free)")
                let moved = try await cluster.mien("shard", "move", name, "0", "--from", worker.address, "--wait")
                #expect(moved.status == 0, "\(moved)")
                #expect(try await client.describe(name).shards[0].workerID != before[0])
                await client.close()
            }
        }
    }
}
