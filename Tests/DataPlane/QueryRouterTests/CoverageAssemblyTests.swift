import ClusterModel
import FaceModel
import QueryRouter
import Testing
import WireProtocol

/// Sums of what workers say of their shards, whatever they say.
struct CoverageAssemblyTests {
    private static let worker = NodeID(high: 1, low: 2)

    private static func placement(_ index: UInt32, _ range: HashRange) -> ShardPlacement {
        ShardPlacement(
            shard: ShardID(collection: CollectionID(high: 1, low: 2), index: index),
            range: range,
            group: ReplicaGroup(
                epoch: Epoch(1),
                version: 1,
                primary: worker,
                inSync: [worker],
                minimumInSync: 1
            )
        )
    }

    private static func answer(of count: UInt64) -> ShardSearchAnswer {
        ShardSearchAnswer(
            matches: [],
            faceCount: count,
            facesAnswered: count,
            rowsVisited: count,
            listsVisited: count,
            generation: 1
        )
    }

    private static func failure(of placement: ShardPlacement) -> ShardFailure {
        ShardFailure(
            placement: placement,
            worker: worker,
            address: nil,
            presence: nil,
            status: WireStatus(.unavailable, "Away.")
        )
    }

    @Test func whatIsBeyondEveryNumberIsTheHighest() {
        // One shard of which nearly nothing of the ring is, so that the others would hold more than anybody can count.
        var assembly = CoverageAssembly(shardCount: 4)
        for index in (0..<2 as Range<UInt32>) {
            assembly.add(Self.answer(of: .max), of: Self.placement(index, HashRange(first: 7, last: 7)))
        }
        for index in (2..<4 as Range<UInt32>) {
            assembly.add(Self.failure(of: Self.placement(index, .all)), reason: .unavailable)
        }
        assembly.countMissingFaces { $0.index == 2 ? .max : nil }
        let coverage = assembly.coverage
        #expect(coverage.facesTotal == .max && coverage.facesAnswered == .max)
        #expect(coverage.rowsVisited == .max && coverage.listsVisited == .max)
        #expect(!coverage.isFull && coverage.missing.count == 2)
        #expect(assembly.shortfall(of: .full, collection: "people")?.code == .incompleteCoverage)
    }

    @Test func aMissingShardIsTakenToHoldAsManyAsAShardCan() {
        var assembly = CoverageAssembly(shardCount: 2)
        assembly.add(Self.answer(of: 1000), of: Self.placement(0, HashRange(first: 7, last: 7)))
        assembly.add(Self.failure(of: Self.placement(1, .all)), reason: .unavailable)
        assembly.countMissingFaces { _ in nil }
        #expect(assembly.coverage.facesTotal == 1000 + (1 << 32))
        #expect(assembly.coverage.facesAnswered == 1000)
        var even = CoverageAssembly(shardCount: 2)
        let halves = HashRange.divisions(2)
        even.add(Self.answer(of: 1000), of: Self.placement(0, halves[0]))
        even.add(Self.failure(of: Self.placement(1, halves[1])), reason: .unavailable)
        even.countMissingFaces { _ in 900 }
        #expect(even.coverage.facesTotal == 2000)
    }
}
