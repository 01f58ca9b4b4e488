import Backups
import FaceModel
import Synchronization
import Testing

extension LogArchiverTests {
    /// An archive of two shards with seven entries each, whose list cannot be read any more.
    ///
    /// - Returns: also the name of that list.
    private static func damagedArchive(
        of cluster: FakeCluster
    ) async throws -> (logs: Logs, store: MemoryStore, list: String) {
        let (logs, store) = (Logs(), MemoryStore())
        serve(logs, in: cluster)
        logs.append(7)
        try await run(archiver(cluster, store)) { try await ends(cluster, store) == [0: 7, 1: 7] }
        let list = try #require(store.list(BackupName.archivePrefix).last).name
        store.objects.withLock { objects in objects[list]![20] ^= 1 }
        return (logs, store, list)
    }

    /// Whoever comes next finds a list that it cannot read.
    @Test func aListThatIsDamagedIsReplacedAndWhatItHadIsAGap() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let (logs, store, list) = try await Self.damagedArchive(of: cluster)
            logs.append(5)
            try await Self.run(Self.archiver(cluster, store)) {
                (try? await Self.ends(cluster, store)) == [0: 12, 1: 12]
            }
            let gapCount = Self.metric(cluster, "mien_archive_gaps_total")
            #expect(gapCount == 2)
            // It is no gap for whoever goes on.
            logs.append(5)
            try await Self.run(Self.archiver(cluster, store)) {
                (try? await Self.ends(cluster, store)) == [0: 17, 1: 17]
            }
            #expect(Self.metric(cluster, "mien_archive_gaps_total") == gapCount)
            let chain = try #require(try await ArchiveChain.read(cluster.collection.id, in: store))
            #expect(chain.strays.map { BackupName.volume($0) } == [list])
        }
    }

    /// Its primary is away in the turn in which the list is replaced.
    @Test func aShardThatComesBackLaterHasItsGapAllTheSame() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let (logs, store, _) = try await Self.damagedArchive(of: cluster)
            logs.append(5)
            logs.state.withLock { $0.isSilent = [1] }
            let wasAlone = Mutex(false)
            try await Self.run(Self.archiver(cluster, store)) {
                let ends = try? await Self.ends(cluster, store)
                if ends == [0: 12] {
                    wasAlone.withLock { $0 = true }
                    logs.state.withLock { $0.isSilent = [] }
                }
                return ends == [0: 12, 1: 12]
            }
            let wasOther = wasAlone.withLock { $0 }
            #expect(wasOther, "the other was there")
            #expect(Self.metric(cluster, "mien_archive_gaps_total") == 2)
        }
    }
}
