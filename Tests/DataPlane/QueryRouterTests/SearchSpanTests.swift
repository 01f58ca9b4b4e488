import InMemoryTracing
import Observability
import Synchronization
import Testing
import TraceRecording
import Tracing
import WireProtocol
import WireTransport

/// The spans of a search at the coordinator.
struct SearchSpanTests {
    /// Of this process: a tracer can be bootstrapped once.
    private static let tracer: InMemoryTracer = {
        let tracer = InMemoryTracer(idGenerator: PropagatingTracer.ids)
        InstrumentationSystem.bootstrap(PropagatingTracer(base: tracer))
        return tracer
    }()

    @Test func everyShardAndTheMergeAreBelowTheSearch() async throws {
        let tracer = Self.tracer
        try await FakeCluster.run(shardCount: 3) { cluster in
            try await cluster.enrolNumbered(12)
            // A number of matches by which this search is known among those of other tests.
            _ = try await cluster.search([FakeCluster.embedding(1)], k: 11)
            let spans = tracer.finishedSpans
            let search = try #require(
                spans.first { $0.operationName == "mien.search" && $0.attributes.get("mien.k") == .int64(11) }
            )
            #expect(search.attributes.get("mien.collection") == .string("people"))
            #expect(search.attributes.get("mien.shards") == .int64(3))
            #expect(search.status == nil)
            let below = spans.filter { $0.parentSpanID == search.spanID }
            #expect(below.allSatisfy { $0.traceID == search.traceID })
            let names = below.map(\.operationName).sorted()
            #expect(names == ["mien.search.merge", "mien.search.shard", "mien.search.shard", "mien.search.shard"])
            let shards = Set(below.compactMap { $0.attributes.get("mien.shard") }.map { "\($0)" })
            #expect(shards.count == 3)
            let known = Set(SearchSpanAttribute.allCases.map(\.rawValue))
            for span in [search] + below {
                span.attributes.forEach { key, _ in #expect(known.contains(key), "\(key)") }
            }
        }
    }

    /// From the client's task over the wire to the coordinator, and from its calls over the wire to the workers.
    @Test func aTraceGoesFromTheClientThroughToTheWorkers() async throws {
        let tracer = Self.tracer
        try await FakeCluster.run(shardCount: 2) { cluster in
            try await cluster.enrolNumbered(12)
            let heard = Mutex<[String?]>([])
            for worker in cluster.workers {
                worker.setScript { request, call in
                    if case .shardSearch = request { heard.withLock { $0.append(call.traceparent) } }
                    return false
                }
            }
            let span = tracer.startSpan("the client's")
            try await cluster.searchOverTheWire([FakeCluster.embedding(1)], k: 17, in: span.context)
            span.end()
            let spans = tracer.finishedSpans
            let search = try #require(
                spans.first { $0.operationName == "mien.search" && $0.attributes.get("mien.k") == .int64(17) }
            )
            let client = try #require(span.context.inMemorySpanContext)
            #expect(search.traceID == client.traceID)
            #expect(search.parentSpanID == client.spanID)
            let calls = spans.filter { $0.parentSpanID == search.spanID && $0.operationName == "mien.search.shard" }
            let told = calls.map { "00-\($0.traceID)-\($0.spanID)-01" }
            #expect(calls.count == 2 && Set(heard.withLock(\.self)) == Set(told))

            // Who does not trace is not traced.
            heard.withLock { $0 = [] }
            try await cluster.searchOverTheWire([FakeCluster.embedding(1)], k: 19, in: .topLevel)
            let own = try #require(
                tracer.finishedSpans.first {
                    $0.operationName == "mien.search" && $0.attributes.get("mien.k") == .int64(19)
                }
            )
            #expect(own.parentSpanID == nil && own.traceID != search.traceID)
        }
    }

    @Test func aRefusedSearchIsAnErrorWithItsStatusAndNoMessage() async throws {
        let tracer = Self.tracer
        try await FakeCluster.run(shardCount: 2, options: SearchRoutingTests.impatient) { cluster in
            await cluster.stop(1)
            await #expect(throws: WireStatus.self) { try await cluster.search([FakeCluster.embedding(1)], k: 13) }
            let spans = tracer.finishedSpans
            let search = try #require(
                spans.first { $0.operationName == "mien.search" && $0.attributes.get("mien.k") == .int64(13) }
            )
            #expect(search.attributes.get("mien.status") == .string("incompleteCoverage"))
            #expect(search.status?.code == .error && search.status?.message == nil)
            let failed = spans.filter {
                $0.parentSpanID == search.spanID && $0.attributes.get("mien.status") == .string("unavailable")
            }
            #expect(failed.map(\.operationName) == ["mien.search.shard"])
        }
    }
}
