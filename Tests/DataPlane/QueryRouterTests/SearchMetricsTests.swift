import FaceModel
import Logging
import Observability
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// What a router tells of its searches.
struct SearchMetricsTests {
    @Test func stagesShardsAndProbesAreCounted() async throws {
        try await FakeCluster.run(shardCount: 3) { cluster in
            try await cluster.enrolNumbered(30)
            for _ in 0..<4 { _ = try await cluster.search([FakeCluster.embedding(1), FakeCluster.embedding(2)], k: 2) }
            let lines = cluster.metrics.rendered().split(separator: "\n")
            for stage in ["prepare", "shards", "merge"] {
                #expect(lines.contains("mien_router_stage_duration_seconds_count{stage=\"\(stage)\"} 4"))
            }
            #expect(lines.contains("mien_shard_search_duration_seconds_count 12"))
            let probes = lines.filter { $0.hasPrefix("mien_searched_probes_total") }.compactMap {
                Int($0.split(separator: " ")[1])
            }
            #expect(probes.reduce(0, +) == 8)
            #expect(lines.contains("mien_partial_answers_total 0"))
            #expect(lines.contains("mien_recall_objective 0.99"))
        }
    }

    @Test func missingShardsAreCountedByReason() async throws {
        try await FakeCluster.run(shardCount: 3, options: SearchRoutingTests.impatient) { cluster in
            try await cluster.enrolNumbered(30)
            await cluster.servers[1].shutdown(gracePeriod: .zero)
            await #expect(throws: WireStatus.self) { try await cluster.search([FakeCluster.embedding(1)], k: 2) }
            let lines = cluster.metrics.rendered().split(separator: "\n")
            #expect(lines.contains("mien_partial_answers_total 1"))
            #expect(lines.contains("mien_missing_shards_total{reason=\"unavailable\"} 1"))
        }
    }

    @Test func repeatedRequestsAreCountedByWhatTheShardSaid() async throws {
        try await FakeCluster.run(shardCount: 3) { cluster in
            try await cluster.enrolNumbered(30)
            cluster.workers[1].setScript(RetryTests.failing(1, WireStatus(.overloaded, "Busy.")))
            _ = try await cluster.search([FakeCluster.embedding(1)], k: 2)
            let lines = cluster.metrics.rendered().split(separator: "\n")
            #expect(lines.contains("mien_shard_retries_total{status=\"overloaded\"} 1"))
            #expect(lines.contains("mien_partial_answers_total 0"))
        }
    }

    @Test func slowSearchesAreLoggedWithTheirStagesAndNothingOfFaces() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            try await cluster.enrolNumbered(10)
            for _ in 0..<30 { _ = try await cluster.search([FakeCluster.embedding(1)], k: 2) }
            let lines = cluster.slowSearches.lines
            // An allowance of ten a second, and thirty searches do not take two.
            #expect(!lines.isEmpty && lines.count <= 20)
            let first = try #require(lines.first)
            let known = Set(LogKey.allCases.map(\.rawValue))
            #expect(Set(first.keys).isSubset(of: known))
            for key in [LogKey.total, .prepare, .shards, .merge, .suppressed] {
                #expect(first[key.rawValue].flatMap(Int.init) != nil, "\(key)")
            }
            #expect(first["collection"] == "people" && first["k"] == "2" && first["probes"] == "1")
            #expect(first["faces_answered"] == "10 of 10" && first["shards"] == "2 of 2")
            let shown = first.values.joined(separator: " ")
            #expect(!shown.contains("\(FakeCluster.face(1))"))
        }
    }
}

/// Keeps what is logged.
final class LineRecorder: LogHandler {
    private let recorded = Mutex<[[String: String]]>([])

    var lines: [[String: String]] { recorded.withLock(\.self) }

    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }

    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        recorded.withLock { $0.append((event.metadata ?? [:]).mapValues { "\($0)" }) }
    }
}
