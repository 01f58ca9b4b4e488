import Backups
import ClusterModel
import FaceModel
import Testing
import WireProtocol

/// Which ledgers of erasures a restore goes by, and what it says of those that it cannot read.
struct RestoreCommandTests {
    private static let key = BackupFixture.key

    /// A folder with a backup of a collection without faces, as the toy cluster would make it.
    private func backup(of collection: CollectionID = CollectionID(high: 1, low: 2)) throws -> ScratchFolder {
        let folder = try ScratchFolder()
        let created = Timestamp(milliseconds: 1_767_225_700_000)
        try BackupFixture.put(BackupFixture.manifest(of: collection, created: created), in: folder)
        return folder
    }

    /// A folder with a ledger of that collection in `people.ledger`, of nobody, that ends then.
    private func ledger(until end: Timestamp) throws -> ScratchFolder {
        let folder = try ScratchFolder()
        let ledger = ErasureLedger(
            collection: CollectionID(high: 1, low: 2),
            name: "people",
            keyMark: ErasureLedger.mark(of: Self.key),
            since: Timestamp(milliseconds: 1_767_225_600_123),
            until: end,
            erasures: []
        )
        try FolderStore(folder.path, createsFolder: false).put("people.ledger", ledger.sealed(for: "people.ledger"))
        return folder
    }

    /// Runs a body with a toy cluster that has one collection, and with a restore of the backup to another.
    private func restoring(
        _ folder: ScratchFolder,
        beside collection: String,
        _ body: (ToyCluster, _ restore: [String]) async throws -> Void
    ) async throws {
        try await ToyCluster.run { cluster, address in
            let create = ["collection", "create", collection, "--dimension", "64", "--model", "m"]
            #expect(await mienCommand(create + ["--coordinator", address]).status == 0)
            let words = ["backup", "restore", folder.path, "--collection", "again", "--from", "people"]
            try await body(cluster, words + ["--coordinator", address])
        }
    }

    @Test func oneShardThatAnswersTellsThatACollectionHasNothingToDoWithTheBackup() async throws {
        let folder = try backup(of: CollectionID(high: 3, low: 4))
        try await restoring(folder, beside: "staff") { cluster, restore in
            cluster.change { $0.unreadLedgers = [0] }
            let refused = await mienCommand(restore)
            #expect(refused.status == 1 && refused.error.contains("no ledger of erasures"), "\(refused)")
            #expect(!refused.error.contains("staff"), "\(refused)")
        }
    }

    @Test func aCollectionThatTellsNothingIsNamedAndPassedOverOnlyWhenAskedFor() async throws {
        let folder = try backup(of: CollectionID(high: 3, low: 4))
        try await restoring(folder, beside: "staff") { cluster, restore in
            cluster.change { $0.unreadLedgers = [0, 1] }
            let refused = await mienCommand(restore)
            #expect(refused.status == 1 && refused.error.contains("deleted from staff since"), "\(refused)")
            #expect(refused.error.contains("with --ledger, or say --without-ledger"), "\(refused)")
            #expect(refused.error.contains("is damaged"), "\(refused)")
            // The toy cluster restores nothing; until there it comes.
            let warned = await mienCommand(restore + ["--without-ledger"])
            #expect(warned.error.contains("warning: what was deleted from staff since is not known"), "\(warned)")
            #expect(warned.error.contains("delete them again"), "\(warned)")
            #expect(warned.error.contains("a coordinator does not answer this"), "\(warned)")
        }
    }

