import ClusterModel
import FaceModel
import QueryRouter
import Testing
import WireProtocol

struct ReplicaRoundTests {
    @Test func oneAfterTheOtherIsAskedUntilNobodyIsLeft() {
        var round = ReplicaRound(replicaCount: 3)
        #expect(round.begin() == 0)
        #expect(round.failed(0, othersMayAnswer: true) == .ask(1))
        #expect(round.failed(1, othersMayAnswer: true) == .ask(2))
        #expect(!round.hasMore)
        #expect(round.failed(2, othersMayAnswer: true) == .end)
        #expect(round.hedges.isEmpty)
    }

    @Test func aRequestAtFaultEndsTheRound() {
        var round = ReplicaRound(replicaCount: 2)
        #expect(round.begin() == 0)
        #expect(round.failed(0, othersMayAnswer: false) == .end)
    }

    @Test func whoIsSlowIsOvertakenAndStillCounts() {
        var round = ReplicaRound(replicaCount: 3)
        #expect(round.begin() == 0)
        #expect(round.overdue { _, _ in false } == nil)
        #expect(round.overdue { slow, other in slow == 0 && other == 1 } == 1)
        #expect(round.overdue { slow, other in slow == 1 && other == 2 } == 2)
        #expect(round.overdue { _, _ in true } == nil)
        #expect(round.hedges == [1, 2])
        #expect(round.overtaken(by: 2) == [0, 1])
        // The last one may still answer when the others have failed.
        #expect(round.failed(2, othersMayAnswer: true) == .wait)
        #expect(round.failed(0, othersMayAnswer: true) == .wait)
        #expect(round.overtaken(by: 1) == [])
        #expect(round.failed(1, othersMayAnswer: true) == .end)
    }
}

struct ReadRetryTests {
    private let options = RouterOptions(
        absenceGrace: .seconds(1),
        firstPause: .milliseconds(2),
        longestPause: .milliseconds(100)
    )

    private func failure(_ code: StatusCode, retryAfter: UInt32 = 0, isAbsent: Bool = false) -> ShardFailure {
        let node = NodeID(high: 1, low: 1)
        return ShardFailure(
            placement: ShardPlacement(
                shard: ShardID(collection: CollectionID(high: 1, low: 1), index: 0),
                range: .all,
                group: ReplicaGroup(epoch: Epoch(1), version: 1, primary: node, inSync: [node], minimumInSync: 1)
            ),
            worker: node,
            address: NodeAddress(host: "127.0.0.1", port: 1),
            presence: WorkerPresence(isLive: !isAbsent, silence: .seconds(9)),
            status: WireStatus(code, "no", retryAfterMilliseconds: retryAfter)
        )
    }

    private func next(
        _ retry: inout ReadRetry,
        _ failures: [ShardFailure],
        deadline: Duration = .seconds(5),
        now: Duration = .zero,
        absence: Duration? = nil
    ) -> Duration? {
        switch retry.next(after: failures, deadline: deadline, now: now, absence: absence) {
        case .again(let pause, _): pause
        case .fail: nil
        }
    }

    @Test func pausesGrowAndAreAsLongAsReplicasAskFor() {
        var retry = ReadRetry(options: options)
        let pauses = (0..<8).map { _ in next(&retry, [failure(.unavailable)]) }
        #expect(pauses == [2, 4, 8, 16, 32, 64, 100, 100].map { .milliseconds($0) })
        #expect(next(&retry, [failure(.overloaded, retryAfter: 700)]) == .milliseconds(700))
        // A replica that is about to come is looked for often.
        _ = next(&retry, [failure(.unknownReplica)])
        #expect(next(&retry, [failure(.unknownReplica)]) == .milliseconds(10))
    }

    @Test func nobodyIsAskedAgainBeyondItsTime() {
        var retry = ReadRetry(options: options)
        #expect(next(&retry, [failure(.overloaded)]) != nil)
        // However long its first call took, and others asked to wait.
        #expect(next(&retry, [failure(.unavailable)], now: .seconds(3)) != nil)
        #expect(next(&retry, [failure(.unavailable)], now: .milliseconds(3999)) == nil)
        #expect(next(&retry, [failure(.overloaded)], now: .milliseconds(3999)) != nil)
        #expect(next(&retry, [failure(.overloaded)], deadline: .milliseconds(1)) == nil)
        // Others have waited for the workers already.
        #expect(next(&retry, [failure(.unavailable)], absence: .seconds(1)) == nil)
        #expect(next(&retry, [failure(.unavailable, isAbsent: true)]) == nil)
        #expect(next(&retry, [failure(.unavailable, isAbsent: true), failure(.unavailable)]) != nil)
        #expect(next(&retry, [failure(.corruptPartition)]) == nil)
        #expect(next(&retry, [failure(.corruptPartition), failure(.overloaded)]) != nil)
    }

    @Test(arguments: [StatusCode.staleEpoch, .unknownReplica])
    func aWorkerThatKnowsBetterIsBelieved(code: StatusCode) {
        var retry = ReadRetry(options: options)
        let decision = retry.next(
            after: [failure(.unavailable), failure(code)],
            deadline: .seconds(1),
            now: .zero,
            absence: nil
        )
        #expect(decision == .again(after: .milliseconds(2), needsNewerMap: true))
    }
}
