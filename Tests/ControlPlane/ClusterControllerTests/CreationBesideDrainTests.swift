import ClusterController
import ClusterModel
import Testing
import WireProtocol
import WireTransport

/// Collections that are made at the moment in which a worker is taken out of use.
struct CreationBesideDrainTests {
    private let shared = TemporaryFolder()
    private let own = TemporaryFolder()

    /// The worker has nothing, so that its decommission is done at once; its folder may be removed then.
    @Test func nothingComesToAWorkerThatWasDecommissionedMeanwhile() async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 2) { store, cluster, workers in
            store.set { $0.holds = { changes in changes.contains { $0.key == "name/people" } } }
            let creation = Task { try await cluster.create("people", shards: 4, deadline: .seconds(60)) }
            try await eventually("it is about to be recorded") { store.hasHeldCommit }
            _ = try await cluster.client.call(
                BeginOperation(id: .random(), order: .decommission(workers[0].id)),
                deadline: .after(.seconds(60))
            )
            try await eventually("the worker is out of use") {
                let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(60)))
                return list.operations.first?.state == .done
            }
            store.set { $0.holds = nil }
            let description = try await creation.value
            #expect(description.shards.count == 4)
            #expect(description.shards.allSatisfy { $0.worker == workers[1].id })
            #expect(workers[0].shards.isEmpty)
        }
    }
}
