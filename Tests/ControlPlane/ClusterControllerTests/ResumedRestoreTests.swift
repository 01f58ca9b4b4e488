import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// The end of a restoration, which may come in several attempts.
struct ResumedRestoreTests {
    private static let slices = [UInt128(5)] + [UInt128](repeating: 0, count: ReplicaVerified.sliceCount - 1)

    private func begin(_ cluster: ControlCluster, loss: Timestamp? = nil) async throws(WireStatus) {
        _ = try await cluster.client.call(
            BeginRestore(
                configuration: ControlCluster.configuration("people", shards: 1),
                backup: "people-1",
                epoch: Epoch(3),
                erasureKey: ErasureKey(high: 1, low: 2),
                loss: loss
            ),
            deadline: .after(.seconds(20))
        )
    }

    private func finish(
        _ cluster: ControlCluster,
        _ collection: String = "people",
        backup: String = "people-1",
        faceCount: UInt64 = 3
    ) async throws(WireStatus) -> CollectionDescription {
        try await cluster.client.call(
            FinishRestore(collection: collection, backup: backup, faceCount: faceCount, slices: Self.slices),
            deadline: .after(.seconds(20))
        )
    }

    /// Finishes meanwhile; nil when it succeeds.
    private func finishing(_ cluster: ControlCluster) -> Task<WireStatus?, Never> {
        Task { () async -> WireStatus? in
            do throws(WireStatus) {
                _ = try await finish(cluster)
                return nil
            } catch {
                return error
            }
        }
    }

    private func refused(
        _ sentence: String,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ attempt: () async throws(WireStatus) -> CollectionDescription
    ) async {
        do throws(WireStatus) {
            _ = try await attempt()
            Issue.record("it was not refused", sourceLocation: sourceLocation)
        } catch {
            #expect(error.code == .invalidRequest && error.message.contains(sentence), sourceLocation: sourceLocation)
        }
    }

    private func find(_ faceCount: UInt64?, on worker: FakeControlWorker) {
        worker.state.withLock {
            $0.reading = faceCount.map { ReplicaVerified(sequence: 7, faceCount: $0, slices: Self.slices, damage: nil) }
        }
    }

    /// Has the last step of a restoration fail.
    private func refuseTheEnd(on worker: FakeControlWorker) {
        worker.state.withLock {
            $0.refusal = { if case .shardRestore = $0 { WireStatus(.invalidRequest, "Not now.") } else { nil } }
        }
    }

