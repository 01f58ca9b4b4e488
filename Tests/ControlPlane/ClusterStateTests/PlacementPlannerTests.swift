import ClusterModel
import ClusterState
import FaceModel
import Testing

struct PlacementPlannerTests {
    let workers = [1, 2, 3].map(ClusterScript.worker)

    @Test func shardsGoToTheWorkersInTurn() throws {
        let placements = try #require(
            PlacementPlanner.place(
                ClusterScript.collection(1, shards: 7),
                on: [workers[2], workers[0], workers[1]],
                existing: [],
                epoch: Epoch(4)
            )
        )
        #expect(placements.map(\.primary) == [1, 2, 3, 1, 2, 3, 1].map(ClusterScript.worker))
        #expect(placements.map(\.shard.index) == Array(0..<7))
        #expect(placements.allSatisfy { $0.epoch == Epoch(4) })
        #expect(placements.map(\.range) == HashRange.divisions(7))
    }

    @Test func existingShardsCountAsLoad() throws {
        let existing = ClusterScript.record(1, shards: 2, on: [workers[0]]).placements
        let placements = try #require(
            PlacementPlanner.place(
                ClusterScript.collection(2, shards: 5),
                on: workers,
                existing: existing,
                epoch: Epoch(2)
            )
        )
        #expect(placements.map(\.primary) == [2, 3, 2, 3, 1].map(ClusterScript.worker))
    }

    @Test func shardsOnAbsentWorkersDoNotCount() throws {
        let existing = ClusterScript.record(1, shards: 9, on: [ClusterScript.worker(9)]).placements
        let placements = try #require(
            PlacementPlanner.place(
                ClusterScript.collection(2, shards: 2),
                on: [workers[1]],
                existing: existing,
                epoch: Epoch(2)
            )
        )
        #expect(placements.map(\.primary) == [workers[1], workers[1]])
    }

    @Test func withoutWorkersThereIsNoPlace() {
        #expect(
            PlacementPlanner.place(ClusterScript.collection(1, shards: 1), on: [], existing: [], epoch: Epoch(1)) == nil
        )
    }
}
