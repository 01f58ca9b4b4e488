import ClusterModel
import FaceModel
import Foundation
import Testing
import WireProtocol
import WireTransport
import WorkerService

/// Replicas whose records cannot be written for a while, as on a full disk: they wait, and answer reads.
struct UnwritableRecordTests {
    private let test = TestCollection()

    /// What lies where the record is written before it takes the other's name, so that it cannot be.
    private func obstacle(in folder: TemporaryFolder) -> String {
        "\(folder.path)/replicas/\(test.collection.id)/0/record.new"
    }

    private func block(_ folder: TemporaryFolder) throws {
        try FileManager.default.createDirectory(atPath: obstacle(in: folder), withIntermediateDirectories: false)
    }

    private func unblock(_ folder: TemporaryFolder) throws {
        try FileManager.default.removeItem(atPath: obstacle(in: folder))
    }

    private func host(
        _ worker: NodeID,
        learners: [NodeID] = [],
        version: UInt64,
        isFrozen: Bool = false
    ) -> HostReplica {
        HostReplica(
            shard: test.shard(),
            range: test.ranges[0],
            collection: test.collection,
            group: ReplicaGroup(
                epoch: Epoch(1),
                version: version,
                primary: worker,
                inSync: [worker],
                learners: learners,
                minimumInSync: 1,
                isFrozen: isFrozen
            )
        )
    }

    /// Searches for longer than it takes until the record is tried again.
    private func searchThroughout(
        _ ids: [FaceID],
        _ harness: WorkerHarness,
        _ isSound: () -> Bool = { true }
    ) async throws {
        for _ in 0..<50 {
            #expect(try await harness.call(test.search(ids)).matches.map { $0.first?.faceID } == ids)
            #expect(isSound())
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    @Test func aFreezeWaitsForItsRecordAndSearchesGoOn() async throws {
        let folder = TemporaryFolder()
        let ids = test.ids(5)
        try await WorkerHarness.withCluster(folder, cluster: .random(), omittingGroups: true) { harness, coordinator in
            let node = harness.worker.node
            _ = try await harness.call(host(node, version: 1))
            _ = try await harness.call(test.enrol(ids))
            func isServingWithoutEnd() -> Bool {
                guard let replicas = coordinator.last?.report.replicas else { return true }
                return replicas.allSatisfy { $0.state == .serving && $0.end == nil }
            }

            _ = try await coordinator.report { $0.replicas.map(\.state) == [.serving] }
            try block(folder)
            _ = try await harness.call(host(node, version: 2, isFrozen: true))
            try await searchThroughout(ids, harness, isServingWithoutEnd)
            try unblock(folder)
            _ = try await coordinator.report { $0.replicas.first?.end?.groupVersion == 2 }

            try block(folder)
            _ = try await harness.call(host(node, version: 3))
            let writing = Task { try await harness.call(test.enrol(test.ids(6)), within: .seconds(60)) }
            try await searchThroughout(ids, harness)
            #expect(try await harness.call(test.get(test.ids(6))).faces.count == 5, "writes wait")
            try unblock(folder)
            let written = try await writing.value
            #expect(written.outcomes.count == 6)
        }
    }

    /// What it wrote by itself the others would not have.
    @Test func aReplicaThatIsToGoByALogOrdersNoWriteUntilItsRecordSaysSo() async throws {
        let folder = TemporaryFolder()
        let ids = test.ids(5)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            let node = harness.worker.node
            _ = try await harness.call(host(node, version: 1))
            _ = try await harness.call(test.enrol(ids))
            try block(folder)
            _ = try await harness.call(host(node, learners: [.random()], version: 2))
            var refusal: WireStatus?
            let end = ContinuousClock.now + .seconds(30)
            while refusal?.message.contains("cannot write down") != true, ContinuousClock.now < end {
                let write = test.enrol(test.ids(6))
                do throws(WireStatus) {
                    // One that comes before the record was tried waits for it.
                    _ = try await harness.peer.call(write, deadline: .after(.milliseconds(300)))
                } catch {
                    refusal = error
                }
            }
            #expect(refusal?.code == .unavailable && refusal?.message.contains("cannot write down") == true)
            try await searchThroughout(ids, harness)
            try unblock(folder)
            let path = "\(folder.path)/replicas/\(test.collection.id)/0/record"
            while try !String(contentsOfFile: path, encoding: .utf8).contains("replicated 1"),
                ContinuousClock.now < end + .seconds(30)
            {
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(try String(contentsOfFile: path, encoding: .utf8).contains("replicated 1"))
        }
    }
}
