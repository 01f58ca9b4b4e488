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

    private func place(shards: Int, copies: Int, on workers: [NodeID]) -> [ShardPlacement]? {
        PlacementPlanner.place(
            ClusterScript.collection(1, shards: shards, copies: copies),
            on: workers,
            existing: [],
            epoch: Epoch(4)
        )
    }

    @Test func replicasOfAShardAreOnDifferentWorkersAndAllHaveTheSameToDo() throws {
        for (workerCount, copies) in [(2, 2), (3, 2), (4, 2), (5, 3), (3, 3)] {
            let workers = (1...workerCount).map { ClusterScript.worker(UInt64($0)) }
            let shardCount = workerCount * 6
            let placements = try #require(place(shards: shardCount, copies: copies, on: workers))
            for placement in placements {
                #expect(placement.group.inSync.count == copies && Set(placement.group.inSync).count == copies)
                #expect(placement.group.minimumInSync == 2 && placement.group.version == 1)
                #expect(placement.epoch == Epoch(4) && placement.group.learners.isEmpty)
            }
            for worker in workers {
                #expect(placements.count { $0.group.inSync.contains(worker) } == 6 * copies)
                #expect(placements.count { $0.primary == worker } == 6)
            }
        }
    }

    /// What a lost worker leaves behind falls to all others.
    @Test func everyPairOfWorkersSharesEquallyMany() throws {
        let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }
        let placements = try #require(place(shards: 12, copies: 2, on: workers))
        for (first, second) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
            #expect(placements.count { $0.group.inSync == [workers[first], workers[second]] } == 2)
        }
    }

    @Test func moreCopiesThanWorkersHaveNoPlace() {
        #expect(place(shards: 1, copies: 4, on: workers) == nil)
        #expect(place(shards: 1, copies: 3, on: workers + workers)?.count == 1)
    }

    @Test func withoutWorkersThereIsNoPlace() {
        #expect(
            PlacementPlanner.place(ClusterScript.collection(1, shards: 1), on: [], existing: [], epoch: Epoch(1)) == nil
        )
    }
}
