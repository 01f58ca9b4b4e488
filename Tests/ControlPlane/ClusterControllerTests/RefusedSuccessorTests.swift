import ClusterController
import ClusterModel
import FaceModel
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// A worker that does not begin to make shards which are to take others' place.
struct RefusedSuccessorTests {
    @Test func theReasonIsToldAndItIsAskedAgain() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            try await cluster.create("people", shards: 1)
            func refuse(_ reason: String) {
                workers[0].state.withLock { state in
                    state.refusal = { request in
                        if case .prepareSuccessor = request { WireStatus(.memoryFull, reason) } else { nil }
                    }
                }
            }
            func waits(for reason: String) async throws -> Bool {
                let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(5)))
                let reasons = list.operations.flatMap(\.steps).compactMap(\.waitsFor)
                return reasons.contains { $0.hasSuffix("is not begun there: \(reason)") }
            }
            refuse("no memory at all")
            let split = BeginOperation(id: .random(), order: .split(collection: "people", shardIndices: []))
            // The collection may have been made before its worker said so.
            try await eventually("the split begins") {
                (try? await cluster.client.call(split, deadline: .after(.seconds(5)))) != nil
            }
            try await eventually("the reason is told") { try await waits(for: "no memory at all") }
            refuse("hardly any memory")
            try await eventually("it is asked again") { try await waits(for: "hardly any memory") }
        }
    }
}
