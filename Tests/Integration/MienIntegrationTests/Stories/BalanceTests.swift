import MienClient
import Testing

extension Integration {
    /// A worker that joins gets its share without being asked for, where the configuration says so.
    @Suite struct BalanceTests {
        @Test(.timeLimit(.minutes(4))) func aNewWorkerGetsItsShareByItself() async throws {
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

        /// All have as many bytes, and the collections that are searched are on one worker: one of them changes places
        /// with one that nobody asks.
        @Test(.timeLimit(.minutes(3))) func busyCollectionsComeToDifferentWorkersByThemselves() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 2,
                    coordinatorSettings: [
                        "coordinator.rebalance_after=1s", "coordinator.load_window=4s", "coordinator.spare_disk=16MiB",
                    ]
                )
                try await cluster.start()
                let client = try cluster.client()
                let names = ["first", "second", "third", "fourth"]
                for name in names { try await Self.fill(name, client) }
                func holders() async throws -> [String: String] {
                    var holders: [String: String] = [:]
                    for name in names { holders[name] = try await client.describe(name).shards[0].workerID }
                    return holders
                }
                let before = try await holders()
                let together = Dictionary(grouping: names) { before[$0]! }
                #expect(together.values.allSatisfy { $0.count == 2 }, "\(together)")
                let busy = try #require(together.values.first)
                let pause = FaceWriter.Pause()
                let failures = try await withThrowingTaskGroup(of: [String].self) { group in
                    for name in busy { group.addTask { await Self.photos(of: name, client, until: pause) } }
                    defer { pause.ask() }
                    let operation = try await eventually("the busy ones are apart", within: .seconds(90)) {
                        try await client.operations().first { $0.state == .done && $0.kind == .rebalance }
                    }
                    #expect(operation.note?.contains("by itself") == true)
                    pause.ask()
                    return try await group.reduce(into: []) { $0 += $1 }
                }
                #expect(failures.isEmpty, "\(failures.prefix(3))")
                let after = try await holders()
                #expect(Set(busy.map { after[$0] }).count == 2, "\(before) became \(after)")
                #expect(Dictionary(grouping: names) { after[$0]! }.values.allSatisfy { $0.count == 2 }, "\(after)")
                await client.close()
            }
        }

        private static let faces = (0..<2000).map { Face.ID(high: 7, low: $0) }

        private static func fill(_ name: String, _ client: MienClient) async throws {
            try await FaceWriter.createCollection(name, shards: 1, client)
            for start in stride(from: 0, to: faces.count, by: 500) {
                let part = faces[start..<min(start + 500, faces.count)]
                _ = try await client.enrol(
                    part.map { NewFace(id: $0) },
                    embeddings: Searcher.embeddings(part),
                    into: name,
                    model: FaceWriter.model
                )
            }
        }

        /// Searches a hundred faces at a time, and says what failed.
        private static func photos(
            of name: String,
            _ client: MienClient,
            until pause: FaceWriter.Pause
        ) async -> [String] {
            let probes = Searcher.embeddings(faces.prefix(100))
            let options = SearchOptions(matchLimit: 1, effort: .exact)
            var failures: [String] = []
            while !pause.isAsked, !Task.isCancelled {
                do throws(MienClientError) {
                    let results = try await client.search(
                        name,
                        probes: probes,
                        model: FaceWriter.model,
                        options: options
                    )
                    if !results.coverage.isFull { failures.append("\(name): \(results.coverage)") }
                } catch {
                    failures.append("\(name): \(error)")
                }
                try? await Task.sleep(for: .milliseconds(20))
            }
            return failures
        }
    }
}
