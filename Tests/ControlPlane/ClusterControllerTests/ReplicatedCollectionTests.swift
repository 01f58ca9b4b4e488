import ClusterController
import ClusterModel
import FaceModel
import NIOCore
import NIOPosix
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Collections with several replicas of each shard.
struct ReplicatedCollectionTests {
    private func groups(_ cluster: ControlCluster) -> [ReplicaGroup] {
        cluster.controller.shardMap.placements.values.flatMap { $0.map(\.group) }
    }

    private func propose(
        _ change: GroupProposal.Change,
        to shard: ShardID,
        of group: ReplicaGroup,
        through cluster: ControlCluster
    ) async throws -> ReplicaGroup {
        let client = PeerClient(
            address: cluster.address,
            role: .worker,
            token: cluster.token,
            tls: nil,
            group: MultiThreadedEventLoopGroup.singleton,
            agent: "test"
        )
        let request = ProposeGroup(
            shard: shard,
            proposal: GroupProposal(version: group.version, epoch: group.epoch, change: change)
        )
        let result = await Result { try await client.call(request, deadline: .after(.seconds(5))) }
        await client.close()
        let reply = try result.get()
        #expect(reply.shard == shard)
        return reply.group
    }

    @Test func everyReplicaIsHostedBeforeTheCollectionIsAnswered() async throws {
        try await withCluster(workers: 3) { _, cluster, workers in
            let description = try await cluster.create("people", shards: 3, replicationFactor: 2)
            #expect(workers.map(\.shards.count) == [2, 2, 2])
            #expect(Set(description.shards.compactMap(\.worker)).count == 3)
            for shard in description.shards {
                #expect(shard.state == .serving && shard.replicas.count == 2)
                #expect(shard.replicas.map(\.role).sorted { $0.rawValue < $1.rawValue } == [.secondary, .primary])
                #expect(shard.replicas.allSatisfy { $0.isInSync && $0.state == .serving })
                #expect(shard.replicas.filter(\.isPrimary).map(\.worker) == [shard.worker])
            }
        }
    }

