import ClusterModel
import FaceModel
import Foundation
import Observability
import Testing
import WireProtocol
import WorkerService

/// Replicas whose files the disk does not let go.
struct UnremovedReplicaTests {
    private let test = TestCollection()

    private func age(_ metrics: MetricRegistry) throws -> Double {
        let series = "mien_erasure_age_seconds "
        let line = metrics.rendered().split(separator: "\n").first { $0.hasPrefix(series) }
        return try #require(line.flatMap { Double($0.dropFirst(series.count)) })
    }

    /// Nobody else tells of them: the worker holds the replica no more.
    @Test func theyCountInTheAgeOfWhatIsNotErasedUntilTheyAreGone() async throws {
        let (folder, metrics) = (TemporaryFolder(), MetricRegistry())
        try await WorkerHarness.withCluster(folder, cluster: .random(), changing: { $0.metrics = metrics }) {
            harness,
            coordinator in
            _ = try await harness.call(test.host())
            _ = try await harness.call(test.enrol(test.ids(5)))
            let before = try age(metrics)
            #expect(before == 0)
            // Nothing of the worker's is a folder there that it does not know.
            let obstacle = "\(folder.path)/replicas/\(test.collection.id)/0/obstacle"
            try FileManager.default.createDirectory(atPath: obstacle, withIntermediateDirectories: false)
            let order = DropReplica(shard: test.shard(), epoch: Epoch(1), groupVersion: 2)
            try await eventually("it is held no more") {
                _ = try await harness.refusal(order)
                return coordinator.last?.report.replicas.isEmpty ?? false
            }
            let left = try age(metrics)
            #expect(left > 0)
            try FileManager.default.removeItem(atPath: obstacle)
            _ = try await harness.call(order)
            let after = try age(metrics)
            #expect(after == 0)
        }
    }
}
