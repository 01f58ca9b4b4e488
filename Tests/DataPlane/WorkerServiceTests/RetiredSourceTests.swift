import ClusterModel
import Testing
import WireProtocol
import WorkerService

/// A worker whose disk went back to before a split that has ended: nobody tells it that the old shard is frozen.
struct RetiredSourceTests {
    private let split = SplitShard()

    @Test func halvesThatAreInForceTakeThePlaceOfAShardThatIsNotFrozen() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { worker in
            try await split.begin(on: worker)
            // Of a single copy nobody knows better: it is not put in force with what an earlier disk has.
            for _ in 0..<20 {
                let status = try await worker.refusal(split.host(0, copies: 1))
                #expect(status.message.contains("not whole"), "\(status)")
                try await Task.sleep(for: .milliseconds(20))
            }
            // Each waits until the other one is whole too.
            async let lower: Void = split.takePlace(0, on: worker)
            async let upper: Void = split.takePlace(1, on: worker)
            _ = try await (lower, upper)
            let status = try await worker.refusal(split.test.host(epoch: 3))
            #expect(status.code == .unknownReplica, "\(status)")
        }
    }

    /// A disk was put back to where one half had not been copied, and copying takes long.
    @Test(.timeLimit(.minutes(2))) func halvesThatAreAskedForAgainAndAgainAreNotBegunAnew() async throws {
        let folder = TemporaryFolder()
        var options = WorkerHarness.options(folder)
        // A millisecond of work takes a second, and with two halves two: far longer than between two orders.
        options.backgroundProcessorShare = 0.001
        try await WorkerHarness.with(options) { worker in
            try await split.begin(on: worker)
            async let lower: Void = split.takePlace(0, on: worker)
            async let upper: Void = split.takePlace(1, on: worker)
            _ = try await (lower, upper)
            let status = try await worker.refusal(split.test.host(epoch: 3))
            #expect(status.code == .unknownReplica, "\(status)")
        }
    }

    /// A disk was put back to where one half was sealed and the other was not: the old shard, of which the other one is
    /// yet to be made, stays until it is.
    @Test func aHalfWaitsUntilTheOtherOneHasBeenMade() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { worker in
            try await split.begin(on: worker)
            try await split.waitForTheFirstHalf(on: worker)
            for _ in 0..<5 {
                let status = try await worker.refusal(split.host(0))
                #expect(status.message.contains("shard \(split.shard(1).index) of"), "\(status)")
            }
            // What the other is made of is there still.
            _ = try await worker.call(split.test.enrol(split.test.ids(30)))
            try await split.takePlace(1, on: worker)
            try await split.takePlace(0, on: worker)
        }
    }
}
