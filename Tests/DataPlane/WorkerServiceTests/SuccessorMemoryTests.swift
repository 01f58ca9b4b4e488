import Testing
import WireProtocol
import WorkerService

/// Shards that are to take others' place, on a worker that is short of memory.
struct SuccessorMemoryTests {
    private let split = SplitShard()

    /// What has begun comes to its end, or is taken back.
    @Test func noneIsBegunForWantOfMemory() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { worker in
            try await split.begin(on: worker)
            // The one is whole, and stays when the worker is started anew; the other waits to be told.
            try await split.waitForTheFirstHalf(on: worker)
        }
        var options = WorkerHarness.options(folder)
        options.memoryLimitByteCount = 1 << 20
        try await WorkerHarness.with(options) { worker in
            let status = try await worker.refusal(split.prepare(1))
            #expect(status.code == .memoryFull && status.message.contains("splits or merges"), "\(status)")
            // As often as it is asked: it may not have heard the answer.
            _ = try await worker.call(split.prepare(0))
            _ = try await worker.call(AbandonSuccessor(shard: split.shard(0)))
            #expect(try await worker.refusal(split.prepare(0)).code == .memoryFull)
        }
        try await WorkerHarness.with(WorkerHarness.options(folder)) { worker in
            for half in 0..<2 { _ = try await worker.call(split.prepare(half)) }
        }
    }
}
