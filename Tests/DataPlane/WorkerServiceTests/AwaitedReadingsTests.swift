import ClusterModel
import FaceModel
import Foundation
import Logging
import Observability
import Synchronization
import Testing
import Threads
import WireProtocol
import WireTransport
import WorkerService

/// Readings of whole replicas that somebody asks for, and threads that the system does not give.
struct AwaitedReadingsTests {
    private static let beginning = "all of a replica is read, as was asked for"

    private let test = TestCollection(shardCount: 3)

    /// What became of so many calls for the reading of a shard.
    private func readings(_ count: Int, of index: Int, _ peer: PeerClient) -> Task<[WireStatus?], Never> {
        let shard = test.shard(index)
        return Task {
            await withTaskGroup(of: WireStatus?.self) { tasks in
                for _ in 0..<count {
                    tasks.addTask {
                        do throws(WireStatus) {
                            _ = try await peer.call(VerifyReplica(shard: shard), deadline: .after(.seconds(120)))
                            return nil
                        } catch {
                            return error
                        }
                    }
                }
                return await tasks.reduce(into: []) { $0.append($1) }
            }
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func callersOfOneReplicaShareAReadingAndOfMoreThanTwoAreRefused() async throws {
        let (log, first, second) = (LineRecorder(), Hold(), Hold())
        let folder = TemporaryFolder()
        let logger = Logger(label: "test") { _ in log }
        let options = WorkerHarness.options(folder)
        func waitingCount() -> Double? {
            options.metrics.rendered().split(separator: "\n").first { $0.hasPrefix("mien_requests_in_flight{") }
                .flatMap { $0.split(separator: " ").last }.flatMap { Double($0) }
        }
        try await WorkerHarness.with(options, logger: logger) { harness in
            defer {
                first.release()
                second.release()
            }
            for index in 0..<3 {
                _ = try await harness.call(test.host(index))
                _ = try await harness.call(test.enrol(test.ids(20, in: index), in: index))
            }
            log.hold(Self.beginning, first)
            first.set()
            let begun = readings(1, of: 0, harness.peer)
            try await eventually("the first is being read") { first.isReached }
            log.hold(Self.beginning, second)
            second.set()
            let other = readings(1, of: 1, harness.peer)
            try await eventually("the second is being read") { second.isReached }

            // Another connection: they are as many as one takes.
            let peer = WorkerHarness.peer(of: harness.worker.address)
            let joining = readings(150, of: 0, peer)
            for _ in 0..<50 {
                let status = try await harness.refusal(VerifyReplica(shard: test.shard(2)))
                #expect(status.code == .overloaded && status.retryAfterMilliseconds > 0, "\(status)")
            }
            _ = try await harness.call(test.host(2, epoch: 2))
            #expect(log.lines(Self.beginning).count == 2)

            // Who comes after a write hears of it, though the reading under way does not.
            let ids = test.ids(21)
            _ = try await harness.call(test.enrol(ids))
            let late = Task { try await peer.call(VerifyReplica(shard: test.shard()), deadline: .after(.seconds(120))) }
            try await eventually("it has come, as all others have") { waitingCount() == 153 }
            first.release()
            second.release()
            let answers = await begun.value + other.value + joining.value
            #expect(answers.count == 152 && answers.allSatisfy { $0 == nil })
            let verified = try await late.value
            #expect(verified.damage == nil && verified.faceCount == 21)
            #expect(log.lines(Self.beginning).count < answers.count / 2, "they share readings")
            await peer.close()
            _ = try await harness.call(VerifyReplica(shard: test.shard(2)))
        }
    }

    /// Nothing is on the disk then that would be opened at the next start.
    @Test func aReplicaForWhichThereIsNoThreadIsRefusedBeforeItsRecord() async throws {
        let folder = TemporaryFolder()
        try await withRefusals(in: folder) { harness, refuse in
            _ = try await harness.call(test.host())
            _ = try await harness.call(test.enrol(test.ids(5)))
            refuse(true)
            let status = try await harness.refusal(test.host(1))
            #expect(status.code == .limitExceeded && status.message.contains("TasksMax"), "\(status)")
            let path = "\(folder.path)/replicas/\(test.collection.id)/1"
            #expect(!FileManager.default.fileExists(atPath: path))
            let reading = try await harness.refusal(VerifyReplica(shard: test.shard()))
            #expect(reading.code == .overloaded, "\(reading)")
            let ids = test.ids(5)
            #expect(try await harness.call(test.search(ids)).matches.map { $0.first?.faceID } == ids)
            refuse(false)
            _ = try await harness.call(test.host(1))
            _ = try await harness.call(VerifyReplica(shard: test.shard()))
        }
    }

    @Test func aWorkerThatIsStartedWithTooFewThreadsServesWhatItCan() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            for index in 0..<3 {
                _ = try await harness.call(test.host(index))
                _ = try await harness.call(test.enrol(test.ids(5, in: index), in: index))
            }
        }
        var options = WorkerHarness.options(folder)
        options.threads = ThreadSource { name in name != "lane-1" }
        try await WorkerHarness.with(options) { harness in
            for index in [0, 2] {
                let ids = test.ids(5, in: index)
                let found = try await harness.call(test.search(ids, in: index)).matches.map { $0.first?.faceID }
                #expect(found == ids)
            }
            let status = try await harness.refusal(test.search(test.ids(1, in: 1), in: 1))
            #expect(status.code == .limitExceeded, "\(status)")
        }
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            let ids = test.ids(5, in: 1)
            let found = try await harness.call(test.search(ids, in: 1)).matches.map { $0.first?.faceID }
            #expect(found == ids)
        }
    }

    private func withRefusals(
        in folder: TemporaryFolder,
        _ body: (WorkerHarness, (Bool) -> Void) async throws -> Void
    ) async throws {
        let refusal = RefusalSwitch()
        var options = WorkerHarness.options(folder)
        options.threads = ThreadSource { _ in !refusal.isOn.load(ordering: .relaxed) }
        try await WorkerHarness.with(options) { harness in
            try await body(harness) { refusal.isOn.store($0, ordering: .relaxed) }
        }
    }

    private final class RefusalSwitch: Sendable {
        let isOn = Atomic(false)
    }
}
