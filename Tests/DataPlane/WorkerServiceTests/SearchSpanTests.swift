import InMemoryTracing
import Observability
import Testing
import Tracing
import WorkerService

/// The spans of a shard's search at its worker.
struct SearchSpanTests {
    /// Of this process: a tracer can be bootstrapped once.
    private static let tracer: InMemoryTracer = {
        let tracer = InMemoryTracer()
        InstrumentationSystem.bootstrap(tracer)
        return tracer
    }()

    @Test func thePartitionIsBelowTheSearchAndHasItsStages() async throws {
        let tracer = Self.tracer
        let folder = TemporaryFolder()
        let collection = TestCollection()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(collection.host())
            let ids = collection.ids(40)
            _ = try await harness.call(collection.enrol(ids))
            // A number of matches by which this search is known among those of other tests.
            _ = try await harness.call(collection.search([ids[3], ids[4]], k: 17))
            let spans = tracer.finishedSpans
            let search = try #require(
                spans.first { $0.operationName == "mien.worker.search" && $0.attributes.get("mien.k") == .int64(17) }
            )
            #expect(search.attributes.get("mien.probes") == .int64(2))
            #expect(search.attributes.get("mien.collection") == .string("test"))
            let partition = try #require(spans.first { $0.parentSpanID == search.spanID })
            #expect(partition.operationName == "mien.worker.search.partition")
            #expect(partition.attributes.get("mien.rows_visited") == .int64(80))
            for stage in ["plan", "rank", "scan", "compare", "flat", "answer"] {
                #expect(partition.attributes.get("mien.\(stage)_us") != nil)
            }
            #expect(partition.startInstant.nanosecondsSinceEpoch >= search.startInstant.nanosecondsSinceEpoch)
            #expect(partition.endInstant.nanosecondsSinceEpoch <= search.endInstant.nanosecondsSinceEpoch)
            let known = Set(SearchSpanAttribute.allCases.map(\.rawValue))
            for span in [search, partition] {
                span.attributes.forEach { key, _ in #expect(known.contains(key), "\(key)") }
            }
        }
    }
}
