import ClusterModel
import Testing
import WireProtocol
import WorkerService

/// What a worker that has yet to catch up says of itself.
struct ReadinessTests {
    private static let primary = NodeID(high: 8, low: 8)
    private static let remark = "1 of 1 replicas are new to this worker, and count once they have caught up."
    private let test = TestCollection()

    /// - Parameter node: a member beside a primary that is nowhere.
    private func host(_ node: NodeID, version: UInt64, isInSync: Bool) -> HostReplica {
        var request = test.host()
        request.group = ReplicaGroup(
            epoch: Epoch(1),
            version: version,
            primary: Self.primary,
            inSync: isInSync ? [Self.primary, node] : [Self.primary],
            learners: isInSync ? [] : [node],
            minimumInSync: 1
        )
        return request
    }

    private func isWaitedFor(_ harness: WorkerHarness) -> Bool {
        harness.worker.readinessProblems.contains { $0 == "1 of 1 replicas have not caught up with the others." }
    }

    /// A copy takes hours, and nobody misses what the worker never had.
    @Test func aReplicaThatIsNewToItsWorkerIsARemark() async throws {
        let folder = TemporaryFolder()
        let options = WorkerHarness.options(folder)
        try await WorkerHarness.with(options) { harness in
            let node = harness.worker.node
            #expect(harness.worker.readinessRemark == nil)
            _ = try await harness.call(host(node, version: 1, isInSync: false))
            #expect(!isWaitedFor(harness))
            #expect(harness.worker.readinessRemark == Self.remark)
            _ = try await harness.call(host(node, version: 2, isInSync: true))
            #expect(!isWaitedFor(harness) && harness.worker.readinessRemark == nil)
            // Once it counted it is missed.
            _ = try await harness.call(host(node, version: 3, isInSync: false))
            #expect(isWaitedFor(harness) && harness.worker.readinessRemark == nil)
        }
        // So it is after a restart, before anything is heard and after.
        try await WorkerHarness.with(options) { harness in
            #expect(isWaitedFor(harness) && harness.worker.readinessRemark == nil)
            _ = try await harness.call(host(harness.worker.node, version: 3, isInSync: false))
            #expect(isWaitedFor(harness) && harness.worker.readinessRemark == nil)
        }
    }

    /// As when it is repaired.
    @Test func aReplicaThatIsMadeAnewIsWaitedFor() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.withCluster(folder, cluster: .random()) { harness, _ in
            let node = harness.worker.node
            _ = try await harness.call(host(node, version: 1, isInSync: true))
            let order = DropReplica(shard: test.shard(), epoch: Epoch(1), groupVersion: 2)
            try await eventually("it is dropped") { (try? await harness.call(order)) != nil }
            _ = try await harness.call(host(node, version: 3, isInSync: false))
            #expect(isWaitedFor(harness) && harness.worker.readinessRemark == nil)
        }
    }
}
