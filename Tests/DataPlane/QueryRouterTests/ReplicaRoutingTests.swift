import ClusterModel
import FaceModel
import NIOCore
import Observability
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Shards with several replicas. One test after the other: they depend on who answers first.
@Suite(.serialized) struct ReplicaRoutingTests {
    private static func metric(_ cluster: FakeCluster, _ series: String) -> Int? {
        cluster.metrics.rendered().split(separator: "\n").first { $0.hasPrefix(series + " ") }
            .flatMap { Int($0.split(separator: " ").last ?? "") }
    }

    /// Keeps every request, and answers none.
    private static func silence(_ kept: Calls) -> Script {
        { _, call in
            kept.calls.withLock { $0.append(call) }
            return true
        }
    }

    private final class Calls: Sendable {
        let calls = Mutex<[ServerCall]>([])

        /// Waits until one has come.
        func arrive() async throws {
            while calls.withLock(\.isEmpty) { try await Task.sleep(for: .milliseconds(10)) }
        }
    }

    private func page(_ cluster: FakeCluster, after: ListPosition? = nil, limit: Int) async throws -> FacePage {
        try await cluster.router.list(
            ListFaces(collection: "people", after: after, limit: limit, includesEmbeddings: false),
            deadline: .none,
            on: cluster.eventLoop
        )
    }

    private func get(_ cluster: FakeCluster, _ numbers: Range<UInt64>) async throws -> FaceList {
        try await cluster.router.faces(
            GetFaces(collection: "people", ids: numbers.map(FakeCluster.face), includesEmbeddings: false),
            deadline: .none,
            on: cluster.eventLoop
        )
    }

    // MARK: Reads

    @Test func readsAreSpreadOverTheReplicasInSync() async throws {
        try await FakeCluster.run(shardCount: 1, copies: 3, options: FakeCluster.unhedged) { cluster in
            try await cluster.enrolNumbered(5)
            let before = cluster.workers.map(\.requestCount)
            for _ in 0..<30 {
                let answer = try await cluster.search([FakeCluster.embedding(1)], k: 1)
                #expect(answer.outcomes[0].ids == [FakeCluster.face(1)])
            }
            let counts = zip(cluster.workers.map(\.requestCount), before).map { $0 - $1 }
            #expect(counts == [10, 10, 10])
        }
    }

    /// A replica that was restarted with nothing in memory gets a small share of the reads until it is warm.
    @Test func aColdReplicaGetsLessUntilItIsWarm() async throws {
        try await FakeCluster.run(shardCount: 1, copies: 2, options: FakeCluster.unhedged) { cluster in
            try await cluster.enrolNumbered(5)
            func counts() async throws -> [Int] {
                let before = cluster.workers.map(\.requestCount)
                for _ in 0..<170 { _ = try await cluster.search([FakeCluster.embedding(1)], k: 1) }
                return zip(cluster.workers.map(\.requestCount), before).map { $0 - $1 }
            }
            let cold = cluster.workers[1].id
            cluster.source.state.withLock { $0.warmths[cold] = 0.1 }
            let whileCold = try await counts()
            #expect((5...15).contains(whileCold[1]) && whileCold.reduce(0, +) == 170, "\(whileCold)")
            cluster.source.state.withLock { $0.warmths[cold] = 0.97 }
            #expect(try await counts() == [85, 85])
        }
    }

