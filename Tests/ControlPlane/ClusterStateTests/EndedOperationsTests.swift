import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Which of the operations that have ended are forgotten.
struct EndedOperationsTests {
    /// One that took long is the last that ended, though it was the first that began.
    @Test func thoseThatEndedFirstAreForgotten() {
        var metadata = ClusterMetadata(clusterID: ClusterScript.worker(1000))
        let times: [(number: UInt64, created: Int64, ended: Int64?)] = [
            (1, 10, 90), (2, 20, 30), (3, 30, 40), (4, 40, nil),
        ]
        for (number, created, ended) in times {
            let id = OperationID(high: 0, low: number)
            metadata.operations[id] = Operation(
                id: id,
                kind: .change,
                state: ended == nil ? .running : .done,
                created: Timestamp(milliseconds: created),
                ended: ended.map { Timestamp(milliseconds: $0) }
            )
        }
        #expect(metadata.outdatedOperations(beyond: 3).isEmpty)
        #expect(metadata.outdatedOperations(beyond: 2) == [OperationID(high: 0, low: 2)])
        #expect(metadata.outdatedOperations(beyond: 1).map(\.low) == [2, 3])
    }
}
