import ClusterModel
import FaceModel
import Glibc
import PartitionEngine
import Synchronization
import Testing
import WireProtocol
import WireTransport
import WorkerService

/// A running worker and its coordinator: heartbeats, membership, codebooks.
@Suite struct WorkerClusterTests {
    private let test = TestCollection()

    @Test func heartbeatsTellOfTheWorkerAndItsReplicas() async throws {
        let folder = TemporaryFolder()
        let cluster = NodeID.random()
        try await WorkerHarness.withCluster(folder, cluster: cluster) { harness, coordinator in
            let first = try await coordinator.report { _ in true }
            #expect(first.replicas.isEmpty && first.residentByteCount > 1 << 20 && first.freeDiskByteCount > 0)
            #expect(!first.kernelLevel.isEmpty)
            _ = try await harness.call(test.host(epoch: 3))
            _ = try await harness.call(test.enrol(test.ids(12), epoch: 3))
            let report = try await coordinator.report { $0.replicas.first?.faceCount == 12 }
            let replica = report.replicas[0]
            #expect(replica.shard == test.shard() && replica.epoch == Epoch(3) && replica.state == .serving)
            #expect(replica.sequence == 1 && replica.generation == 0 && replica.diskByteCount > 0)
            #expect(first.appliedEpochs.isEmpty)
            #expect(report.appliedEpochs == [.init(shard: test.shard(), epoch: Epoch(3))])
            #expect(coordinator.last?.worker == harness.worker.node)
            #expect(coordinator.last?.address == harness.worker.address)
            #expect(coordinator.last?.clusterID == cluster)
        }
    }