    @Test(arguments: [
        StatusCode.unavailable, .overloaded, .notYet, .staleEpoch, .unknownReplica, .corruptPartition, .internalError,
    ])
    func anotherReplicaAnswersAtOnceWhatOneDoesNot(code: StatusCode) async throws {
        let options = RouterOptions(absenceGrace: .seconds(60), leastHedgeDelay: .seconds(60), avoidance: .seconds(60))
        try await FakeCluster.run(shardCount: 1, copies: 2, options: options) { cluster in
            try await cluster.enrolNumbered(5)
            // Whoever waited as long as that one asks for would have no time left.
            cluster.workers[1].setScript(
                RetryTests.failing(.max, WireStatus(code, "Not now.", retryAfterMilliseconds: 60_000))
            )
            for _ in 0..<4 {
                let answer = try await cluster.search([FakeCluster.embedding(1)], k: 1, deadline: .seconds(30))
                #expect(answer.outcomes[0].ids == [FakeCluster.face(1)] && answer.coverage.isFull)
            }
            let switchCount = try #require(Self.metric(cluster, "mien_replica_switches_total{status=\"\(code)\"}"))
            #expect(switchCount >= 1)
            // It has failed just now, and is not tried first again at once.
            #expect(cluster.workers[1].requestCount <= 2)
        }
    }

    @Test func faultsOfTheRequestAreNotTakenToAnotherReplica() async throws {
        try await FakeCluster.run(shardCount: 1, copies: 2, options: FakeCluster.unhedged) { cluster in
            for worker in cluster.workers {
                worker.setScript(RetryTests.failing(.max, WireStatus(.limitExceeded, "Too much.")))
            }
            let status = await #expect(throws: WireStatus.self) { try await cluster.search([FakeCluster.embedding(1)]) }
            #expect(status?.code == .limitExceeded)
            #expect(cluster.workers.reduce(0) { $0 + $1.requestCount } == 1)
        }
    }

    @Test func everyReadGoesOnWithoutOneWorker() async throws {
        try await FakeCluster.run(shardCount: 4, copies: 2) { cluster in
            try await cluster.enrolNumbered(40)
            await cluster.stop(0)
            for _ in 0..<5 {
                let answer = try await cluster.search([FakeCluster.embedding(1)], k: 1)
                #expect(answer.outcomes[0].ids == [FakeCluster.face(1)] && answer.coverage.isFull)
            }
            let found = try await get(cluster, 0..<40)
            #expect(found.faces.count == 40)
            var listed: [FaceID] = []
            var position: ListPosition?
            repeat {
                let page = try await page(cluster, after: position, limit: 7)
                listed += page.faces.map(\.id)
                position = page.next
            } while position != nil && listed.count < 100
            #expect(listed.count == 40 && Set(listed) == Set((0..<40).map { FakeCluster.face($0) }))
        }
    }

