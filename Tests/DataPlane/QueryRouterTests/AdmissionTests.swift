import FaceModel
import NIOCore
import Observability
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Which calls a coordinator takes, as clients see it.
struct AdmissionTests {
    private static let options = RouterOptions(
        leastHedgeDelay: .seconds(60),
        callsUnderWay: .init(least: 2, first: 4, most: 8),
        bytesUnderWay: 64 << 10
    )

    /// Keeps calls that a worker should answer.
    private final class Held: Sendable {
        private let calls = Mutex<[ServerCall]>([])
        private let isHolding = Mutex(true)

        var count: Int { calls.withLock(\.count) }

        var script: Script {
            { [self] _, call in
                guard isHolding.withLock(\.self) else { return false }
                calls.withLock { $0.append(call) }
                return true
            }
        }

        func release() {
            isHolding.withLock { $0 = false }
            for call in calls.withLock({ calls in
                defer { calls = [] }
                return calls
            }) {
                call.fail(WireStatus(.unavailable, "Not now."))
            }
        }
    }

    private static func outcome(
        _ client: PeerClient,
        _ request: SearchFaces
    ) async -> Result<SearchAnswer, WireStatus> {
        do throws(WireStatus) {
            return .success(try await client.call(request, deadline: .after(.seconds(20))))
        } catch {
            return .failure(error)
        }
    }

    /// Runs the body with a client of a coordinator whose only worker's calls may be held.
    private static func run(
        _ body: @escaping @Sendable (FakeCluster, PeerClient, Held) async throws -> Void
    ) async throws {
        try await FakeCluster.run(shardCount: 1, options: options) { cluster in
            try await cluster.enrolNumbered(3)
            let held = Held()
            try await cluster.overTheWire { client in try await body(cluster, client, held) }
        }
    }

    private static func until(_ what: Comment, _ condition: () -> Bool) async throws {
        for _ in 0..<2000 where !condition() { try await Task.sleep(for: .milliseconds(5)) }
        #expect(condition(), what)
    }

    @Test func readsBeyondTheLimitAreRefusedAtOnceAndWritesAreNot() async throws {
        try await Self.run { cluster, client, held in
            cluster.workers[0].setScript(held.script)
            let search = FakeCluster.request([FakeCluster.embedding(1)], k: 1)
            let underWay = (0..<4).map { _ in Task { await Self.outcome(client, search) } }
            try await Self.until("four are under way") { held.count == 4 }
            guard case .failure(let status) = await Self.outcome(client, search) else {
                Issue.record("a fifth search was taken")
                return
            }
            #expect(status.code == .overloaded && status.hasNoEffect)
            #expect((50...150).contains(status.retryAfterMilliseconds))
            #expect(held.count == 4, "and no worker was asked for it")
            let lines = cluster.metrics.rendered().split(separator: "\n")
            #expect(lines.contains("mien_queue_length{queue=\"reads\"} 4"))
            #expect(lines.contains("mien_queue_limit{queue=\"reads\"} 4"))
            #expect(lines.contains("mien_queue_length{queue=\"writes\"} 0"))
            let write = Task {
                try? await client.call(
                    DeleteFaces(collection: "people", key: .random(), ids: [FakeCluster.face(2)]),
                    deadline: .after(.seconds(20))
                )
            }
            try await Self.until("the write has reached the worker") { held.count == 5 }
            held.release()
            for task in underWay { _ = try await task.value.get() }
            _ = await write.value
            _ = try await Self.outcome(client, search).get()
            #expect(
                cluster.metrics.rendered().split(separator: "\n")
                    .contains("mien_queue_length{queue=\"reads\"} 0")
            )
        }
    }

    @Test func requestsOfManyBytesAreFewerAtOnceAndOneIsAlwaysTaken() async throws {
        try await Self.run { cluster, client, held in
            cluster.workers[0].setScript(held.script)
            let rowCount = (96 << 10) / 4 / FakeCluster.dimension
            let large = FakeCluster.request([[Float]](repeating: FakeCluster.embedding(1), count: rowCount), k: 1)
            let first = Task { await Self.outcome(client, large) }
            try await Self.until("one above the bound is under way") { held.count == 1 }
            let small = FakeCluster.request([FakeCluster.embedding(1)], k: 1)
            guard case .failure(let status) = await Self.outcome(client, small) else {
                Issue.record("a search beside it was taken")
                return
            }
            #expect(status.code == .overloaded)
            held.release()
            _ = try await first.value.get()
            _ = try await Self.outcome(client, small).get()
        }
    }

    /// A caller that goes away, or is refused for what it asks, leaves its place.
    @Test func callsThatFailOrAreCancelledLeaveTheirPlace() async throws {
        try await Self.run { cluster, client, held in
            var wrong = FakeCluster.request([FakeCluster.embedding(1)], k: 1)
            wrong.collection = "nobody"
            for _ in 0..<20 { _ = await Self.outcome(client, wrong) }
            cluster.workers[0].setScript(held.script)
            let search = FakeCluster.request([FakeCluster.embedding(1)], k: 1)
            let underWay = (0..<4).map { _ in Task { await Self.outcome(client, search) } }
            try await Self.until("four are under way") { held.count == 4 }
            for task in underWay { task.cancel() }
            for task in underWay { _ = await task.value }
            held.release()
            try await Self.until("nothing is under way") {
                cluster.metrics.rendered().contains("mien_queue_length{queue=\"reads\"} 0\n")
            }
            _ = try await Self.outcome(client, search).get()
        }
    }
}