    @Test func aWorkerStaysInTheClusterItJoined() async throws {
        let folder = TemporaryFolder()
        let own = NodeID.random()
        try await WorkerHarness.withCluster(folder, cluster: own) { _, coordinator in
            _ = try await coordinator.report { _ in true }
            while coordinator.last?.clusterID != own { try await Task.sleep(for: .milliseconds(5)) }
        }
        let other = NodeID.random()
        await #expect {
            try await WorkerHarness.withCluster(folder, cluster: other) { _, coordinator in
                while coordinator.last == nil { try await Task.sleep(for: .milliseconds(5)) }
                // Until it has heard the answer.
                try await Task.sleep(for: .seconds(2))
            }
        } throws: { error in
            guard case WorkerError.otherCluster(folder.path, own, _, other) = error else { return false }
            return "\(error)".contains("belongs to cluster \(own)")
        }
        try await WorkerHarness.withCluster(folder, cluster: own) { _, coordinator in
            _ = try await coordinator.report { _ in true }
        }
    }

    /// As on a disk that is full: it goes on, and joins once its folder can be written.
    @Test func aWorkerThatCannotWriteDownItsClusterTriesOn() async throws {
        let folder = TemporaryFolder()
        let own = NodeID.random()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { _ in }
        let blocked = "\(folder.path)/worker.new"
        #expect(mkdir(blocked, 0o700) == 0)
        try await WorkerHarness.withCluster(folder, cluster: own) { _, coordinator in
            for _ in 0..<3 { _ = try await coordinator.report { _ in true } }
            try await Task.sleep(for: .milliseconds(300))
            #expect(coordinator.last?.clusterID == nil)
            #expect(rmdir(blocked) == 0)
            while coordinator.last?.clusterID != own { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    /// Trains on this worker's own shard and fetches the result.
    private func train(_ harness: WorkerHarness, _ coordinator: FakeCoordinator) async throws -> [UInt8] {
        let order = TrainCodebook(
            collection: test.collection,
            generation: 1,
            listCount: 16,
            sources: [
                .init(shard: test.shard(), epoch: Epoch(1), address: harness.worker.address, sampleCount: 5000)
            ]
        )
        _ = try await harness.call(order)
        _ = try await harness.call(order)
        let report = try await coordinator.report { report in
            report.trainings.contains { $0.isFinished || $0.failure != nil }
        }
        #expect(
            report.trainings == [
                .init(collection: test.collection.id, generation: 1, isFinished: true, failure: nil)
            ]
        )
        var bytes: [UInt8] = []
        while true {
            let fetched = try await harness.call(
                FetchCodebook(collection: test.collection.id, generation: 1, offset: UInt64(bytes.count))
            )
            #expect(fetched.summary.generation == 1 && fetched.summary.listCount == 16)
            #expect(fetched.slice.offset == UInt64(bytes.count))
            bytes += fetched.slice.bytes
            if UInt64(bytes.count) == fetched.slice.totalByteCount { return bytes }
        }
    }

    private func slices(of bytes: [UInt8], digest: [UInt8]) -> [InstallCodebook] {
        stride(from: 0, to: bytes.count, by: 10_000).map { first in
            InstallCodebook(
                shard: test.shard(),
                epoch: Epoch(1),
                generation: 1,
                digest: digest,
                slice: CodebookSlice(
                    totalByteCount: UInt64(bytes.count),
                    offset: UInt64(first),
                    bytes: Array(bytes[first..<min(first + 10_000, bytes.count)])
                )
            )
        }
    }

    @Test func aCodebookIsTrainedFetchedInstalledAndUsed() async throws {
        let folder = TemporaryFolder()
        let cluster = NodeID.random()
        let ids = test.ids(4000)
        var partition = WorkerHarness.options(folder).partition
        partition.foldRowCount = 1024
        try await WorkerHarness.withCluster(folder, cluster: cluster, partition: partition) { harness, coordinator in
            _ = try await harness.call(test.host())
            _ = try await harness.call(test.enrol(ids))
            let bytes = try await train(harness, coordinator)

            for slice in slices(of: bytes, digest: [UInt8](repeating: 0, count: 32)).dropLast() {
                _ = try await harness.call(slice)
            }
            let wrong = slices(of: bytes, digest: [UInt8](repeating: 0, count: 32)).last!
            #expect(try await harness.refusal(wrong).code == .invalidRequest)
            for slice in slices(of: bytes, digest: CodebookStaging.digest(of: bytes)) {
                _ = try await harness.call(slice)
            }
            let report = try await coordinator.report { ($0.replicas.first?.freshCount).map { $0 < 1024 } ?? false }
            #expect(report.replicas[0].generation == 1)
            // Installing what is installed is taken as a repetition.
            _ = try await harness.call(slices(of: bytes, digest: CodebookStaging.digest(of: bytes))[0])

            let answer = try await harness.call(test.search(Array(ids.prefix(100)), effort: .full))
            #expect(answer.generation == 1)
            #expect(answer.matches.map { $0.first?.faceID } == Array(ids.prefix(100)))

            try await usesAndGivesAway(bytes)
        }
        // A finished training outlives its process; it goes with the collection's last replica.
        try await WorkerHarness.withCluster(folder, cluster: cluster) { harness, coordinator in
            #expect(try await coordinator.report { _ in true }.trainings.map(\.isFinished) == [true])
            _ = try await harness.call(DropReplica(shard: test.shard(), epoch: Epoch(1)))
            _ = try await coordinator.report { $0.trainings.isEmpty && $0.replicas.isEmpty }
            let fetch = FetchCodebook(collection: test.collection.id, generation: 1, offset: 0)
            #expect(try await harness.refusal(fetch).code == .notFound)
        }
    }

    /// Its shard is frozen, so that the lane installs nothing for now.
    @Test func aCodebookIsRefusedWhileAnotherWaitsForTheLane() async throws {
        try await WorkerHarness.withCluster(TemporaryFolder(), cluster: .random()) { harness, coordinator in
            var host = test.host()
            _ = try await harness.call(host)
            _ = try await harness.call(test.enrol(test.ids(4000)))
            let bytes = try await train(harness, coordinator)
            host.group = host.group.freezing(true)
            _ = try await harness.call(host)
            let install = InstallCodebook(
                shard: test.shard(),
                epoch: Epoch(1),
                generation: 1,
                digest: CodebookStaging.digest(of: bytes),
                slice: CodebookSlice(totalByteCount: UInt64(bytes.count), offset: 0, bytes: bytes)
            )
            host.group = host.group.freezing(false)
            let thawing = host
            try await withThrowingTaskGroup(of: WireStatus?.self) { group in
                for _ in 0..<3 {
                    group.addTask {
                        do throws(WireStatus) {
                            _ = try await harness.peer.call(install, deadline: .after(.seconds(20)))
                            return nil
                        } catch {
                            return error
                        }
                    }
                }
                for _ in 0..<2 {
                    let next = try await group.next()
                    let status = try #require(next)
                    #expect(status?.code == .overloaded, "\(String(describing: status))")
                }
                _ = try await harness.call(thawing)
                let next = try await group.next()
                let status = try #require(next)
                #expect(status == nil, "\(String(describing: status))")
            }
        }
    }

    /// A worker that has trained nothing gives away the codebook that its replica uses.
    private func usesAndGivesAway(_ bytes: [UInt8]) async throws {
        try await WorkerHarness.with(WorkerHarness.options(TemporaryFolder())) { harness in
            _ = try await harness.call(test.host())
            let fetch = FetchCodebook(collection: test.collection.id, generation: 1, offset: 0)
            #expect(try await harness.refusal(fetch).code == .notFound)
            for slice in slices(of: bytes, digest: CodebookStaging.digest(of: bytes)) {
                _ = try await harness.call(slice)
            }
            let fetched = try await harness.call(fetch)
            #expect(fetched.slice.bytes == bytes && fetched.slice.totalByteCount == UInt64(bytes.count))
            #expect(fetched.summary.generation == 1 && fetched.summary.listCount == 16)
            let rest = try await harness.call(
                FetchCodebook(collection: test.collection.id, generation: 1, offset: 9000)
            )
            #expect(rest.slice.offset == 9000 && rest.slice.bytes == Array(bytes[9000...]))
            let beyond = FetchCodebook(collection: test.collection.id, generation: 1, offset: UInt64(bytes.count))
            #expect(try await harness.refusal(beyond).code == .invalidRequest)
            let other = FetchCodebook(collection: test.collection.id, generation: 2, offset: 0)
            #expect(try await harness.refusal(other).code == .notFound)
        }
    }

    @Test func coordinatorsThatAreNamedHearOfTheWorkerUntilTheyAreNamedNoMore() async throws {
        let folder = TemporaryFolder()
        let cluster = NodeID.random()
        let second = FakeCoordinator(clusterID: cluster)
        let server = try await WireServer.start(
            WireServerConfiguration(
                listen: NodeAddress(host: "127.0.0.1", port: 0),
                token: "secret",
                role: .coordinator,
                node: second.id,
                agent: "test"
            ),
            handler: second,
            group: WorkerHarness.group
        )
        try await WorkerHarness.withCluster(folder, cluster: cluster) { harness, first in
            _ = try await first.report { _ in true }
            #expect(second.last == nil)
            let all: [HeartbeatReply.Node] = [.init(id: second.id, address: server.address)]
            first.others.withLock { $0 = (2, all) }
            _ = try await second.report { _ in true }
            #expect(second.last?.worker == harness.worker.node)
            // One whose records are older has no say.
            second.others.withLock { $0 = (1, []) }
            for _ in 0..<3 { _ = try await second.report { _ in true } }
            first.others.withLock { $0 = (3, []) }
            for _ in 0..<3 { _ = try await first.report { _ in true } }
            let heard = second.count
            for _ in 0..<5 { _ = try await first.report { _ in true } }
            #expect(second.count <= heard + 1, "who is named no more hears no more")
        }
        await server.shutdown(gracePeriod: .zero)
    }

    /// 4096 embeddings of 1024 components do not fit the frames that a node grants unless it is told otherwise.
    @Test func aSampleOfWideEmbeddingsComesInFramesThatAreGranted() async throws {
        let test = TestCollection(dimension: 1024)
        let folder = TemporaryFolder()
        let limits = WireLimits(payloadByteCount: 16 << 20)
        try await WorkerHarness.withCluster(folder, cluster: .random(), wireLimits: limits) { harness, coordinator in
            _ = try await harness.call(test.host())
            let ids = test.ids(4200)
            for first in stride(from: 0, to: ids.count, by: 1400) {
                _ = try await harness.call(test.enrol(Array(ids[first..<first + 1400])))
            }
            _ = try await harness.call(
                TrainCodebook(
                    collection: test.collection,
                    generation: 1,
                    listCount: 16,
                    sources: [
                        .init(shard: test.shard(), epoch: Epoch(1), address: harness.worker.address, sampleCount: 5000)
                    ]
                )
            )
            let report = try await coordinator.report { report in
                report.trainings.contains { $0.isFinished || $0.failure != nil }
            }
            #expect(report.trainings[0].isFinished, "\(report.trainings[0].failure ?? "")")
        }
    }

    @Test func aTrainingUnderWayTellsHowFarItIs() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.withCluster(folder, cluster: .random(), processorShare: 0.005) { harness, coordinator in
            _ = try await harness.call(test.host())
            _ = try await harness.call(test.enrol(test.ids(3000)))
            let order = TrainCodebook(
                collection: test.collection,
                generation: 1,
                listCount: 64,
                sources: [
                    .init(shard: test.shard(), epoch: Epoch(1), address: harness.worker.address, sampleCount: 3000)
                ]
            )
            _ = try await harness.call(order)
            // It rests two hundred times as long as it works, so that it cannot be missed; stopping does not wait for
            // it.
            let report = try await coordinator.report { ($0.trainings.first?.progress?.stage.rawValue ?? 0) > 1 }
            let progress = try #require(report.trainings[0].progress)
            #expect(!report.trainings[0].isFinished && report.trainings[0].failure == nil)
            #expect((0...1).contains(progress.share) && progress.elapsedMilliseconds < 60_000)
        }
    }

    private func order(_ harness: WorkerHarness, generation: UInt32 = 1) -> TrainCodebook {
        TrainCodebook(
            collection: test.collection,
            generation: generation,
            listCount: 16,
            sources: [
                .init(shard: test.shard(), epoch: Epoch(1), address: harness.worker.address, sampleCount: 3000)
            ]
        )
    }

    @Test func aTrainingThatIsHeldGoesOnWhenItIsLetGo() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.withCluster(folder, cluster: .random()) { harness, coordinator in
            _ = try await harness.call(test.host())
            _ = try await harness.call(test.enrol(test.ids(3000)))
            coordinator.held.withLock { $0 = [test.collection.id] }
            // The reply to the heartbeat before the next has said so.
            for _ in 0..<2 { _ = try await coordinator.report { _ in true } }
            _ = try await harness.call(order(harness))
            for _ in 0..<10 {
                let report = try await coordinator.report { !$0.trainings.isEmpty }
                #expect(!report.trainings[0].isFinished && report.trainings[0].failure == nil)
                #expect(report.trainings[0].progress.map { $0.stage == .sampling && $0.share == 0 } ?? true)
            }
            coordinator.held.withLock { $0 = [] }
            _ = try await coordinator.report { $0.trainings.first?.isFinished ?? false }
        }
    }

    @Test func aTrainingThatIsAbandonedLeavesNothing() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.withCluster(folder, cluster: .random()) { harness, coordinator in
            _ = try await harness.call(test.host())
            _ = try await harness.call(test.enrol(test.ids(3000)))
            let abandon = AbandonTraining(collection: test.collection.id, generation: 1)
            // One that is finished,
            _ = try await harness.call(order(harness))
            _ = try await coordinator.report { $0.trainings.first?.isFinished ?? false }
            _ = try await harness.call(abandon)
            _ = try await coordinator.report { $0.trainings.isEmpty }
            let fetch = FetchCodebook(collection: test.collection.id, generation: 1, offset: 0)
            #expect(try await harness.refusal(fetch).code == .notFound)
            // one that is under way,
            coordinator.held.withLock { $0 = [test.collection.id] }
            for _ in 0..<2 { _ = try await coordinator.report { _ in true } }
            _ = try await harness.call(order(harness))
            _ = try await coordinator.report { $0.trainings.first?.progress != nil }
            _ = try await harness.call(abandon)
            _ = try await coordinator.report { $0.trainings.isEmpty }
            // and one that there never was.
            _ = try await harness.call(AbandonTraining(collection: test.collection.id, generation: 9))
            coordinator.held.withLock { $0 = [] }
            // The next begins as if nothing had been.
            _ = try await harness.call(order(harness))
            _ = try await coordinator.report { $0.trainings.first?.isFinished ?? false }
        }
    }

    @Test func aTrainingThatCannotSampleSaysWhy() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.withCluster(folder, cluster: .random()) { harness, coordinator in
            _ = try await harness.call(
                TrainCodebook(
                    collection: test.collection,
                    generation: 1,
                    listCount: 0,
                    sources: [
                        .init(shard: test.shard(), epoch: Epoch(1), address: harness.worker.address, sampleCount: 10)
                    ]
                )
            )
            let report = try await coordinator.report { $0.trainings.contains { $0.failure != nil } }
            #expect(report.trainings[0].failure?.contains("does not hold shard 0") == true)
            #expect(!report.trainings[0].isFinished)
        }
    }

    @Test func aTrainingTooLargeForTheWorkerIsRefused() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            let status = try await harness.refusal(
                TrainCodebook(
                    collection: test.collection,
                    generation: 1,
                    listCount: 0,
                    sources: [
                        .init(shard: test.shard(), epoch: Epoch(1), address: harness.worker.address, sampleCount: .max)
                    ]
                )
            )
            #expect(status.code == .limitExceeded)
        }
    }
}
