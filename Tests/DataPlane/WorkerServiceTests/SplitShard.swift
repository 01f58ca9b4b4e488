import ClusterModel
import FaceModel
import WireProtocol
import WireTransport

/// A shard that is split in two, and what a worker is sent for that.
struct SplitShard: Sendable {
    /// Of which it is the only shard.
    let test = TestCollection()
    private let halves = HashRange.divisions(2)

    /// The shard that is made of a half.
    func shard(_ half: Int) -> ShardID { test.shard(half + 1) }

    func prepare(_ half: Int) -> PrepareSuccessor {
        PrepareSuccessor(
            shard: shard(half),
            range: halves[half],
            collection: test.collection,
            erasureKey: ErasureKey(of: test.collection.id),
            sources: [0]
        )
    }

    /// It is in force, in as many copies.
    func host(_ half: Int, copies: Int = 2) -> HostReplica {
        host(half, on: (1...UInt64(copies)).map { NodeID(high: 7, low: $0) })
    }

    /// It is in force, on these workers, of which the first leads.
    func host(_ half: Int, on members: [NodeID]) -> HostReplica {
        HostReplica(
            shard: shard(half),
            range: halves[half],
            collection: test.collection,
            group: ReplicaGroup(
                epoch: Epoch(2),
                version: 1,
                primary: members[0],
                inSync: members,
                minimumInSync: members.count
            ),
            mayBegin: false
        )
    }

    /// Has a worker hold the whole with some faces, and begin to make both halves.
    func begin(on worker: WorkerHarness) async throws {
        _ = try await worker.call(test.host())
        _ = try await worker.call(test.enrol(test.ids(20)))
        for half in 0..<2 { _ = try await worker.call(prepare(half)) }
    }

    /// Asks until the half is in force.
    func takePlace(_ half: Int, on worker: WorkerHarness) async throws {
        while true {
            do throws(WireStatus) {
                _ = try await worker.peer.call(host(half), deadline: .after(.seconds(20)))
                return
            } catch {
                guard error.code == .notYet || error.code == .unavailable else { throw error }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Until it is made, and sealed, and only awaits the other, which nobody has told that it is in force.
    func waitForTheFirstHalf(on worker: WorkerHarness) async throws {
        while !(try await worker.refusal(host(0))).message.contains("shard \(shard(1).index) of") {
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
