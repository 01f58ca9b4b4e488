import ClusterController
import ClusterModel
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Replicas that are replaced because a verification found that they are not good.
struct ReplicaRepairTests {
    private static let sound = ReplicaVerified(
        sequence: 0,
        faceCount: 0,
        slices: [UInt128](repeating: 0, count: ReplicaVerified.sliceCount),
        damage: nil
    )
    private static let damaged = ReplicaVerified(
        sequence: 0,
        faceCount: 0,
        slices: [],
        damage: "A checksum is wrong."
    )

    private func group(_ cluster: ControlCluster) -> ReplicaGroup? {
        cluster.controller.shardMap.placements.values.first?.first?.group
    }

    /// The primary's worker, whose replica is sound, and the other's, whose replica is damaged.
    private func withTwoCopies(
        _ body: (ControlCluster, _ good: FakeControlWorker, _ other: FakeControlWorker) async throws -> Void
    ) async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 2, deadline: .seconds(60))
            let primary = try #require(group(cluster)?.primary)
            let good = try #require(workers.first { $0.id == primary })
            let other = try #require(workers.first { $0.id != primary })
            good.state.withLock { $0.reading = Self.sound }
            other.state.withLock { $0.reading = Self.damaged }
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
            #expect(group(cluster)?.inSync == [good.id])
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
            try await eventually("the other leads") { group(cluster)?.primary == other.id }
            #expect(group(cluster)?.inSync == [good.id, other.id].sorted())
            other.state.withLock { $0.holdsReadings = false }
            let replicas = try await verification.value
            let replica = try #require(replicas.first { $0.worker == other.id })
            #expect(replica.finding == .damaged && !replica.isReplaced)
            #expect(replica.detail?.contains("It was not replaced") == true, "\(replica)")
            #expect(group(cluster)?.primary == other.id)
            #expect(group(cluster)?.inSync == [good.id, other.id].sorted())
        }
    }
}
