import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WorkerService

/// A shard that is split while its file is damaged.
struct SuccessorDamageTests {
    private let split = SplitShard()

    /// No search had met it: it is the old shard's replica that is told of, and repaired, as if one had.
    @Test(.timeLimit(.minutes(2))) func aSourceThatIsDamagedLeavesServiceAndIsNamed() async throws {
        let folder = TemporaryFolder()
        // Full chunks, which are verified when they are first read.
        let ids = split.test.ids(256)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { worker in
            _ = try await worker.call(split.test.host())
            _ = try await worker.call(split.test.enrol(ids))
        }
        let file = "\(folder.path)/replicas/\(split.test.collection.id)/0/partition/data.mdb"
        let row = split.test.embeddings([ids[3]]).values.prefix(12).flatMap { value in
            withUnsafeBytes(of: Float16(value).bitPattern.littleEndian) { Array($0) }
        }
        let places = try FileBytes.occurrences(of: row, in: file)
        try #require(!places.isEmpty)
        for place in places { try FileBytes.overwrite(file, at: place, with: [row[0] ^ 1]) }
        try await WorkerHarness.withCluster(folder, cluster: .random()) { worker, coordinator in
            _ = try await coordinator.report { $0.replicas.map(\.state) == [.serving] }
            _ = try await worker.call(split.prepare(0))
            let report = try await coordinator.report { report in
                report.replicas.map(\.state) == [.failed] && report.successors.contains { !$0.failure.isEmpty }
            }
            let failure = try #require(report.successors.first?.failure)
            #expect(failure.contains("shard 0 of"), "\(failure)")
        }
    }
}
