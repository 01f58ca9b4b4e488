import Backups
import ClusterModel
import FaceModel
import FaceRecords
import Testing
import WireProtocol

/// What the export of a ledger of erasures replaces: an earlier one of the same collection, and nothing else.
struct LedgerCommandTests {
    private static let key = ErasureKey(high: 7, low: 8)
    /// As the toy cluster has it.
    private static let created = Timestamp(milliseconds: 1_767_225_600_123)

    private func ledger(
        of collection: CollectionID = CollectionID(high: 1, low: 2),
        named name: String = "people",
        key: ErasureKey = Self.key,
        _ erasures: [Erasure] = []
    ) -> ErasureLedger {
        ErasureLedger(
            collection: collection,
            name: name,
            keyMark: ErasureLedger.mark(of: key),
            since: Self.created,
            until: Timestamp(milliseconds: Self.created.milliseconds + 20_000),
            erasures: erasures
        )
    }

    /// Runs a body with a toy cluster that has a collection, with a folder, and with an export to a file of that.
    private func exporting(
        _ body: (_ cluster: ToyCluster, _ safe: FolderStore, _ export: [String]) async throws -> Void
    ) async throws {
        let folder = try ScratchFolder()
        let safe = try FolderStore(folder.path, createsFolder: false)
        try await ToyCluster.run { cluster, address in
            let create = ["collection", "create", "people", "--dimension", "64", "--model", "m"]
            #expect(await mienCommand(create + ["--coordinator", address]).status == 0)
            cluster.change { $0.erasureKey = Self.key }
            let path = "\(folder.path)/people.ledger"
            try await body(cluster, safe, ["backup", "ledger", "export", "people", path, "--coordinator", address])
        }
    }

    /// The bytes of the file that is exported to.
    private func file(in safe: FolderStore) throws -> [UInt8] {
        try safe.get("people.ledger", limit: ErasureLedger.longestByteCount)
    }

    private func put(_ ledger: ErasureLedger, in safe: FolderStore) throws {
        try safe.put("people.ledger", ledger.sealed(for: "people.ledger"))
    }

    @Test func anEarlierExportIsReplaced() async throws {
        try await exporting { cluster, safe, export in
            #expect(await mienCommand(export).status == 0)
            try put(ledger(), in: safe)
            let before = try file(in: safe)
            let again = await mienCommand(export)
            #expect(again.status == 0 && again.output.hasPrefix("Wrote 0 erasures of people"), "\(again)")
            #expect(try file(in: safe) != before)
            // One from after the loss is as good as what comes.
            cluster.change { $0.losses = [.init(range: .all, time: Self.created)] }
            #expect(await mienCommand(export).status == 0)
        }
    }

    @Test func aFileOfAnotherCollectionIsKept() async throws {
        try await exporting { _, safe, export in
            for other in [
                ledger(of: CollectionID(high: 3, low: 4), named: "staff"),
                ledger(key: ErasureKey(high: 1, low: 1)),
            ] {
                try put(other, in: safe)
                let before = try file(in: safe)
                let refused = await mienCommand(export)
                #expect(refused.status == 1, "\(refused)")
                #expect(refused.error.contains("of another collection, \(other.name)"), "\(refused)")
                #expect(refused.error.contains("keep it, and name another file"), "\(refused)")
                #expect(try file(in: safe) == before)
            }
        }
    }

    @Test func anExportFromBeforeALossIsKept() async throws {
        try await exporting { cluster, safe, export in
            try put(ledger(), in: safe)
            let before = try file(in: safe)
            let loss = Timestamp(milliseconds: Self.created.milliseconds + 40_000)
            cluster.change { $0.losses = [.init(range: .all, time: loss)] }
            let refused = await mienCommand(export)
            #expect(refused.status == 1, "\(refused)")
            #expect(refused.error.contains("reaches back to 2026-01-01T00:00:00"), "\(refused)")
            #expect(refused.error.contains("given up at 2026-01-01T00:00:40"), "\(refused)")
            #expect(try file(in: safe) == before)
        }
    }

    @Test func whatTheLedgerShouldHaveAndHasNotIsKept() async throws {
        try await exporting { _, safe, export in
            let erasure = Erasure(
                pseudonym: Self.key.pseudonym(of: FaceID(high: 1, low: 5)),
                version: FaceVersion(epoch: 1, sequence: 9),
                time: Timestamp(milliseconds: Self.created.milliseconds + 7_200_000)
            )
            try put(ledger([erasure]), in: safe)
            let refused = await mienCommand(export)
            #expect(refused.status == 1 && refused.error.contains("has 1 erasure that the ledger"), "\(refused)")
        }
    }

    @Test func aFileThatIsNoLedgerIsKept() async throws {
        try await exporting { _, safe, export in
            try safe.put("people.ledger", Array("notes".utf8))
            let refused = await mienCommand(export)
            #expect(refused.status == 1 && refused.error.contains("cannot be read as a ledger"), "\(refused)")
            #expect(try file(in: safe) == Array("notes".utf8))
        }
    }

    /// Or that another coordinator has heard of.
    @Test func aLossThatIsAcceptedWhileTheLedgerIsReadIsReckonedWith() async throws {
        let loss = Timestamp(milliseconds: Self.created.milliseconds + 40_000)
        try await exporting { cluster, safe, export in
            cluster.change { state in
                state.beforeAnswer = { [weak cluster] request in
                    guard case .readErasures = request else { return }
                    cluster?.change { $0.losses = [.init(range: .all, time: loss)] }
                }
            }
            #expect(await mienCommand(export).status == 0)
            let ledger = try ErasureLedger(bytes: file(in: safe), object: "people.ledger")
            #expect(ledger.since == loss)
        }
    }

    @Test func theLedgerOfAnotherCollectionThatGotTheNameIsNotWritten() async throws {
        try await exporting { cluster, safe, export in
            #expect(await mienCommand(export).status == 0)
            let before = try file(in: safe)
            cluster.change { state in
                state.beforeAnswer = { [weak cluster] request in
                    guard case .readErasures = request else { return }
                    cluster?.change { $0.collectionIDs["people"] = CollectionID(high: 7, low: 7) }
                }
            }
            let refused = await mienCommand(export)
            #expect(refused.status == 1 && refused.error.contains("another has its name"), "\(refused)")
            #expect(try file(in: safe) == before)
        }
    }
}
