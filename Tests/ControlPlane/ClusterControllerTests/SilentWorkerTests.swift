import ClusterController
import ClusterModel
import ClusterState
import Observability
import Synchronization
import Testing
import WireProtocol

/// Why workers are silent, as the coordinator finds out by calling them.
struct SilentWorkerTests {
    private func causes(_ cluster: ControlCluster) async throws -> [NodeID: SilenceCause] {
        let status = try await cluster.status()
        return Dictionary(uniqueKeysWithValues: zip(status.workers.map(\.id), status.silenceCauses))
    }

    private func metrics(_ cluster: ControlCluster) -> String {
        let registry = MetricRegistry()
        registry.collect { cluster.controller.collect(into: &$0) }
        return registry.rendered()
    }

    @Test func whoHasEndedIsToldFromWhoseHeartbeatsAreLost() async throws {
        try await withCluster(workers: 3) { _, cluster, workers in
            workers[1].state.withLock { $0.isSilent = true }
            await workers[2].stop()
            try await eventually("the causes are known") {
                try await causes(cluster)
                    == [workers[0].id: .unknown, workers[1].id: .answering, workers[2].id: .notRunning]
            }
            let told = metrics(cluster)
            for reason in ["answering", "notRunning"] {
                #expect(told.contains("mien_silent_workers{reason=\"\(reason)\"} 1\n"), "\(reason)")
            }
            #expect(told.contains("mien_silent_workers{reason=\"hanging\"} 0\n"))

            workers[1].state.withLock { $0.isSilent = false }
            try await eventually("who is heard again has no cause") {
                try await causes(cluster)[workers[1].id] == .unknown
            }
        }
    }

    /// Its disk is where nobody can erase anything; of one that held nothing there is nothing to erase.
    ///
    /// - Parameter hasSuccessor: whether the other makes a shard that is to take others' place: it has their faces.
    @Test(arguments: [false, true])
    func theAbsenceOfAWorkerThatMayHoldDeletedFacesIsTold(hasSuccessor: Bool) async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 1)
            let holder = try #require(workers.first { !$0.shards.isEmpty })
            let other = try #require(workers.first { $0.shards.isEmpty })
            try await eventually("the reports tell who holds what") {
                try await cluster.describe("people").shards.first?.state == .serving
            }
            if hasSuccessor {
                let shard = try #require(holder.shards.first)
                other.state.withLock { $0.successors[ShardID(collection: shard.collection, index: 9)] = [shard.index] }
                try await eventually("the shard that is being made is known") {
                    try await cluster.status().workers.first { $0.id == other.id }?.report.successors.count == 1
                }
            }
            #expect(metrics(cluster).contains("mien_erasure_unreachable_seconds 0\n"))
            other.state.withLock { $0.isSilent = true }
            try await eventually("the other is missed") { !cluster.controller.liveness(of: other.id).isLive }
            #expect(metrics(cluster).contains("mien_erasure_unreachable_seconds 0\n") == !hasSuccessor)
            holder.state.withLock { $0.isSilent = true }
            try await eventually("the holder is missed") { !cluster.controller.liveness(of: holder.id).isLive }
            #expect(!metrics(cluster).contains("mien_erasure_unreachable_seconds 0\n"))
        }
    }
}
