import ClusterModel
import ClusterState
import FaceModel
import Testing

/// A shard's number is that of no other, whatever was recorded when two could be given the same.
struct SuccessorNumberTests {
    private let workers = [ClusterScript.worker(1), ClusterScript.worker(2)]

    private func split(_ placement: ShardPlacement, _ lower: UInt32, _ upper: UInt32) -> Operation.Step {
        let range = placement.range
        let cut = range.first + (range.last - range.first) / 2 + 1
        return Operation.Step(shard: placement.shard, change: .split(at: cut, lower: lower, upper: upper))
    }

    @Test func aNumberThatAShardHasOrHadIsGivenToNoOther() throws {
        let record = ClusterScript.record(1, shards: 4, on: workers)
        let metadata = OperationWorld(seed: 1, workers: 2, records: [record]).metadata
        let succession = try #require(Succession(split(record.placements[1], 4, 5), in: metadata))
        for index: UInt32 in [4, 5] {
            var (placed, retired) = (record, record)
            let other = record.placements[0]
            placed.placements[0] = ShardPlacement(
                shard: ShardID(collection: record.collection.id, index: index),
                range: other.range,
                group: other.group
            )
            retired.retirements = [ShardRetirement(index: index, epoch: Epoch(1), range: other.range)]
            for known in [placed, retired] {
                var changed = known
                let isMade = succession.apply(to: &changed)
                #expect(!isMade && changed == known, "\(index)")
            }
        }
        var changed = record
        let isMade = succession.apply(to: &changed)
        #expect(isMade && changed.placements.map(\.shard.index) == [0, 2, 3, 4, 5])
    }

    /// As two coordinators recorded them that knew nothing of each other.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func ofTwoSplitsWithTheSameNumbersOneIsTakenBackAndNothingIsLost(seed: UInt64) throws {
        let record = ClusterScript.record(1, shards: 2, on: workers)
        var world = OperationWorld(seed: seed, workers: 2, records: [record])
        for (number, placement) in record.placements.enumerated() {
            let id = OperationID(high: 9, low: UInt64(number))
            world.metadata.operations[id] = Operation(
                id: id,
                kind: .change,
                created: Timestamp(milliseconds: 1),
                steps: [split(placement, 2, 3)]
            )
        }
        try world.settle()
        let operations = world.metadata.operations.values
        #expect(operations.count { $0.state == .done } == 1)
        let other = try #require(operations.first { $0.state == .cancelled })
        #expect(other.note?.contains("have the numbers") == true && other.steps.map(\.state) == [.undone])
        let left = other.steps[0].shard
        let placements = world.metadata.placements
        #expect(placements.map(\.shard.index) == [left.index, 2, 3])
        #expect(placements.allSatisfy { !$0.group.isFrozen })
        for placement in placements { #expect(world.replicas[placement.primary]?[placement.shard] != nil) }
        #expect(world.made.values.allSatisfy { $0.isEmpty }, "what was made for nothing is removed")
        // It is asked for again.
        try world.mustBegin(.split(left.collection, [left.index]))
        try world.settle()
        #expect(world.metadata.placements.map(\.shard.index) == [2, 3, 4, 5])
    }
}
