import MienClient
import Testing

extension Integration {
    /// A worker that joins gets its share without being asked for, where the configuration says so.
    @Suite struct BalanceTests {
        @Test(.timeLimit(.minutes(1))) func aNewWorkerGetsItsShareByItself() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 2,
                    coordinatorSettings: ["coordinator.rebalance_after=1s", "coordinator.spare_disk=16MiB"]
                )
                try await cluster.start()
                let client = try cluster.client()
                try await FaceWriter.createCollection(shards: 6, client)
                let searcher = try await Searcher(client)
                let pause = FaceWriter.Pause()
                let searching = Task { await searcher.searching(until: pause) }
                try cluster.addWorker()
                try await cluster.start()
                let operation = try await eventually("the workers have been levelled", within: .seconds(40)) {
                    try await client.operations().first { $0.state == .done }
                }
                pause.ask()
                await searching.value
                #expect(operation.kind == .rebalance)
                #expect(operation.note?.contains("by itself") == true)
                let tally = await searcher.tally
                #expect(tally.failures.isEmpty && tally.count > 0, "\(tally.failures.prefix(3))")
                let holders = try await client.describe(FaceWriter.collection).shards.map(\.workerID)
                #expect(Dictionary(grouping: holders) { $0 }.mapValues(\.count).values.sorted() == [2, 2, 2])
                await client.close()
            }
        }
    }
}
