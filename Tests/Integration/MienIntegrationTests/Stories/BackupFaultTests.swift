import Foundation
import Glibc
import MienClient
import Testing

extension Integration {
    /// A worker hangs, or a disk is full, in the midst of a backup or a restore. A backup ends done or refused, nothing
    /// of a refused one is taken for one, and writes go on. A restore ends done, or the same command goes on with it.
    @Suite struct BackupFaultTests {
        /// `MIEN_BACKUP_KILLS` makes it a long run.
        private static let roundCount = StoryLength.named("MIEN_BACKUP_KILLS", or: Fault.allCases.count)

        /// Of restores, by the same variable.
        private static let restoreCount = StoryLength.named("MIEN_BACKUP_KILLS", or: RestoreFault.allCases.count)

        private enum RestoreFault: CaseIterable {
            /// A worker does nothing for longer than it may be silent, while faces come to it.
            case frozenWorker
            /// A worker that faces come to has no more room for them.
            case fullTarget
        }

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
                // Of the last backup.
                var cut = ContinuousClock.now...ContinuousClock.now
                for round in 1...Self.roundCount {
                    let fault = Fault.allCases[(round - 1) % Fault.allCases.count]
                    let place = stage.path("backups-\(round)")
                    let pause = FaceWriter.Pause()
                    let writing = Task { [writer] in try await Self.writing(writer, to: client, until: pause) }
                    do {
                        defer { pause.ask() }
                        let rate = try await Self.rate(client)
                        let made = try await backUp(to: place, fault, cluster, pause, rate: rate, &random)
                        cut = made.began...ContinuousClock.now
                        refusedCount += made.isRefused ? 1 : 0
                    }
                    writer = try await writing.value
                }
                let restored = try await cluster.mien(
                    ["backup", "restore", stage.path("backups-\(Self.roundCount)"), "--from", FaceWriter.collection]
                        + ["--collection", "again"]
                )
                #expect(restored.status == 0, "\(restored)")
                var stored = try await FaceWriter.storedFaces(client, in: "again")
                if let fault = writer.fault(in: &stored, between: cut) { Issue.record("\(fault)") }
                #expect(stored.isEmpty, "\(stored.count) faces are restored that nobody wrote")
                try await isWhole(writer, client)
                try await isSound(FaceWriter.collection, cluster)
                print("\(Self.roundCount) faults in backups, of which \(refusedCount) were refused")
                await client.close()
            }
        }

        @Test(.timeLimit(.minutes(restoreCount > 10 ? 180 : 5)))
        func whoeverHangsOrIsFullARestoreIsWholeOrTheSameCommandGoesOnWithIt() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("faults in restores")
                var random = SeededRandom(seed: seed)
                let cluster = try Cluster(stage, workers: 3)
                for (number, worker) in cluster.workers.enumerated() {
                    let name = Self.target(number)
                    // Every write to a partition, whoever makes it.
                    let variables = try StorageFaults.environment(each: stage.path(name), report: report(stage, name))
                    try await worker.start(adding: variables)
                }
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(15))
                try await FaceWriter.createCollection(shards: 2, copies: 2, client)
                var writer = HistoryWriter(seed: seed &+ 1, number: 1)
                for _ in 0..<40 { try await writer.writeOnce(to: client) }
                var refusedCount = 0
                for round in 1...Self.restoreCount {
                    let fault = RestoreFault.allCases[(round - 1) % RestoreFault.allCases.count]
                    for _ in 0..<3 { try await writer.writeOnce(to: client) }
                    let place = stage.path("backups-\(round)")
                    let backedUp = try await cluster.mien("backup", "create", FaceWriter.collection, "--to", place)
                    #expect(backedUp.status == 0, "\(backedUp)")
                    let isRefused = try await restore(from: place, fault, cluster, client, &random)
                    refusedCount += isRefused ? 1 : 0
                    var stored = try await FaceWriter.storedFaces(client, in: Self.restored)
                    // Nobody has written since: all of it is due.
                    if let wrong = writer.fault(in: &stored) { Issue.record("round \(round), \(fault): \(wrong)") }
                    #expect(stored.isEmpty, "\(stored.count) faces are restored that nobody wrote, in round \(round)")
                    try await isSound(Self.restored, cluster)
                    let deleted = try await cluster.mien("collection", "delete", Self.restored, "--yes")
                    #expect(deleted.status == 0, "\(deleted)")
                }
                try await isWhole(writer, client)
                try await isSound(FaceWriter.collection, cluster)
                print("\(Self.restoreCount) faults in restores, of which \(refusedCount) were refused")
                await client.close()
            }
        }

        // MARK: The story

        /// Restores while something is wrong, and goes on with it when that was refused. Nobody writes meanwhile.
        ///
        /// - Returns: whether it was.
        private func restore(
            from place: String,
            _ fault: RestoreFault,
            _ cluster: Cluster,
            _ client: MienClient,
            _ random: inout SeededRandom
        ) async throws -> Bool {
            let stage = cluster.stage
            let words =
                ["backup", "restore", place, "--from", FaceWriter.collection, "--collection", Self.restored]
                + ["--shards", "3", "--copies", "2", "--coordinator", "\(cluster.address)"]
            let faceCount = try await client.describe(FaceWriter.collection).faceCount
            // More than half is still to come.
            let enough = UInt64.random(in: 1...max(1, faceCount / 3), using: &random)
            let number = Int.random(in: cluster.workers.indices, using: &random)
            let absence = Duration.milliseconds(Int.random(in: 1500...4000, using: &random))
            let program = try await stage.start(words + ["--rate", Self.restoreRate(faceCount)])
            try await eventually("faces are put back", within: .seconds(20)) {
                let info = try? await client.describe(Self.restored)
                return info.map { $0.restoredFrom != nil && $0.faceCount >= enough } ?? false ? () : nil
            }
            #expect(program.status == nil, "it ended before anything was wrong: \(program.output) \(program.error)")
            switch fault {
            case .frozenWorker:
                let process = try #require(cluster.workers[number].process)
                process.freeze()
                defer { process.thaw() }
                try await Task.sleep(for: absence)
            case .fullTarget:
                let name = Self.target(number)
                try? FileManager.default.removeItem(atPath: report(stage, name))
                try stage.write(name, "write:1:\(ENOSPC)")
                defer { try? FileManager.default.removeItem(atPath: stage.path(name)) }
                try await eventually("a face finds no room", within: .seconds(20)) {
                    hasStruck(stage, name) ? () : nil
                }
                try await Task.sleep(for: absence)
            }
            #expect(cluster.workers[number].isRunning, "\(fault) ended the worker")
            let status = try await program.end(within: .seconds(100))
            guard status != 0 else { return false }
            // It is said what to do.
            #expect(program.error.contains("the same command goes on with it"), "\(fault): \(program.error)")
            // What is half there answers nothing.
            await #expect(throws: MienClientError.self) {
                _ = try await client.with(calls: .init(timeout: .seconds(2), retryDuration: .zero))
                    .faces([Face.ID(high: 1, low: 1)], in: Self.restored)
            }
            let again = try await stage.mien(words, within: .seconds(100))
            #expect(again.status == 0, "\(fault): \(again)")
            return true
        }

        /// The writer's own collection holds what was acknowledged, and nothing else.
        private func isWhole(_ writer: HistoryWriter, _ client: MienClient) async throws {
            var stored = try await FaceWriter.storedFaces(client)
            if let loss = writer.fault(in: &stored) { Issue.record("\(loss)") }
            #expect(stored.isEmpty, "\(stored.count) faces of nobody")
        }

        /// All replicas of a collection are sound and equal, once those that a fault struck are in sync again.
        private func isSound(_ collection: String, _ cluster: Cluster) async throws {
            try await eventually("all replicas are sound and equal", within: .seconds(60)) { () async throws -> Void? in
                let verified = try await cluster.mien("verify", collection)
                guard verified.status == 0 else { throw StoryError("\(verified)") }
                return ()
            }
        }

        /// Backs up while something is wrong, and once more when that was refused.
        ///
        /// - Returns: whether it was, and when the command began that made the backup.
        private func backUp(
            to place: String,
            _ fault: Fault,
            _ cluster: Cluster,
            _ pause: FaceWriter.Pause,
            rate: String,
            _ random: inout SeededRandom
        ) async throws -> (isRefused: Bool, began: ContinuousClock.Instant) {
            let stage = cluster.stage
            let words =
                ["backup", "create", FaceWriter.collection, "--to", place, "--coordinator", "\(cluster.address)"]
            let victim = cluster.workers.randomElement(using: &random)!
            let enough = Int.random(in: 1...20, using: &random)
            let absence = Duration.milliseconds(Int.random(in: 1500...4000, using: &random))
            for name in [Self.workers, Self.place] { try? FileManager.default.removeItem(atPath: report(stage, name)) }
            let noRoom = "stream:1:\(ENOSPC)"
            if fault == .fullWorkers { try stage.write(Self.workers, noRoom) }
            var began = ContinuousClock.now
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
                began = .now
                let again = try await stage.mien(words)
                #expect(again.status == 0, "\(fault): \(again)")
            }
            let one = try await listed(place, stage)
            #expect(one == 1, "\(fault)")
            let verified = try await stage.mien("backup", "verify", place)
            #expect(verified.status == 0 && verified.output.contains("sound"), "\(fault): \(verified)")
            return (status != 0, began)
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

        /// At which a restore of all takes some ten seconds or more, so that it has not ended when the fault comes.
        private static func restoreRate(_ faceCount: UInt64) -> String { "\(max(4, faceCount / 120))KiB" }

        // MARK: Faults

        /// Files on the stage that say which writes fail.
        private static let (workers, place) = ("no-room-of-workers", "no-room-of-the-place")

        /// The same of one worker.
        private static func target(_ worker: Int) -> String { "no-room-of-worker-\(worker)" }

        /// The collection that is restored.
        private static let restored = "again"

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
