import ClusterController
import ClusterModel
import FaceModel
import Foundation
import Observability
import Synchronization
import Testing
import WireProtocol
import WireTransport

extension ControlCluster {
    fileprivate func accept(_ shard: ShardID, isPlan: Bool) async throws(WireStatus) -> RecordAccepted {
        let request = AcceptRecord(collection: "people", shardIndex: shard.index, isPlan: isPlan)
        return try await client.call(request, deadline: .after(.seconds(5)))
    }

    fileprivate func losses(isSettling: Bool) async throws(WireStatus) -> LossList {
        let request = ReadLosses(collection: "people", isSettling: isSettling)
        return try await client.call(request, deadline: .after(.seconds(5)))
    }
}

/// A coordinator whose folder was put back to an earlier copy.
struct OlderRecordsTests {
    @Test func aCoordinatorOnAnOlderCopyLeavesWhatWorkersKnowBetter() async throws {
        let kept = TemporaryFolder()
        try await withCluster(workers: 2) { folder, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 2, minimumInSync: 1)
            let shard = try #require(workers[0].shards.first)
            let group = { cluster.controller.shardMap.placements.values.first!.first!.group }
            try await eventually("both go by the group") { goBy(workers, shard) == [group().version, group().version] }
            // As of now.
            let old = group()
            let earlier = try await cluster.restart(at: folder.path) {
                try! FileManager.default.copyItem(atPath: folder.path, toPath: "\(kept.path)/copy")
            }
            try await earlier.awaitWorkers(workers)
            // Another primary, of which the copy knows nothing.
            let leader = workers.first { $0.id == old.primary }!
            let other = workers.first { $0.id != old.primary }!
            await leader.stop()
            try await eventually("the other leads") {
                earlier.controller.shardMap.placements.values.first!.first!.group.primary == other.id
            }
            let newer = earlier.controller.shardMap.placements.values.first!.first!.group
            try await eventually("it goes by that") { goBy([other], shard).first ?? 0 >= newer.version }
            let later = try await earlier.restart(at: folder.path) {
                try! FileManager.default.removeItem(atPath: folder.path)
                try! FileManager.default.copyItem(atPath: "\(kept.path)/copy", toPath: folder.path)
            }
            let outcome = await Result {
                #expect(later.controller.shardMap.placements.values.first!.first!.group == old)
                let registry = MetricRegistry()
                registry.collect { later.controller.collect(into: &$0) }
                let told = "mien_shards_of_older_records{collection=\"people\"} 1"
                try await eventually("it is noticed") { registry.rendered().contains(told) }
                // People who ask are told, too.
                let problem = try #require(try await later.status().storeProblem)
                #expect(problem.contains("older records of people/\(shard.index) than"), "\(problem)")
                #expect(problem.contains("mien metadata accept"), "\(problem)")
                // The leader of the old record is gone for longer than it takes to put another in its place.
                try await Task.sleep(for: ControlCluster.options.replacementTime * 2)
                #expect(later.controller.shardMap.placements.values.first!.first!.group == old)
                try await eventually("the worker is told nothing") {
                    other.state.withLock { $0.reply?.groups.isEmpty ?? false }
                }
                // It must not take that for being no member, and is asked to drop nothing.
                #expect(other.state.withLock { $0.reply?.omitsGroups ?? false && $0.drops.isEmpty })
                #expect(goBy([other], shard).first ?? 0 >= newer.version)

                // An operator gives up what the copy does not know.
                let plan = try await later.accept(shard, isPlan: true)
                #expect(plan.storedVersion == old.version && plan.knownVersion >= newer.version)
                #expect(plan.primary == other.id && plan.replicas.count == 2)
                #expect(plan.replicas.first { $0.worker == leader.id }?.sequence == nil, "it is away")
                #expect(later.controller.shardMap.placements.values.first!.first!.group == old)
                _ = try await later.accept(shard, isPlan: false)
                try await eventually("it is steered again") {
                    let group = later.controller.shardMap.placements.values.first!.first!.group
                    return group.primary == other.id && group.epoch > newer.epoch
                        && goBy([other], shard) == [group.version]
                }
                try await eventually("nothing is left") { registry.rendered().contains("\(told.dropLast())0") }
                #expect(try await later.accept(shard, isPlan: true).primary == nil)
                // Nobody knows what the one had that is away: answers tell, and no ledger of before is whole any more.
                let list = try await later.losses(isSettling: false)
                #expect(list.losses.count == 1 && list.latest == list.losses.first?.time)
                #expect(later.controller.shardMap.lossy.count == 1)
                let settled = try await later.losses(isSettling: true)
                #expect(settled.losses.isEmpty && settled.latest == list.latest)
                #expect(later.controller.shardMap.lossy.isEmpty)
                #expect(later.controller.storeProblem == nil)
            }
            await later.stop()
            try outcome.get()
        }
    }

    /// The versions of a shard's group that workers go by.
    private func goBy(_ workers: [FakeControlWorker], _ shard: ShardID) -> [UInt64] {
        workers.compactMap { $0.state.withLock { $0.replicas[shard]?.groupVersion } }
    }
}