    @Test func aReplicaThatHangsIsOvertaken() async throws {
        // The good one answers sooner than that, and the other one comes last for as long as this takes.
        let options = RouterOptions(absenceGrace: .seconds(60), leastHedgeDelay: .seconds(1), avoidance: .seconds(60))
        try await FakeCluster.run(shardCount: 1, copies: 2, options: options) { cluster in
            try await cluster.enrolNumbered(5)
            let kept = Calls()
            cluster.workers[1].setScript(Self.silence(kept))
            let began = ContinuousClock.now
            for _ in 0..<10 {
                let answer = try await cluster.search([FakeCluster.embedding(1)], k: 1, deadline: .seconds(30))
                #expect(answer.coverage.isFull)
            }
            #expect(ContinuousClock.now - began < .seconds(25))
            let hedgeCount = try #require(Self.metric(cluster, "mien_hedged_reads_total{status=\"won\"}"))
            #expect(hedgeCount >= 1)
            // Once overtaken it is asked after the other.
            #expect(cluster.workers[1].requestCount <= 4)
            // What it was asked is asked no more.
            for _ in 0..<300 where !kept.calls.withLock({ $0.allSatisfy(\.isCancelled) }) {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(kept.calls.withLock { !$0.isEmpty && $0.allSatisfy(\.isCancelled) })
        }
    }

    @Test func withoutAnAllowanceASlowAnswerIsWaitedFor() async throws {
        let options = RouterOptions(absenceGrace: .seconds(60), hedgeShare: 0, hedgeReserve: 0)
        try await FakeCluster.run(shardCount: 1, copies: 2, options: options) { cluster in
            try await cluster.enrolNumbered(5)
            for worker in cluster.workers {
                let waits = Mutex(0)
                worker.setScript { request, call in
                    let isFirst = waits.withLock { waits in
                        waits += 1
                        return waits % 2 == 1
                    }
                    guard isFirst else { return false }
                    call.eventLoop.scheduleTask(in: .milliseconds(200)) { worker.handle(request, call: call) }
                    return true
                }
            }
            let before = cluster.workers.reduce(0) { $0 + $1.state.withLock { $0.requestCount } }
            _ = try await cluster.search([FakeCluster.embedding(1)], k: 1)
            // The request itself, and its second handling by the script.
            #expect(cluster.workers.reduce(0) { $0 + $1.requestCount } - before == 2)
            #expect(Self.metric(cluster, "mien_hedged_reads_total{status=\"won\"}") == 0)
        }
    }

    @Test func aShardOfWhichNobodyAnswersIsMissingWithTheReason() async throws {
        let options = RouterOptions(absenceGrace: .milliseconds(150))
        try await FakeCluster.run(shardCount: 1, copies: 2, options: options) { cluster in
            try await cluster.enrolNumbered(5)
            for number in 0..<2 { await cluster.stop(number) }
            let answer = try await cluster.search([FakeCluster.embedding(1)], coverage: .minimum(0))
            #expect(answer.coverage.missing == [.init(shardIndex: 0, reason: .unavailable)])
            let status = await #expect(throws: WireStatus.self) { try await cluster.search([FakeCluster.embedding(1)]) }
            #expect(status?.code == .incompleteCoverage)
            #expect(status?.message.contains("its other replica does not answer either") == true, "\(status!)")
        }
    }

    /// As when all of them stood still, and do not know at first whether others have taken over.
    @Test func replicasThatAnswerTooLateAtFirstAreAskedAgain() async throws {
        let options = RouterOptions(absenceGrace: .milliseconds(200), leastHedgeDelay: .seconds(60))
        try await FakeCluster.run(shardCount: 1, copies: 2, options: options) { cluster in
            try await cluster.enrolNumbered(5)
            for worker in cluster.workers {
                let left = RetryTests.Counter(1)
                worker.setScript { _, call in
                    guard left.take() else { return false }
                    call.eventLoop.scheduleTask(in: .milliseconds(300)) {
                        call.fail(WireStatus(.unavailable, "Not confirmed.").withoutEffect)
                    }
                    return true
                }
            }
            let answer = try await cluster.search([FakeCluster.embedding(1)], k: 1)
            #expect(answer.outcomes[0].ids == [FakeCluster.face(1)] && answer.coverage.isFull)
        }
    }

    @Test func overloadOfOneReplicaCountsMoreThanTheOthersAbsence() async throws {
        try await FakeCluster.run(shardCount: 1, copies: 2) { cluster in
            await cluster.stop(0)
            cluster.workers[1].setScript(
                RetryTests.failing(.max, WireStatus(.overloaded, "Busy.", retryAfterMilliseconds: 40))
            )
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.search([FakeCluster.embedding(1)], deadline: .seconds(3))
            }
            #expect(status?.code == .overloaded && status?.retryAfterMilliseconds == 40)
        }
    }

