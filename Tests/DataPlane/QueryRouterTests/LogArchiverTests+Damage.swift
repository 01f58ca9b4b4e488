import Backups
import FaceModel
import Synchronization
import Testing

extension LogArchiverTests {
    /// Whoever comes next finds a list that it cannot read.
    @Test func aListThatIsDamagedIsReplacedAndWhatItHadIsAGap() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let (logs, store) = (Logs(), MemoryStore())
            Self.serve(logs, in: cluster)
            logs.append(7)
            try await Self.run(Self.archiver(cluster, store)) { try await Self.ends(cluster, store) == [0: 7, 1: 7] }
            let list = try #require(store.list(BackupName.archivePrefix).last).name
            store.objects.withLock { objects in objects[list]![20] ^= 1 }
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
}
