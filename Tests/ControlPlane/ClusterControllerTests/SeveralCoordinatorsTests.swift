import ClusterController
import ClusterModel
import ClusterState
import Etcd
import FaceModel
import Foundation
import NIOPosix
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Coordinators that share the records of a cluster in etcd.
struct SeveralCoordinatorsTests {
    private let etcd: EtcdProcess
    private let prefix = EtcdProcess.freshPrefix()
    private let folders = [TemporaryFolder(), TemporaryFolder()]
    private let token = "secret \(UInt64.random(in: 0 ... .max))"

    init() throws { etcd = try EtcdProcess.shared.get() }

    private func openStore() async throws -> EtcdMetadataStore {
        try await EtcdMetadataStore.open(etcd, prefix: prefix)
    }

    private func start(_ number: Int) async throws -> ControlCluster {
        try await ControlCluster.start(at: folders[number].path, sharing: try await openStore(), token: token)
    }

    private func controllers(_ status: ClusterStatus) -> [NodeID] {
        status.coordinators.filter { $0.controllerSince != nil }.map(\.id)
    }

    /// Two coordinators, the first of which is the controller, and workers that both hear of.
    private func startBoth(
        workers workerCount: UInt64
    ) async throws -> (first: ControlCluster, second: ControlCluster, workers: [FakeControlWorker]) {
        let first = try await start(0)
        try await eventually("the first is the controller") {
            try await controllers(first.status()) == [first.folder.store.node]
        }
        let second = try await start(1)
        let workers = (0..<workerCount).map(FakeControlWorker.init)
        for worker in workers { try await worker.start(in: [first, second]) }
        for cluster in [first, second] { try await cluster.awaitWorkers(workers) }
        return (first, second, workers)
    }

    @Test func anyOfThemChangesTheClusterAndOneMakesItSo() async throws {
        let (first, second, workers) = try await startBoth(workers: 2)
        #expect(first.controller.clusterID == second.controller.clusterID)
        try await eventually("each knows both") {
            for cluster in [first, second] {
                let status = try await cluster.status()
                guard
                    status.coordinators.map(\.address).sorted(by: { $0.port < $1.port })
                        == [first.address, second.address].sorted(by: { $0.port < $1.port }),
                    controllers(status) == [first.folder.store.node]
                else { return false }
            }
            return true
        }
        // The one that does not steer takes the request and waits until the other has had the shards hosted.
        let description = try await second.create("people", shards: 4)
        #expect(description.shards.allSatisfy { $0.state == .serving })
        try await eventually("the other knows of it") { (try? await first.describe("people")) != nil }
        #expect(second.controller.shardMap.epoch == first.controller.shardMap.epoch)
        let failure = await #expect(throws: WireStatus.self) { try await first.create("people", shards: 1) }
        #expect(failure?.code == .alreadyExists)
        _ = try await first.delete("people")
        try await eventually("it is gone for both, and from the workers") {
            let isKnown = (try? await second.describe("people")) != nil
            return !isKnown && workers.allSatisfy { $0.shards.isEmpty }
        }
        for worker in workers { await worker.stop() }
        await first.stop()
        await second.stop()
    }

    @Test func everyOneTellsTheGroupsAndTakesChangesOfThem() async throws {
        let (first, second, workers) = try await startBoth(workers: 2)
        try await first.create("people", shards: 1, replicationFactor: 2, minimumInSync: 1)
        func group(_ cluster: ControlCluster) -> ReplicaGroup? {
            cluster.controller.shardMap.placements.values.first?.first?.group
        }
        try await eventually("both know it") { group(first) != nil && group(first) == group(second) }
        let old = try #require(group(second))
        let shard = try #require(workers[0].shards.first)
        let secondary = try #require(old.inSync.first { $0 != old.primary })
        let client = PeerClient(
            address: second.address,
            role: .worker,
            token: token,
            tls: nil,
            group: MultiThreadedEventLoopGroup.singleton,
            agent: "test"
        )
        let request = ProposeGroup(
            shard: shard,
            proposal: GroupProposal(version: old.version, epoch: old.epoch, change: .remove(secondary))
        )
        let reply = try await client.call(request, deadline: .after(.seconds(5))).group
        #expect(reply.inSync == [old.primary])
        try await eventually("the other knows it") { group(first) == reply }
        await client.close()
        // Both compare their records with the store's all the time.
        try await eventually("the workers hear of fresh records") {
            workers.allSatisfy { $0.state.withLock { $0.reply?.recordAge ?? .max } < 1_000_000 }
        }
        for worker in workers { await worker.stop() }
        await first.stop()
        await second.stop()
    }

