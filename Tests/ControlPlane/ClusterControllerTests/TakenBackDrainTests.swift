import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Testing
import WireProtocol
import WireTransport

/// What becomes of a worker whose drain is taken back.
struct TakenBackDrainTests {
    private func standing(of worker: FakeControlWorker, _ cluster: ControlCluster) async throws -> WorkerStanding {
        try await ClusterRecords.load(from: cluster.store).metadata.standing(of: worker.id)
    }

    @Test(arguments: [WorkerStanding.active, .draining])
    func itMayBeUsedForWhatItMightBeUsedForBefore(former: WorkerStanding) async throws {
        try await withCluster(workers: 3) { _, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 2)
            let worker = try #require(workers.first { !$0.shards.isEmpty })
            // As an earlier drain has left it, which nobody remembers any more.
            let key = "worker/\(worker.id)"
            let record = try #require(try await cluster.store.list(prefix: key).records.first)
            let value = Array(record.value.dropLast()) + [former.rawValue]
            _ = try await cluster.store.commit([], [.put(key: key, value: value)])
            let id = OperationID.random()
            let begun = try await cluster.client.call(
                BeginOperation(id: id, order: .decommission(worker.id)),
                deadline: .after(.seconds(5))
            )
            #expect(begun.state == .running && begun.steps.count == 1)
            #expect(try await standing(of: worker, cluster) == .draining)
            _ = try await cluster.client.call(ChangeOperation(id: id, verb: .cancel), deadline: .after(.seconds(5)))
            #expect(try await standing(of: worker, cluster) == former)
            try await eventually("it has ended") {
                let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(5)))
                return list.operations.first?.state == .cancelled
            }
            #expect(try await standing(of: worker, cluster) == former)
        }
    }
}
