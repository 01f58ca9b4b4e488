import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WorkerService

/// A primary that orders no writes, since other shards are to take its shard's place, still gives its log to an
/// archive.
@Suite struct FrozenArchiveTests {
    private let test = TestCollection()

    /// What was written after that may be theirs, before it hears so.
    @Test func itPromisesNoMomentAfterItStopped() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            let primary = await shard.nodes[0]
            func read(after position: ArchivePosition?) async throws -> ArchivedEntries {
                let answer = try await shard.eventually("the log is read") { () async throws(WireStatus) in
                    let epoch = shard.keeper.group!.epoch.number
                    return try await shard.call(ReadLog(route: test.route(epoch: epoch), after: position), on: 0)
                }
                return answer.entries
            }

            let begun = try await read(after: nil)
            _ = try await shard.enrol(test.ids(9))
            shard.keeper.change { $0!.freezing(true) }
            let isFrozen = try await shard.eventually("it has ended") { () async throws(WireStatus) in
                shard.keeper.report(of: primary)?.end?.groupVersion == shard.keeper.group!.version
            }
            #expect(isFrozen)
            let last = try await read(after: begun.end)
            #expect(!last.entries.isEmpty && last.remainingCount == 0)
            let until = try #require(last.until)
            try await Task.sleep(for: .milliseconds(30))
            #expect(try await read(after: last.end).until == until)

            shard.keeper.change { $0!.freezing(false) }
            _ = try await shard.enrol(test.ids(12))
            let later = try #require(try await read(after: last.end).until)
            #expect(later > until)
        }
    }
}
