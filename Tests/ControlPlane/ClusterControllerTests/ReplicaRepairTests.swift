import ClusterController
import ClusterModel
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Replicas that are replaced because a verification found that they are not good.
struct ReplicaRepairTests {
    /// The primary's worker, whose replica is sound, and the other's, whose replica is damaged.
    private func withTwoCopies(
        _ body: (ControlCluster, _ good: FakeControlWorker, _ other: FakeControlWorker) async throws -> Void
    ) async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 2, deadline: .seconds(60))
            let primary = try #require(cluster.firstGroup?.primary)
            let good = try #require(workers.first { $0.id == primary })
            let other = try #require(workers.first { $0.id != primary })
            good.state.withLock { $0.reading = .soundReading }
            other.state.withLock { $0.reading = .damagedReading }
            try await body(cluster, good, other)
        }
    }

    private func repair(_ cluster: ControlCluster) async throws(WireStatus) -> [ShardVerified.Replica] {
        let request = VerifyShard(collection: "people", shardIndex: 0, repairs: true)
        return try await cluster.client.call(request, deadline: .after(.seconds(120))).replicas
    }

    @Test func aDamagedReplicaIsReplacedWhileAGoodOneIsThere() async throws {
        try await withTwoCopies { cluster, good, other in
            let replicas = try await repair(cluster)
            let replica = try #require(replicas.first { $0.worker == other.id })
            #expect(replica.finding == .damaged && replica.isReplaced)
            #expect(cluster.firstGroup?.inSync == [good.id])
        }
    }

    /// The copy has just begun when somebody looks whether all is well again.
    @Test func nobodyWaitsForACopyThatHasJustBegun() async throws {
        try await withTwoCopies { cluster, good, other in
            let repaired = try await repair(cluster)
            #expect(repaired.first { $0.worker == other.id }?.isReplaced == true)
            try await eventually("another copy has begun") { cluster.firstGroup?.learners == [other.id] }
            var ahead = ReplicaVerified.soundReading
            ahead.sequence = 41
            good.state.withLock { [ahead] in $0.reading = ahead }
            other.state.withLock { $0.reading = .soundReading }
            let request = VerifyShard(collection: "people", shardIndex: 0, repairs: false)
            let replicas = try await cluster.client.call(request, deadline: .after(.seconds(120))).replicas
            #expect(replicas.first { $0.worker == good.id }?.finding == .sound, "\(replicas)")
            let copy = try #require(replicas.first { $0.worker == other.id })
            #expect(copy.finding == .notCompared && copy.detail?.contains("catching up") == true, "\(copy)")
        }
    }

    /// Orders for the same worker go by the same connection.
    @Test func aThirdReadingOfAWorkersReplicasIsRefusedAndMadeLater() async throws {
        try await withTwoCopies { cluster, good, other in
            other.state.withLock { $0.reading = .soundReading }
            for worker in [good, other] { worker.state.withLock { $0.holdsReadings = true } }
            let request = VerifyShard(collection: "people", shardIndex: 0, repairs: false)
            let begun = (0..<2).map { _ in
                Task { try await cluster.client.call(request, deadline: .after(.seconds(120))).replicas }
            }
            try await eventually("two are being read") {
                [good, other].allSatisfy { worker in worker.state.withLock(\.readingCount) == 2 }
            }
            for _ in 0..<20 {
                let refusal = await #expect(throws: WireStatus.self) {
                    try await cluster.client.call(request, deadline: .after(.seconds(60)))
                }
                #expect(refusal?.code == .overloaded && refusal?.retryAfterMilliseconds == 1000)
            }
            #expect(good.state.withLock(\.readingCount) == 2)
            for worker in [good, other] { worker.state.withLock { $0.holdsReadings = false } }
            for verification in begun {
                #expect(try await verification.value.map(\.finding) == [.sound, .sound])
            }
            let replicas = try await cluster.client.call(request, deadline: .after(.seconds(120))).replicas
            #expect(replicas.map(\.finding) == [.sound, .sound])
        }
    }

    /// A worker that reads for another coordinator is asked again.
    @Test func aWorkerThatReadsOthersIsAskedAgain() async throws {
        try await withTwoCopies { cluster, _, other in
            other.state.withLock { state in
                state.reading = .soundReading
                state.refusal = { request in
                    guard case .verifyReplica = request else { return nil }
                    return WireStatus(.overloaded, "Others are being read.", retryAfterMilliseconds: 100)
                }
            }
            let request = VerifyShard(collection: "people", shardIndex: 0, repairs: false)
            let verification = Task { try await cluster.client.call(request, deadline: .after(.seconds(120))).replicas }
            try await eventually("it is refused") { other.state.withLock(\.refusedCount) > 0 }
            other.state.withLock { $0.refusal = nil }
            let replicas = try await verification.value
            #expect(replicas.map(\.finding) == [.sound, .sound])
        }
    }

    /// The good one was read at once, and is dead when the other has been read: it stays in sync all the same, since
    /// too few would remain.
    @Test func theLastReplicaThatIsThereIsNotReplaced() async throws {
        try await withTwoCopies { cluster, good, other in
            other.state.withLock { $0.holdsReadings = true }
            let verification = Task { try await repair(cluster) }
            try await eventually("both are being read") {
                [good, other].allSatisfy { worker in worker.state.withLock(\.readingCount) == 1 }
            }
            good.state.withLock { $0.isSilent = true }
            try await eventually("the other leads") { cluster.firstGroup?.primary == other.id }
            #expect(cluster.firstGroup?.inSync == [good.id, other.id].sorted())
            other.state.withLock { $0.holdsReadings = false }
            let replicas = try await verification.value
            let replica = try #require(replicas.first { $0.worker == other.id })
            #expect(replica.finding == .damaged && !replica.isReplaced)
            #expect(replica.detail?.contains("It was not replaced") == true, "\(replica)")
            #expect(cluster.firstGroup?.primary == other.id)
            #expect(cluster.firstGroup?.inSync == [good.id, other.id].sorted())
        }
    }
}
