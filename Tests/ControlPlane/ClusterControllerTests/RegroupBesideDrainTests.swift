import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Replicas that are about to come to a worker at the moment in which it is taken out of use.
struct RegroupBesideDrainTests {
    private let shared = TemporaryFolder()
    private let own = TemporaryFolder()

    /// It was chosen for the copy that a shard lacks, and its folder may be removed before the group is recorded.
    @Test func noReplicaComesToAWorkerThatWasDecommissionedMeanwhile() async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 3) { store, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 2, minimumInSync: 1, deadline: nil)
            try await eventually("it is established") {
                try await ClusterRecords.load(from: store.store).metadata.collection(named: "people")?.isEstablished
                    ?? false
            }
            let listing = try await store.store.list(prefix: "")
            var record = try #require(try ClusterRecords(listing).metadata.collection(named: "people"))
            let (shard, whole) = (record.placements[0].shard, record.placements[0].group)
            let spare = try #require(workers.first { !whole.members.contains($0.id) })
            let spareID = spare.id
            store.set { faults in
                faults.holds = { changes in
                    listing.group(of: shard, after: changes)?.members.contains(spareID) ?? false
                }
            }
            // The other replica is none of the shard's any more, and still there: the copy has to come elsewhere.
            record.placements[0].group = ReplicaGroup(
                epoch: whole.epoch,
                version: whole.version + 1,
                primary: whole.primary,
                inSync: [whole.primary],
                minimumInSync: 1
            )
            _ = try await store.store.commit([], [ClusterRecords.put(record)])
            try await eventually("a replica is about to come") { store.hasHeldCommit }
            _ = try await cluster.client.call(
                BeginOperation(id: .random(), order: .decommission(spareID)),
                deadline: .after(.seconds(60))
            )
            try await eventually("the worker is out of use") {
                let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(60)))
                return list.operations.first?.state == .done
            }
            store.set { $0.holds = nil }
            try await eventually("the copy comes where one may be") {
                let group = try await ClusterRecords.load(from: store.store).metadata.placement(of: shard)?.group
                return group?.members.count == 2
            }
            let group = try await ClusterRecords.load(from: store.store).metadata.placement(of: shard)?.group
            #expect(group?.members == whole.members)
            #expect(spare.state.withLock(\.hostCount) == 0)
        }
    }
}
