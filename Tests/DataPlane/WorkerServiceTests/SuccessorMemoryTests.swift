import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WorkerService

/// Shards that are to take others' place, on a worker that is short of memory.
struct SuccessorMemoryTests {
    private let test = TestCollection()
    private let halves = HashRange.divisions(2)

    private func prepare(_ half: Int) -> PrepareSuccessor {
        PrepareSuccessor(
            shard: test.shard(half + 1),
            range: halves[half],
            collection: test.collection,
            erasureKey: ErasureKey(of: test.collection.id),
            sources: [0]
        )
    }

    /// In force on this worker and another.
    private func host(_ half: Int) -> HostReplica {
        let members = [NodeID(high: 7, low: 1), NodeID(high: 7, low: 2)]
        return HostReplica(
            shard: test.shard(half + 1),
            range: halves[half],
            collection: test.collection,
            group: ReplicaGroup(
                epoch: Epoch(2),
                version: 1,
                primary: members[0],
                inSync: members,
                minimumInSync: 2
            ),
            mayBegin: false
        )
    }

    /// What has begun comes to its end, or is taken back.
    @Test func noneIsBegunForWantOfMemory() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { worker in
            _ = try await worker.call(test.host())
            _ = try await worker.call(test.enrol(test.ids(20)))
            for half in 0..<2 { _ = try await worker.call(prepare(half)) }
            // The one is whole, and stays when the worker is started anew; the other waits to be told.
            while !(try await worker.refusal(host(0))).message.contains("shard 2 of") {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        var options = WorkerHarness.options(folder)
        options.memoryLimitByteCount = 1 << 20
        try await WorkerHarness.with(options) { worker in
            let status = try await worker.refusal(prepare(1))
            #expect(status.code == .memoryFull && status.message.contains("splits or merges"), "\(status)")
            // As often as it is asked: it may not have heard the answer.
            _ = try await worker.call(prepare(0))
            _ = try await worker.call(AbandonSuccessor(shard: test.shard(1)))
            #expect(try await worker.refusal(prepare(0)).code == .memoryFull)
        }
        try await WorkerHarness.with(WorkerHarness.options(folder)) { worker in
            for half in 0..<2 { _ = try await worker.call(prepare(half)) }
        }
    }
}
