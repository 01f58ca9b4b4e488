import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Foundation
import Synchronization
import Testing
import WireProtocol
import WireTransport

struct CodebookRolloutTests {
    let codebook = (0..<5003).map { UInt8(truncatingIfNeeded: $0 &* 37) }

    /// Waits until some worker has an order and gives it its outcome.
    func finishTraining(
        _ workers: [FakeControlWorker],
        failure: String? = nil,
        codebook: [UInt8]? = nil
    ) async throws -> FakeControlWorker? {
        var trainer: FakeControlWorker?
        try await eventually("a training is running") {
            trainer = workers.first { worker in
                worker.state.withLock { $0.trainings.contains { !$0.isFinished && $0.failure == nil } }
            }
            return trainer != nil
        }
        trainer?.state.withLock { state in
            state.codebook = failure == nil ? codebook ?? self.codebook : []
            state.trainings[0].isFinished = failure == nil
            state.trainings[0].failure = failure
        }
        return trainer
    }

    func hasInstalled(_ workers: [FakeControlWorker]) -> Bool {
        workers.allSatisfy { worker in
            worker.state.withLock { state in
                state.replicas.keys.allSatisfy {
                    state.installed[$0] == codebook && state.replicas[$0]?.generation == 1
                }
            }
        }
    }

