import Foundation
import MienClient
import Testing

extension Integration {
    /// Backups of a collection that is written to, and restores of them to other clusters.
    @Suite struct BackupTests {
        private static let collection = FaceWriter.collection

        @Test(.timeLimit(.minutes(5)))
        func aBackupUnderWritesIsRestoredToOtherWorkersAndShards() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("backup")
                let cluster = try Cluster(stage, workers: 3)
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(8))
                try await FaceWriter.createCollection(shards: 5, copies: 2, client)
                let place = stage.path("backups")

                let pause = FaceWriter.Pause()
                let taken = try await withThrowingTaskGroup(of: HistoryWriter.self) { group in
                    for number in 1...3 {
                        let writer = HistoryWriter(seed: seed &+ UInt64(number), number: number)
                        group.addTask { try await writer.writing(to: client, until: pause) }
                    }
                    defer { pause.ask() }
                    try await eventually("writers have written", within: .seconds(20)) {
                        pause.acknowledgedCount > 120 ? () : nil
                    }
                    let asked = ContinuousClock.now
                    let made = try await cluster.mien("backup", "create", Self.collection, "--to", place, "--json")
                    let cut = asked...ContinuousClock.now
                    #expect(made.status == 0, "\(made)")
                    let before = pause.acknowledgedCount
                    try await eventually("writers go on", within: .seconds(20)) {
                        pause.acknowledgedCount > before + 30 ? () : nil
                    }
                    pause.ask()
                    var writers: [HistoryWriter] = []
                    for try await writer in group { writers.append(writer) }
                    return (document: try made.document([BackupDocument].self)[0], cut: cut, writers: writers)
                }

                let ledger = stage.path("people.ledger")
                let exported = try await cluster.mien("backup", "ledger", "export", Self.collection, ledger)
                #expect(exported.status == 0, "\(exported)")

