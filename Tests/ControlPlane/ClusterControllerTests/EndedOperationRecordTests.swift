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

    /// Layout 2 shuts the way back to an earlier version as long as such an operation is open, and no longer.
    @Test func anOperationThatHasEndedIsRecordedAsEarlierVersionsReadIt() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            func begin(_ order: OperationOrder) async throws -> OperationID {
                let id = OperationID.random()
                _ = try await cluster.client.call(BeginOperation(id: id, order: order), deadline: .after(.seconds(60)))
                try await eventually("it has ended") {
                    let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(60)))
                    return list.operations.first { $0.id == id }?.state == .done
                }
                return id
            }
            for order in [OperationOrder.drain(workers[0].id), .decommission(workers[0].id)] {
                let id = try await begin(order)
                let record = try #require(try await cluster.store.read("operation/\(id)"))
                #expect(record.value.first == 1, "\(order)")
                #expect(try await ClusterRecords.load(from: cluster.store).metadata.operations[id]?.state == .done)
            }
        }
    }

    @Test func onlyAnOpenOperationIsRecordedWithWhatItsWorkerMightBeUsedForBefore() throws {
        var metadata = ClusterMetadata(clusterID: NodeID(high: 0, low: 1))
        let time = Timestamp(milliseconds: 1)
        for state in [OperationState.running, .done] {
            var operation = Operation(id: .random(), kind: .decommission(NodeID(high: 7, low: 1)), created: time)
            (operation.state, operation.formerStanding) = (state, .draining)
            operation.ended = state == .done ? time : nil
            metadata.operations = [operation.id: operation]
            let record = try #require(
                ClusterRecords.records(of: metadata).first { $0.key == "operation/\(operation.id)" }
            )
            #expect(record.value.first == (state == .done ? 1 : 2))
        }
    }
}
