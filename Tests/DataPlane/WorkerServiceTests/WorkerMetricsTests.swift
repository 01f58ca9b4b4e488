import ClusterModel
import FaceModel
import Logging
import Observability
import Synchronization
import Testing
import WireProtocol
import WorkerService

/// What a worker tells of itself.
struct WorkerMetricsTests {
    private func value(_ series: String, in text: String) -> Double? {
        text.split(separator: "\n").first { $0.hasPrefix(series + " ") }.flatMap { Double($0.split(separator: " ")[1]) }
    }

    @Test func searchesWritesAndPartitionsAreTold() async throws {
        let folder = TemporaryFolder()
        let collection = TestCollection()
        let options = WorkerHarness.options(folder)
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(collection.host())
            let ids = collection.ids(40)
            _ = try await harness.call(collection.enrol(ids))
            _ = try await harness.call(collection.delete(Array(ids.prefix(3))))
            for _ in 0..<5 { _ = try await harness.call(collection.search([ids[7]], k: 3)) }
            _ = try await harness.refusal(collection.search([ids[7]], k: 0))
            let text = options.metrics.rendered()
            let count = "mien_requests_total{role=\"worker\",request=\"shardSearch\",status="
            #expect(value("\(count)\"ok\"}", in: text) == 5)
            #expect(value("\(count)\"invalidRequest\"}", in: text) == 1)
            let places = ["loop", "thread"].compactMap {
                value("mien_worker_searches_total{place=\"\($0)\"}", in: text)
            }
            #expect(places.reduce(0, +) == 5)
            for stage in ["queue", "plan", "flat", "answer"] {
                #expect(value("mien_search_stage_duration_seconds_count{stage=\"\(stage)\"}", in: text) == 5)
            }
            // Without a codebook there is nothing to scan.
            #expect(value("mien_search_stage_duration_seconds_count{stage=\"scan\"}", in: text) == 0)
            #expect(value("mien_written_faces_total{operation=\"enrol\"}", in: text) == 40)
            #expect(value("mien_written_faces_total{operation=\"delete\"}", in: text) == 3)
            #expect(value("mien_commit_duration_seconds_count", in: text) == 2)
            #expect(value("mien_replicas{state=\"serving\"}", in: text) == 1)
            #expect(value("mien_queue_limit{queue=\"search\"}", in: text) == 512)
            #expect(value("mien_search_threads{state=\"idle\"}", in: text) == 2)
            #expect(harness.worker.readinessProblems.isEmpty)
        }
    }

    /// One that is about to be full does not disappear among others with room.
    @Test func theFillOfTheFullestPartitionIsTold() async throws {
        let folder = TemporaryFolder()
        let collection = TestCollection(shardCount: 2)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            for shard in 0..<2 { _ = try await harness.call(collection.host(shard)) }
            let ids = collection.ids(6000)
            for first in stride(from: 0, to: ids.count, by: 1000) {
                _ = try await harness.call(collection.enrol(Array(ids[first..<first + 1000])))
            }
        }
        let metrics = MetricRegistry()
        try await WorkerHarness.withCluster(folder, cluster: .random(), changing: { $0.metrics = metrics }) { _, _ in
            func told(_ metric: String) -> Double {
                value("mien_lmdb_\(metric){collection=\"test\"}", in: metrics.rendered()) ?? 0
            }
            try await eventually("both files have been looked at") { told("map_bytes") == 0x1p31 }
            let mean = told("used_bytes") / told("map_bytes")
            let fill = told("map_fill")
            #expect(mean > 0 && fill > 1.5 * mean && fill < 1, "\(fill), \(mean) of both")
        }
    }

    @Test func reportsCarryWhatTheWorkerDoes() async throws {
        let folder = TemporaryFolder()
        let collection = TestCollection()
        try await WorkerHarness.withCluster(folder, cluster: .random()) { harness, coordinator in
            _ = try await harness.call(collection.host())
            let ids = collection.ids(20)
            _ = try await harness.call(collection.enrol(ids))
            for _ in 0..<3 { _ = try await harness.call(collection.search([ids[1]])) }
            let report = try await coordinator.report { $0.activity.searchCount == 3 }
            #expect(report.activity.writtenFaceCount == 20 && report.activity.writeCount == 1)
            #expect(report.activity.search99thMicroseconds >= report.activity.searchMedianMicroseconds)
            #expect(report.activity.connectionCount == 1 && report.activity.uptimeMilliseconds > 0)
        }
    }

    @Test func aWorkerThatNoCoordinatorHearsIsNotReady() async throws {
        let folder = TemporaryFolder()
        // Nobody listens there.
        let options = WorkerHarness.options(folder, coordinators: [NodeAddress(host: "127.0.0.1", port: 1)])
        try await WorkerHarness.with(options) { harness in
            #expect(harness.worker.readinessProblems == [Self.unheard])
        }
    }

    private static let unheard = "No coordinator takes this worker's heartbeats; the log says why."

    /// Of its group it hears by heartbeats: what follows from their failing is told behind it.
    @Test func everythingThatIsMissingIsToldAndTheCauseFirst() async throws {
        let folder = TemporaryFolder()
        let options = WorkerHarness.options(folder, coordinators: [NodeAddress(host: "127.0.0.1", port: 1)])
        try await WorkerHarness.with(options) { harness in
            let member = NodeID(high: 9, low: 9)
            var host = TestCollection().host()
            // It counted, and counts no more.
            for isInSync in [true, false] {
                let node = harness.worker.node
                host.group = ReplicaGroup(
                    epoch: Epoch(1),
                    version: isInSync ? 1 : 2,
                    primary: member,
                    inSync: isInSync ? [member, node] : [member],
                    learners: isInSync ? [] : [node],
                    minimumInSync: 1
                )
                _ = try await harness.call(host)
            }
            let problems = harness.worker.readinessProblems
            #expect(problems.first == Self.unheard && problems.count > 1, "\(problems)")
            #expect(problems.contains { $0.hasSuffix("have not caught up with the others.") }, "\(problems)")
        }
    }

    @Test func slowSearchesAreLoggedWithTheirStagesAndNothingOfFaces() async throws {
        let folder = TemporaryFolder()
        let collection = TestCollection()
        var options = WorkerHarness.options(folder)
        options.slowSearch = .nanoseconds(1)
        let recorder = LineRecorder()
        try await WorkerHarness.with(options, logger: Logger(label: "test") { _ in recorder }) { harness in
            _ = try await harness.call(collection.host())
            let ids = collection.ids(20)
            _ = try await harness.call(collection.enrol(ids))
            let began = ContinuousClock.now
            for _ in 0..<30 { _ = try await harness.call(collection.search([ids[1]], k: 2)) }
            let lines = recorder.lines("slow search")
            // Ten in a second.
            let seconds = Int((ContinuousClock.now - began).components.seconds) + 2
            #expect(!lines.isEmpty && lines.count <= 10 * seconds)
            let first = try #require(lines.first)
            #expect(Set(first.keys).isSubset(of: Set(LogKey.allCases.map(\.rawValue))))
            for key in [LogKey.total, .queue, .plan, .rank, .scan, .compare, .flat, .answer, .rowsVisited, .suppressed]
            {
                #expect(first[key.rawValue].flatMap(Int.init) != nil, "\(key)")
            }
            #expect(first["collection"] == "test" && first["k"] == "2" && first["effort"] == "exact")
            let shown = first.values.joined(separator: " ")
            #expect(!shown.contains("\(ids[1])") && !shown.contains("\(collection.collection.id)"))
            #expect(options.metrics.rendered().contains("mien_slow_searches_total{role=\"worker\"} 30\n"))
        }
    }
}

/// Keeps what is logged.
final class LineRecorder: LogHandler {
    private let recorded = Mutex<[(message: String, metadata: [String: String])]>([])
    private let held = Mutex<(message: String, hold: Hold)?>(nil)

    /// Whoever logs this comes to the hold.
    func hold(_ message: String, _ hold: Hold) { held.withLock { $0 = (message, hold) } }

    func lines(_ message: String) -> [[String: String]] {
        recorded.withLock { $0.filter { $0.message == message }.map(\.metadata) }
    }

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
        recorded.withLock { $0.append(("\(event.message)", (event.metadata ?? [:]).mapValues { "\($0)" })) }
        let hold = held.withLock { held -> Hold? in
            guard let held, held.message == "\(event.message)" else { return nil }
            return held.hold
        }
        hold?.pass()
    }
}
