import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Foundation
import Testing
import WireProtocol
import WireTransport

/// Requests that say which collection or which loss they mean, and are held to it.
struct NamedRequestTests {
    private let shared = TemporaryFolder()
    private let own = TemporaryFolder()

    private func delete(_ id: CollectionID, _ cluster: ControlCluster) async throws(WireStatus) {
        let request = DeleteCollection(name: "people", id: id)
        _ = try await cluster.client.call(request, deadline: .after(.seconds(20)))
    }

    /// The answer to a deletion was lost, and before it is sent again somebody makes the collection anew.
    @Test func aCollectionThatGotTheNameSinceIsNotDeleted() async throws {
        try await withCluster(workers: 1) { _, cluster, _ in
            let first = try await cluster.create("people", shards: 1).collection.id
            try await delete(first, cluster)
            let gone = await #expect(throws: WireStatus.self) { try await delete(first, cluster) }
            #expect(gone?.code == .notFound)
            let second = try await cluster.create("people", shards: 1).collection.id
            let refusal = await #expect(throws: WireStatus.self) { try await delete(first, cluster) }
            #expect(refusal?.code == .notFound && refusal?.message.contains("another one has its name") == true)
            let left = try await cluster.describe("people").collection.id
            #expect(left == second && second != first)
            // Who does not say which means whichever has the name.
            _ = try await cluster.delete("people")
            let after = await #expect(throws: WireStatus.self) { try await cluster.describe("people") }
            #expect(after?.code == .notFound)
        }
    }

    private func losses(_ request: ReadLosses, _ cluster: ControlCluster) async throws(WireStatus) -> LossList {
        try await cluster.client.call(request, deadline: .after(.seconds(20)))
    }

    /// As another coordinator does it.
    private func add(_ loss: LossList.Loss, to cluster: ControlCluster, in store: FaultyStore) async throws {
        try await eventually("it is established") {
            let metadata = try await ClusterRecords.load(from: store.store).metadata
            return metadata.collection(named: "people")?.isEstablished == true
        }
        let metadata = try await ClusterRecords.load(from: store.store).metadata
        var record = try #require(metadata.collection(named: "people"))
        record.losses.append(AcceptedLoss(range: loss.range, time: loss.time))
        _ = try await store.store.commit([], [ClusterRecords.put(record)])
        try await eventually("the coordinator knows of it") {
            try await losses(ReadLosses(collection: "people"), cluster).losses.contains(loss)
        }
    }

    @Test func onlyLossesThatWereShownAreSettled() async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 1) { store, cluster, _ in
            try await cluster.create("people", shards: 1)
            let now = Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
            let hourAgo = Timestamp(milliseconds: now.milliseconds - 3_600_000)
            let range = HashRange.divisions(2)
            let (first, second) = (
                LossList.Loss(range: range[0], time: hourAgo), LossList.Loss(range: range[1], time: now)
            )
            try await add(first, to: cluster, in: store)
            let shown = try await losses(ReadLosses(collection: "people"), cluster).losses
            #expect(shown == [first])
            try await add(second, to: cluster, in: store)
            var settling = ReadLosses(collection: "people", isSettling: true, settled: shown)
            let left = try await losses(settling, cluster).losses
            #expect(left == [second] && cluster.controller.shardMap.lossy.count == 1)
            // Who does not say which may not have seen one that is so young.
            let all = ReadLosses(collection: "people", isSettling: true)
            let refusal = await #expect(throws: WireStatus.self) { try await losses(all, cluster) }
            #expect(refusal?.code == .invalidRequest && cluster.controller.shardMap.lossy.count == 1)
            settling.settled = left
            let none = try await losses(settling, cluster)
            #expect(none.losses.isEmpty && none.latest == now && cluster.controller.shardMap.lossy.isEmpty)
            try await add(first, to: cluster, in: store)
            let settled = try await losses(all, cluster)
            #expect(settled.losses.isEmpty && settled.latest == now)
        }
    }

    /// Another coordinator may have recorded one, over which no ledger of erasures is whole.
    @Test func whoCannotReadTheRecordsTellsNothingOfLosses() async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 1) { store, cluster, _ in
            try await cluster.create("people", shards: 1)
            let request = ReadLosses(collection: "people")
            let known = try await losses(request, cluster)
            #expect(known.losses.isEmpty)
            store.set { $0.isAway = true }
            let failure = await #expect(throws: WireStatus.self) { try await losses(request, cluster) }
            #expect(failure?.code == .unavailable)
            store.set { $0.isAway = false }
            let again = try await losses(request, cluster)
            #expect(again.losses.isEmpty)
        }
    }
}
