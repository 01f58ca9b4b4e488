import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// No two shards of a collection ever have the same number.
struct ShardNumberTests {
    private let shared = TemporaryFolder()
    private let own = TemporaryFolder()

    /// Which operations are on their way to the store.
    private final class Arrivals: Sendable {
        private let keys = Mutex<Set<String>>([])

        var count: Int { keys.withLock(\.count) }

        /// - Returns: whether an operation is recorded by the changes.
        func note(_ changes: [MetadataChange]) -> Bool {
            let operations = changes.map(\.key).filter { $0.hasPrefix("operation/") }
            keys.withLock { $0.formUnion(operations) }
            return !operations.isEmpty
        }
    }

    @Test func splitsThatBeginAtTheSameTimeMakeDifferentShards() async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 2) { store, cluster, workers in
            try await cluster.create("people", shards: 2)
            try await eventually("it is established") {
                try await ClusterRecords.load(from: store.store).metadata.collection(named: "people")?.isEstablished
                    ?? false
            }
            // Nothing is being recorded any more.
            try await Task.sleep(for: .milliseconds(200))
            let arrivals = Arrivals()
            store.set { faults in faults.holds = { arrivals.note($0) } }
            let splits = (0..<2 as Range<UInt32>).map { index in
                Task {
                    try await cluster.client.call(
                        BeginOperation(id: .random(), order: .split(collection: "people", shardIndices: [index])),
                        deadline: .after(.seconds(10))
                    )
                }
            }
            try await eventually("both are about to be recorded") { arrivals.count == 2 }
            store.set { $0.holds = nil }
            var numbers: [UInt32] = []
            for split in splits { numbers += try await split.value.steps.flatMap(\.change.successors) }
            #expect(numbers.sorted() == [2, 3, 4, 5])
            try await eventually("the new shards are there") {
                let record = try await ClusterRecords.load(from: store.store).metadata.collection(named: "people")
                return record?.placements.map(\.shard.index) == [2, 3, 4, 5]
            }
            try await eventually("both are done") {
                let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(5)))
                return list.operations.map(\.state) == [.done, .done]
            }
            try await eventually("the workers have the new shards alone") {
                workers.flatMap(\.shards).map(\.index).sorted() == [2, 3, 4, 5]
            }
        }
    }

    @Test(arguments: [false, true]) func aRecordOfTwoShardsWithTheSameNumberIsRefused(isRetired: Bool) async throws {
        try await withCluster(workers: 1) { _, cluster, _ in
            try await cluster.create("people", shards: 2)
            var metadata = try await ClusterRecords.load(from: cluster.store).metadata
            let id = try #require(metadata.collections.keys.first)
            let placements = metadata.collections[id]!.placements
            if isRetired {
                metadata.collections[id]!.retirements = [
                    ShardRetirement(index: 1, epoch: Epoch(1), range: placements[1].range)
                ]
            } else {
                metadata.collections[id]!.placements[1] = ShardPlacement(
                    shard: placements[0].shard,
                    range: placements[1].range,
                    group: placements[1].group
                )
            }
            let listing = MetadataListing(
                records: ClusterRecords.records(of: metadata),
                revision: MetadataRevision(1)
            )
            let error = #expect(throws: MetadataError.self) { try ClusterRecords(listing) }
            guard case .corrupt(let key, let reason) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(key == "collection/\(id)" && reason == "two of its shards have the same number")
        }
    }
}
