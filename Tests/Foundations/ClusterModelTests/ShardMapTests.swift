import ClusterModel
import FaceModel
import Testing

struct ShardMapTests {
    private static let collection = Collection(
        id: CollectionID(high: 8, low: 9),
        configuration: CollectionConfiguration(
            name: "visitors",
            dimension: 64,
            embeddingModel: "model",
            shardCount: 3
        ),
        created: Timestamp(milliseconds: 0)
    )

    private func map(shardCount: Int) -> ShardMap {
        let node = NodeID(high: 1, low: 1)
        let placements = HashRange.divisions(shardCount).enumerated().map { index, range in
            ShardPlacement(
                shard: ShardID(collection: Self.collection.id, index: UInt32(index)),
                range: range,
                primary: node,
                epoch: Epoch(1)
            )
        }
        return ShardMap(
            epoch: Epoch(1),
            collections: [Self.collection],
            placements: [Self.collection.id: placements.shuffled()],
            addresses: [node: NodeAddress(host: "127.0.0.1", port: 4100)]
        )
    }

    @Test(arguments: [1, 2, 3, 7, 64, 1000, 1024])
    func placementIndexAgreesWithTheRanges(shardCount: Int) throws {
        let map = map(shardCount: shardCount)
        let placements = try #require(map.placements[Self.collection.id])
        for number in 0..<2000 {
            let face = FaceID(high: UInt64(number) &* 0x9e37_79b9_7f4a_7c15, low: UInt64(number))
            let hash = FaceIDHash.hash(face, in: Self.collection.id)
            let index = try #require(map.placementIndex(of: face, in: Self.collection.id))
            #expect(placements[index].range.contains(hash), "\(shardCount) shards, face \(number)")
            #expect(placements[index].shard.index == UInt32(index))
        }
    }

    @Test func shardsAreFoundByWhatTheyAreCalledWhereverTheyLieOnTheRing() throws {
        let node = NodeID(high: 1, low: 1)
        let ranges = HashRange.divisions(300)
        // As after splits and merges: no index is the place on the ring, and some are of the past.
        let placements = ranges.enumerated().map { place, range in
            ShardPlacement(
                shard: ShardID(collection: Self.collection.id, index: UInt32(1000 - 3 * place)),
                range: range,
                primary: node,
                epoch: Epoch(UInt64(place + 1))
            )
        }
        let map = ShardMap(
            epoch: Epoch(1),
            collections: [Self.collection],
            placements: [Self.collection.id: placements.shuffled()],
            addresses: [:],
            retired: [Self.collection.id: [2]]
        )
        for placement in placements { #expect(map.placement(of: placement.shard) == placement) }
        let other = CollectionID(high: 1, low: 1)
        #expect(map.placement(of: ShardID(collection: Self.collection.id, index: 999)) == nil)
        #expect(map.placement(of: ShardID(collection: Self.collection.id, index: 2)) == nil)
        #expect(map.placement(of: ShardID(collection: other, index: 1000)) == nil)
        #expect(!map.isOlder(than: placements.map(\.shard.index) + [2], of: Self.collection.id))
        #expect(map.isOlder(than: [1000, 999] as [UInt32], of: Self.collection.id))
        #expect(map.isOlder(than: [1000] as [UInt32], of: other))
    }

    @Test func unknownCollectionsHaveNoPlacement() {
        #expect(map(shardCount: 2).placementIndex(of: FaceID.random(), in: CollectionID(high: 0, low: 0)) == nil)
        #expect(ShardMap.empty.placementIndex(of: FaceID.random(), in: Self.collection.id) == nil)
        #expect(ShardMap.empty.collection(named: "visitors") == nil)
        #expect(map(shardCount: 1).collection(named: "visitors") == Self.collection)
        #expect(map(shardCount: 1).collection(named: "Visitors") == nil)
    }

    @Test(arguments: ["localhost:0", "10.0.0.1:65535", "[::1]:4100", "a:1"])
    func addressesAreReadAsTheyAreWritten(text: String) throws {
        #expect(try #require(NodeAddress(text)).description == text)
    }

    @Test(arguments: [
        "", "localhost", ":4100", "localhost:", "localhost:x", "localhost:65536", "localhost:-1", "::1:4100", "[]:1",
        "[::1]", "localhost:4100 ",
    ])
    func otherTextIsNoAddress(text: String) {
        #expect(NodeAddress(text) == nil)
    }

    @Test(arguments: [
        ("localhost:1", true), ("LocalHost:1", true), ("127.0.0.1:1", true), ("127.9.9.9:1", true), ("[::1]:1", true),
        ("0.0.0.0:1", false), ("[::]:1", false), ("128.0.0.1:1", false), ("127.0.0.1.example:1", false),
        ("localhost.example:1", false), ("127.1:1", false), ("[::2]:1", false), ("[fe80::1]:1", false), ("a:1", false),
    ])
    func onlyThisMachineIsLoopback(text: String, isLoopback: Bool) throws {
        #expect(try #require(NodeAddress(text)).isLoopback == isLoopback)
    }

    @Test func identitiesAreOrderedAndWritten() {
        let node = NodeID(high: 1, low: 2)
        #expect(NodeID(node.description) == node && NodeID("node") == nil)
        #expect(node < NodeID(high: 1, low: 3) && node < NodeID(high: 2, low: 0) && !(node < node))
        let shard = ShardID(collection: Self.collection.id, index: 7)
        #expect(shard < ShardID(collection: Self.collection.id, index: 8))
        #expect(shard < ShardID(collection: CollectionID(high: 9, low: 0), index: 0))
        #expect(shard.description == "\(Self.collection.id)/7")
        #expect(Epoch(1) < Epoch(2))
    }
}
