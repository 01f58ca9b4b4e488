import ClusterModel
import FaceModel
import Observability
import PartitionEngine
import Testing
import WireProtocol
import WorkerService

/// Bytes of deleted faces where a shard is split: in the shards that are made, for as long as they wait, and in the old
/// one.
struct SuccessorErasureTests {
    private let split = SplitShard()

    private func age(_ metrics: MetricRegistry) throws -> Double {
        let series = "mien_erasure_age_seconds "
        let line = metrics.rendered().split(separator: "\n").first { $0.hasPrefix(series) }
        return try #require(line.flatMap { Double($0.dropFirst(series.count)) })
    }

    /// In how many places of the shards that are made the embedding of a face is.
    private func places(of id: FaceID, in folder: TemporaryFolder) throws -> Int {
        let pattern = split.test.embeddings([id]).values.prefix(12).flatMap { value in
            withUnsafeBytes(of: Float16(value).bitPattern.littleEndian) { Array($0) }
        }
        return try (0..<2).reduce(0) { count, half in
            let replica = "\(folder.path)/replicas/\(split.test.collection.id)/\(split.shard(half).index)"
            return try count + FileBytes.occurrences(of: pattern, in: "\(replica)/partition/data.mdb").count
        }
    }

    /// As long as an operator pauses the split.
    @Test(.timeLimit(.minutes(2))) func whatIsDeletedMeanwhileLeavesTheShardsThatAreMade() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.withCluster(
            folder,
            cluster: .random(),
            changing: { $0.partition.erasurePeriod = .seconds(3) }
        ) { worker, coordinator in
            try await split.begin(on: worker)
            _ = try await coordinator.report { report in
                report.successors.count == 2 && report.successors.allSatisfy { $0.state == .following }
            }
            let ids = split.test.ids(20)
            #expect(try places(of: ids[3], in: folder) > 0)
            _ = try await worker.call(split.test.delete([ids[3]]))
            try await eventually("nothing of it is in their files") { try places(of: ids[3], in: folder) == 0 }
            #expect(try places(of: ids[4], in: folder) > 0, "what lives is there")
        }
    }

    /// Nobody looks into a shard that is found whole before it takes its place.
    @Test func aShardThatIsMadeCountsInTheAgeOfWhatIsNotErased() async throws {
        let (folder, metrics) = (TemporaryFolder(), MetricRegistry())
        try await WorkerHarness.with(WorkerHarness.options(folder)) { worker in
            try await split.begin(on: worker)
            try await split.waitForTheFirstHalf(on: worker)
        }
        try await WorkerHarness.withCluster(folder, cluster: .random(), changing: { $0.metrics = metrics }) {
            _,
            coordinator in
            let report = try await coordinator.report { $0.replicas.contains { $0.state == .serving } }
            #expect(report.successors.map(\.state) == [.sealed])
            // Nothing was deleted from the old one.
            #expect(try age(metrics) > 0)
        }
    }

    /// It stays until all who take its place are there.
    @Test func whatTheOldShardHasLeftCountsUntilItsFileIsGone() async throws {
        let (folder, metrics) = (TemporaryFolder(), MetricRegistry())
        try await WorkerHarness.withCluster(folder, cluster: .random(), changing: { $0.metrics = metrics }) {
            worker,
            coordinator in
            let ids = split.test.ids(20)
            _ = try await worker.call(split.test.host())
            _ = try await worker.call(split.test.enrol(ids))
            _ = try await worker.call(split.test.delete([ids[3]]))
            try await eventually("the old one has something of it") { try age(metrics) > 0 }
            // What is made begins without it.
            for half in 0..<2 { _ = try await worker.call(split.prepare(half)) }
            let before = try age(metrics)
            async let lower: Void = split.takePlace(0, on: worker)
            async let upper: Void = split.takePlace(1, on: worker)
            _ = try await (lower, upper)
            _ = try await coordinator.report { $0.successors.isEmpty && $0.replicas.count == 3 }
            #expect(try age(metrics) >= before)
        }
    }
}
