import ClusterModel
import FaceModel
import ShardReplication
import Testing
import WireProtocol
import WorkerService

/// Deletions from a shard of one copy that took the place of one whose writes went by a log.
struct SuccessorDeletionTests {
    private let split = SplitShard()

    /// A replica that left the old shard's group a moment ago may answer reads of that for as long.
    @Test func theyAreHeldBackAsThoseOfTheOldShardWouldBe() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 1) { shard in
            let ids = split.test.ids(20)
            _ = try await shard.enrol(ids)
            let group = shard.keeper.group!
            let own = group.primary
            let index = await shard.index(of: own)
            for half in 0..<2 { _ = try await shard.call(split.prepare(half), on: index) }
            shard.keeper.change { group in
                ReplicaGroup(
                    epoch: group!.epoch,
                    version: group!.version + 1,
                    primary: own,
                    inSync: [own],
                    minimumInSync: 1
                ).freezing(true)
            }
            let began = try await shard.eventually("the half takes its place") { () async throws(WireStatus) in
                let began = ContinuousClock.now
                _ = try await shard.call(split.host(0, on: [own]), on: index)
                return began
            }
            let range = split.prepare(0).range
            let face = try #require(
                ids.first { range.contains(FaceIDHash.hash($0, in: split.test.collection.id)) }
            )
            let delete = ShardDelete(
                route: ShardRoute(shard: split.shard(0), epoch: Epoch(2)),
                key: .random(),
                ids: [face]
            )
            let deleted = try await shard.eventually("it is acknowledged") { () async throws(WireStatus) in
                try await shard.call(delete, on: index)
            }
            #expect(deleted.outcomes == [.deleted])
            #expect(ContinuousClock.now - began >= ReplicatedShard.timings.staleness)
        }
    }
}
