import Foundation
import InMemoryTracing
import MienClient
import NodeConfiguration
import NodeServer
import Testing
import TraceRecording
import Tracing

/// A search through a whole cluster, with its trace: from a program's own span to the partitions.
struct TraceTests {
    private static let dimension = 64

    @Test(.timeLimit(.minutes(1))) func aTraceGoesFromTheProgramThroughToThePartitions() async throws {
        let tracer = InMemoryTracer(idGenerator: PropagatingTracer.ids)
        InstrumentationSystem.bootstrap(PropagatingTracer(base: tracer))
        try await withCluster { client in
            _ = try await client.createCollection(
                CollectionOptions(name: "people", dimension: Self.dimension, embeddingModel: "m", shardCount: 2)
            )
            try await whenServed { try await enrol(20, client) }
            // A number of matches by which this search is known.
            let program = tracer.startSpan("the program's")
            try await InstrumentationContext.withValue(program.context) {
                _ = try await client.search(
                    "people",
                    probes: embeddings(of: [3]),
                    model: "m",
                    options: SearchOptions(matchLimit: 17)
                )
            }
            program.end()
            let root = try #require(program.context.inMemorySpanContext)
            let spans = try await spans(of: root.traceID, tracer, count: 9)
            let search = try #require(spans.first { $0.operationName == "mien.search" })
            #expect(search.parentSpanID == root.spanID && search.attributes.get("mien.k") == .int64(17))
            let shards = spans.filter { $0.operationName == "mien.search.shard" }
            #expect(shards.count == 2 && shards.allSatisfy { $0.parentSpanID == search.spanID })
            let workers = spans.filter { $0.operationName == "mien.worker.search" }
            #expect(Set(workers.map(\.parentSpanID)) == Set(shards.map { Optional($0.spanID) }))
            let partitions = spans.filter { $0.operationName == "mien.worker.search.partition" }
            #expect(Set(partitions.map(\.parentSpanID)) == Set(workers.map { Optional($0.spanID) }))
            #expect(partitions.count == 2 && spans.count { $0.operationName == "mien.search.merge" } == 1)
            #expect(spans.count == 9, "\(spans.map(\.operationName))")

            // Who does not trace begins no trace of others'.
            _ = try await client.search("people", probes: embeddings(of: [4]), model: "m")
            #expect(tracer.finishedSpans.count { $0.traceID == root.traceID } == 9)
        }
    }

    /// Spans of a trace, once there are so many: some end after their answer has gone.
    private func spans(
        of trace: String,
        _ tracer: InMemoryTracer,
        count: Int
    ) async throws -> [FinishedInMemorySpan] {
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            let spans = tracer.finishedSpans.filter { $0.traceID == trace }
            if spans.count >= count || ContinuousClock.now > deadline { return spans }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Runs a body against a coordinator and two workers in this process, which speak TCP.
    private func withCluster(_ body: (MienClient) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "mien-trace-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let configuration = try DevConfiguration(
            from: ConfigurationSources(flags: [
                "dev.data": folder, "dev.listen": "127.0.0.1:0", "dev.workers": "2", "dev.admin_listen": "off",
                "log.level": "critical", "worker.search_threads": "1",
            ])
        )
        let (readiness, ready) = AsyncStream.makeStream(of: NodeServer.Readiness.self)
        let node = Task { try await NodeServer.run(configuration) { ready.yield($0) } }
        defer { node.cancel() }
        var iterator = readiness.makeAsyncIterator()
        let address = try #require(await iterator.next()?.coordinator.flatMap { MienClient.Address($0) })
        let client = try MienClient(addresses: [address])
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(client))
        } catch {
            result = .failure(error)
        }
        await client.close()
        node.cancel()
        _ = await node.result
        try result.get()
    }

    /// Shards are served a moment after their collection is there.
    private func whenServed(_ body: () async throws -> Void) async throws {
        while true {
            do {
                return try await body()
            } catch let error as MienClientError where [.unavailable, .notYet].contains(error.code) {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private func enrol(_ count: Int, _ client: MienClient) async throws {
        _ = try await client.enrol(
            (0..<count).map { NewFace(id: Face.ID(high: 1, low: UInt64($0))) },
            embeddings: embeddings(of: Array(0..<count)),
            into: "people",
            model: "m"
        )
    }

    /// Along an axis each.
    private func embeddings(of faces: [Int]) -> Embeddings {
        Embeddings(
            dimension: Self.dimension,
            values: faces.flatMap { face in (0..<Self.dimension).map { $0 == face ? 1 : 0 } }
        )
    }
}