    @Test func aCollectionThatHasGrownIsTrainedOnceAndEveryShardGetsTheCodebook() async throws {
        try await withCluster(workers: 3) { _, cluster, workers in
            try await cluster.create("people", shards: 6)
            for worker in workers { worker.setFaceCount(166) }
            try await Task.sleep(for: .milliseconds(200))
            #expect(workers.allSatisfy { $0.state.withLock { $0.orders.isEmpty } })
            #expect(try await cluster.describe("people").training == .notNeeded)

            for worker in workers { worker.setFaceCount(200) }
            let trainer = try #require(try await finishTraining(workers))
            try await eventually("the codebook is installed everywhere") { hasInstalled(workers) }
            let orders = workers.flatMap { $0.state.withLock { $0.orders } }
            #expect(orders.count == 1)
            #expect(orders[0].generation == 1)
            #expect(orders[0].sources.reduce(0) { $0 + $1.sampleCount } == 100)
            #expect(Set(orders[0].sources.map(\.address)) == Set(workers.map(\.address)))
            #expect(trainer.state.withLock { $0.orders.count } == 1)
            let description = try await cluster.describe("people")
            #expect(description.training == .trained)
            #expect(description.codebook?.listCount == 9)
            #expect(description.codebook?.energyShare == 0.875)
            #expect(description.codebook?.calibrationProbeCount == 19)
            #expect(
                description.codebook?.calibration == [.init(leastSimilarity: 0.5, recall: 0.99, visitedShare: 0.25)]
            )
        }
    }

    @Test func aCollectionThatGoesOnGrowingGetsTheNextGeneration() async throws {
        try await withCluster(workers: 2) { folder, cluster, workers in
            try await cluster.create("people", shards: 2)
            for worker in workers { worker.setFaceCount(600) }
            _ = try await finishTraining(workers)
            try await eventually("the first is installed everywhere") { hasInstalled(workers) }
            var description = try await cluster.describe("people")
            #expect(description.standing?.origin == CodebookOrigin(cause: .first, faceCount: 1200))
            let firstFile = try codebookFiles(in: folder)
            #expect(firstFile.count == 1)

            let next = codebook.reversed() as [UInt8]
            for worker in workers { worker.setFaceCount(2400) }
            let trainer = try #require(try await finishTraining(workers, codebook: next))
            #expect(trainer.state.withLock { $0.orders.last?.generation } == 2)
            try await eventually("the second is installed everywhere") {
                workers.allSatisfy { worker in
                    worker.state.withLock { state in
                        state.replicas.allSatisfy { $1.generation == 2 && state.installed[$0] == next }
                    }
                }
            }
            description = try await cluster.describe("people")
            #expect(description.codebook?.generation == 2)
            #expect(description.standing?.origin == CodebookOrigin(cause: .growth, faceCount: 4800))
            // Each replica keeps what it needs of the first: the coordinator has no more use for it.
            try await eventually("the first one's file is gone") {
                let files = try codebookFiles(in: folder)
                return files.count == 1 && files != firstFile
            }

            // While rows are coded again nothing new begins, however much the collection grows.
            let orderCount = { workers.reduce(0) { sum, worker in sum + worker.state.withLock { $0.orders.count } } }
            for worker in workers {
                worker.state.withLock { state in
                    for shard in state.replicas.keys {
                        state.replicas[shard]!.olderGeneration = 1
                        state.replicas[shard]!.olderRowCount = 77
                    }
                }
                worker.setFaceCount(100_000)
            }
            try await eventually("it is told of") {
                try await cluster.describe("people").shards.allSatisfy { $0.olderRowCount == 77 }
            }
            try await Task.sleep(for: .milliseconds(200))
            #expect(orderCount() == 2)
        }
    }

    private func codebookFiles(in folder: TemporaryFolder) throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/codebooks"))
    }

    @Test func aTrainingUnderWayIsDescribed() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            try await cluster.create("people", shards: 1)
            workers[0].setFaceCount(2000)
            try await eventually("a training is ordered") { workers[0].state.withLock { !$0.trainings.isEmpty } }
            // Ordered, but waiting for another: nothing to tell of yet.
            #expect(try await cluster.describe("people").trainingUnderWay == nil)
            let progress = WorkerReport.Training.Progress(stage: .centroids, share: 0.25, elapsedMilliseconds: 1500)
            workers[0].state.withLock { $0.trainings[0].progress = progress }
            try await eventually("the progress is heard of") {
                try await cluster.describe("people").trainingUnderWay != nil
            }
            let description = try await cluster.describe("people")
            #expect(description.training == .running)
            #expect(description.trainingUnderWay == .init(generation: 1, worker: workers[0].id, progress: progress))
            let status = try await cluster.client.call(GetClusterStatus(), deadline: .after(.seconds(2)))
            #expect(status.workers[0].report.trainings[0].progress == progress)
            workers[0].state.withLock { $0.trainings[0].progress = nil }
            _ = try await finishTraining(workers)
            try await eventually("the training has ended") {
                let description = try await cluster.describe("people")
                return description.training == .trained && description.trainingUnderWay == nil
            }
        }
    }

    @Test func aFailedTrainingIsDoneByAnotherWorker() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 2)
            for worker in workers { worker.setFaceCount(600) }
            let first = try #require(try await finishTraining(workers, failure: "the sample could not be read"))
            let second = try #require(try await finishTraining(workers))
            #expect(first.id != second.id)
            try await eventually("the codebook is installed everywhere") { hasInstalled(workers) }
        }
    }

    /// It is heard of, and what would take its orders hangs like the training.
    @Test func aTrainingThatHangsIsDoneByAnotherWorkerThoughItsOwnDoesNotGiveItUp() async throws {
        var options = ControlCluster.options
        options.training.patience = .milliseconds(500)
        try await withCluster(workers: 2, options: options) { _, cluster, workers in
            for worker in workers {
                worker.state.withLock {
                    $0.refusal = { if case .abandonTraining = $0 { WireStatus(.overloaded, "Busy.") } else { nil } }
                }
            }
            try await cluster.create("people", shards: 2)
            for worker in workers { worker.setFaceCount(600) }
            try await eventually("a training is ordered") {
                workers.contains { $0.state.withLock { !$0.trainings.isEmpty } }
            }
            let first = try #require(workers.first { $0.state.withLock { !$0.trainings.isEmpty } })
            let other = try #require(workers.first { $0.id != first.id })
            let share = WorkerReport.Training.Progress(stage: .centroids, share: 0.25, elapsedMilliseconds: 1500)
            first.state.withLock { $0.trainings[0].progress = share }
            try await eventually("the other one is asked") { other.state.withLock { !$0.orders.isEmpty } }
            #expect(first.state.withLock { !$0.trainings.isEmpty })
        }
    }

    @Test func aRestartBetweenFetchAndInstallationGoesOnFromTheFile() async throws {
        let folder = TemporaryFolder()
        let first = try await ControlCluster.start(at: folder.path)
        let workers = [FakeControlWorker(1), FakeControlWorker(2)]
        for worker in workers { try await worker.start(in: first) }
        try await first.awaitWorkers(workers)
        try await first.create("people", shards: 2)
        for worker in workers {
            worker.setFaceCount(600)
            worker.state.withLock {
                $0.refusal = { if case .installCodebook = $0 { WireStatus(.overloaded, "Busy.") } else { nil } }
            }
        }
        _ = try await finishTraining(workers)
        try await eventually("the codebook is recorded") { try await first.describe("people").training == .trained }
        let second = try await first.restart(at: folder.path) {
            // The trainer forgets: only the coordinator's file has the codebook now.
            for worker in workers {
                worker.state.withLock { state in
                    state.codebook = []
                    state.trainings = []
                    state.refusal = nil
                }
            }
        }
        try await eventually("the codebook is installed everywhere") { hasInstalled(workers) }
        for worker in workers { await worker.stop() }
        await second.stop()
    }

    @Test func aDamagedCodebookFileIsFetchedAgain() async throws {
        try await withCluster(workers: 2) { folder, cluster, workers in
            try await cluster.create("people", shards: 2)
            for worker in workers {
                worker.setFaceCount(600)
                worker.state.withLock {
                    $0.refusal = { if case .installCodebook = $0 { WireStatus(.overloaded, "Busy.") } else { nil } }
                }
            }
            _ = try await finishTraining(workers)
            try await eventually("the codebook is recorded") {
                try await cluster.describe("people").training == .trained
            }
            try cluster.folder.codebooks.removeAll(except: [])
            for worker in workers { worker.state.withLock { $0.refusal = nil } }
            try await eventually("the codebook is installed everywhere") { hasInstalled(workers) }
        }
    }

    @Test func aWorkerThatWasAwayGetsTheCodebookWhenItReturns() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 2)
            for worker in workers { worker.setFaceCount(600) }
            try await eventually("a training is running") {
                workers.contains { $0.state.withLock { !$0.trainings.isEmpty } }
            }
            let trainer = workers.first { $0.state.withLock { !$0.trainings.isEmpty } }!
            let other = workers.first { $0.id != trainer.id }!
            await other.stop()
            _ = try await finishTraining([trainer])
            try await eventually("the present worker has it") { hasInstalled([trainer]) }
            #expect(other.state.withLock { $0.installed.isEmpty })
            try await other.start(in: cluster)
            try await eventually("the returned worker has it") { hasInstalled([other]) }
        }
    }

    // MARK: As an operation

    private func rollout(_ cluster: ControlCluster) async throws -> OperationDescription? {
        let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(2)))
        return list.operations.last { $0.kind == .rollout }
    }

    @Test func aRolloutIsAnOperationFromItsBeginningToItsEnd() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 2)
            for worker in workers { worker.setFaceCount(600) }
            try await eventually("a training is ordered") {
                workers.contains { $0.state.withLock { !$0.trainings.isEmpty } }
            }
            let begun = try #require(try await rollout(cluster))
            #expect(begun.state == .running && begun.collection == "people")
            #expect(begun.rollout?.generation == 1 && begun.rollout?.cause == .first)
            #expect(begun.rollout?.stage == .training && begun.rollout?.waitsFor != nil)
            _ = try await finishTraining(workers)
            try await eventually("it has ended") { try await rollout(cluster)?.state == .done }
            let ended = try #require(try await rollout(cluster))
            #expect(ended.id == begun.id && ended.rollout?.stage == .done && ended.ended != nil)

            // Asked for, another one begins that nothing else would have begun; whoever asks again gets the same.
            let order = BeginOperation(id: .random(), order: .train(collection: "people"))
            let asked = try await cluster.client.call(order, deadline: .after(.seconds(2)))
            #expect(asked.rollout?.generation == 2 && asked.rollout?.cause == .request)
            let second = BeginOperation(id: .random(), order: .train(collection: "people"))
            #expect(try await cluster.client.call(second, deadline: .after(.seconds(2))).id == asked.id)
            _ = try await finishTraining(workers)
            try await eventually("the second has ended") {
                let current = try await rollout(cluster)
                return current?.id == asked.id && current?.state == .done
            }
            #expect(try await cluster.describe("people").standing?.origin.cause == .request)
            let late = ChangeOperation(id: asked.id, verb: .cancel)
            await #expect(throws: WireStatus.self) {
                try await cluster.client.call(late, deadline: .after(.seconds(2)))
            }
        }
    }

    @Test func aPausedRolloutHoldsWorkersUpAndGoesOn() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            try await cluster.create("people", shards: 1)
            workers[0].setFaceCount(2000)
            try await eventually("a training is ordered") { workers[0].state.withLock { !$0.trainings.isEmpty } }
            let id = try #require(try await rollout(cluster)).id
            let pause = ChangeOperation(id: id, verb: .pause)
            let paused = try await cluster.client.call(pause, deadline: .after(.seconds(2)))
            #expect(paused.state == .paused && paused.rollout?.waitsFor == "The operation is paused.")
            let collection = try #require(try await cluster.describe("people").shards.first).index
            #expect(collection == 0)
            try await eventually("the worker is told") {
                workers[0].state.withLock { $0.reply?.heldCollections.count == 1 }
            }
            _ = try await finishTraining(workers)
            try await eventually("the end of the training is heard of") {
                let status = try await cluster.status()
                return status.workers[0].report.trainings.contains { $0.isFinished }
            }
            try await Task.sleep(for: .milliseconds(200))
            #expect(try await cluster.describe("people").codebook == nil)

            let resume = ChangeOperation(id: id, verb: .resume)
            _ = try await cluster.client.call(resume, deadline: .after(.seconds(2)))
            try await eventually("it has ended") { try await rollout(cluster)?.state == .done }
            #expect(try await cluster.describe("people").codebook?.generation == 1)
            try await eventually("the worker is told of the end") {
                workers[0].state.withLock { $0.reply?.heldCollections.isEmpty == true }
            }
        }
    }

    @Test func aCancelledRolloutIsTakenBackAndNotBegunAgainUnlessAskedFor() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            try await cluster.create("people", shards: 1)
            workers[0].setFaceCount(2000)
            try await eventually("a training is ordered") { workers[0].state.withLock { !$0.trainings.isEmpty } }
            let id = try #require(try await rollout(cluster)).id
            let cancel = ChangeOperation(id: id, verb: .cancel)
            _ = try await cluster.client.call(cancel, deadline: .after(.seconds(2)))
            try await eventually("the worker has given the training up") {
                workers[0].state.withLock { $0.trainings.isEmpty }
            }
            try await eventually("it has ended") { try await rollout(cluster)?.state == .cancelled }
            try await Task.sleep(for: .milliseconds(300))
            #expect(workers[0].state.withLock { $0.orders.count } == 1)
            #expect(try await cluster.describe("people").training == .notNeeded)

            let order = BeginOperation(id: .random(), order: .train(collection: "people"))
            _ = try await cluster.client.call(order, deadline: .after(.seconds(2)))
            _ = try await finishTraining(workers)
            try await eventually("the codebook is installed") { hasInstalled(workers) }
        }
    }

    // MARK: In a backup

    private func copy(of name: String, _ cluster: ControlCluster) async throws -> (CodebookFetched, [UInt8]) {
        var bytes: [UInt8] = []
        while true {
            let request = ReadCodebook(collection: name, offset: UInt64(bytes.count))
            let fetched = try await cluster.client.call(request, deadline: .after(.seconds(2)))
            bytes += fetched.slice.bytes
            if UInt64(bytes.count) == fetched.slice.totalByteCount { return (fetched, bytes) }
        }
    }

    @Test func aRestoredCollectionGetsTheCodebookOfItsBackupAndTrainsNone() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 2)
            for worker in workers { worker.setFaceCount(600) }
            _ = try await finishTraining(workers)
            try await eventually("the codebook is installed") { hasInstalled(workers) }
            let (fetched, bytes) = try await copy(of: "people", cluster)
            #expect(bytes == codebook && fetched.summary.generation == 1)
            let beyond = ReadCodebook(collection: "people", offset: UInt64(bytes.count))
            await #expect(throws: WireStatus.self) {
                try await cluster.client.call(beyond, deadline: .after(.seconds(2)))
            }
            for worker in workers { worker.setFaceCount(0) }

            try await cluster.beginRestore(shards: 3)
            func send(_ range: Range<Int>, digest: [UInt8]? = nil, backup: String = "people-1") async throws {
                try await cluster.restoreCodebook(
                    bytes,
                    range: range,
                    digest: digest,
                    backup: backup,
                    summary: fetched.summary
                )
            }
            // Neither of another backup, nor out of order, nor another's.
            await #expect(throws: WireStatus.self) { try await send(0..<100, backup: "people-2") }
            try await send(0..<3000)
            await #expect(throws: WireStatus.self) { try await send(4000..<5000) }
            let wrong = [UInt8](repeating: 0, count: 32)
            try await send(0..<3000, digest: wrong)
            await #expect(throws: WireStatus.self) { try await send(3000..<bytes.count, digest: wrong) }
            #expect(try await cluster.describe("again").codebook == nil)

            for _ in 0..<2 {
                try await send(0..<3000)
                try await send(3000..<bytes.count)
            }
            let restored = try await cluster.describe("again")
            #expect(restored.codebook == fetched.summary && restored.standing?.origin.cause == .growth)
            // Every replica gets it before any face comes, from this call or, where both met, from the controller.
            try await eventually("the codebook is installed everywhere") {
                let installed = workers.reduce(0) { sum, worker in
                    sum + worker.state.withLock { state in state.installed.count { $0.value == bytes } }
                }
                return installed == 2 + 3
            }
            #expect(workers.reduce(0) { sum, worker in sum + worker.state.withLock { $0.orders.count } } == 1)
        }
    }

    /// The controller may be installing it at the same time, or the replica's lane may be held up.
    @Test func aReplicaInWhichACodebookWaitsIsAskedAgain() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            try await cluster.beginRestore(shards: 1)
            // Told that the replica has it, the controller leaves it to the restoration. The first answer may be to
            // what was said before.
            for _ in 0..<2 {
                workers[0].state.withLock { state in
                    for shard in state.replicas.keys { state.replicas[shard]!.generation = 1 }
                    state.reply = nil
                }
                try await eventually("a heartbeat is answered") { workers[0].state.withLock { $0.reply != nil } }
            }
            let askedCount = Mutex(0)
            workers[0].state.withLock { state in
                state.refusal = { request in
                    guard case .installCodebook(let install) = request, install.slice.offset == 0 else { return nil }
                    let count = askedCount.withLock { count -> Int in
                        count += 1
                        return count
                    }
                    guard count == 1 else { return nil }
                    return WireStatus(.overloaded, "A codebook waits to be installed.", retryAfterMilliseconds: 100)
                }
            }
            try await cluster.restoreCodebook(codebook)
            let count = askedCount.withLock(\.self)
            #expect(count == 2)
            #expect(hasInstalled(workers))
        }
    }
}
