import ClusterController
import ClusterModel
import ClusterState
import Synchronization
import Testing
import WireProtocol

/// What a deletion says of workers that may have something of the collection yet: a coordinator that is cut off from
/// the store may go on answering from it.
struct DeletedCollectionTests {
    @Test func whoReportsItsReplicaAndTakesNoOrderIsNamed() async throws {
        var options = ControlCluster.options
        // For the other one, on a machine that does much else.
        options.deletionTimeout = .seconds(2)
        try await withCluster(workers: 2, options: options) { _, cluster, workers in
            try await cluster.create("people", shards: 2)
            #expect(workers.allSatisfy { $0.shards.count == 1 })
            let stubborn = workers[1]
            stubborn.state.withLock { state in
                state.refusal = { request in
                    guard case .dropReplica = request else { return nil }
                    return WireStatus(.unavailable, "It is busy.")
                }
            }
            let deleted = try await cluster.delete("people")
            let address = try #require(stubborn.address)
            #expect(deleted.unconfirmed == [.init(id: stubborn.id, address: address)])
            #expect(workers[0].shards.isEmpty && stubborn.shards.count == 1)
            // It is deleted all the same, and dropped there when that can be.
            stubborn.state.withLock { $0.refusal = nil }
            try await eventually("the last replica is dropped") { stubborn.shards.isEmpty }
        }
    }

    @Test func nobodyIsNamedOnceAllHaveDroppedTheirParts() async throws {
        var options = ControlCluster.options
        // Longer than the request waits.
        options.deletionTimeout = .seconds(60)
        try await withCluster(workers: 3, options: options) { _, cluster, workers in
            try await cluster.create("people", shards: 3, replicationFactor: 2)
            #expect(workers.contains { !$0.shards.isEmpty })
            let deleted = try await cluster.delete("people")
            #expect(deleted.unconfirmed.isEmpty)
            #expect(workers.allSatisfy { $0.shards.isEmpty })
        }
    }

    /// Nothing is heard of it until it is back.
    @Test func whoIsSilentIsNamed() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 2)
            let silent = workers[0]
            silent.state.withLock { $0.isSilent = true }
            try await eventually("the worker is silent") { !cluster.controller.liveness(of: silent.id).isLive }
            let deleted = try await cluster.delete("people")
            #expect(deleted.unconfirmed.map(\.id) == [silent.id])
            #expect(workers[1].shards.isEmpty)
            silent.state.withLock { $0.isSilent = false }
            try await eventually("its replica is dropped") { silent.shards.isEmpty }
        }
    }
}
