import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Testing
import WireProtocol
import WireTransport

/// When operations have ended, as it is recorded: those that ended first are forgotten.
struct EndedOperationRecordTests {
    @Test func anOperationThatEndsAfterTheClockWasSetBackIsTheLastThatEnded() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            // By a clock that was decades ahead.
            let ahead = Timestamp(milliseconds: 4_000_000_000_000)
            let earlier = Operation(id: .random(), kind: .rebalance, state: .done, created: ahead, ended: ahead)
            var metadata = try await ClusterRecords.load(from: cluster.store).metadata
            metadata.operations[earlier.id] = earlier
            let key = "operation/\(earlier.id)"
            let record = try #require(ClusterRecords.records(of: metadata).first { $0.key == key })
            _ = try await cluster.store.commit([], [.put(key: key, value: record.value)])

            let id = OperationID.random()
            _ = try await cluster.client.call(
                BeginOperation(id: id, order: .decommission(workers[0].id)),
                deadline: .after(.seconds(60))
            )
            try await eventually("it has ended") {
                let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(60)))
                return list.operations.first { $0.id == id }?.state == .done
            }
            let ended = try await ClusterRecords.load(from: cluster.store).metadata.operations[id]?.ended
            #expect(ended == Timestamp(milliseconds: ahead.milliseconds + 1))

            // And one that is done as it begins.
            let last = OperationID.random()
            _ = try await cluster.client.call(
                BeginOperation(id: last, order: .recommission(workers[0].id)),
                deadline: .after(.seconds(60))
            )
            let recommission = try await ClusterRecords.load(from: cluster.store).metadata.operations[last]
            #expect(recommission?.state == .done)
            #expect(recommission?.ended == Timestamp(milliseconds: ahead.milliseconds + 2))
        }
    }
}
