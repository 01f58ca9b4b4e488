import FaceModel
import Observability
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Requests that workers were lost under: perhaps they died of them.
@Suite struct DeadlyRequestTests {
    private func get(_ cluster: FakeCluster) async throws -> FaceList {
        try await cluster.router.faces(
            GetFaces(collection: "people", ids: (0..<20).map(FakeCluster.face), includesEmbeddings: false),
            deadline: .none,
            on: cluster.eventLoop
        )
    }

    private static func count(_ cluster: FakeCluster, _ status: String) -> String? {
        let series = #"mien_deadly_requests_total{status="\#(status)"} "#
        return cluster.metrics.rendered().split(separator: "\n").first { $0.hasPrefix(series) }.map {
            String($0.dropFirst(series.count))
        }
    }

    /// As when a rack fails: nothing tells that the request is at fault. When it comes again it asks one worker after
    /// the other, and is refused when it takes one more along.
    @Test(arguments: [false, true]) func twoThatAreLostAtOnceMakeARequestSuspected(isDeadly: Bool) async throws {
        let options = RouterOptions(absenceGrace: .seconds(5), leastHedgeDelay: .seconds(60))
        try await FakeCluster.run(shardCount: 4, options: options) { cluster in
            _ = try await cluster.enrolNumbered(20)
            let kept = Mutex<[ServerCall]>([])
            for number in 0..<2 {
                cluster.workers[number].setScript { _, call in
                    let count = kept.withLock { calls in
                        calls.append(call)
                        return calls.count
                    }
                    // Both have it before one of them goes.
                    if count == 2 { for victim in 0..<2 { Task { await cluster.stop(victim) } } }
                    return true
                }
            }
            let status = await #expect(throws: WireStatus.self) { try await get(cluster) }
            #expect(status?.code == .unavailable, "\(status?.message ?? "")")
            #expect(status?.message.contains("may be sent once more") == true, "\(status?.message ?? "")")
            #expect(kept.withLock(\.count) == 2 && Self.count(cluster, "suspected") == "1")

            let servers = [try await cluster.restart(0), try await cluster.restart(1)]
            for number in 0..<2 { cluster.workers[number].setScript { _, _ in false } }
            if isDeadly {
                cluster.workers[1].setScript { _, call in
                    kept.withLock { $0.append(call) }
                    Task { await servers[1].shutdown(gracePeriod: .zero) }
                    return true
                }
            }
            let asked = cluster.workers.map(\.requestCount)
            if isDeadly {
                let again = await #expect(throws: WireStatus.self) { try await get(cluster) }
                #expect(again?.code == .internalError && again?.message.contains("another worker") == true)
                let counts = zip(cluster.workers.map(\.requestCount), asked).map { $0 - $1 }
                #expect(counts == [1, 1, 0, 0], "those behind the one that was lost are not asked")
                #expect(Self.count(cluster, "given_up") == "1")
                let third = await #expect(throws: WireStatus.self) { try await get(cluster) }
                #expect(third?.message.contains("it is not taken for another 300 s") == true)
            } else {
                #expect(try await get(cluster).faces.count == 20)
                #expect(Self.count(cluster, "given_up") != "1")
            }
            for server in servers { await server.shutdown(gracePeriod: .zero) }
        }
    }

    @Test func aSuspectedRequestIsTaken() {
        var requests = DeadlyRequests()
        let now = ContinuousClock.now
        func deletion(_ number: UInt64) -> DeleteFaces {
            DeleteFaces(collection: "people", key: .random(), ids: [FakeCluster.face(number)])
        }
        requests.remember(deletion(1), isDeadly: false, now: now)
        #expect(requests.standing(of: deletion(1), now: now) == .suspected)
        #expect(requests.standing(of: deletion(2), now: now) == nil)
        requests.acquit(deletion(2))
        #expect(requests.standing(of: deletion(1), now: now) == .suspected)
        requests.acquit(deletion(1))
        #expect(requests.standing(of: deletion(1), now: now) == nil, "it was answered")
        requests.remember(deletion(1), isDeadly: true, now: now + .seconds(1))
        // Another like it, that was under way as well, makes it no better.
        requests.remember(deletion(1), isDeadly: false, now: now + .seconds(1))
        requests.acquit(deletion(1))
        #expect(requests.standing(of: deletion(1), now: now + .seconds(1)) == .refused(.seconds(300)))
        #expect(requests.standing(of: deletion(1), now: now + .seconds(301)) == nil)
    }

    @Test func aDeadlyRequestIsKnownAgainUnderAnotherKeyForFiveMinutes() {
        var requests = DeadlyRequests()
        let now = ContinuousClock.now
        func enrolment(_ number: UInt64, key: UInt64, age: Duration = .zero) -> EnrolFaces {
            EnrolFaces(
                collection: "people",
                embeddingModel: "m",
                key: IdempotencyKey(high: key, low: 1),
                age: age,
                rows: [EnrolRow(id: FakeCluster.face(number), metadata: FaceMetadata())],
                embeddings: EmbeddingMatrix(dimension: 2, values: [1, Float(number)])
            )
        }
        #expect(requests.standing(of: enrolment(1, key: 1), now: now) == nil)
        requests.remember(enrolment(1, key: 1), isDeadly: true, now: now)
        #expect(requests.standing(of: enrolment(1, key: 7, age: .seconds(1)), now: now) == .refused(.seconds(300)))
        #expect(requests.standing(of: enrolment(2, key: 1), now: now) == nil)
        let deletion = DeleteFaces(collection: "people", key: .random(), ids: [FakeCluster.face(1)])
        #expect(requests.standing(of: deletion, now: now) == nil)
        requests.remember(deletion, isDeadly: true, now: now + .seconds(100))
        let other = DeleteFaces(collection: "people", key: .random(), ids: [FakeCluster.face(1)])
        #expect(requests.standing(of: other, now: now + .seconds(399)) == .refused(.seconds(1)))
        #expect(requests.standing(of: enrolment(1, key: 1), now: now + .seconds(300)) == nil)
        #expect(requests.standing(of: other, now: now + .seconds(400)) == nil)
    }

    @Test func theOldestDeadlyRequestIsForgotten() {
        var requests = DeadlyRequests()
        let now = ContinuousClock.now
        func deletion(_ number: Int) -> DeleteFaces {
            DeleteFaces(collection: "people", key: .random(), ids: [FakeCluster.face(UInt64(number))])
        }
        for number in 0...DeadlyRequests.limit {
            requests.remember(deletion(number), isDeadly: true, now: now + .milliseconds(number))
        }
        let end = now + .seconds(1)
        #expect(requests.standing(of: deletion(0), now: end) == nil)
        #expect((1...DeadlyRequests.limit).allSatisfy { requests.standing(of: deletion($0), now: end) != nil })
    }
}
