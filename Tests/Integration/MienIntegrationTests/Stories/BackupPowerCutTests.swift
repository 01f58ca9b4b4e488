import Foundation
import MienClient
import Testing

extension Integration {
    /// The power fails at any moment for the machine that keeps backups in a folder: what `mien backup create` said was
    /// done is whole, and what was cut off is in nobody's way.
    @Suite struct BackupPowerCutTests {
        /// `MIEN_BACKUP_POWER_CUTS` makes it a long run.
        private static let stateCount = StoryLength.named("MIEN_BACKUP_POWER_CUTS", or: 8)

        /// A backup that was said to be done, and the length of the record then.
        private struct Mark {
            var name: String
            var recorded: Int
        }

        @Test(.timeLimit(.minutes(stateCount > 30 ? 180 : 5)))
        func aBackupThatIsDoneOutlivesPowerCutsAndOneThatIsCutOffIsInNobodysWay() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("power cut of backups")
                var random = SeededRandom(seed: seed)
                let disk = stage.path("disk")
                try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: false)
                let place = disk + "/backups"
                let recordPath = stage.path("record")
                let variables = try StorageFaults.environment(record: recordPath, root: disk)
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.start()
                let client = try cluster.client()
                try await FaceWriter.createCollection(shards: 2, client)
                var writer = HistoryWriter(seed: seed &+ 1, number: 1)
                let words =
                    ["backup", "create", FaceWriter.collection, "--to", place, "--json"]
                    + ["--coordinator", "\(cluster.address)"]

                var marks: [Mark] = []
                for number in 1...3 {
                    for _ in 0..<40 { try await writer.writeOnce(to: client) }
                    if number == 2 {
                        try await cutOff(words, adding: variables, recordPath, stage, place, &random)
                        continue
                    }
                    let program = try await stage.start(words, adding: variables)
                    let status = try await program.end(within: .seconds(100))
                    let made = CommandResult(status: status, output: program.output, error: program.error)
                    #expect(status == 0, "\(made)")
                    let size = try StorageRecord.byteCount(at: recordPath)
                    marks.append(Mark(name: try made.document([BackupDocument].self)[0].backup, recorded: size))
                }

                let record = try FolderRecord(StorageRecord(path: recordPath), of: disk)
                let unseen = record.whole.differences(from: try FolderContent(of: disk))
                #expect(unseen.isEmpty, "the record does not tell how these came about: \(unseen.prefix(5))")
                let end = record.record.events.count
                for state in 1...Self.stateCount {
                    let cut = record.cut(state, random: &random)
                    try record.content(cutAt: cut.event, names: cut.names, random: &random).replace(in: disk)
                    let done = marks.filter { $0.recorded <= cut.recorded }.map(\.name)
                    let missing = try await unsound(done, in: place, stage)
                    let remark = cut.remark
                    #expect(missing.isEmpty, "\(remark): \(missing) of \(done) are missing or broken")
                    let again = try await stage.mien(words)
                    #expect(again.status == 0, "\(remark): the next backup is not made: \(again)")
                    let verified = try await stage.mien("backup", "verify", place)
                    #expect(verified.status == 0 && verified.output.contains("sound"), "\(remark): \(verified)")
                }
                // The story must be able to fail: a disk that does not sync folders, and says that it does.
                let lie = record.record.firstEvent(after: marks[0].recorded)
                try record.content(cutAt: end, names: .synced, firstLie: lie, random: &random).replace(in: disk)
                let missing = try await unsound(marks.map(\.name), in: place, stage)
                let isSeen = missing == [marks[1].name]
                #expect(isSeen, "a story that sees nothing when folders are not synced proves nothing")
                print(
                    "power cut of backups: \(Self.stateCount) states of \(end) calls, \(record.nameEvents.count) of "
                        + "them of names; every backup that was done is sound"
                )
                await client.close()
            }
        }

        /// Begins a backup, and kills the command when some of it is there.
        private func cutOff(
            _ words: [String],
            adding variables: [String: String],
            _ recordPath: String,
            _ stage: Stage,
            _ place: String,
            _ random: inout SeededRandom
        ) async throws {
            let enough = try BackupPlace.blockCount(place) + Int.random(in: 1...20, using: &random)
            let program = try await stage.start(words + ["--rate", "16KiB"], adding: variables)
            try await eventually("blocks are written", within: .seconds(20)) {
                try BackupPlace.blockCount(place) >= enough ? () : nil
            }
            try StorageRecord.betweenCalls(at: recordPath) { program.kill() }
        }

        /// Which of these backups are not there, or not sound.
        private func unsound(_ names: [String], in place: String, _ stage: Stage) async throws -> [String] {
            var unsound: [String] = []
            for name in names {
                let verified = try await stage.mien("backup", "verify", place, "--backup", name)
                if verified.status != 0 { unsound.append(name) }
            }
            return unsound
        }
    }
}
