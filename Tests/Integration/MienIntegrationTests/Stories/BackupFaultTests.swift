import Foundation
import Glibc
import MienClient
import Testing

extension Integration {
    /// A worker hangs, or a disk is full, in the midst of a backup. It ends done or refused, nothing of a refused one
    /// is taken for one, and writes go on.
    @Suite struct BackupFaultTests {
        /// `MIEN_BACKUP_KILLS` makes it a long run.
        private static let roundCount = StoryLength.named("MIEN_BACKUP_KILLS", or: Fault.allCases.count)

        private enum Fault: CaseIterable {
            /// A worker does nothing for longer than it may be silent, while what it has is read.
            case frozenWorker
            /// Workers have no room for the copies that backups are read from.
            case fullWorkers
            /// The place of the backup has no more room.
            case fullPlace
        }

        @Test(.timeLimit(.minutes(roundCount > 10 ? 180 : 5)))
        func whoeverHangsOrIsFullABackupIsWholeOrNoneAndWritesGoOn() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("faults in backups")
                var random = SeededRandom(seed: seed)
                let cluster = try Cluster(stage, workers: 3)
                for worker in cluster.workers {
                    // Only copies are written from their beginning to their end.
                    let variables = try variables(stage, Self.workers, file: "/data.mdb")
                    try await worker.start(adding: variables)
                }
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(15))
                try await FaceWriter.createCollection(shards: 2, copies: 2, minimumInSync: 1, client)
                var writer = HistoryWriter(seed: seed &+ 1, number: 1)
                for _ in 0..<40 { try await writer.writeOnce(to: client) }
                var refusedCount = 0
                for round in 1...Self.roundCount {
                    let fault = Fault.allCases[(round - 1) % Fault.allCases.count]
                    let place = stage.path("backups-\(round)")
                    let pause = FaceWriter.Pause()
                    let writing = Task { [writer] in try await Self.writing(writer, to: client, until: pause) }
                    do {
                        defer { pause.ask() }
                        let rate = try await Self.rate(client)
                        let isRefused = try await backUp(to: place, fault, cluster, pause, rate: rate, &random)
                        refusedCount += isRefused ? 1 : 0
                    }
                    writer = try await writing.value
                }
                let restored = try await cluster.mien(
                    ["backup", "restore", stage.path("backups-\(Self.roundCount)"), "--from", FaceWriter.collection]
                        + ["--collection", "again"]
                )
                #expect(restored.status == 0, "\(restored)")
                var stored = try await FaceWriter.storedFaces(client, in: "again")
                if let fault = writer.fault(in: &stored) { Issue.record("\(fault)") }
                #expect(stored.isEmpty, "\(stored.count) faces are restored that nobody wrote")
                var own = try await FaceWriter.storedFaces(client)
                #expect(writer.fault(in: &own) == nil && own.isEmpty)
                let verified = try await cluster.mien("verify", FaceWriter.collection)
                #expect(verified.status == 0, "\(verified)")
                print("\(Self.roundCount) faults in backups, of which \(refusedCount) were refused")
                await client.close()
            }
        }

        // MARK: The story

        /// Backs up while something is wrong, and once more when that was refused.
        ///
        /// - Returns: whether it was.
        private func backUp(
            to place: String,
            _ fault: Fault,
            _ cluster: Cluster,
            _ pause: FaceWriter.Pause,
            rate: String,
            _ random: inout SeededRandom
        ) async throws -> Bool {
            let stage = cluster.stage
            let words =
                ["backup", "create", FaceWriter.collection, "--to", place, "--coordinator", "\(cluster.address)"]
            let victim = cluster.workers.randomElement(using: &random)!
            let enough = Int.random(in: 1...20, using: &random)
            let absence = Duration.milliseconds(Int.random(in: 1500...4000, using: &random))
            for name in [Self.workers, Self.place] { try? FileManager.default.removeItem(atPath: report(stage, name)) }
            let noRoom = "stream:1:\(ENOSPC)"
            if fault == .fullWorkers { try stage.write(Self.workers, noRoom) }
            let program = try await stage.start(
                words + ["--rate", rate],
                adding: variables(stage, Self.place, file: ".partial")
            )
            if fault != .fullWorkers {
                try await eventually("blocks are written", within: .seconds(20)) {
                    try BackupPlace.blockCount(place) >= enough ? () : nil
                }
            }
            switch fault {
            case .frozenWorker:
                let process = try #require(victim.process)
                process.freeze()
                defer { process.thaw() }
                try await Task.sleep(for: absence)
                try await goesOn(pause, fault)
            case .fullWorkers:
                try await eventually("a copy finds no room", within: .seconds(20)) {
                    hasStruck(stage, Self.workers) ? () : nil
                }
                try await goesOn(pause, fault)
            case .fullPlace:
                try stage.write(Self.place, noRoom)
                try await goesOn(pause, fault)
            }
            let status = try await program.end(within: .seconds(100))
            if fault == .fullWorkers || hasStruck(stage, Self.place) {
                #expect(status != 0, "\(fault): it was said to be done: \(program.output)")
            }
            for name in [Self.workers, Self.place] { try? FileManager.default.removeItem(atPath: stage.path(name)) }
            if status != 0 {
                #expect(!program.error.isEmpty, "it is said why")
                let none = try await listed(place, stage)
                #expect(none == 0, "\(fault): what was refused is listed")
                let again = try await stage.mien(words)
                #expect(again.status == 0, "\(fault): \(again)")
            }
            let one = try await listed(place, stage)
            #expect(one == 1, "\(fault)")
            let verified = try await stage.mien("backup", "verify", place)
            #expect(verified.status == 0 && verified.output.contains("sound"), "\(fault): \(verified)")
            return status != 0
        }

        /// Waits until writes are acknowledged that began after now.
        private func goesOn(_ pause: FaceWriter.Pause, _ fault: Fault) async throws {
            let count = pause.acknowledgedCount
            try await eventually("writes go on beside \(fault)", within: .seconds(20)) {
                pause.acknowledgedCount > count + 1 ? () : nil
            }
        }

        /// Writes with pauses: the collection is to stay small.
        private static func writing(
            _ writer: HistoryWriter,
            to client: MienClient,
            until pause: FaceWriter.Pause
        ) async throws -> HistoryWriter {
            var writer = writer
            while !pause.isAsked {
                try await writer.writeOnce(to: client)
                pause.noteAcknowledged(1)
                try await Task.sleep(for: .milliseconds(150))
            }
            return writer
        }

        /// At which a backup of all takes some seconds.
        private static func rate(_ client: MienClient) async throws -> String {
            let faceCount = try await client.describe(FaceWriter.collection).faceCount
            return "\(max(16, faceCount / 30))KiB"
        }

        // MARK: Faults

        /// Files on the stage that say which writes fail.
        private static let (workers, place) = ("no-room-of-workers", "no-room-of-the-place")

        private func report(_ stage: Stage, _ name: String) -> String { stage.path("struck-\(name)") }

        private func hasStruck(_ stage: Stage, _ name: String) -> Bool {
            FileManager.default.fileExists(atPath: report(stage, name))
        }

        private func variables(_ stage: Stage, _ name: String, file: String) throws -> [String: String] {
            try StorageFaults.environment(
                each: stage.path(name),
                report: report(stage, name),
                file: file,
                streams: true
            )
        }

        private func listed(_ place: String, _ stage: Stage) async throws -> Int {
            let listed = try await stage.mien("backup", "list", place, "--json")
            return try listed.document([BackupDocument].self).count
        }
    }
}
