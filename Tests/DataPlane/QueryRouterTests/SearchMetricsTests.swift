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
            await cluster.stop(1)
            await #expect(throws: WireStatus.self) { try await cluster.search([FakeCluster.embedding(1)], k: 2) }
            let lines = cluster.metrics.rendered().split(separator: "\n")
            #expect(lines.contains("mien_partial_answers_total 1"))
            #expect(lines.contains("mien_missing_shards_total{reason=\"unavailable\"} 1"))
        }
    }

    /// No shard is missing, and one has not looked at all that it has.
    @Test func whatTheDeadlineCutShortIsCountedAsPartial() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            cluster.workers[1].setScript { request, call in
                guard case .shardSearch = request else { return false }
                call.reply(
                    ShardSearchAnswer(
                        matches: [[]],
                        faceCount: 10,
                        facesAnswered: 9,
                        rowsVisited: 9,
                        listsVisited: 0,
                        generation: 0
                    )
                )
                return true
            }
            func partialCount() -> Substring? {
                cluster.metrics.rendered().split(separator: "\n").first { $0.hasPrefix("mien_partial_answers_total ") }
            }
            let answer = try await cluster.search([FakeCluster.embedding(1)], coverage: .minimum(0))
            #expect(answer.coverage.missing.isEmpty && !answer.coverage.isFull)
            #expect(partialCount() == "mien_partial_answers_total 1")
            let status = await #expect(throws: WireStatus.self) { try await cluster.search([FakeCluster.embedding(1)]) }
            #expect(status?.code == .incompleteCoverage)
            #expect(partialCount() == "mien_partial_answers_total 2")
        }
    }

    /// A shard has just been split: what came of asking it is thrown away, and the client gets a whole answer.
    @Test(arguments: [CoverageRequirement.full, .minimum(0)])
    func whatIsAskedAgainByANewerMapIsCountedOnce(coverage: CoverageRequirement) async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            try await cluster.enrolNumbered(20)
            let before = cluster.source.current
            cluster.divide([1 << 63, .max])
            cluster.source.state.withLock { state in
                (state.map, state.afterRefresh) = (before, state.map)
            }
            let answer = try await cluster.search([FakeCluster.embedding(1)], coverage: coverage)
            #expect(answer.coverage.isFull && answer.coverage.shardsAnswered == 2)
            let lines = cluster.metrics.rendered().split(separator: "\n")
            #expect(lines.contains("mien_partial_answers_total 0"))
            let missing = lines.filter { $0.hasPrefix("mien_missing_shards_total{") && !$0.hasSuffix(" 0") }
            #expect(missing == [])
            let probes = lines.filter { $0.hasPrefix("mien_searched_probes_total") }.compactMap {
                Int($0.split(separator: " ")[1])
            }
            #expect(probes.reduce(0, +) == 1)
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
            let began = ContinuousClock.now
            for _ in 0..<30 { _ = try await cluster.search([FakeCluster.embedding(1)], k: 2) }
            let lines = cluster.slowSearches.lines
            // Ten in a second.
            let seconds = Int((ContinuousClock.now - began).components.seconds) + 2
            #expect(!lines.isEmpty && lines.count <= 10 * seconds)
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