    /// Where on the ring nobody may know any more.
    @Test func whatABackupLacksItsCollectionHasLost() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            let never = await #expect(throws: WireStatus.self) {
                try await begin(cluster, loss: Timestamp(milliseconds: .max))
            }
            #expect(never?.code == .invalidRequest)
            let loss = Timestamp(milliseconds: 1_790_000_000_000)
            find(3, on: workers[0])
            // Once more, as when the command is given again.
            for _ in 0..<2 { try await begin(cluster, loss: loss) }
            _ = try await finish(cluster)
            let read = ReadLosses(collection: "people")
            let list = try await cluster.client.call(read, deadline: .after(.seconds(20)))
            #expect(list.losses == [.init(range: .all, time: loss)] && list.latest == loss)
            #expect(Array(cluster.controller.shardMap.lossy.values) == [loss])
            let settling = ReadLosses(collection: "people", isSettling: true, settled: list.losses)
            let left = try await cluster.client.call(settling, deadline: .after(.seconds(20)))
            #expect(left.losses.isEmpty && cluster.controller.shardMap.lossy.isEmpty)
        }
    }

    /// Three faces are put back and found to be there, and the last step fails. Meanwhile one of them is deleted from
    /// the collection that was backed up: the command that is given again leaves it out, and it is there.
    @Test func onlyWhatWasComparedEndsARestoration() async throws {
        try await withCluster(workers: 1) { folder, cluster, workers in
            find(3, on: workers[0])
            refuseTheEnd(on: workers[0])
            try await begin(cluster)
            await refused("Not now.") { () async throws(WireStatus) in try await finish(cluster) }
            try await begin(cluster)
            await refused("it has 3 faces of 2") { () async throws(WireStatus) in
                try await finish(cluster, faceCount: 2)
            }
            #expect(try await cluster.describe("people").restoredFrom == "people-1")

            // Of two runs at once neither ends what the other has had compared.
            await refused("Not now.") { () async throws(WireStatus) in try await finish(cluster) }
            await refused("it has 3 faces of 2") { () async throws(WireStatus) in
                try await finish(cluster, faceCount: 2)
            }
            find(nil, on: workers[0])
            await refused("nothing to read") { () async throws(WireStatus) in try await finish(cluster) }

            // Within a run it is compared once: the shard may have let faces expire since.
            find(3, on: workers[0])
            await refused("Not now.") { () async throws(WireStatus) in try await finish(cluster) }
            find(nil, on: workers[0])
            workers[0].state.withLock { $0.refusal = nil }
            #expect(try await finish(cluster).restoredFrom == nil)
            // The answer was lost.
            #expect(try await finish(cluster).restoredFrom == nil)
            await refused("is not being restored") { () async throws(WireStatus) in
                try await finish(cluster, faceCount: 2)
            }
            await refused("is not being restored") { () async throws(WireStatus) in
                try await finish(cluster, backup: "people-2")
            }

            // Another coordinator knows it as well.
            let next = try await cluster.restart(at: folder.path)
            let outcome = await Result {
                try await next.awaitWorkers(workers)
                #expect(try await finish(next).restoredFrom == nil)
                await refused("is not being restored") { () async throws(WireStatus) in
                    try await finish(next, faceCount: 2)
                }
                _ = try await next.delete("people")
                try await next.create("people", shards: 1)
                await refused("is not being restored") { () async throws(WireStatus) in try await finish(next) }
            }
            await next.stop()
            try outcome.get()
        }
    }

    /// Behind the comparison, and before the end, the command is given with other options, which bring a face that was
    /// left out, and does not come to its own end.
    @Test func whateverIsBegunAgainIsComparedAgain() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            find(3, on: workers[0])
            refuseTheEnd(on: workers[0])
            try await begin(cluster)
            await refused("Not now.") { () async throws(WireStatus) in try await finish(cluster) }
            workers[0].state.withLock { $0.refusal = nil }

            try await begin(cluster)
            find(4, on: workers[0])
            // The first command again.
            try await begin(cluster)
            for _ in 0..<2 {
                await refused("it has 4 faces of 3") { () async throws(WireStatus) in try await finish(cluster) }
            }
            #expect(try await cluster.describe("people").restoredFrom == "people-1")
            #expect(try await finish(cluster, faceCount: 4).restoredFrom == nil)
        }
    }

    /// The same while the last step of the first is under way.
    @Test func whatIsBegunAgainWhileItEndsDoesNotServe() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            find(3, on: workers[0])
            // It is asked again for a while.
            let askedCount = Mutex(0)
            workers[0].state.withLock {
                $0.refusal = { request in
                    guard case .shardRestore = request else { return nil }
                    askedCount.withLock { $0 += 1 }
                    return WireStatus(.unavailable, "Not yet.")
                }
            }
            try await begin(cluster)
            let first = finishing(cluster)
            try await eventually("the last step is under way") { askedCount.withLock { $0 } > 0 }
            try await begin(cluster)
            find(4, on: workers[0])
            workers[0].state.withLock { $0.refusal = nil }
            let end = await first.value
            let failure = try #require(end)
            #expect(failure.code == .unavailable && failure.message.contains("begun again"), "\(failure)")
            #expect(try await cluster.describe("people").restoredFrom == "people-1")
            await refused("it has 4 faces of 3") { () async throws(WireStatus) in try await finish(cluster) }
            #expect(try await finish(cluster, faceCount: 4).restoredFrom == nil)
        }
    }

    /// The same while all is being compared: what the other run sends may come to shards that were read before.
    @Test func whatIsBegunAgainWhileItIsComparedIsComparedAgain() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            find(3, on: workers[0])
            workers[0].state.withLock { $0.holdsReadings = true }
            try await begin(cluster)
            let first = finishing(cluster)
            try await eventually("it is being compared") { workers[0].state.withLock(\.readingCount) == 1 }
            try await begin(cluster)
            workers[0].state.withLock { $0.holdsReadings = false }
            let end = await first.value
            let failure = try #require(end)
            #expect(failure.code == .unavailable && failure.message.contains("begun again"), "\(failure)")
            #expect(try await cluster.describe("people").restoredFrom == "people-1")
            find(4, on: workers[0])
            await refused("it has 4 faces of 3") { () async throws(WireStatus) in try await finish(cluster) }
            find(3, on: workers[0])
            #expect(try await finish(cluster).restoredFrom == nil)
            #expect(workers[0].state.withLock(\.readingCount) == 3)
        }
    }

    /// What has come since one of them had all compared is no reason to refuse the other.
    @Test(arguments: [true, false]) func equalRunsAtOnceEndAlike(serves: Bool) async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            find(3, on: workers[0])
            workers[0].state.withLock { state in
                state.holdsReadings = true
                state.heldReadingCount = 1
            }
            if !serves { refuseTheEnd(on: workers[0]) }
            try await begin(cluster)
            let other = finishing(cluster)
            try await eventually("the other is being compared") { workers[0].state.withLock(\.readingCount) == 1 }
            if serves {
                #expect(try await finish(cluster).restoredFrom == nil)
            } else {
                await refused("Not now.") { () async throws(WireStatus) in try await finish(cluster) }
                workers[0].state.withLock { $0.refusal = nil }
            }
            find(4, on: workers[0])
            workers[0].state.withLock { $0.holdsReadings = false }
            let failure = await other.value
            #expect(failure == nil)
            #expect(try await cluster.describe("people").restoredFrom == nil)
            #expect(workers[0].state.withLock(\.readingCount) == 2)
        }
    }
}