    @Test func aRequestThatWorkersDieOfIsNotTakenToTheThird() async throws {
        try await FakeCluster.run(shardCount: 1, copies: 3, options: FakeCluster.unhedged) { cluster in
            try await cluster.enrolNumbered(5)
            let kept = Calls()
            for number in 0..<3 {
                cluster.workers[number].setScript { _, call in
                    kept.calls.withLock { $0.append(call) }
                    Task { await cluster.stop(number) }
                    return true
                }
            }
            let status = await #expect(throws: WireStatus.self) { try await get(cluster, 0..<1) }
            let message = status?.message ?? ""
            #expect(message.contains("it may be what they died of"), "\(message)")
            #expect(kept.calls.withLock(\.count) == 2)
            #expect(Self.metric(cluster, #"mien_deadly_requests_total{status="given_up"}"#) == 1)

            // Sent anew it reaches nobody; another request does.
            let again = await #expect(throws: WireStatus.self) { try await get(cluster, 0..<1) }
            #expect(again?.code == .internalError)
            #expect(again?.message.contains("it is not taken for another 300 s") == true, "\(again?.message ?? "")")
            #expect(kept.calls.withLock(\.count) == 2)
            #expect(Self.metric(cluster, #"mien_deadly_requests_total{status="refused"}"#) == 1)
            await #expect(throws: WireStatus.self) { try await get(cluster, 1..<2) }
            #expect(kept.calls.withLock(\.count) == 3)
        }
    }

