import ClusterModel
import FaceModel
import PartitionEngine
import Testing
import WireProtocol
import WorkerService

/// How much of its log a replica keeps: over restarts, and for others.
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

    // MARK: For others

    private static let copyTaken = "a copy of the primary's partition took the place of this replica's"

    /// Nothing is kept but what somebody wants.
    private func withLogForOthers(
        replicas: Int,
        _ body: (ReplicatedShard) async throws -> Void
    ) async throws {
        var limits = WorkerLimits()
        limits.logBytes = 1
        limits.wantedLogBytes = 1 << 20
        try await ReplicatedShard.with(workers: 3, replicas: replicas, minimumInSync: 2, limits: limits, body)
    }

    /// It counts for nothing meanwhile, and what it had said to have before counts for this alone.
    @Test func aReplicaThatWasAwayGoesOnByTheLog() async throws {
        try await withLogForOthers(replicas: 3) { shard in
            let ids = test.ids(220)
            _ = try await shard.enrol(Array(ids.prefix(20)))
            let group = try #require(shard.keeper.group)
            let away = await (shard.index(of: group.primary) + 1) % 3
            await shard.stop(away)
            _ = try await shard.eventually("nobody waits for it") { () async throws(WireStatus) in
                await !shard.isInSync(away)
            }
            for part in 1..<11 { _ = try await shard.enrol(Array(ids[(part * 20)..<(part * 20 + 20)])) }
            try await shard.start(away)
            let found = try await shard.eventually("it reads") { () async throws(WireStatus) in
                try await shard.faces(ids, on: away)
            }
            #expect(found == ids)
            #expect(shard.log.lines(Self.copyTaken).isEmpty)
        }
    }

    /// The entry behind it is told by the epoch of its last one.
    @Test func theLastEntryThatALearnerHasIsKeptForIt() async throws {
        try await withLogForOthers(replicas: 2) { shard in
            let ids = test.ids(80)
            let nodes = await shard.nodes
            func enrol(_ part: Int) async throws {
                _ = try await shard.enrol(Array(ids[(part * 10)..<(part * 10 + 10)]))
            }
            shard.keeper.add(false)
            shard.keeper.change { $0?.adding(learner: nodes[2]) }
            try await shard.host(2)
            for part in 0..<5 { try await enrol(part) }
            _ = try await shard.eventually("it has what there is") { () async throws(WireStatus) in
                let reports = [nodes[0], nodes[2]].map { shard.keeper.report(of: $0) }
                let isQuiet = reports.allSatisfy { $0?.faceCount == 50 && $0?.checkpoint?.sequence == $0?.sequence }
                return isQuiet && reports[0]?.sequence == reports[1]?.sequence
            }
            let copyCount = shard.log.lines(Self.copyTaken).count
            await shard.stop(2)
            for part in 5..<8 { try await enrol(part) }
            try await shard.start(2)
            _ = try await shard.eventually("it has what came since") { () async throws(WireStatus) in
                shard.keeper.report(of: nodes[2])?.faceCount == 80
            }
            #expect(shard.log.lines(Self.copyTaken).count == copyCount)
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