                let other = try Cluster(stage, workers: 2, folders: "other")
                try await other.start()
                let words = ["backup", "restore", place, "--collection", Self.collection, "--shards", "3"]
                let ignorant = try await other.mien(words + ["--copies", "1"])
                #expect(ignorant.status == 1 && ignorant.error.contains("--without-ledger"), "\(ignorant)")
                let restored = try await other.mien(words + ["--copies", "1", "--ledger", ledger])
                #expect(restored.status == 0, "\(restored)")
                let otherClient = try other.client()
                var stored = try await FaceWriter.storedFaces(otherClient)
                // What was deleted after the cut is not there.
                #expect(stored.count < taken.document.faces)
                // What was acknowledged before the command began is, and all of it is of one moment.
                let fault = HistoryWriter.fault(of: taken.writers, in: &stored, between: taken.cut)
                #expect(fault == nil)
                #expect(stored.isEmpty, "\(stored.count) faces are restored that nobody wrote")
                var own = try await FaceWriter.storedFaces(client)
                let loss = HistoryWriter.fault(of: taken.writers, in: &own)
                #expect(loss == nil && own.isEmpty, "\(own.count) faces of nobody")
                // It takes writes, newer than all that was restored, and is searched.
                var last = try #require(taken.writers.first)
                try await last.writeOnce(to: otherClient)
                let verified = try await other.mien("verify", Self.collection)
                #expect(verified.status == 0, "\(verified)")
                let again = try await other.mien(words + ["--ledger", ledger])
                #expect(again.status == 1 && again.error.contains("exists already"), "\(again)")
                await otherClient.close()
                await client.close()
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func onlyWhatChangedIsWrittenAndWhatWasCutOffGoesOn() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("backup again")
                let cluster = try Cluster(stage, workers: 2)
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(8))
                try await FaceWriter.createCollection(shards: 2, copies: 1, client)
                var writer = HistoryWriter(seed: seed, number: 1)
                for _ in 0..<60 { try await writer.writeOnce(to: client) }
                let place = stage.path("backups")

                let first = try await Self.backUp(cluster, place)
                #expect(first.new_blocks > 0 && first.read_slices == 256)
                let second = try await Self.backUp(cluster, place)
                #expect(second.new_blocks == 0 && second.read_slices == 0 && second.faces == first.faces)
                let face = try #require(writer.ids.first)
                try await Self.enrol(face, version: 0, externalImageID: "version-0", client)
                let third = try await Self.backUp(cluster, place)
                #expect(third.new_blocks == 1 && third.read_slices == 1)
                let sound = try await stage.mien("backup", "verify", place)
                #expect(sound.status == 0, "\(sound)")

                // A restoration that is killed has made nothing that looks whole; it goes on, or is deleted.
                let words = ["backup", "restore", place, "--collection", "again", "--from", Self.collection]
                let killed = try await stage.start(
                    words + ["--rate", "16KiB", "--coordinator", "\(cluster.address)"]
                )
                try await eventually("faces are put back", within: .seconds(20)) {
                    let info = try await client.describe("again")
                    return info.restoredFrom != nil && info.faceCount > 0 ? () : nil
                }
                killed.kill()
                let impatient = try cluster.client()
                await #expect {
                    _ = try await impatient.faces([face], in: "again")
                } throws: { ($0 as? MienClientError)?.message.contains("is being restored") == true }
                let refused = try await cluster.mien("backup", "create", "again", "--to", place)
                #expect(refused.status == 65 && refused.error.contains("is being restored"), "\(refused)")
                let gone = try await cluster.mien(words)
                #expect(gone.status == 0, "\(gone)")
                #expect(try await client.describe("again").restoredFrom == nil)
                try await eventually("all faces are counted", within: .seconds(10)) {
                    try await client.describe("again").faceCount == UInt64(third.faces) ? () : nil
                }

                // Whoever was deleted after the backup stays deleted, and only what was enrolled later is there again.
                let erased = try #require(writer.ids.last)
                try await Self.enrol(erased, version: 1, client)
                let fourth = try await Self.backUp(cluster, place)
                _ = try await client.deleteFaces([erased, face], from: Self.collection)
                try await Self.enrol(face, version: 2, externalImageID: "later", client)
                let fifth = try await Self.backUp(cluster, place)
                for (backup, name, wanted) in [
                    (fourth.backup, "fourth", [String?]()), (fifth.backup, "fifth", ["later"]),
                ] {
                    let restored = try await cluster.mien(
                        "backup",
                        "restore",
                        place,
                        "--collection",
                        name,
                        "--as-of",
                        backup
                    )
                    #expect(restored.status == 0, "\(restored)")
                    let found = try await client.faces([erased, face], in: name)
                    #expect(found.map(\.metadata.externalImageID) == wanted, "\(name)")
                }
                let forgetful = try await cluster.mien(
                    "backup",
                    "restore",
                    place,
                    "--collection",
                    "forgetful",
                    "--as-of",
                    fourth.backup,
                    "--ledger",
                    "fifth"
                )
                #expect(forgetful.status == 1 && forgetful.error.contains("reaches back"), "\(forgetful)")
                let resigned = try await cluster.mien(
                    "backup",
                    "restore",
                    place,
                    "--collection",
                    "forgetful",
                    "--as-of",
                    fourth.backup,
                    "--ledger",
                    "fifth",
                    "--without-ledger"
                )
                #expect(resigned.status == 0 && resigned.error.contains("delete them again"), "\(resigned)")
                #expect(try await client.faces([erased, face], in: "forgetful").count == 2)

                let pruned = try await stage.mien("backup", "prune", place, "--keep", "1", "--json")
                #expect(pruned.status == 0, "\(pruned)")
                let left = try await stage.mien("backup", "list", place, "--json")
                #expect(try left.document([BackupDocument].self).map(\.backup) == [fifth.backup])

                // Damage is named, by verify and by restore, and nothing is made of it.
                let block = try Self.anyBlock(place)
                var bytes = try Data(contentsOf: URL(fileURLWithPath: block))
                bytes[bytes.count / 2] ^= 1
                try bytes.write(to: URL(fileURLWithPath: block))
                let found = try await stage.mien("backup", "verify", place)
                #expect(found.status == 65 && found.output.contains(block), "\(found)")
                let damaged = try await cluster.mien(
                    "backup",
                    "restore",
                    place,
                    "--collection",
                    "third",
                    "--from",
                    Self.collection
                )
                #expect(damaged.status == 65 && damaged.error.contains(block), "\(damaged)")
                #expect(damaged.error.contains("the collection 'third' was begun"), "\(damaged)")
                #expect(damaged.error.contains("'mien collection delete third' removes it"), "\(damaged)")
                #expect(try await client.describe("third").restoredFrom != nil)
                let deleted = try await cluster.mien("collection", "delete", "third", "--yes")
                #expect(deleted.status == 0, "\(deleted)")

                // The next backup writes what is cut short, and with --full what is changed, too.
                try await Self.isWrittenAnew(place, cluster, stage, words: ["--full"])
                try bytes.dropLast(7).write(to: URL(fileURLWithPath: block))
                try await Self.isWrittenAnew(place, cluster, stage, words: [])
                try FileManager.default.removeItem(atPath: block)
                let missing = try await cluster.mien(
                    "backup",
                    "restore",
                    place,
                    "--collection",
                    "third",
                    "--from",
                    Self.collection
                )
                #expect(missing.status == 65 && missing.error.contains("\(block) is missing"), "\(missing)")
                await #expect(throws: MienClientError.self) { try await client.describe("third") }
                try await Self.isWrittenAnew(place, cluster, stage, words: [])

                // What was restored before is no witness of what was deleted from the collection since.
                let last = try await cluster.mien("collection", "delete", Self.collection, "--yes")
                #expect(last.status == 0, "\(last)")
                let orphan = try await cluster.mien(
                    ["backup", "restore", place, "--collection", "third", "--from", Self.collection]
                )
                #expect(orphan.status == 1 && orphan.error.contains("reaches back"), "\(orphan)")
                await impatient.close()
                await client.close()
            }
        }

        /// Backs up, after which all backups of the place are sound.
        private static func isWrittenAnew(
            _ place: String,
            _ cluster: Cluster,
            _ stage: Stage,
            words: [String]
        ) async throws {
            let before = try await stage.mien("backup", "verify", place)
            #expect(before.status == 65, "\(before)")
            let made = try await cluster.mien(["backup", "create", collection, "--to", place] + words)
            #expect(made.status == 0, "\(made)")
            let after = try await stage.mien("backup", "verify", place)
            #expect(after.status == 0, "\(after)")
        }

        @Test(.timeLimit(.minutes(5)))
        func aBackupThatIsCutOffIsNoneAndLeavesNothingBehind() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("backup cut off")
                let cluster = try Cluster(stage, workers: 2)
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(15))
                try await FaceWriter.createCollection(shards: 2, copies: 1, client)
                var writer = HistoryWriter(seed: seed, number: 1)
                for _ in 0..<60 { try await writer.writeOnce(to: client) }
                let place = stage.path("backups")
                let words = ["backup", "create", Self.collection, "--to", place, "--coordinator", "\(cluster.address)"]

                // Its own end, in the middle: what it wrote is no backup.
                let killed = try await stage.start(words + ["--rate", "16KiB"])
                try await eventually("blocks are written", within: .seconds(20)) {
                    try BackupPlace.blockCount(place) > 3 ? () : nil
                }
                killed.kill()
                let listed = try await stage.mien("backup", "list", place, "--json")
                #expect(try listed.document([BackupDocument].self).isEmpty)
                let none = try await cluster.mien("backup", "restore", place, "--collection", "none")
                #expect(none.status == 1 && none.error.contains("has no backup"), "\(none)")

                // The coordinator's, in the middle: the workers' snapshots outlive it, and the backup goes on.
                let slow = try await stage.start(words + ["--rate", "64KiB", "--full"])
                let before = try BackupPlace.blockCount(place)
                try await eventually("more blocks are written", within: .seconds(20)) {
                    try BackupPlace.blockCount(place) > before + 3 ? () : nil
                }
                cluster.coordinator.kill()
                try await cluster.coordinator.start()
                #expect(try await slow.end(within: .seconds(60)) == 0, "\(slow.error)")
                let sound = try await stage.mien("backup", "verify", place)
                #expect(sound.status == 0 && sound.output.contains("sound"), "\(sound)")

                // What another one left behind goes with the next prune, and nothing else.
                for _ in 0..<20 { try await writer.writeOnce(to: client) }
                let whole = try BackupPlace.blockCount(place)
                let again = try await stage.start(words + ["--rate", "16KiB"])
                try await eventually("new blocks are written", within: .seconds(20)) {
                    try BackupPlace.blockCount(place) > whole ? () : nil
                }
                again.kill()
                let pruned = try await stage.mien("backup", "prune", place)
                #expect(pruned.status == 0 && pruned.output.contains("Removed 0 backups"), "\(pruned)")
                #expect(try BackupPlace.blockCount(place) == whole)
                let last = try await Self.backUp(cluster, place)
                let restored = try await cluster.mien(
                    "backup",
                    "restore",
                    place,
                    "--collection",
                    "last",
                    "--from",
                    Self.collection
                )
                #expect(restored.status == 0 && last.faces > 0, "\(restored)")
                try await Self.spoil(last.backup, place, stage)
                await client.close()
            }
        }

        /// A backup has a face without an expiry, which it was given afterwards: what has expired stays away.
        @Test(.timeLimit(.minutes(2))) func whoHasExpiredDoesNotComeBackInAnEarlierVersion() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(20))
                try await FaceWriter.createCollection(shards: 1, copies: 1, client)
                let place = stage.path("backups")
                let faces = (1...4).map { Face.ID(high: 9, low: $0) }
                for face in faces { try await Self.enrol(face, version: 0, client) }
                let backup = try await Self.backUp(cluster, place)
                #expect(backup.faces == 4)
                // One expires at once; another does, and is enrolled anew after that; a third is given time.
                let past = Face.Timestamp(millisecondsSince1970: 1)
                for face in faces[..<2] { try await Self.enrol(face, version: 1, expires: past, client) }
                try await eventually("what has expired is removed", within: .seconds(30)) {
                    try await client.describe(Self.collection).faceCount == 2 ? () : nil
                }
                try await Self.enrol(faces[1], version: 2, client)
                let far = Face.Timestamp(millisecondsSince1970: 4_000_000_000_000)
                try await Self.enrol(faces[2], version: 1, expires: far, client)
                let words = ["backup", "restore", place, "--from", Self.collection, "--collection"]
                let restored = try await cluster.mien(words + ["again"])
                #expect(restored.status == 0, "\(restored)")
                #expect(restored.output.contains("left out as deleted since: 2"), "\(restored)")
                let found = try await client.faces(faces, in: "again")
                #expect(found.map(\.id) == Array(faces[2...]))
                // In the copy the others expire: that tells nothing of the original.
                try await eventually("the copy's faces are counted", within: .seconds(30)) {
                    try await client.describe("again").faceCount == 2 ? () : nil
                }
                for face in faces[2...] { try await Self.enrol(face, version: 3, expires: past, into: "again", client) }
                try await eventually("what has expired in the copy is removed", within: .seconds(30)) {
                    try await client.describe("again").faceCount == 0 ? () : nil
                }
                let beside = try await cluster.mien(words + ["beside"])
                #expect(beside.status == 0, "\(beside)")
                #expect(try await client.faces(faces, in: "beside").map(\.id) == Array(faces[2...]))
                await client.close()
            }
        }

        /// A manifest that cannot be read hides no other backup, and goes by name.
        private static func spoil(_ backup: String, _ place: String, _ stage: Stage) async throws {
            let sound = try await stage.mien("backup", "list", place, "--json").document([BackupDocument].self)
            let manifest = URL(fileURLWithPath: "\(place)/manifests/\(backup)")
            var bytes = try Data(contentsOf: manifest)
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: manifest)
            let rest = sound.map(\.backup).filter { $0 != backup }
            #expect(!rest.isEmpty)
            let listed = try await stage.mien("backup", "list", place, "--json")
            #expect(listed.status == 65 && listed.error.contains(backup), "\(listed)")
            #expect(try listed.document([BackupDocument].self).map(\.backup) == rest)
            let refused = try await stage.mien("backup", "prune", place, "--keep", "1")
            #expect(refused.status == 65 && refused.error.contains(backup), "\(refused)")
            let unknown = try await stage.mien("backup", "prune", place, "--backup", rest[0] + "0")
            #expect(unknown.status == 65, "\(unknown)")
            let unasked = try await stage.mien("backup", "prune", place, "--backup", backup)
            #expect(unasked.status == 64 && unasked.error.contains("--yes"), "\(unasked)")
            let removed = try await stage.mien("backup", "prune", place, "--backup", backup, "--yes")
            #expect(removed.status == 0 && removed.output.contains("Removed 1 backup"), "\(removed)")
            let left = try await stage.mien("backup", "list", place, "--json")
            #expect(try left.document([BackupDocument].self).map(\.backup) == rest)

            // The last one goes when that is meant, and a place without any is not sound.
            let last = try await stage.mien("backup", "prune", place, "--keep", "0")
            #expect(last.status == 0 && last.error.contains("stays; it goes with --yes"), "\(last)")
            let kept = try await stage.mien("backup", "list", place, "--json").document([BackupDocument].self)
            #expect(kept.map(\.backup) == rest.suffix(1))
            let named = try await stage.mien("backup", "prune", place, "--backup", kept[0].backup)
            #expect(named.status == 64 && named.error.contains("--yes"), "\(named)")
            #expect(try await stage.mien("backup", "verify", place).status == 0)
            let all = try await stage.mien("backup", "prune", place, "--keep", "0", "--yes")
            #expect(all.status == 0, "\(all)")
            let empty = try await stage.mien("backup", "verify", place)
            #expect(empty.status == 1 && empty.output.contains("There are no backups"), "\(empty)")
        }

        private static func enrol(
            _ face: Face.ID,
            version: Int,
            externalImageID: String? = nil,
            expires: Face.Timestamp? = nil,
            into collection: String = Self.collection,
            _ client: MienClient
        ) async throws {
            _ = try await client.enrol(
                [NewFace(id: face, metadata: Face.Metadata(externalImageID: externalImageID, expires: expires))],
                embeddings: Embeddings(
                    dimension: FaceWriter.dimension,
                    values: FaceLedger.embedding(face, version: version, dimension: FaceWriter.dimension)
                ),
                into: collection,
                model: FaceWriter.model
            )
        }

        private static func backUp(_ cluster: Cluster, _ place: String) async throws -> BackupDocument {
            let made = try await cluster.mien("backup", "create", collection, "--to", place, "--json")
            #expect(made.status == 0, "\(made)")
            return try made.document([BackupDocument].self)[0]
        }

        private static func anyBlock(_ place: String) throws -> String {
            // What was pruned leaves empty folders.
            let blocks = try FileManager.default.contentsOfDirectory(atPath: "\(place)/blocks").sorted()
                .flatMap { folder in
                    try FileManager.default.contentsOfDirectory(atPath: "\(place)/blocks/\(folder)").sorted()
                        .map { "\(folder)/\($0)" }
                }
            return "\(place)/blocks/\(try #require(blocks.first))"
        }
    }
}

