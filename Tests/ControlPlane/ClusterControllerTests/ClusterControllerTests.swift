import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import NIOCore
import NIOPosix
import Synchronization
import Testing
import WireProtocol
import WireTransport

struct ClusterControllerTests {
    @Test func aNewCollectionIsHostedOnAllWorkersBeforeItIsAnswered() async throws {
        try await withCluster(workers: 3) { _, cluster, workers in
            let description = try await cluster.create("people", shards: 6)
            #expect(workers.map(\.shards.count) == [2, 2, 2])
            #expect(description.shards.map(\.worker) == [0, 1, 2, 0, 1, 2].map { workers[$0].id })
            #expect(description.shards.allSatisfy { $0.state == .serving })
            #expect(description.training == .notNeeded)
            let map = cluster.controller.shardMap
            #expect(map.epoch == Epoch(1))
            #expect(map.collection(named: "people") == description.collection)
            #expect(map.addresses[workers[1].id] == workers[1].address)
        }
    }

    @Test func aCollectionWithoutWorkersIsRefusedAndNotMade() async throws {
        try await withCluster(workers: 0) { _, cluster, _ in
            let status = await #expect(throws: WireStatus.self) { try await cluster.create("people", shards: 2) }
            #expect(status?.code == .unavailable)
            #expect(status?.message.contains("start a worker") == true)
            #expect(cluster.controller.shardMap.collections.isEmpty)
        }
    }

    @Test func collectionsThatCannotBeMadeAreRefused() async throws {
        try await withCluster(workers: 1) { _, cluster, _ in
            try await cluster.create("people", shards: 1)
            func refusal(_ name: String, shards: Int, replicationFactor: Int = 1) async -> StatusCode? {
                do throws(WireStatus) {
                    try await cluster.create(name, shards: shards, replicationFactor: replicationFactor)
                    return nil
                } catch {
                    return error.code
                }
            }
            #expect(await refusal("people", shards: 1) == .alreadyExists)
            #expect(await refusal("others", shards: 1, replicationFactor: 3) == .unavailable)
            #expect(await refusal("others", shards: 1, replicationFactor: 9) == .invalidRequest)
            #expect(await refusal("others", shards: 2) == nil)
            let status = await #expect(throws: WireStatus.self) { try await cluster.describe("nobody") }
            #expect(status?.code == .notFound)
        }
    }

