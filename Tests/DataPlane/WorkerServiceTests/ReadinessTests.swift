import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WorkerService

/// What a worker that has yet to catch up says of itself.
struct ReadinessTests {
    private static let primary = NodeID(high: 8, low: 8)
    private static let other = NodeID(high: 8, low: 9)
    private static let remark = "1 of 1 replicas are new to this worker, and count once they have caught up."
    private let test = TestCollection()

    /// - Parameters:
    ///   - node: a member beside a primary that is nowhere, of a shard that is to have two copies.
    ///   - others: those in sync beside it.
    private func host(_ node: NodeID, version: UInt64, isInSync: Bool, others: [NodeID]) -> HostReplica {
        var configuration = test.collection.configuration
        configuration.replicationFactor = 2
        var request = test.host()
        request.collection = Collection(
            id: test.collection.id,
            configuration: configuration,
            created: test.collection.created
        )
        request.group = ReplicaGroup(
            epoch: Epoch(1),
            version: version,
            primary: Self.primary,
            inSync: isInSync ? others + [node] : others,
            learners: isInSync ? [] : [node],
            minimumInSync: 1
        )
        return request
    }

    private func isWaitedFor(_ harness: WorkerHarness) -> Bool {
        harness.worker.readinessProblems.contains { $0 == "1 of 1 replicas have not caught up with the others." }
    }

    /// A copy takes hours, and nobody misses what the worker never had.
    @Test func aReplicaBesideAllCopiesThatThereAreToBeIsARemark() async throws {
        let folder = TemporaryFolder()
        let options = WorkerHarness.options(folder)
        let both = [Self.primary, Self.other]
        try await WorkerHarness.with(options) { harness in
            let node = harness.worker.node
            #expect(harness.worker.readinessRemark == nil)
            _ = try await harness.call(host(node, version: 1, isInSync: false, others: both))
            #expect(!isWaitedFor(harness))
            #expect(harness.worker.readinessRemark == Self.remark)
            _ = try await harness.call(host(node, version: 2, isInSync: true, others: both))
            #expect(!isWaitedFor(harness) && harness.worker.readinessRemark == nil)
            // Once it counted it is missed.
            _ = try await harness.call(host(node, version: 3, isInSync: false, others: both))
            #expect(isWaitedFor(harness) && harness.worker.readinessRemark == nil)
        }
        // So it is after a restart, before anything is heard and after.
        try await WorkerHarness.with(options) { harness in
            #expect(isWaitedFor(harness) && harness.worker.readinessRemark == nil)
            let node = harness.worker.node
            _ = try await harness.call(host(node, version: 3, isInSync: false, others: both))
            #expect(isWaitedFor(harness) && harness.worker.readinessRemark == nil)
        }
    }

    /// What guards the last copy from being taken away goes by which workers are ready.
    @Test func aReplicaInThePlaceOfALostOneIsWaitedFor() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            let node = harness.worker.node
            _ = try await harness.call(host(node, version: 1, isInSync: false, others: [Self.primary]))
            #expect(isWaitedFor(harness) && harness.worker.readinessRemark == nil)
            // The lost one is back.
            let both = [Self.primary, Self.other]
            _ = try await harness.call(host(node, version: 2, isInSync: false, others: both))
            #expect(!isWaitedFor(harness) && harness.worker.readinessRemark == Self.remark)
            _ = try await harness.call(host(node, version: 3, isInSync: false, others: [Self.primary]))
            #expect(isWaitedFor(harness) && harness.worker.readinessRemark == nil)
        }
    }

    /// As when it is repaired.
    @Test func aReplicaThatIsMadeAnewIsWaitedFor() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.withCluster(folder, cluster: .random()) { harness, _ in
            let node = harness.worker.node
            _ = try await harness.call(host(node, version: 1, isInSync: true, others: [Self.primary]))
            let order = DropReplica(shard: test.shard(), epoch: Epoch(1), groupVersion: 2)
            try await eventually("it is dropped") { (try? await harness.call(order)) != nil }
            _ = try await harness.call(host(node, version: 3, isInSync: false, others: [Self.primary]))
            #expect(isWaitedFor(harness) && harness.worker.readinessRemark == nil)
        }
    }
}
