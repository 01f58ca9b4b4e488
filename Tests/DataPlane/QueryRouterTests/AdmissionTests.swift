import ClusterModel
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
        // What is held is asked again, however long that took.
        absenceGrace: .seconds(60),
        leastHedgeDelay: .seconds(60),
        readsUnderWay: .init(least: 2, first: 4, most: 8),
        writesUnderWay: .init(least: 2, first: 4, most: 8),
        bytesUnderWay: 160 << 10
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
        shardCount: Int = 1,
        _ body: @escaping @Sendable (FakeCluster, PeerClient, Held) async throws -> Void
    ) async throws {
        try await FakeCluster.run(shardCount: shardCount, options: options) { cluster in
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
            let rowCount = (192 << 10) / 4 / FakeCluster.dimension
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

    /// Reads of one collection that nobody answers leave those of another alone.
    @Test func aCollectionInTroubleHasALimitOfItsOwn() async throws {
        try await Self.run { cluster, client, held in
            let other = cluster.addCollection(named: "others")
            let script = held.script
            cluster.workers[0].setScript { request, call in
                if case .shardSearch(let search) = request, search.route.shard.collection == other { return false }
                return script(request, call)
            }
            var search = FakeCluster.request([FakeCluster.embedding(1)], k: 1)
            let ofPeople = search
            let underWay = (0..<4).map { _ in Task { await Self.outcome(client, ofPeople) } }
            try await Self.until("four are under way") { held.count == 4 }
            guard case .failure(let status) = await Self.outcome(client, search) else {
                Issue.record("a fifth search was taken")
                return
            }
            #expect(status.code == .overloaded && status.message.contains("'people'"))
            search.collection = "others"
            for _ in 0..<20 { _ = try await Self.outcome(client, search).get() }
            held.release()
            for task in underWay { _ = try await task.value.get() }
        }
    }

    /// Writes of a shard that waits, for a replica perhaps, leave those of another shard alone.
    @Test func aShardThatWaitsHoldsUpNoOther() async throws {
        try await Self.run(shardCount: 2) { cluster, client, held in
            cluster.workers[0].setScript(held.script)
            let shards = cluster.source.current.placements[cluster.collection.id]!
            func faces(of shard: Int) -> [FaceID] {
                (0..<200).map(FakeCluster.face).filter {
                    shards[shard].range.contains(FaceIDHash.hash($0, in: cluster.collection.id))
                }
            }
            @Sendable func delete(_ ids: [FaceID]) async -> Result<FacesDeleted, WireStatus> {
                do throws(WireStatus) {
                    let request = DeleteFaces(collection: "people", key: .random(), ids: ids)
                    return .success(try await client.call(request, deadline: .after(.seconds(20))))
                } catch {
                    return .failure(error)
                }
            }
            let (first, second) = (faces(of: 0), faces(of: 1))
            let underWay = first.prefix(4).map { id in Task { await delete([id]) } }
            try await Self.until("four are under way") { held.count == 4 }
            #expect(
                cluster.metrics.rendered().split(separator: "\n").contains("mien_queue_length{queue=\"writes\"} 4")
            )
            guard case .failure(let status) = await delete([first[4]]) else {
                Issue.record("a fifth write was taken")
                return
            }
            #expect(status.code == .overloaded && status.hasNoEffect && status.message.contains("shard 0"))
            #expect((50...150).contains(status.retryAfterMilliseconds))
            for id in second.prefix(20) { _ = try await delete([id]).get() }
            // Of a batch for both shards one part is done: it is not told that nothing was.
            guard case .failure(let half) = await delete([first[5], second[20]]) else {
                Issue.record("the write of a full shard was taken")
                return
            }
            #expect(half.code == .overloaded && !half.hasNoEffect)
            held.release()
            for task in underWay { _ = await task.value }
            _ = try await delete([first[4]]).get()
        }
    }

    /// Faces with embeddings take more than the few bytes that they are asked for by.
    @Test func answersCountAsWell() async throws {
        try await Self.run { cluster, client, held in
            cluster.workers[0].setScript(held.script)
            let ids = (0..<500).map(FakeCluster.face)
            func get(_ includesEmbeddings: Bool) -> Task<Result<FaceList, WireStatus>, Never> {
                let request = GetFaces(collection: "people", ids: ids, includesEmbeddings: includesEmbeddings)
                return Task {
                    do throws(WireStatus) {
                        return .success(try await client.call(request, deadline: .after(.seconds(20))))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            let first = get(true)
            try await Self.until("one is under way") { held.count == 1 }
            guard case .failure(let status) = await get(true).value else {
                Issue.record("a second one was taken")
                return
            }
            #expect(status.code == .overloaded && status.hasNoEffect)
            held.release()
            _ = try await first.value.get()
            _ = try await get(true).value.get()
        }
    }

    /// People may say more of a face than is expected.
    @Test func whatShardsAnswerBeyondWhatWasExpectedCountsAsItComes() async throws {
        try await Self.run(shardCount: 2) { cluster, client, held in
            let text = String(repeating: "x", count: FaceMetadata.attributeValueByteLimit)
            let attributes = (0..<32).map { ("attribute \($0)", text) }
            let metadata = FaceMetadata(attributes: Dictionary(uniqueKeysWithValues: attributes))
            let large = ShardSearchAnswer(
                matches: [
                    (0..<5).map { Match(faceID: FakeCluster.face($0), similarity: 0.5, metadata: metadata) }
                ],
                faceCount: 5,
                facesAnswered: 5,
                rowsVisited: 5,
                listsVisited: 0,
                generation: 0
            )
            cluster.workers[0].setScript { request, call in
                guard case .shardSearch = request else { return false }
                call.reply(large)
                return true
            }
            cluster.workers[1].setScript(held.script)
            let search = FakeCluster.request([FakeCluster.embedding(1)], k: 10)
            let first = Task { await Self.outcome(client, search) }
            try await Self.until("the first has half of its answer") { held.count == 1 }
            for _ in 0..<3 {
                guard case .failure(let status) = await Self.outcome(client, search) else {
                    Issue.record("answers beside it were taken")
                    break
                }
                #expect(status.code == .overloaded && status.hasNoEffect && status.message.contains("memory"))
            }
            held.release()
            _ = try await first.value.get()
            for _ in 0..<3 { _ = try await Self.outcome(client, search).get() }
        }
    }

    /// What a call that has ended tells of the others.
    @Test func theEndOfACallTellsWhatItCan() {
        typealias End = ConcurrencyLimit.End
        func end(
            _ status: StatusCode?,
            after milliseconds: Int,
            of given: Int = 1000,
            _ kind: CallKind = .reads
        ) -> End? {
            End(status, after: .milliseconds(milliseconds), of: .milliseconds(given), kind)
        }
        #expect(end(nil, after: 499) == .inTime)
        #expect(end(nil, after: 500) == .late)
        #expect(end(.deadlineExceeded, after: 1) == .tooLate)
        #expect(end(.deadlineExceeded, after: 1, .writes) == .tooLate)
        #expect(end(.overloaded, after: 1) == .tooLate)
        // A full write queue slows imports down, as it is meant to.
        #expect(end(.overloaded, after: 1, .writes) == nil)
        // Nobody serves it, which is no overload; until the time was over it may be.
        #expect(end(.unavailable, after: 899) == nil)
        #expect(end(.unavailable, after: 900) == .tooLate)
        #expect(end(.cancelled, after: 10) == nil)
        // So little time says nothing of those who gave more.
        for status in [nil, StatusCode.deadlineExceeded, .overloaded] {
            #expect(end(status, after: 99, of: 99) == nil)
            #expect(end(status, after: 100, of: 100) != nil)
        }
    }
}
