import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Testing

/// What is written of an operation with very many steps.
struct LongOperationRecordTests {
    private let workers = (0..<2).map { NodeID(high: 7, low: UInt64($0)) }

    @Test(arguments: [false, true]) func whatIsWrittenFitsIntoACommitAndIsRead(isMove: Bool) throws {
        let collection = CollectionID(high: 0, low: 1)
        let change = isMove ? ReplicaChange.move(from: workers[0], to: workers[1]) : .lead(workers[0])
        let steps = (0..<17_000 as Range<UInt32>).map {
            Operation.Step(shard: ShardID(collection: collection, index: $0), change: change)
        }
        let operation = Operation(
            id: .random(),
            kind: .rebalance,
            created: Timestamp(milliseconds: 1),
            steps: RebalancePlanner.limited(steps),
            note: String(repeating: "n", count: Operation.noteLimit)
        )
        var metadata = ClusterMetadata(clusterID: NodeID(high: 0, low: 1))
        metadata.operations[operation.id] = operation
        let records = ClusterRecords.records(of: metadata)
        let record = try #require(records.first { $0.key == "operation/\(operation.id)" })
        // A worker's record and others may go with it.
        #expect(record.value.count < EmbeddedMetadataStore.valueByteLimit - 60_000)
        let listing = MetadataListing(records: records, revision: MetadataRevision(1))
        let isRead = try ClusterRecords(listing).metadata.operations[operation.id] == operation
        #expect(isRead)
    }
}
