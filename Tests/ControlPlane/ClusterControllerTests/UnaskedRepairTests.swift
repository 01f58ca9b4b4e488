import ClusterController
import ClusterModel
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Damaged replicas that are made anew without being asked.
struct UnaskedRepairTests {
    private static let options = {
        var options = ControlCluster.options
        options.repairTime = .milliseconds(50)
        return options
    }()

    /// A shard with a primary and another in sync.
    private func withTwoCopies(
        _ options: ControllerOptions = Self.options,
        _ body: (ControlCluster, _ primary: FakeControlWorker, _ other: FakeControlWorker) async throws -> Void
    ) async throws {
        try await withCluster(workers: 2, options: options) { _, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 2, deadline: .seconds(60))
            let leader = try #require(cluster.firstGroup?.primary)
            let primary = try #require(workers.first { $0.id == leader })
            let other = try #require(workers.first { $0.id != leader })
            for worker in [primary, other] { worker.state.withLock { $0.reading = .soundReading } }
            try await body(cluster, primary, other)
        }
    }

    /// Its replica is out of service from now on, until it is told to host another.
    private func fail(_ worker: FakeControlWorker, finding: ReplicaVerified?) {
        worker.state.withLock { state in
            for shard in state.replicas.keys { state.replicas[shard]?.state = .failed }
            state.reading = finding
        }
    }

    @Test(arguments: [false, true]) func aDamagedReplicaMakesWay(isPrimary: Bool) async throws {
        try await withTwoCopies { cluster, primary, other in
            let (bad, good) = isPrimary ? (primary, other) : (other, primary)
            let before = try #require(cluster.firstGroup)
            fail(bad, finding: .damagedReading)
            try await eventually("the damaged one leaves") { cluster.firstGroup?.inSync == [good.id] }
            #expect(cluster.firstGroup?.primary == good.id)
            #expect(try #require(cluster.firstGroup).version > before.version)
            bad.state.withLock { $0.reading = .soundReading }
            try await eventually("another copy begins in its place") { cluster.firstGroup?.learners == [bad.id] }
            #expect(bad.state.withLock(\.drops).count == 1, "what was damaged is removed first")
        }
    }

    /// One without disk is opened again when there is some, and nothing of the shard is read for it.
    @Test func oneThatIsNotDamagedStays() async throws {
        try await withTwoCopies { cluster, primary, other in
            other.state.withLock { state in
                state.refusal = { request in
                    guard case .verifyReplica = request else { return nil }
                    return WireStatus(.storageFull, "The disk is full.")
                }
            }
            fail(other, finding: nil)
            try await eventually("it is asked") { other.state.withLock(\.refusedCount) > 0 }
            try await Task.sleep(for: .milliseconds(300))
            #expect(cluster.firstGroup?.inSync == [primary.id, other.id].sorted())
            #expect(primary.state.withLock(\.readingCount) == 0)
        }
    }

    /// It may hold what the other has lost.
    @Test func oneStaysWhileTheOtherIsDamagedToo() async throws {
        try await withTwoCopies { cluster, primary, other in
            primary.state.withLock { $0.reading = .damagedReading }
            fail(other, finding: .damagedReading)
            try await eventually("the other is read") { primary.state.withLock(\.readingCount) > 0 }
            try await Task.sleep(for: .milliseconds(300))
            #expect(cluster.firstGroup?.inSync == [primary.id, other.id].sorted())
            #expect(primary.state.withLock(\.readingCount) == 1, "it is not read again and again")
        }
    }

    /// Its reading does not end, and the others are mended all the same.
    @Test func oneWhoseDiskHangsIsNotWaitedFor() async throws {
        try await withCluster(workers: 3, options: Self.options) { _, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 3, deadline: .seconds(60))
            let group = try #require(cluster.firstGroup)
            let others = workers.filter { $0.id != group.primary }
            for worker in workers { worker.state.withLock { $0.reading = .soundReading } }
            let hanging = others[1]
            hanging.state.withLock { state in
                state.holdsReadings = true
                state.stuckShards = state.replicas.keys.sorted()
            }
            try await eventually("its disk is known to hang") {
                let shards = try await cluster.describe("people").shards
                let replica = shards.first?.replicas.first { $0.worker == hanging.id }
                return replica?.state == .opening
            }
            fail(others[0], finding: .damagedReading)
            try await eventually("the damaged one leaves") { cluster.firstGroup?.isInSync(others[0].id) == false }
            #expect(hanging.state.withLock(\.readingCount) == 0)
            hanging.state.withLock { $0.holdsReadings = false }
        }
    }

    @Test func nothingLeavesWhereNobodyWantsThat() async throws {
        var options = Self.options
        options.repairTime = .zero
        try await withTwoCopies(options) { cluster, primary, other in
            fail(other, finding: .damagedReading)
            try await Task.sleep(for: .milliseconds(500))
            #expect(cluster.firstGroup?.inSync == [primary.id, other.id].sorted())
            #expect(other.state.withLock(\.readingCount) == 0)
        }
    }
}
