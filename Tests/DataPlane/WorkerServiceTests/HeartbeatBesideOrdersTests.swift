import ClusterModel
import FaceModel
import Synchronization
import Testing
import WireProtocol
import WireTransport
import WorkerService

/// What a worker is told to do takes as long as it takes: coordinators hear of it meanwhile.
struct HeartbeatBesideOrdersTests {
    private let test = TestCollection()

    /// It waits for the commit under way, or for whoever reads the replica.
    @Test func aWorkerThatRemovesAReplicaGoesOnSendingHeartbeats() async throws {
        let hold = Hold()
        let setting = (worker: 1, hold: hold)
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 1, deletionHold: setting) { shard in
            defer { hold.release() }
            let ids = test.ids(20)
            _ = try await shard.enrol(ids)
            let node = await shard.nodes[1]
            hold.set()
            let deletion = Task { _ = try? await shard.delete(Array(ids.prefix(5))) }
            _ = try await shard.eventually("a commit is under way") { () async throws(WireStatus) in hold.isReached }
            let order = DropReplica(shard: test.shard(), epoch: Epoch(99))
            let removal = Task { _ = try? await shard.call(order, on: 1, within: .seconds(60)) }
            try await shard.awaitStopping(of: 1, reading: ids)
            let count = shard.keeper.heartbeatCount(of: node)
            _ = try await shard.eventually("it is heard of") { () async throws(WireStatus) in
                shard.keeper.heartbeatCount(of: node) >= count + 5
            }
            #expect(shard.keeper.report(of: node) != nil, "it is there until it is gone")
            hold.release()
            await removal.value
            await deletion.value
            _ = try await shard.eventually("it is gone") { () async throws(WireStatus) in
                shard.keeper.report(of: node) == nil
            }
        }
    }

    /// It works on a copy of the store of the other, and would change its own records.
    @Test func aCoordinatorThatIsRefusedIsAskedForNoChangeOfAGroup() async throws {
        let (folder, cluster) = (TemporaryFolder(), NodeID.random())
        let rival = FakeCoordinator(clusterID: cluster)
        let (first, second) = (NodeID.random(), NodeID.random())
        rival.run.withLock { $0 = second }
        rival.isAway.store(true, ordering: .relaxed)
        let server = try await WorkerHarness.serve(rival)
        let outcome: Result<Void, any Error>
        do {
            try await WorkerHarness.withCluster(
                folder,
                cluster: cluster,
                changing: { options in
                    options.coordinators.append(server.address)
                    options.replication = ReplicatedShard.timings
                }
            ) { harness, coordinator in
                coordinator.run.withLock { $0 = first }
                try await eventually("the worker goes by the first") {
                    coordinator.last?.standing == .follows(run: first)
                }
                rival.isAway.store(false, ordering: .relaxed)
                try await eventually("it refuses the second") {
                    if case .refuses(run: second, follows: _)? = rival.last?.standing { true } else { false }
                }
                let node = harness.worker.node
                var host = test.host()
                host.group = ReplicaGroup(
                    epoch: Epoch(1),
                    version: 1,
                    primary: node,
                    inSync: [node, .random()],
                    minimumInSync: 1
                )
                _ = try await harness.call(host)
                // To go on without the other member, which is nowhere.
                try await eventually("it asks again and again") { coordinator.proposalCount >= 5 }
                #expect(rival.proposalCount == 0)
            }
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        await server.shutdown(gracePeriod: .zero)
        try outcome.get()
    }
}