    /// By the clock of another machine a loss may have come after the backup: it is told, with the way out.
    @Test func aLossThatTheLedgerDoesNotReachBeyondIsNamed() async throws {
        let folder = try backup()
        let safe = try ledger(until: Timestamp(milliseconds: 1_767_225_630_000))
        try await restoring(folder, beside: "people") { cluster, restore in
            cluster.change { state in
                state.erasureKey = Self.key
                state.losses = [.init(range: .all, time: Timestamp(milliseconds: 1_767_225_640_000))]
            }
            let refused = await mienCommand(restore)
            #expect(refused.status == 1 && refused.error.contains("given up at 2026-01-01T00:00:40"), "\(refused)")
            #expect(refused.error.contains("less than an hour before the backup"), "\(refused)")
            #expect(refused.error.contains("--ledger FILE --ledger people"), "\(refused)")
            #expect(refused.error.contains("reaches back to 2026-01-01T00:01:40"), "\(refused)")
            let helped = await mienCommand(
                restore + ["--ledger", "\(safe.path)/people.ledger", "--ledger", "people"]
            )
            #expect(helped.error.contains("ends at 2026-01-01T00:00:30"), "\(helped)")
            #expect(helped.error.contains("a coordinator does not answer this"), "\(helped)")

            cluster.change { $0.losses = [.init(range: .all, time: Timestamp(milliseconds: 1_767_325_600_000))] }
            let later = await mienCommand(restore)
            #expect(later.status == 1 && later.error.contains("after the backup"), "\(later)")
            let warned = await mienCommand(restore + ["--without-ledger"])
            #expect(warned.error.contains("warning: faces of people were given up at"), "\(warned)")
        }
    }

    /// What was deleted in that minute it does not have.
    @Test func aFileThatEndsAMinuteAgoIsWarnedOf() async throws {
        let folder = try backup()
        let safe = try ledger(until: Timestamp(milliseconds: Timestamp.wallClock.milliseconds - 60_000))
        try await restoring(folder, beside: "people") { cluster, restore in
            cluster.change { $0.erasureKey = Self.key }
            let file = restore + ["--ledger", "\(safe.path)/people.ledger"]
            let warned = await mienCommand(file)
            let warning = "warning: the ledger of the collection that was backed up ends at"
            #expect(warned.error.contains(warning), "\(warned)")
            #expect(warned.error.contains("a coordinator does not answer this"), "\(warned)")
            let whole = await mienCommand(file + ["--ledger", "people"])
            #expect(!whole.error.contains("backed up ends at"), "\(whole)")
            #expect(whole.error.contains("a coordinator does not answer this"), "\(whole)")
        }
    }

    @Test func whatTheClusterSaysOfTheEndOfARestorationIsNotContradicted() async throws {
        let folder = try backup()
        try await restoring(folder, beside: "people") { cluster, restore in
            cluster.change { state in
                state.erasureKey = Self.key
                state.restorationEnd = WireStatus(.corruptPartition, "It is damaged. Delete it and restore again.")
            }
            let damaged = await mienCommand(restore)
            #expect(damaged.status == 74 && damaged.error.contains("Delete it and restore again"), "\(damaged)")
            #expect(!damaged.error.contains("goes on with it") && !damaged.error.contains("was begun"), "\(damaged)")
            cluster.change { $0.restorationEnd = WireStatus(.internalError, "Its answer was lost.") }
            let lost = await mienCommand(restore)
            #expect(lost.status == 70 && lost.error.contains("'again' may have ended; the same command"), "\(lost)")
            #expect(!lost.error.contains("answers nothing"), "\(lost)")
        }
    }

    /// What the others tell is left out all the same.
    @Test func aShardOfTheCollectionItselfThatTellsNothingIsNamed() async throws {
        let folder = try backup()
        try await restoring(folder, beside: "people") { cluster, restore in
            cluster.change { state in
                state.erasureKey = Self.key
                state.unreadLedgers = [1]
            }
            let refused = await mienCommand(restore)
            #expect(refused.status == 1 && refused.error.contains("deleted from people since"), "\(refused)")
            let warned = await mienCommand(restore + ["--without-ledger"])
            #expect(warned.error.contains("deleted from shard 1 of people is known"), "\(warned)")
            #expect(warned.error.contains("no ledger of erasures"), "it vouches for nothing: \(warned)")
            #expect(warned.error.contains("a coordinator does not answer this"), "\(warned)")
            cluster.change { $0.unreadLedgers = [] }
            let whole = await mienCommand(restore)
            #expect(!whole.error.contains("ledger"), "\(whole)")
            #expect(whole.error.contains("a coordinator does not answer this"), "\(whole)")
        }
    }
}
