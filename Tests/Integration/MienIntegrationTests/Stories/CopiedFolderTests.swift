import Foundation
import MienClient
import Testing

extension Integration {
    /// The folder of a coordinator is copied, and both are started.
    @Suite struct CopiedFolderTests {
        @Test(.timeLimit(.minutes(2))) func aSecondCoordinatorOnACopiedFolderSteersNobody() async throws {
            try await Stage.play { stage in
                let address = MienClient.Address(host: "127.0.0.1", port: try LoopbackPort.free())
                let cluster = try Cluster(stage, workers: 2, otherCoordinators: [address])
                try await cluster.start()
                var client = try cluster.client(retrying: .seconds(10))
                try await FaceWriter.createCollection(shards: 2, client)
                await client.close()
                #expect(try await cluster.coordinator.stop() == 0)
                try FileManager.default.copyItem(atPath: stage.path("coordinator"), toPath: stage.path("copy"))
                try await cluster.start()

                let second = Node(
                    stage,
                    [
                        "coordinator", "--listen", "\(address)", "--data", stage.path("copy"), "--set",
                        "coordinator.worker_timeout=1s",
                    ]
                )
                try await second.start()
                let refused = "Two coordinators have copies of one metadata store"
                try await eventually("the second says that it is refused", within: .seconds(20)) {
                    second.process?.error.contains(refused) == true ? () : nil
                }
                let told = try await ScrapedMetrics(of: [second])
                #expect(try #require(told["mien_refusing_workers"]) >= 1)
                #expect(try await second.adminGet("/readyz").contains("\(refused): workers go by the one at"))
                let status = try await stage.mien("status", "--coordinator", "\(address)")
                #expect(status.status == 69 && status.error.contains(refused), "\(status)")
                let created = try await stage.mien(
                    ["collection", "create", "others", "--dimension", "64", "--model", "m", "--timeout", "5"]
                        + ["--coordinator", "\(address)"]
                )
                #expect(created.status != 0 && created.error.contains(refused), "\(created)")

                // The first goes on as if nothing were.
                #expect(try await cluster.mien("status").status == 0)
                #expect(try await ScrapedMetrics(of: [cluster.coordinator])["mien_refusing_workers"] == 0)
                client = try cluster.client(retrying: .seconds(10))
                _ = try await client.createCollection(
                    CollectionOptions(name: "others", dimension: 64, embeddingModel: "m", shardCount: 2)
                )
                await client.close()

                // Once it is gone the other is gone by.
                #expect(try await cluster.coordinator.stop() == 0)
                try await eventually("the second is gone by", within: .seconds(30)) {
                    try await stage.mien("status", "--coordinator", "\(address)").status == 0 ? () : nil
                }
                #expect(try await ScrapedMetrics(of: [second])["mien_refusing_workers"] == 0)
                #expect(try await second.stop() == 0)
            }
        }
    }
}
