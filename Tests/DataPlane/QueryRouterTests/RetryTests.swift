import ClusterModel
import FaceModel
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

struct RetryTests {
    /// Fails the first `count` requests with the status, then lets the worker answer.
    static func failing(_ count: Int, _ status: WireStatus) -> Script {
        let left = Counter(count)
        return { _, call in
            guard left.take() else { return false }
            call.fail(status)
            return true
        }
    }

    final class Counter: Sendable {
        private let left: Mutex<Int>
        init(_ count: Int) { left = Mutex(count) }
        func take() -> Bool {
            left.withLock { left in
                guard left > 0 else { return false }
                left -= 1
                return true
            }
        }
    }

    @Test(arguments: [StatusCode.unavailable, .overloaded, .notYet, .staleEpoch, .unknownReplica])
    func passingTroubleIsTriedAgainInsideTheDeadline(code: StatusCode) async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            try await cluster.enrolNumbered(10)
            cluster.workers[0].setScript(Self.failing(3, WireStatus(code, "Not now.")))
            let answer = try await cluster.search([FakeCluster.embedding(1)], k: 1)
            #expect(answer.outcomes[0].ids == [FakeCluster.face(1)])
            #expect(answer.coverage.isFull)
        }
    }

    @Test func aNewerShardMapIsFetchedOnceAndUsedAtOnce() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            try await cluster.enrolNumbered(10)
            let old = cluster.source.current
            for (worker, shard) in zip(cluster.workers, cluster.shards) { worker.host(shard, epoch: 2) }
            cluster.source.state.withLock { state in
                state.afterRefresh = ShardMap(
                    epoch: Epoch(2),
                    collections: [cluster.collection],
                    placements: old.placements.mapValues { placements in
                        placements.map {
                            ShardPlacement(shard: $0.shard, range: $0.range, primary: $0.primary, epoch: Epoch(2))
                        }
                    },
                    addresses: old.addresses
                )
            }
            _ = try await cluster.search([FakeCluster.embedding(1)], k: 1)
            #expect(cluster.source.state.withLock { $0.refreshCount } <= 2)
            let before = cluster.workers.map(\.requestCount)
            _ = try await cluster.search([FakeCluster.embedding(1)], k: 1)
            #expect(zip(cluster.workers.map(\.requestCount), before).allSatisfy { $0 == $1 + 1 })
        }
    }

    @Test func overloadIsRetriedAfterTheTimeTheWorkerAskedFor() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            try await cluster.enrolNumbered(3)
            cluster.workers[0].setScript(
                Self.failing(1, WireStatus(.overloaded, "Busy.", retryAfterMilliseconds: 200))
            )
            let began = ContinuousClock.now
            _ = try await cluster.search([FakeCluster.embedding(1)], k: 1)
            #expect(ContinuousClock.now - began >= .milliseconds(200))
        }
    }

    @Test func overloadThatLastsIsToldAsOverload() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            cluster.workers[0].setScript(
                Self.failing(.max, WireStatus(.overloaded, "Busy.", retryAfterMilliseconds: 40))
            )
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.search([FakeCluster.embedding(1)], deadline: .seconds(3))
            }
            #expect(status?.code == .overloaded)
            #expect(status?.retryAfterMilliseconds == 40)
            #expect(cluster.workers[0].requestCount > 2)
        }
    }

    /// Workers with too much to do are not given more of it: retries are a share of what is asked.
    @Test(arguments: [1, 2]) func overloadIsRetriedForAShareOfTheRequestsOnly(copies: Int) async throws {
        let options = RouterOptions(
            leastHedgeDelay: .seconds(60),
            longestPause: .milliseconds(2),
            overloadRetryShare: 0.25,
            overloadRetryReserve: 8
        )
        try await FakeCluster.run(shardCount: 1, copies: copies, options: options) { cluster in
            for worker in cluster.workers { worker.setScript(Self.failing(.max, WireStatus(.overloaded, "Busy."))) }
            for _ in 0..<40 {
                let status = await #expect(throws: WireStatus.self) {
                    try await cluster.search([FakeCluster.embedding(1)], deadline: .seconds(10))
                }
                #expect(status?.code == .overloaded)
            }
            let askedCount = cluster.workers.reduce(0) { $0 + $1.requestCount } / copies
            #expect((40 + 8...40 + 8 + 10).contains(askedCount), "40 searches, 8 retries at once and a quarter of 40")
        }
    }

    @Test func anUnknownReplicaIsNotAskedForLongerThanTheGrace() async throws {
        let options = RouterOptions(absenceGrace: .milliseconds(200))
        try await FakeCluster.run(shardCount: 1, options: options) { cluster in
            cluster.workers[0].setScript(Self.failing(.max, WireStatus(.unknownReplica, "Not here.")))
            let began = ContinuousClock.now
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.search([FakeCluster.embedding(1)], deadline: .seconds(60))
            }
            #expect(status?.code == .incompleteCoverage)
            #expect(ContinuousClock.now - began < .seconds(30))
        }
    }

    @Test func aSilentShardDoesNotHoldTheAnswerPastTheDeadline() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            try await cluster.enrolNumbered(10)
            // Calls that are let go are answered; these are kept and never are.
            let kept = Mutex<[ServerCall]>([])
            cluster.workers[0].setScript { _, call in
                kept.withLock { $0.append(call) }
                return true
            }
            let began = ContinuousClock.now
            let answer = try await cluster.search(
                [FakeCluster.embedding(1)],
                coverage: .minimum(0),
                // Enough for the other one, however busy the machine is.
                deadline: .seconds(5)
            )
            #expect(ContinuousClock.now - began < .seconds(30))
            #expect(answer.coverage.missing == [.init(shardIndex: 0, reason: .deadlineExceeded)])
        }
    }

    @Test func aRequestThatNoRetryHelpsIsAnsweredAtOnce() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            cluster.workers[0].setScript(Self.failing(.max, WireStatus(.limitExceeded, "Too much.")))
            let status = await #expect(throws: WireStatus.self) { try await cluster.search([FakeCluster.embedding(1)]) }
            #expect(status?.code == .limitExceeded)
            #expect(cluster.workers[0].requestCount == 1)
        }
    }

    @Test func aWorkerThatComesBackWithinTheGraceIsFound() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            try await cluster.enrolNumbered(5)
            await cluster.stop(0)
            let restart = Task {
                try await Task.sleep(for: .milliseconds(150))
                return try await cluster.restart(0)
            }
            let answer = try await cluster.search([FakeCluster.embedding(2)], k: 1)
            #expect(answer.outcomes[0].ids == [FakeCluster.face(2)])
            await (try restart.value).shutdown(gracePeriod: .zero)
        }
    }

    @Test func aCancelledSearchCancelsItsShardRequests() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            let (calls, arrived) = AsyncStream.makeStream(of: ServerCall.self)
            cluster.workers[0].setScript { _, call in
                arrived.yield(call)
                return true
            }
            let search = Task { try await cluster.search([FakeCluster.embedding(1)]) }
            var iterator = calls.makeAsyncIterator()
            let call = try #require(await iterator.next())
            search.cancel()
            await #expect(throws: WireStatus.self) { try await search.value }
            for _ in 0..<200 where !call.isCancelled { try await Task.sleep(for: .milliseconds(10)) }
            #expect(call.isCancelled)
        }
    }
}