    /// All of them hear the workers, so whichever is asked knows how far a copy is.
    @Test func everyOneTellsHowFarOperationsAre() async throws {
        let (first, second, workers) = try await startBoth(workers: 2)
        try await first.create("people", shards: 1)
        let from = try #require(workers.first { !$0.shards.isEmpty })
        let to = try #require(workers.first { $0.id != from.id })
        let shard = from.shards[0]
        // It hears of it from the store.
        try await eventually("the other knows the collection") { (try? await second.describe("people")) != nil }
        let order = OperationOrder.move(collection: "people", shardIndex: 0, from: from.id, to: to.id)
        _ = try await second.client.call(
            BeginOperation(id: .random(), order: order),
            deadline: .after(.seconds(5))
        )
        try await eventually("the replica comes") { to.shards == [shard] }
        from.state.withLock {
            $0.replicas[shard]?.copies = [.init(worker: to.id, sentByteCount: 30, totalByteCount: 70)]
        }
        for cluster in [first, second] {
            try await eventually("it tells how far the copy is") {
                let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(5)))
                let step = list.operations.first?.steps.first
                return step?.sentByteCount == 30 && step?.totalByteCount == 70 && step?.silentMilliseconds ?? 0 > 0
            }
        }
        for worker in workers { await worker.stop() }
        await first.stop()
        await second.stop()
    }

    @Test func twoThatCreateOneNameAtOnceMakeOneCollection() async throws {
        let (first, second, workers) = try await startBoth(workers: 1)
        for round in 0..<5 {
            async let one = Result { try await first.create("people-\(round)", shards: 1) }
            async let other = Result { try await second.create("people-\(round)", shards: 1) }
            let outcomes = await [one, other]
            #expect(outcomes.count { if case .success = $0 { true } else { false } } == 1)
            for case .failure(let error) in outcomes { #expect((error as? WireStatus)?.code == .alreadyExists) }
        }
        for worker in workers { await worker.stop() }
        await first.stop()
        await second.stop()
    }

    @Test func theNextControllerGoesOnWithACodebookThatOnlyTheLastOneHad() async throws {
        let codebook = (0..<5003).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        let (first, second, workers) = try await startBoth(workers: 2)
        try await second.create("people", shards: 2)
        for worker in workers { worker.setFaceCount(600) }
        // One replica takes the codebook, the other does not yet.
        workers[1].state.withLock {
            $0.refusal = { if case .installCodebook = $0 { WireStatus(.overloaded, "Busy.") } else { nil } }
        }
        var trainer: FakeControlWorker?
        try await eventually("a training is ordered") {
            trainer = workers.first { $0.state.withLock { !$0.orders.isEmpty } }
            return trainer != nil
        }
        trainer?.state.withLock { state in
            state.codebook = codebook
            state.trainings[0].isFinished = true
        }
        try await eventually("one has it") { workers[0].state.withLock { !$0.installed.isEmpty } }
        #expect(try codebookFiles(0).count == 1)
        #expect(try codebookFiles(1).isEmpty, "only the controller has the file")

        // The trainer forgets: the codebook is with the replica that uses it, and in the folder of a coordinator that
        // will not come back.
        for worker in workers {
            worker.state.withLock { state in
                state.codebook = []
                state.trainings = []
            }
        }
        await first.stop()
        for worker in workers { worker.state.withLock { $0.refusal = nil } }
        try await eventually("the other has it by the next controller") {
            workers[1].state.withLock { $0.installed.values.map { $0 } == [codebook] }
        }
        #expect(try codebookFiles(1).count == 1)
        #expect(workers.allSatisfy { $0.state.withLock { $0.orders.count } <= 1 }, "nothing was trained again")
        for worker in workers { await worker.stop() }
        await second.stop()
    }

    /// The record is the store's, and the bytes are with the coordinator that recorded it alone: the other takes them
    /// again, and does not say that all is done before.
    @Test func aRestoredCodebookThatNoWorkerHasIsTakenAgain() async throws {
        let codebook = (0..<503).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        let (first, second, workers) = try await startBoth(workers: 2)
        try await second.beginRestore(shards: 2)
        for worker in workers {
            worker.state.withLock {
                $0.refusal = { if case .installCodebook = $0 { WireStatus(.storageFull, "No room.") } else { nil } }
            }
        }
        // The same one says it again, and has the file for it.
        for _ in 0..<2 {
            await #expect(throws: WireStatus.self) { try await second.restoreCodebook(codebook) }
        }
        try await eventually("the other knows that there is one") {
            (try? await first.describe("again"))?.codebook != nil
        }
        #expect(try codebookFiles(0).isEmpty)
        #expect(try codebookFiles(1).count == 1)
        await second.stop()
        for worker in workers { worker.state.withLock { $0.refusal = nil } }

        try await first.restoreCodebook(codebook)
        #expect(workers.contains { $0.state.withLock { $0.installed.values.contains(codebook) } })
        #expect(try codebookFiles(0).count == 1)
        try await eventually("every replica has it") {
            workers.allSatisfy { $0.state.withLock { $0.installed.values.map { $0 } == [codebook] } }
        }
        for worker in workers { await worker.stop() }
        await first.stop()
    }

    /// A coordinator of an earlier version holds the lease while one of a later version writes what it cannot read.
    @Test func aControllerThatCannotReadARecordLeavesTheLeaseToOneThatCan() async throws {
        let key = "operation/\(OperationID.random())"
        let first = try await start(0)
        try await eventually("the first is the controller") { first.controller.isController }
        let later = UnderstandingStore(try await openStore(), key: key)
        let second = try await ControlCluster.start(at: folders[1].path, sharing: later, token: token)
        let store = try await openStore()
        _ = try await store.commit([], [.put(key: key, value: [9, 0])])
        try await eventually("the other is the controller") {
            guard second.controller.isController else { return false }
            return try await controllers(second.status()) == [second.folder.store.node]
        }
        #expect(!first.controller.isController)
        let problem = try #require(try await first.status().storeProblem)
        #expect(problem.contains("'\(key)' was written by a newer mien"))
        #expect(try await second.status().storeProblem == nil)
        try await eventually("it is one of the coordinators all the same") {
            try await second.status().coordinators.map(\.id).contains(first.folder.store.node)
        }
        let failure = await #expect(throws: WireStatus.self) { try await first.create("people", shards: 1) }
        #expect(failure?.code == .unavailable)

        _ = try await store.commit([], [.remove(key: key)])
        try await eventually("it reads all there is") { first.controller.storeProblem == nil }
        await second.stop()
        try await eventually("it may have the lease again") { first.controller.isController }
        await store.close()
        await first.stop()
    }

    private func codebookFiles(_ number: Int) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(folders[number].path)/codebooks")
    }

    @Test func anotherClustersRecordsAreRefused() async throws {
        let store = try await openStore()
        let cluster = try await ClusterRecords.load(from: store).metadata.clusterID
        let other = NodeID(high: 3, low: 4)
        await #expect(throws: MetadataError.otherCluster(expected: other, found: cluster)) {
            try await ClusterRecords.load(from: store, expecting: other)
        }
        try await store.commit([], [.remove(key: "cluster"), .remove(key: "epoch")])
        await #expect(throws: MetadataError.otherCluster(expected: other, found: nil)) {
            try await ClusterRecords.load(from: store, expecting: other)
        }
        #expect(try await store.list(prefix: "").records.isEmpty, "no cluster is made in its place")
        await store.close()
    }

    // MARK: Migration

    @Test func aClustersRecordsMoveAndTheFolderIsMarked() async throws {
        let cluster = try await ControlCluster.start(at: folders[0].path)
        let worker = FakeControlWorker(1)
        try await worker.start(in: cluster)
        try await cluster.awaitWorkers([worker])
        try await cluster.create("people", shards: 3)
        let (id, map) = (cluster.controller.clusterID, cluster.controller.shardMap)
        await worker.stop()
        await cluster.stop()

        let target = try await openStore()
        let source = try await EmbeddedMetadataStore.open(at: folders[0].path + "/metadata")
        let before = try await source.list(prefix: "").records
        let outcome = try await MetadataMigration.run(from: source, to: target)
        #expect(outcome.cluster == id && outcome.recordCount == before.count)
        await source.close()
        let after = try await target.list(prefix: "").records
        #expect(after.map(\.key) == before.map(\.key) && after.map(\.value) == before.map(\.value))
        await target.close()
        await #expect(throws: MetadataError.recordsElsewhere(path: folders[0].path)) {
            try await CoordinatorFolder.open(at: folders[0].path)
        }
        let moved = try await start(0)
        #expect(moved.controller.clusterID == id)
        #expect(moved.controller.shardMap.placements == map.placements)
        #expect(try await moved.folder.store.clusterElsewhere() == id)
        await moved.stop()
    }

    @Test func aMigrationThatWasCutShortGoesOnAndAForeignTargetIsRefused() async throws {
        let source = try await EmbeddedMetadataStore.open(at: folders[0].path + "/metadata")
        let target = try await openStore()
        await #expect(throws: MetadataError.self, "there is nothing to migrate") {
            try await MetadataMigration.run(from: source, to: target)
        }
        let cluster = try await ClusterRecords.load(from: source).metadata.clusterID
        let epoch = try #require(try await source.read("epoch"))

        try await target.commit([], [.put(key: "epoch", value: epoch.value + [0])])
        let refusal = await #expect(throws: MetadataError.self) {
            try await MetadataMigration.run(from: source, to: target)
        }
        #expect("\(refusal!)".contains("'epoch' is not this cluster's"))
        #expect(try await target.list(prefix: "").records.count == 1, "nothing was changed")
        #expect(try await source.clusterElsewhere() == nil)

        // What a migration leaves that ended after its first commit; no coordinator takes it for a cluster.
        try await target.commit([], [.put(key: "epoch", value: epoch.value)])
        await #expect(throws: MetadataError.self) { try await ClusterRecords.load(from: target) }
        let outcome = try await MetadataMigration.run(from: source, to: target)
        #expect(outcome.cluster == cluster && outcome.recordCount == 2)
        // And one that ended before the mark.
        #expect(try await MetadataMigration.run(from: source, to: target) == outcome)
        await source.close()
        await target.close()
    }
}
