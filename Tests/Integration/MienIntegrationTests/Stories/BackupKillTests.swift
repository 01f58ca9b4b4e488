import Foundation
import MienClient
import Testing

extension Integration {
    /// Somebody is killed in the midst of a backup and of a restore. Each ends done, or as nothing, or goes on with the
    /// same command.
    @Suite struct BackupKillTests {
        /// `MIEN_BACKUP_KILLS` makes it a long run.
        private static let roundCount = StoryLength.named("MIEN_BACKUP_KILLS", or: 3)

        private enum Victim: CaseIterable {
            case worker
            /// The one that the command talks to, or that steers, or neither.
            case coordinator
            /// The command.
            case program
        }

        @Test(.timeLimit(.minutes(roundCount > 10 ? 180 : 5)))
        func whateverIsKilledABackupIsWholeOrNoneAndARestoreGoesOn() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("kills in backups")
                var random = SeededRandom(seed: seed)
                let cluster = try SharedCluster(stage, coordinators: 2, workers: 3)
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(15))
                try await FaceWriter.createCollection(shards: 2, copies: 2, client)
                var writer = HistoryWriter(seed: seed &+ 1, number: 1)
                for _ in 0..<40 { try await writer.writeOnce(to: client) }
                var failedBackups = 0
                for round in 1...Self.roundCount {
                    let victims = (0..<2).map { _ in Victim.allCases.randomElement(using: &random)! }
                    let victim = round <= 3 ? [Victim.allCases[round - 1], Victim.allCases[round % 3]] : victims
                    for _ in 0..<3 { try await writer.writeOnce(to: client) }
                    let place = stage.path("backups-\(round)")
                    failedBackups += try await Self.backUp(to: place, killing: victim[0], cluster, &random)
                    try await Self.restore(from: place, killing: victim[1], cluster, client, &random)
                    // Nobody has written since: all of it is due.
                    var stored = try await FaceWriter.storedFaces(client, in: "again")
                    if let fault = writer.fault(in: &stored) { Issue.record("round \(round), \(victim): \(fault)") }
                    #expect(stored.isEmpty, "\(stored.count) faces are restored that nobody wrote, in round \(round)")
                    let deleted = try await stage.mien(
                        ["collection", "delete", "again", "--yes"] + cluster.addresses.options
                    )
                    #expect(deleted.status == 0, "\(deleted)")
                }
                var own = try await FaceWriter.storedFaces(client)
                let loss = writer.fault(in: &own)
                #expect(loss == nil && own.isEmpty, "\(own.count) faces of nobody")
                print("\(2 * Self.roundCount) deaths in backups and restores, \(failedBackups) backups begun anew")
                await client.close()
            }
        }

        /// - Returns: how often the command had to be given again.
        private static func backUp(
            to place: String,
            killing victim: Victim,
            _ cluster: SharedCluster,
            _ random: inout SeededRandom
        ) async throws -> Int {
            let words = ["backup", "create", FaceWriter.collection, "--to", place] + cluster.addresses.options
            let program = try await cluster.stage.start(words + ["--rate", "16KiB"])
            let enough = Int.random(in: 1...40, using: &random)
            try await eventually("blocks are written", within: .seconds(20)) {
                try BackupPlace.blockCount(place) >= enough ? () : nil
            }
            try await kill(victim, program, cluster, &random)
            let status = victim == .program ? nil : try await program.end(within: .seconds(100))
            var attempts = 0
            if status != 0 {
                if victim == .coordinator { Issue.record("a coordinator's death ended a backup: \(program.error)") }
                let listed = try await cluster.stage.mien("backup", "list", place, "--json")
                #expect(try listed.document([BackupDocument].self).isEmpty, "\(listed)")
                attempts = 1
                let again = try await cluster.stage.mien(words)
                #expect(again.status == 0, "\(again)")
            }
            let verified = try await cluster.stage.mien("backup", "verify", place)
            #expect(verified.status == 0 && verified.output.contains("sound"), "\(verified)")
            return attempts
        }

        private static func restore(
            from place: String,
            killing victim: Victim,
            _ cluster: SharedCluster,
            _ client: MienClient,
            _ random: inout SeededRandom
        ) async throws {
            let words =
                ["backup", "restore", place, "--from", FaceWriter.collection, "--collection", "again"]
                + ["--shards", "3", "--copies", "2"] + cluster.addresses.options
            let program = try await cluster.stage.start(words + ["--rate", "16KiB"])
            let enough = UInt64(Int.random(in: 1...150, using: &random))
            try await eventually("faces are put back", within: .seconds(20)) {
                let info = try? await client.describe("again")
                return info.map { $0.restoredFrom != nil && $0.faceCount >= enough } ?? false ? () : nil
            }
            try await kill(victim, program, cluster, &random)
            guard victim == .program else {
                let status = try await program.end(within: .seconds(100))
                #expect(status == 0, "the death of a \(victim) ended a restore: \(program.error)")
                return
            }
            // What is half there answers nothing.
            await #expect(throws: MienClientError.self) {
                _ = try await client.with(calls: .init(timeout: .seconds(2), retryDuration: .zero))
                    .faces([Face.ID(high: 1, low: 1)], in: "again")
            }
            let again = try await cluster.stage.mien(words)
            #expect(again.status == 0, "\(again)")
        }

        /// A node is there again a little later.
        private static func kill(
            _ victim: Victim,
            _ program: ChildProcess,
            _ cluster: SharedCluster,
            _ random: inout SeededRandom
        ) async throws {
            let absence = Duration.milliseconds(Int.random(in: 0...2500, using: &random))
            let node: Node
            switch victim {
            case .program: return program.kill()
            case .worker: node = cluster.workers.randomElement(using: &random)!
            case .coordinator: node = cluster.coordinators.randomElement(using: &random)!
            }
            node.kill()
            try await Task.sleep(for: absence)
            try await node.start()
        }
    }
}
