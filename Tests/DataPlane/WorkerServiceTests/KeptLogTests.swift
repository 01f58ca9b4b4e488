import ClusterModel
import FaceModel
import PartitionEngine
import Testing
import WireProtocol
import WorkerService

/// How much of its log a replica keeps over restarts.
struct KeptLogTests {
    private static let limit = 120_000
    private let test = TestCollection()

    /// Each life of the workers writes less than is kept.
    @Test func theLogOfBeforeARestartCountsToo() async throws {
        var limits = WorkerLimits()
        limits.logBytes = Self.limit
        limits.wantedLogBytes = Self.limit
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2, limits: limits) { shard in
            let ids = test.ids(1600)
            for life in 0..<4 {
                if life > 0 {
                    for index in 0..<2 { await shard.stop(index) }
                    for index in 0..<2 { try await shard.start(index) }
                }
                for part in (life * 4)..<(life * 4 + 4) {
                    _ = try await shard.enrol(Array(ids[(part * 100)..<(part * 100 + 100)]))
                }
            }
            for index in 0..<2 { await shard.stop(index) }
            for index in 0..<2 {
                let (firstLogged, entries) = try await log(of: index, shard)
                let byteCount = entries.reduce(0) { $0 + $1.byteCount }
                let largest = entries.map(\.byteCount).max() ?? 0
                #expect(largest * 4 < Self.limit, "one life is no reason to forget")
                #expect(firstLogged > 1)
                // Two entries may have yet to be applied, and what is forgotten ends with a stretch.
                #expect(byteCount <= Self.limit + 3 * largest, "\(byteCount) bytes in \(entries.count) entries")
            }
        }
    }

    /// An entry of one face is far shorter than what it takes in the file: that counts in every life.
    @Test func aRestartForgetsNothingThatWasKept() async throws {
        var limits = WorkerLimits()
        limits.logBytes = Self.limit
        limits.wantedLogBytes = Self.limit
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2, limits: limits) { shard in
            let ids = test.ids(46)
            for id in ids.dropLast() { _ = try await shard.enrol([id]) }
            for life in 0..<2 {
                if life > 0 {
                    for index in 0..<2 { try await shard.start(index) }
                    _ = try await shard.enrol([ids[45]])
                }
                for index in 0..<2 { await shard.stop(index) }
                for index in 0..<2 {
                    let (firstLogged, entries) = try await log(of: index, shard)
                    let byteCount = entries.reduce(0) { $0 + $1.byteCount }
                    let largest = entries.map(\.byteCount).max() ?? 0
                    #expect(largest * 45 > Self.limit && largest * 4 < Self.limit)
                    let what: Comment = "\(byteCount) bytes in \(entries.count) entries, life \(life)"
                    #expect(firstLogged > 1, what)
                    #expect(byteCount >= Self.limit && byteCount <= Self.limit + 3 * largest, what)
                }
            }
        }
    }

    /// The first entry of the log of a worker that is stopped, and how long all of them are in the file.
    private func log(
        of index: Int,
        _ shard: ReplicatedShard
    ) async throws -> (firstLogged: UInt64, entries: [LogStretch]) {
        let folder = await shard.folder(index)
        let partition = try Partition.open(
            at: "\(folder.path)/replicas/\(test.collection.id)/0/partition",
            options: WorkerHarness.options(folder).partition
        )
        defer { partition.close() }
        return (try partition.logExtent().firstLogged, try partition.logStretches(of: 0))
    }
}