/// A folder of backups.
enum BackupPlace {
    /// Blocks that are there, whole.
    static func blockCount(_ place: String) throws -> Int {
        let manager = FileManager.default
        guard manager.fileExists(atPath: "\(place)/blocks") else { return 0 }
        return try manager.contentsOfDirectory(atPath: "\(place)/blocks").reduce(0) { count, folder in
            let names = try manager.contentsOfDirectory(atPath: "\(place)/blocks/\(folder)")
            return count + names.count { !$0.hasSuffix(".partial") }
        }
    }
}

/// What `mien backup create --json` and `list --json` write, as far as stories look at it.
struct BackupDocument: Decodable {
    var backup: String
    var faces: Int
    var new_blocks: Int = 0
    var read_slices: Int = 0

    private enum Keys: String, CodingKey { case backup, faces, new_blocks, read_slices }

    init(from decoder: any Decoder) throws {
        let document = try decoder.container(keyedBy: Keys.self)
        backup = try document.decode(String.self, forKey: .backup)
        faces = try document.decode(Int.self, forKey: .faces)
        new_blocks = try document.decodeIfPresent(Int.self, forKey: .new_blocks) ?? 0
        read_slices = try document.decodeIfPresent(Int.self, forKey: .read_slices) ?? 0
    }
}