    @Test func replicasKnownToBeAwayAreNotWaitedFor() async throws {
        let options = RouterOptions(absenceGrace: .seconds(60))
        try await FakeCluster.run(shardCount: 1, copies: 2, options: options) { cluster in
            for worker in cluster.workers {
                worker.setScript(RetryTests.failing(.max, WireStatus(.unavailable, "Away.")))
                cluster.source.state.withLock {
                    $0.presences[worker.id] = WorkerPresence(isLive: false, silence: .seconds(9))
                }
            }
            let began = ContinuousClock.now
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.search([FakeCluster.embedding(1)], deadline: .seconds(60))
            }
            #expect(status?.code == .incompleteCoverage)
            #expect(ContinuousClock.now - began < .seconds(30))
        }
    }

    // MARK: Writes

    @Test func aWriteGoesToThePrimaryAndIsReadEverywhere() async throws {
        try await FakeCluster.run(shardCount: 2, copies: 2) { cluster in
            let token = try await cluster.enrolNumbered(20).token
            #expect(cluster.workers.map { $0.state.withLock { $0.keys.count } } == [1, 1])
            for _ in 0..<4 {
                let answer = try await cluster.search([FakeCluster.embedding(3)], k: 1, token: token)
                #expect(answer.outcomes[0].ids == [FakeCluster.face(3)])
            }
        }
    }

    @Test func aWriteWaitsForAnotherPrimaryUnderItsKey() async throws {
        try await FakeCluster.run(shardCount: 1, copies: 2) { cluster in
            await cluster.stop(0)
            let dead = cluster.workers[0].id
            cluster.source.state.withLock { $0.presences[dead] = WorkerPresence(isLive: false, silence: .seconds(2)) }
            let failover = Task {
                try await Task.sleep(for: .milliseconds(1500))
                cluster.failOver(shard: 0, to: 1)
            }
            let enrolled = try await cluster.enrolNumbered(5)
            #expect(enrolled.outcomes == [EnrolOutcome](repeating: .accepted, count: 5))
            #expect(cluster.workers[1].state.withLock { $0.keys.count } == 1)
            try await failover.value
        }
    }

    @Test func aWriteIsNotLostWithAPrimaryThatHangs() async throws {
        try await FakeCluster.run(shardCount: 1, copies: 2) { cluster in
            let kept = Calls()
            cluster.workers[0].setScript(Self.silence(kept))
            let failover = Task {
                try await kept.arrive()
                cluster.failOver(shard: 0, to: 1)
            }
            let began = ContinuousClock.now
            let key = IdempotencyKey(high: 5, low: 6)
            let enrolled = try await cluster.enrol(
                [(FakeCluster.face(1), FakeCluster.embedding(1))],
                key: key,
                deadline: .seconds(30)
            )
            #expect(enrolled.outcomes == [.accepted])
            #expect(ContinuousClock.now - began < .seconds(15))
            #expect(cluster.workers.map { $0.state.withLock { $0.keys } } == [[key], [key]])
            try await failover.value
        }
    }

    @Test func aReplicaThatIsNotThePrimarySendsTheWriteToTheOneThatIs() async throws {
        try await FakeCluster.run(shardCount: 1, copies: 2) { cluster in
            let old = cluster.source.current
            cluster.failOver(shard: 0, to: 1)
            let new = cluster.source.current
            cluster.source.state.withLock { state in
                state.map = old
                state.afterRefresh = new
            }
            let enrolled = try await cluster.enrolNumbered(5)
            #expect(enrolled.outcomes.count == 5)
            #expect(cluster.source.state.withLock { $0.refreshCount } == 1)
            #expect(cluster.workers.map { $0.state.withLock { $0.keys.count } } == [1, 1])
        }
    }

    @Test func withoutAnotherPrimaryTheOutcomeIsToldAsUnknown() async throws {
        let options = RouterOptions(absenceGrace: .milliseconds(100), failoverGrace: .milliseconds(500))
        try await FakeCluster.run(shardCount: 1, copies: 2, options: options) { cluster in
            cluster.workers[0].setScript(RetryTests.failing(.max, WireStatus(.unavailable, "Changed hands.")))
            let began = ContinuousClock.now
            let status = await #expect(throws: WireStatus.self) { try await cluster.enrolNumbered(5) }
            #expect(ContinuousClock.now - began >= .milliseconds(300))
            #expect(status?.code == .unavailable && status?.hasNoEffect == false)
            #expect(status?.message.contains("It is not known whether 5 of 5 rows were written") == true, "\(status!)")
        }
    }

    @Test func aPrimaryThatNobodyReachedDidNothing() async throws {
        let options = RouterOptions(absenceGrace: .milliseconds(100), failoverGrace: .milliseconds(500))
        try await FakeCluster.run(shardCount: 1, copies: 2, options: options) { cluster in
            await cluster.stop(0)
            let status = await #expect(throws: WireStatus.self) { try await cluster.enrolNumbered(5) }
            #expect(status?.code == .unavailable && status?.hasNoEffect == true)
            #expect(status?.message.contains("Nothing was done for 5 of 5 rows") == true, "\(status!)")
        }
    }

    /// As one attempt may have been carried out, the refusals before and after it do not matter.
    @Test(arguments: [0, 1, 3]) func oneUncertainAttemptMakesTheOutcomeUnknown(uncertain: Int) async throws {
        try await FakeCluster.run(shardCount: 1, copies: 2) { cluster in
            let count = Atomic<Int>(0)
            cluster.workers[0].setScript { _, call in
                let number = count.add(1, ordering: .relaxed).oldValue
                let isLast = number == 6
                let refusal = WireStatus(isLast ? .storageFull : .unavailable, "Too few copies.").withoutEffect
                call.fail(number == uncertain ? WireStatus(.unavailable, "Changed hands.") : refusal)
                return true
            }
            let status = await #expect(throws: WireStatus.self) { try await cluster.enrolNumbered(5) }
            #expect(count.load(ordering: .relaxed) == 7)
            #expect(status?.code == .storageFull && status?.hasNoEffect == false)
        }
    }

    /// An earlier attempt may have been carried out: the refusal of a later one does not speak for it.
    @Test func aRefusalAfterAHangingPrimaryDoesNotSayThatNothingWasDone() async throws {
        try await FakeCluster.run(shardCount: 1, copies: 2) { cluster in
            let kept = Calls()
            cluster.workers[0].setScript(Self.silence(kept))
            cluster.workers[1].setScript(RetryTests.failing(.max, WireStatus(.storageFull, "The disk is full.")))
            let failover = Task {
                try await kept.arrive()
                cluster.failOver(shard: 0, to: 1)
            }
            let status = await #expect(throws: WireStatus.self) { try await cluster.enrolNumbered(5) }
            #expect(status?.code == .storageFull)
            #expect(
                status?.message.contains("It is not known whether an earlier attempt did anything") == true,
                "\(status!)"
            )
            try await failover.value
        }
    }
}
