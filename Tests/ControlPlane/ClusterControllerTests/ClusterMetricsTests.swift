import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Observability
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// What a coordinator tells of its cluster to those who scrape it.
struct ClusterMetricsTests {
    private func registry(_ cluster: ControlCluster) -> MetricRegistry {
        let registry = MetricRegistry()
        registry.collect { cluster.controller.collect(into: &$0) }
        return registry
    }

    /// Its worker is live and the replica open; writes are refused all the same.
    @Test func aReplicaWhoseDiskHangsIsNoCopyThatTakesWrites() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 2, minimumInSync: 2)
            let shard = try #require(workers[0].shards.first)
            let group = try #require(cluster.controller.shardMap.placements.values.first?.first?.group)
            let other = try #require(workers.first { $0.id != group.primary })
            let registry = registry(cluster)
            func isTold(_ count: Int) -> Bool {
                let told = registry.rendered()
                return ["copies", "minimum"].allSatisfy {
                    told.contains("mien_shards_below_\($0){collection=\"people\"} \(count)\n")
                }
            }
            func state() async throws -> CollectionDescription.ShardState? {
                try await cluster.describe("people").shards[0].replicas.first { $0.worker == other.id }?.state
            }
            try await eventually("both take writes") { isTold(0) }
            #expect(try await state() == .serving)

            other.state.withLock { $0.stuckShards = [shard] }
            try await eventually("the disk that hangs is told of") { isTold(1) }
            #expect(try await state() == .opening)
            #expect(try await cluster.describe("people").shards.map(\.state) == [.serving])
            #expect(registry.rendered().contains("mien_shards{collection=\"people\",state=\"serving\"} 1\n"))

            other.state.withLock { $0.stuckShards = [] }
            try await eventually("both take writes again") { isTold(0) }
            #expect(try await state() == .serving)
        }
    }

    /// It is in the records for ever.
    @Test func aWorkerThatIsDecommissionedIsMissedByNobody() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            let registry = registry(cluster)
            _ = try await cluster.client.call(
                BeginOperation(id: .random(), order: .decommission(workers[0].id)),
                deadline: .after(.seconds(5))
            )
            try await eventually("it is decommissioned") {
                try await ClusterRecords.load(from: cluster.store).metadata.standing(of: workers[0].id)
                    == .decommissioned
            }
            await workers[0].stop()
            try await eventually("it is silent") { !cluster.controller.liveness(of: workers[0].id).isLive }
            let told = registry.rendered()
            #expect(told.contains("mien_workers{state=\"live\"} 1\n"))
            #expect(told.contains("mien_workers{state=\"silent\"} 0\n"))
            let silence = try #require(
                told.firstMatch(of: /\nmien_worker_silence_seconds ([0-9.e-]+)\n/).flatMap { Double($0.1) }
            )
            #expect(silence < 3, "that of the one that is live")
        }
    }
}