    @Test func theStatusNamesShardsWhoseReplicasDiffer() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 2, replicationFactor: 2)
            let shards = workers[0].shards
            try #require(shards.count == 2)
            func report(_ digests: [UInt64]) {
                for (worker, digest) in zip(workers, digests) {
                    worker.state.withLock {
                        $0.replicas[shards[1]]!.checkpoint = WorkerReport.Checkpoint(sequence: 9, digest: digest)
                    }
                }
            }
            #expect(try await cluster.status().differentShards.isEmpty)
            report([1, 2])
            try await eventually("it is told that they differ") {
                try await cluster.status().differentShards == [shards[1]]
            }
            report([2, 2])
            try await eventually("it is told no longer") { try await cluster.status().differentShards.isEmpty }
        }
    }

    @Test func tooFewWorkersForTheCopiesAreCounted() async throws {
        try await withCluster(workers: 2) { _, cluster, _ in
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.create("people", shards: 1, replicationFactor: 3)
            }
            #expect(status?.code == .unavailable)
            let message = status?.message ?? ""
            #expect(message.contains("3 copies of every shard of 'people' need as many live workers"), "\(message)")
            #expect(message.contains("there are 2;"), "\(message)")
            #expect(cluster.controller.shardMap.collections.isEmpty)
        }
    }

    @Test func heartbeatsTellTheGroupsAndWhereTheirMembersAre() async throws {
        try await withCluster(workers: 3) { _, cluster, workers in
            try await cluster.create("people", shards: 3, replicationFactor: 2)
            try await eventually("the groups are told") {
                workers.allSatisfy { $0.state.withLock { $0.reply?.groups.count } == 2 }
            }
            for worker in workers {
                let reply = try #require(worker.state.withLock { $0.reply })
                #expect(reply.groups.allSatisfy { $0.group.members.contains(worker.id) })
                let members = Set(reply.groups.flatMap(\.group.members))
                #expect(Set(reply.workers.map(\.id)) == members)
                for peer in reply.workers { #expect(peer.address == workers.first { $0.id == peer.id }?.address) }
            }
            // Nobody else changes the coordinator's own store, and soon it changes nothing itself.
            try await eventually("the records are surely the newest") {
                workers.allSatisfy { $0.state.withLock { $0.reply?.recordAge } == 0 }
            }
        }
    }

    @Test func whyACopyWasRefusedIsToldOfTheOperationAndOfTheShard() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 1)
            let from = try #require(workers.first { !$0.shards.isEmpty })
            let to = try #require(workers.first { $0.id != from.id })
            let shard = from.shards[0]
            let order = OperationOrder.move(collection: "people", shardIndex: 0, from: from.id, to: to.id)
            _ = try await cluster.client.call(
                BeginOperation(id: .random(), order: order),
                deadline: .after(.seconds(5))
            )
            try await eventually("the replica comes") { to.shards == [shard] }
            from.state.withLock { $0.copyRefusals = [.init(shard: shard, worker: to.id, reason: "no room for it")] }
            try await eventually("it tells why the copy was refused") {
                let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(5)))
                let explanation = try await cluster.client.call(
                    ExplainShard(collection: "people", shardIndex: 0),
                    deadline: .after(.seconds(5))
                )
                let sentence = "It was not given a copy: no room for it."
                return list.operations.first?.steps.first?.waitsFor?.hasSuffix(sentence) == true
                    && explanation.verdicts.contains { $0.worker == to.id && $0.reason.contains(sentence) }
            }
        }
    }

    @Test func aSilentPrimaryIsReplacedAndReturnsAsALearner() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 2, replicationFactor: 2, minimumInSync: 1)
            let before = cluster.controller.shardMap.placements.values.first!
            await workers[0].stop()
            try await eventually("the other worker leads both") {
                groups(cluster).allSatisfy { $0.primary == workers[1].id }
            }
            let explanation = try await cluster.client.call(
                ExplainShard(collection: "people", shardIndex: 0),
                deadline: .after(.seconds(5))
            )
            for verdict in explanation.verdicts {
                let isSilent = verdict.reason.contains("The worker is not heard of.")
                #expect(verdict.hasReplica && isSilent == (verdict.worker == workers[0].id), "\(verdict)")
            }
            // Only the shard that lost its primary has another epoch.
            for (placement, old) in zip(cluster.controller.shardMap.placements.values.first!, before) {
                #expect(placement.epoch.number == old.epoch.number + (old.primary == workers[0].id ? 1 : 0))
            }
            // It is told at once, and orders writes.
            try await eventually("the shards are served") {
                try await cluster.describe("people").shards.allSatisfy { $0.state == .serving }
            }
            let shards = try await cluster.describe("people").shards
            let lost = try #require(shards.first { $0.replicas.contains { !$0.isInSync } })
            #expect(lost.replicas.first { !$0.isInSync }?.worker == workers[0].id)
            #expect(lost.replicas.first { !$0.isInSync }?.state == .missing)
            try await workers[0].start(in: cluster)
            try await eventually("the returned worker goes by the new group") {
                let versions = Dictionary(
                    uniqueKeysWithValues: cluster.controller.shardMap.placements.values.first!.map {
                        ($0.shard, $0.group.version)
                    }
                )
                return workers[0].state.withLock { state in
                    state.replicas.allSatisfy { $0.value.groupVersion == versions[$0.key] }
                }
            }
        }
    }

    @Test func theInSyncSetKeepsItsMinimum() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 2)
            let primary = try #require(groups(cluster).first?.primary)
            let dead = try #require(workers.first { $0.id == primary })
            await dead.stop()
            try await eventually("the other leads") { groups(cluster).first?.primary != primary }
            #expect(groups(cluster).first?.inSync.count == 2)
        }
    }

    @Test func aWorkerThatIsGoneIsReplacedAndDropsItsReplicaWhenItReturns() async throws {
        try await withCluster(workers: 3) { _, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 2)
            let old = try #require(groups(cluster).first)
            let shard = try #require(workers[0].shards.first ?? workers[1].shards.first)
            let primary = try #require(workers.first { $0.id == old.primary })
            let secondary = try #require(workers.first { old.members.contains($0.id) && $0.id != old.primary })
            let third = try #require(workers.first { !old.members.contains($0.id) })
            await secondary.stop()
            try await eventually("the third is a learner, and holds an empty replica") {
                groups(cluster).first?.learners == [third.id] && third.shards == [shard]
            }
            // The primary finds that it has caught up.
            let learning = try #require(groups(cluster).first)
            let grown = try await propose(.add(third.id), to: shard, of: learning, through: cluster)
            // The other may have been removed by then, too.
            #expect(grown.isInSync(third.id) && grown.version > learning.version)
            try await eventually("the one that is gone has left") {
                groups(cluster).first?.members == [primary.id, third.id].sorted()
            }
            #expect(secondary.shards == [shard])
            try await secondary.start(in: cluster)
            try await eventually("the returned worker drops its replica") { secondary.shards.isEmpty }
            #expect(primary.shards == [shard] && third.shards == [shard])
            // By the group that it is none of: should that come late, a member of a later one knows better.
            let orders = secondary.state.withLock(\.drops)
            #expect(!orders.isEmpty && orders.allSatisfy { $0.groupVersion ?? 0 > learning.version })
        }
    }

    @Test func proposalsAreAnsweredByTheGroupAsItIs() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 2, minimumInSync: 1)
            let shard = try #require(workers[0].shards.first)
            let group = try #require(groups(cluster).first)
            let secondary = try #require(group.inSync.first { $0 != group.primary })
            let smaller = try await propose(.remove(secondary), to: shard, of: group, through: cluster)
            #expect(smaller.inSync == [group.primary] && smaller.learners == [secondary])
            #expect(groups(cluster) == [smaller])
            // Made to a version that is no more, it changes nothing.
            #expect(try await propose(.remove(secondary), to: shard, of: group, through: cluster) == smaller)
            let larger = try await propose(.add(secondary), to: shard, of: smaller, through: cluster)
            #expect(larger.inSync == group.inSync)
            let moved = try await propose(.takeOver(secondary), to: shard, of: larger, through: cluster)
            #expect(moved.primary == secondary && moved.epoch.number == group.epoch.number + 1)
            let status = await #expect(throws: WireStatus.self) {
                let stranger = ShardID(collection: CollectionID(high: 1, low: 1), index: 0)
                _ = try await propose(.takeOver(secondary), to: stranger, of: moved, through: cluster)
            }
            #expect(status?.code == .notFound)
        }
    }

    /// The primaries of many shards ask at once, and their groups lie in one record.
    @Test func manyProposalsForOneCollectionAreAllMade() async throws {
        try await withCluster(workers: 2) { _, cluster, _ in
            try await cluster.create("people", shards: 40, replicationFactor: 2, minimumInSync: 1)
            let placements = try #require(cluster.controller.shardMap.placements.values.first)
            await withTaskGroup(of: Bool.self) { tasks in
                for placement in placements {
                    tasks.addTask {
                        let group = placement.group
                        let secondary = group.inSync.first { $0 != group.primary }!
                        let change = GroupProposal.Change.remove(secondary)
                        let reply = try? await propose(change, to: placement.shard, of: group, through: cluster)
                        return reply?.inSync == [group.primary]
                    }
                }
                for await isMade in tasks { #expect(isMade) }
            }
        }
    }

    @Test func clientsDoNotChangeGroups() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            try await cluster.create("people", shards: 1)
            let request = ProposeGroup(
                shard: workers[0].shards[0],
                proposal: GroupProposal(version: 1, epoch: Epoch(1), change: .takeOver(workers[0].id))
            )
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.client.call(request, deadline: .after(.seconds(5)))
            }
            #expect(status?.code == .invalidRequest)
        }
    }

    @Test func aDeletedCollectionIsDroppedOnAllItsWorkers() async throws {
        try await withCluster(workers: 3) { _, cluster, workers in
            try await cluster.create("people", shards: 2, replicationFactor: 3)
            for worker in workers { worker.setFaceCount(10) }
            // A face counts once, however many copies there are.
            try await eventually("the counts are known") { try await cluster.describe("people").faceCount == 20 }
            _ = try await cluster.delete("people")
            try await eventually("all have dropped their replicas") { workers.allSatisfy(\.shards.isEmpty) }
            // Whatever group they went by.
            let orders = workers.flatMap { $0.state.withLock(\.drops) }
            #expect(orders.count >= 6 && orders.allSatisfy { $0.groupVersion == 0 })
        }
    }

    /// A new start of the coordinator must not make others of all primaries that have not been heard of yet.
    @Test func aRestartedCoordinatorChangesNoGroupThatIsWell() async throws {
        let folder = TemporaryFolder()
        let first = try await ControlCluster.start(at: folder.path)
        let workers = [FakeControlWorker(1), FakeControlWorker(2)]
        for worker in workers { try await worker.start(in: first) }
        try await first.awaitWorkers(workers)
        try await first.create("people", shards: 4, replicationFactor: 2)
        let before = first.controller.shardMap.placements
        let second = try await first.restart(at: folder.path)
        try await second.awaitWorkers(workers)
        try await Task.sleep(for: .seconds(6))
        #expect(second.controller.shardMap.placements == before)
        for worker in workers { await worker.stop() }
        await second.stop()
    }
}
