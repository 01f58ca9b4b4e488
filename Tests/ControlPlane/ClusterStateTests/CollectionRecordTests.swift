import ClusterModel
import ClusterState
import FaceModel
import Testing

struct CollectionRecordTests {
    private typealias Script = ClusterScript

    /// Where shards were split and merged, a place among the others says nothing of the index.
    @Test func shardsAreFoundWhereOthersHaveGone() {
        var record = Script.record(1, shards: 200, on: [Script.worker(1)])
        record.placements.removeAll { $0.shard.index % 7 == 3 }
        for (place, placement) in record.placements.enumerated() {
            #expect(record.index(of: placement.shard) == place)
            #expect(record.placement(of: placement.shard) == placement)
        }
        let id = record.collection.id
        for gone: UInt32 in [3, 10, 199, 200, .max] {
            #expect(record.index(of: ShardID(collection: id, index: gone)) == nil, "shard \(gone)")
        }
        let other = Script.collection(2, shards: 1).id
        #expect(record.index(of: ShardID(collection: other, index: 5)) == nil)
    }

    @Test func aRecordOutOfOrderHasItsShardsAllTheSame() {
        var record = Script.record(1, shards: 50, on: [Script.worker(1)])
        record.placements.reverse()
        for (place, placement) in record.placements.enumerated() {
            #expect(record.index(of: placement.shard) == place)
        }
    }
}