    @Test func collectionsMadeAtOnceAreAllMade() async throws {
        try await withCluster(workers: 2) { _, cluster, _ in
            await withTaskGroup(of: Bool.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        (try? await cluster.create("c\(number)", shards: 2, deadline: .seconds(60))) != nil
                    }
                }
                for await succeeded in group { #expect(succeeded) }
            }
            #expect(cluster.controller.shardMap.epoch == Epoch(8))
            let list = try await cluster.client.call(ListCollections(), deadline: .after(.seconds(5)))
            #expect(list.collections.map(\.collection.name) == (0..<8).map { "c\($0)" })
        }
    }

    @Test func aCollectionThatCannotBeHostedInTimeExistsAndIsHostedLater() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            workers[0].state.withLock { $0.refusal = { _ in WireStatus(.overloaded, "Busy.") } }
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.create("people", shards: 3, deadline: nil)
            }
            #expect(status?.code == .unavailable)
            let message = status?.message ?? ""
            let address = try #require(workers[0].address)
            #expect(message.contains("3 of its 3 shards are not hosted yet"), "\(message)")
            #expect(message.contains("shard 0 on worker \(workers[0].id) at \(address): Busy;"), "\(message)")
            workers[0].state.withLock { $0.refusal = nil }
            try await eventually("the shards are hosted") { workers[0].shards.count == 3 }
        }
    }

    @Test func aDeletedCollectionIsDroppedOnPresentAndReturningWorkers() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 4)
            for worker in workers { worker.setFaceCount(10) }
            try await eventually("the counts are known") { try await cluster.describe("people").faceCount == 40 }
            await workers[1].stop()
            #expect(try await cluster.delete("people").faceCount == 40)
            #expect(cluster.controller.shardMap.epoch == Epoch(2))
            #expect(cluster.controller.shardMap.collection(named: "people") == nil)
            try await eventually("the present worker has dropped its replicas") { workers[0].shards.isEmpty }
            #expect(workers[1].shards.count == 2)
            try await workers[1].start(in: cluster)
            try await eventually("the returned worker has dropped its replicas") { workers[1].shards.isEmpty }
            try await cluster.create("people", shards: 2)
        }
    }

    @Test func aRestartedCoordinatorKnowsWhatWasAgreed() async throws {
        let folder = TemporaryFolder()
        let first = try await ControlCluster.start(at: folder.path)
        let worker = FakeControlWorker(1)
        let absent = FakeControlWorker(2)
        for worker in [worker, absent] { try await worker.start(in: first) }
        try await first.awaitWorkers([worker, absent])
        let created = try await first.create("people", shards: 4)
        try await first.create("gone", shards: 2)
        _ = try await first.delete("gone")
        try await eventually("the deleted collection is dropped") {
            worker.shards.count == 2 && absent.shards.count == 2
        }
        await absent.stop()
        let second = try await first.restart(at: folder.path)
        #expect(second.controller.clusterID == first.controller.clusterID)
        #expect(second.folder.store.node == first.folder.store.node)
        #expect(second.controller.shardMap.epoch == Epoch(3))
        #expect(second.controller.shardMap.placements == first.controller.shardMap.placements)
        #expect(second.controller.shardMap.addresses == first.controller.shardMap.addresses)
        try await second.awaitWorkers([worker])
        let described = try await second.describe("people")
        #expect(described.collection == created.collection)
        #expect(described.shards.map { $0.state == .serving } == created.shards.map { $0.worker == worker.id })
        let status = try await second.status()
        #expect(status.workers.map(\.isLive) == [true, false])
        #expect(status.workers[1].silentMilliseconds == .max)
        // Nothing was hosted a second time.
        #expect(worker.state.withLock { $0.hostCount } == 3)
        await worker.stop()
        await second.stop()
    }

    @Test func aReplicaThatItsWorkerLostIsNotReplacedByAnEmptyOne() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            try await cluster.create("people", shards: 2)
            // Before that a replica that is not there has never been.
            try await eventually("it is established") {
                try await ClusterRecords.load(from: cluster.folder.store).metadata.collection(named: "people")?
                    .isEstablished ?? false
            }
            await cluster.controller.refresh()
            workers[0].state.withLock { $0.replicas = [:] }
            try await Task.sleep(for: .seconds(7))
            #expect(workers[0].shards.isEmpty)
            #expect(workers[0].state.withLock { $0.hostCount } == 2)
        }
    }

    @Test func aWorkerOnANewAddressIsFoundThereUnderTheSameEpoch() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 2)
            let before = cluster.controller.shardMap
            await workers[0].stop()
            try await workers[0].start(in: cluster)
            let address = workers[0].address
            #expect(address != before.addresses[workers[0].id])
            try await eventually("the new address is known") {
                cluster.controller.shardMap.addresses[workers[0].id] == address
            }
            #expect(cluster.controller.shardMap.epoch == before.epoch)
            // The controller's own calls go there too.
            try await cluster.create("more", shards: 2)
        }
    }

    /// Nodes are known by their ids; addresses are where they were last heard of.
    @Test func whenEveryNodeMovesNothingElseChanges() async throws {
        let folder = TemporaryFolder()
        let first = try await ControlCluster.start(at: folder.path)
        let workers = [FakeControlWorker(1), FakeControlWorker(2)]
        for worker in workers { try await worker.start(in: first) }
        try await first.awaitWorkers(workers)
        try await first.create("people", shards: 4)
        let before = first.controller.shardMap
        for worker in workers { await worker.stop() }
        await first.stop()
        let second = try await ControlCluster.start(at: folder.path)
        #expect(second.controller.shardMap.addresses == before.addresses)
        for worker in workers { try await worker.start(in: second) }
        try await eventually("the new addresses are known") {
            workers.allSatisfy { second.controller.shardMap.addresses[$0.id] == $0.address }
        }
        #expect(workers.allSatisfy { $0.address != before.addresses[$0.id] })
        #expect(second.controller.clusterID == first.controller.clusterID)
        #expect(second.controller.shardMap.epoch == before.epoch)
        #expect(second.controller.shardMap.placements == before.placements)
        // It can go on: nothing was hosted a second time, and what is asked for goes to where they are.
        #expect(workers.allSatisfy { worker in worker.state.withLock { $0.hostCount } == 2 })
        try await second.create("more", shards: 2)
        for worker in workers { await worker.stop() }
        await second.stop()
    }

    @Test func aSilentWorkerIsNotLive() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            await workers[1].stop()
            try await eventually("the worker is silent") { !cluster.controller.liveness(of: workers[1].id).isLive }
            let status = try await cluster.status()
            #expect(status.workers.map(\.isLive) == [true, false])
            #expect(status.workers[1].silentMilliseconds >= 3000)
            #expect(status.workers[0].report.residentByteCount == 11)
            #expect(status.version == "1.2.3")
            #expect(try await cluster.create("people", shards: 3).shards.allSatisfy { $0.worker == workers[0].id })
        }
    }

    @Test func workersOfOtherClustersAreRefused() async throws {
        try await withCluster(workers: 0) { _, cluster, _ in
            let stranger = FakeControlWorker(5)
            stranger.state.withLock { $0.clusterID = NodeID(high: 1, low: 1) }
            let client = PeerClient(
                address: cluster.address,
                role: .worker,
                token: cluster.token,
                tls: nil,
                group: MultiThreadedEventLoopGroup.singleton,
                agent: "test"
            )
            let address = NodeAddress(host: "127.0.0.1", port: 7500)
            let status = await #expect(throws: WireStatus.self) {
                try await client.call(stranger.heartbeat(from: address), deadline: .after(.seconds(2)))
            }
            #expect(status?.code == .invalidRequest)
            #expect(status?.message.contains("holds data of cluster 00000000-0000-0001-0000-000000000001") == true)
            stranger.state.withLock { $0.clusterID = nil }
            await #expect(throws: WireStatus.self) {
                try await client.call(
                    stranger.heartbeat(from: NodeAddress(host: "127.0.0.1", port: 0)),
                    deadline: .after(.seconds(2))
                )
            }
            let reply = try await client.call(stranger.heartbeat(from: address), deadline: .after(.seconds(2)))
            #expect(reply.clusterID == cluster.controller.clusterID)
            #expect(cluster.controller.shardMap.addresses == [stranger.id: address])
            await client.close()
        }
    }

    @Test func heartbeatsOfClientsAreRefused() async throws {
        try await withCluster(workers: 0) { _, cluster, _ in
            let worker = FakeControlWorker(5)
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.client.call(
                    worker.heartbeat(from: NodeAddress(host: "127.0.0.1", port: 7500)),
                    deadline: .after(.seconds(2))
                )
            }
            #expect(status?.code == .invalidRequest)
        }
    }
}
