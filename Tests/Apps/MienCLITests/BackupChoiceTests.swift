import Backups
import ClusterModel
import FaceModel
import Foundation
import Synchronization
import Testing
import WireProtocol

/// Which backups stay and which is restored: of several collections of one name, of several clusters, and of one of
/// which faces were given up.
struct BackupChoiceTests {
    private let ids = [CollectionID(high: 1, low: 2), CollectionID(high: 3, low: 4)]
    private let loss = Timestamp(milliseconds: 1_767_226_000_000)

    /// So many hours after the first of January.
    private func time(_ hour: Int64) -> Timestamp { Timestamp(milliseconds: 1_767_225_600_000 + hour * 3_600_000) }

    private func backups(in folder: ScratchFolder) async throws -> [String] {
        try await FolderStore(folder.path, createsFolder: false).backups()
    }

    @Test func aCollectionThatHadTheNameBeforeCountsForItself() async throws {
        let folder = try ScratchFolder()
        let all: [(index: Int, hour: Int64)] = [(0, 1), (1, 2), (1, 3)]
        let names = try all.map { backup in
            try BackupFixture.put(BackupFixture.manifest(of: ids[backup.index], created: time(backup.hour)), in: folder)
        }
        let list = await mienCommand(["backup", "list", folder.path])
        #expect(list.output.contains("collection id") && !list.output.contains("cluster"), "\(list)")
        for id in ids { #expect(list.output.contains("\(id)"), "\(list)") }
        let pruned = await mienCommand(["backup", "prune", folder.path, "--keep", "1"])
        #expect(pruned.status == 0 && pruned.output.hasPrefix("\(names[1])\n"), "\(pruned)")
        #expect(try await backups(in: folder) == [names[0], names[2]])
        let plain = await mienCommand(["backup", "list", folder.path, "--json"])
        #expect(plain.output.contains(#""has_loss": false"#) && plain.output.contains(#""loss": null"#), "\(plain)")
    }

    /// Nights after faces were given up.
    @Test func whatLacksFacesThatWereGivenUpTakesNobodysPlace() async throws {
        let folder = try ScratchFolder()
        let whole = try BackupFixture.put(BackupFixture.manifest(created: time(0)), in: folder)
        let lossy = try (1...3 as ClosedRange<Int64>).map { hour in
            try BackupFixture.put(BackupFixture.manifest(created: time(hour), loss: loss), in: folder)
        }
        let kept = await mienCommand(["backup", "prune", folder.path, "--keep", "1"])
        #expect(kept.status == 0 && kept.output.hasPrefix("Removed 0 backups"), "\(kept)")

        let list = await mienCommand(["backup", "list", folder.path])
        let lines = list.outputLines
        #expect(lines[0].hasSuffix("faces given up") && lines[1].hasPrefix(whole), "\(list)")
        #expect(!lines[1].contains("2026-01-01T00:06:40") && lines[2].contains("2026-01-01T00:06:40"), "\(list)")
        let verified = await mienCommand(["backup", "verify", folder.path])
        #expect(verified.status == 0, "\(verified)")
        #expect(verified.output.contains("\(whole): sound, 0 faces\n"), "\(verified)")
        #expect(verified.output.contains("\(lossy[0]): sound, 0 faces; faces that were given up at"), "\(verified)")
        let json = await mienCommand(["backup", "verify", folder.path, "--json"])
        #expect(json.output.contains(#""has_loss": true"#) && json.output.contains(#""has_loss": false"#), "\(json)")

        // The last whole one goes by no rule.
        let ruled = await mienCommand(["backup", "prune", folder.path, "--keep", "0"])
        #expect(ruled.error.contains("\(whole) is the last backup of 'people' that lacks no faces"), "\(ruled)")
        #expect(try await backups(in: folder) == [whole])
        try BackupFixture.put(BackupFixture.manifest(created: time(4), loss: loss), in: folder)
        let named = await mienCommand(["backup", "prune", folder.path, "--backup", whole])
        #expect(named.status == 64 && named.error.contains("that lacks no faces"), "\(named)")
        // Once there is another whole one it may.
        let newer = try BackupFixture.put(BackupFixture.manifest(created: time(5)), in: folder)
        let replaced = await mienCommand(["backup", "prune", folder.path, "--keep", "1"])
        #expect(replaced.status == 0, "\(replaced)")
        #expect(try await backups(in: folder) == [newer])
    }

    @Test func backupsOfSeveralClustersAreNotChosenAmongByName() async throws {
        let folder = try ScratchFolder()
        let clusters = [NodeID(high: 1, low: 2), NodeID(high: 5, low: 6)]
        let all: [(index: Int, hour: Int64)] = [(0, 1), (0, 2), (1, 3)]
        let names = try all.map { backup in
            let (id, cluster) = (ids[backup.index], clusters[backup.index])
            return try BackupFixture.put(
                BackupFixture.manifest(of: id, on: cluster, created: time(backup.hour)),
                in: folder
            )
        }
        let list = await mienCommand(["backup", "list", folder.path])
        for cluster in clusters { #expect(list.output.contains("\(cluster)"), "\(list)") }
        try await ToyCluster.run { _, address in
            let restore = ["backup", "restore", folder.path, "--collection", "people", "--coordinator", address]
            for further in [[], ["--at", "2026-01-01T02:30:00Z"], ["--at-sequence", "0:7"]] {
                let refused = await mienCommand(restore + further)
                #expect(refused.status == 1 && refused.error.contains("of 2 clusters"), "\(refused)")
                #expect(refused.error.contains("cluster \(clusters[0]), the newest \(names[1])"), "\(refused)")
                #expect(refused.error.contains("cluster \(clusters[1]), the newest \(names[2])"), "\(refused)")
            }
            let chosen = await mienCommand(restore + ["--as-of", names[0]])
            #expect(chosen.status == 1 && chosen.error.contains("no ledger of erasures"), "\(chosen)")
        }
    }

    /// The collection that had the name before has a log, and the one that has it now has none.
    @Test func writesAreThoseOfTheCollectionThatTheNewestBackupIsOf() async throws {
        let folder = try ScratchFolder()
        let store = try FolderStore(folder.path, createsFolder: false)
        let names = try [0, 1].map { index in
            let created = time(Int64(index + 1))
            return try BackupFixture.put(BackupFixture.manifest(of: ids[index], created: created), in: folder)
        }
        try archive(ids[0], in: store)
        try await ToyCluster.run { _, address in
            let restore = ["backup", "restore", folder.path, "--collection", "people", "--coordinator", address]
            let refused = await mienCommand(restore + ["--at-sequence", "0:1"])
            #expect(refused.status == 1 && refused.error.contains("no archived log of 'people'"), "\(refused)")
            // Moments go by the clock, whoever had the name then.
            for further in [["--at", "2026-01-01T01:00:00Z"], ["--at-sequence", "0:1", "--as-of", names[0]]] {
                let planned = await mienCommand(restore + further)
                #expect(planned.status == 1 && planned.error.contains("no ledger of erasures"), "\(planned)")
            }
        }
    }

    /// Archives one write behind a backup that was cut before the first.
    private func archive(_ collection: CollectionID, in store: FolderStore) throws {
        let shard = ArchiveVolume.Shard(index: 0, range: .all)
        let start = ArchivePosition(sequence: 0, epoch: 1, chain: 5, time: time(0))
        let end = ArchivePosition(sequence: 1, epoch: 1, chain: 6, time: time(1))
        let bytes = LogSegment(
            collection: collection,
            shardIndex: 0,
            firstSequence: 1,
            entries: [ArchivedEntry(time: time(1), effect: .applied, bytes: [1, 2, 3])]
        ).encoded()
        let segment = BackupDigest(of: bytes)
        try store.put(BackupName.segment(segment), bytes)
        let book = ArchiveBook(collection: collection, name: "people", cluster: NodeID(high: 1, low: 2), head: nil)
        let page = book.page(
            adding: [
                .init(shard: shard, start: start, end: start, continues: false, segment: nil),
                .init(
                    shard: shard,
                    start: start,
                    end: end,
                    continues: true,
                    segment: .init(entryCount: 1, byteCount: UInt32(bytes.count), digest: segment)
                ),
            ],
            standings: [.init(shard: shard, position: end, until: time(9))],
            now: time(9)
        )
        try store.put(BackupName.volume(page.name), page.bytes)
    }

    // MARK: Restores

    /// Runs a restore of the only backup, with a body that is waited for when it begins.
    private func restoring(
        _ folder: ScratchFolder,
        _ body: @escaping @Sendable (BeginRestore) async -> Void
    ) async throws -> CommandResult {
        var restored: CommandResult?
        try await ToyCluster.run { cluster, address in
            cluster.change { state in
                // Up to there it comes.
                state.restorationEnd = WireStatus(.invalidRequest, "It has come to its end.")
                state.beforeAnswer = { request in
                    if case .beginRestore(let request) = request { await body(request) }
                }
            }
            let restore = ["backup", "restore", folder.path, "--collection", "people", "--coordinator", address]
            restored = await mienCommand(restore + ["--without-ledger"])
        }
        let result = try #require(restored)
        #expect(result.error.contains("It has come to its end"), "\(result)")
        return result
    }

    @Test(arguments: [false, true]) func whatIsRestoredHasLostWhatTheBackupLacks(isLossy: Bool) async throws {
        let folder = try ScratchFolder()
        let manifest = BackupFixture.manifest(created: time(1), loss: isLossy ? loss : nil)
        try BackupFixture.put(manifest, in: folder)
        let told = Mutex<[Timestamp?]>([])
        let restored = try await restoring(folder) { request in told.withLock { $0.append(request.loss) } }
        let losses = told.withLock(\.self)
        #expect(losses == [manifest.loss])
        let warning = "given up at 2026-01-01T00:06:40"
        #expect(restored.error.contains(warning) == isLossy, "\(restored)")
        #expect(restored.error.contains("'mien collection losses people --restored'") == isLossy, "\(restored)")
    }

    /// As commands lock a folder: on a thread, where it is no store of tasks.
    private static func locks(_ store: FolderStore, for use: StoreUse) -> Bool {
        (try? store.lock(for: use)) != nil
    }

    @Test func nothingIsPrunedWhileARestoreReads() async throws {
        let folder = try ScratchFolder()
        try BackupFixture.put(BackupFixture.manifest(created: time(1)), in: folder)
        let path = folder.path
        let prune = ["backup", "prune", path, "--keep", "1"]
        let beside = Mutex<CommandResult?>(nil)
        let isWritten = Mutex(false)
        _ = try await restoring(folder) { _ in
            let pruned = await mienCommand(prune)
            beside.withLock { $0 = pruned }
            // A backup goes together with it.
            let store = try? FolderStore(path, createsFolder: false)
            let wasLocked = store.map { Self.locks($0, for: .writing) } ?? false
            isWritten.withLock { $0 = wasLocked }
        }
        let result = beside.withLock(\.self)
        let pruned = try #require(result)
        #expect(pruned.status == 69 && pruned.error.contains("in use by another backup, restore or prune"), "\(pruned)")
        let wasWritten = isWritten.withLock(\.self)
        #expect(wasWritten)
        #expect(await mienCommand(prune).status == 0)

        let store = try FolderStore(path, createsFolder: false)
        #expect(Self.locks(store, for: .pruning))
        let refused = await mienCommand(["backup", "restore", path, "--collection", "people"])
        #expect(refused.status == 69 && refused.error.contains("in use"), "\(refused)")
        store.unlock()
    }
}
