import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WireTransport
import WorkerService

/// A worker whose disk went back to before a split that has ended: nobody tells it that the old shard is frozen.
struct RetiredSourceTests {
    private let test = TestCollection()
    private let halves = HashRange.divisions(2)

    private func shard(_ half: Int) -> ShardID { test.shard(half + 1) }

    private func prepare(_ half: Int) -> PrepareSuccessor {
        PrepareSuccessor(
            shard: shard(half),
            range: halves[half],
            collection: test.collection,
            erasureKey: ErasureKey(of: test.collection.id),
            sources: [0]
        )
    }

    private func host(_ half: Int, copies: Int) -> HostReplica {
        let members = (1...UInt64(copies)).map { NodeID(high: 7, low: $0) }
        return HostReplica(
            shard: shard(half),
            range: halves[half],
            collection: test.collection,
            group: ReplicaGroup(
                epoch: Epoch(2),
                version: 1,
                primary: members[0],
                inSync: members,
                minimumInSync: copies
            ),
            mayBegin: false
        )
    }

    /// Asks until the half is in force.
    private func takePlace(_ half: Int, _ worker: WorkerHarness) async throws {
        while true {
            do throws(WireStatus) {
                _ = try await worker.peer.call(host(half, copies: 2), deadline: .after(.seconds(20)))
                return
            } catch {
                guard error.code == .notYet || error.code == .unavailable else { throw error }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    @Test func halvesThatAreInForceTakeThePlaceOfAShardThatIsNotFrozen() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { worker in
            _ = try await worker.call(test.host())
            _ = try await worker.call(test.enrol(test.ids(20)))
            for half in 0..<2 { _ = try await worker.call(prepare(half)) }
            // Of a single copy nobody knows better: it is not put in force with what an earlier disk has.
            for _ in 0..<20 {
                let status = try await worker.refusal(host(0, copies: 1))
                #expect(status.message.contains("not whole"), "\(status)")
                try await Task.sleep(for: .milliseconds(20))
            }
            // Each waits until the other one is whole too.
            async let lower: Void = takePlace(0, worker)
            async let upper: Void = takePlace(1, worker)
            _ = try await (lower, upper)
            let status = try await worker.refusal(test.host(epoch: 3))
            #expect(status.code == .unknownReplica, "\(status)")
        }
    }

    /// A disk was put back to where one half was sealed and the other was not: the old shard, of which the other one is
    /// yet to be made, stays until it is.
    @Test func aHalfWaitsUntilTheOtherOneHasBeenMade() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { worker in
            _ = try await worker.call(test.host())
            _ = try await worker.call(test.enrol(test.ids(20)))
            for half in 0..<2 { _ = try await worker.call(prepare(half)) }
            // It is made, and sealed; nobody has told the other that it is in force.
            while !(try await worker.refusal(host(0, copies: 2))).message.contains("shard \(shard(1).index) of") {
                try await Task.sleep(for: .milliseconds(20))
            }
            for _ in 0..<5 {
                let status = try await worker.refusal(host(0, copies: 2))
                #expect(status.message.contains("shard \(shard(1).index) of"), "\(status)")
            }
            // What the other is made of is there still.
            _ = try await worker.call(test.enrol(test.ids(30)))
            try await takePlace(1, worker)
            try await takePlace(0, worker)
        }
    }
}
