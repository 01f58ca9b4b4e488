import Foundation
import MienClient
import Testing

extension Integration {
    /// Processes are killed at any moment while four writers write; nothing that was acknowledged is lost.
    @Suite struct KillLoopTests {
        /// `MIEN_KILL_ROUNDS` makes it a long run.
        private static let roundCount = max(7, StoryLength.named("MIEN_KILL_ROUNDS", or: 7))

        @Test(.timeLimit(.minutes(roundCount > 10 ? 180 : 2))) func acknowledgedWritesSurviveKillsAtAnyMoment()
            async throws
        {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("kill loop")
                var random = SeededRandom(seed: seed)
                // A codebook is trained and rows are folded while processes are killed.
                let cluster = try Cluster(
                    stage,
                    workers: 2,
                    coordinatorSettings: ["coordinator.training.min_faces=1500", "coordinator.training.sample=4096"]
                )
                try await cluster.start()
                let client = try cluster.client(retrying: .milliseconds(500), timeout: .seconds(3))
                try await FaceWriter.createCollection(shards: 4, client)
                var writers = (1...4).map { FaceWriter(seed: seed &+ UInt64($0)) }

                for round in 1...Self.roundCount {
                    // A worker, the coordinator, and at last all of them; in between it is left to chance.
                    let victims =
                        switch round {
                        case 1: [cluster.workers[0]]
                        case 2: [cluster.coordinator]
                        case Self.roundCount: cluster.workers + [cluster.coordinator]
                        default:
                            Array(
                                (cluster.workers + [cluster.coordinator]).shuffled(using: &random)
                                    .prefix(Int.random(in: 1...2, using: &random))
                            )
                        }
                    let lead = Duration.milliseconds(Int.random(in: 300...900, using: &random))
                    // Longer than the coordinator waits for a worker, or shorter.
                    let absence = Duration.milliseconds(
                        Int.random(in: Bool.random(using: &random) ? 0...300 : 1100...1500, using: &random)
                    )
                    let acknowledgedBefore = writers.map(\.acknowledgedCount).reduce(0, +)
                    writers = try await withPausedAtTheEnd(writers, client) { pause in
                        try await Task.sleep(for: lead)
                        // A disk that is slow for a moment makes the round longer, not emptier.
                        try await eventually("the writers are served in round \(round)", within: .seconds(20)) {
                            pause.acknowledgedCount > 8 ? () : nil
                        }
                        for victim in victims { victim.kill() }
                        try await Task.sleep(for: absence)
                        for victim in victims { try await victim.start() }
                        try await Task.sleep(for: .milliseconds(300))
                    }
                    let acknowledged = writers.map(\.acknowledgedCount).reduce(0, +)
                    #expect(acknowledged > acknowledgedBefore + 8, "writers were hardly served in round \(round)")
                    let uncertain = writers.map(\.ledger.uncertainCount).reduce(0, +)
                    let faceCount = try await check(&writers, client, round: round)
                    let names = victims.map { $0.arguments[0] }.joined(separator: ", ")
                    print(
                        "kill loop: round \(round) killed \(names); \(acknowledged) writes acknowledged, "
                            + "\(writers.map(\.failedCount).reduce(0, +)) failed, \(uncertain) faces were uncertain, "
                            + "\(faceCount) faces stored"
                    )
                }
                let surprises = writers.flatMap(\.surprises)
                #expect(surprises.isEmpty, "\(surprises.count) failures that no kill explains: \(surprises.prefix(5))")
                try await eventually("a codebook is trained", within: .seconds(20)) {
                    try await client.describe(FaceWriter.collection).training == .trained ? () : nil
                }
                #expect(writers.map(\.failedCount).reduce(0, +) > 0, "no write ever met a killed process")
                try await searchSamples(writers, client, random: &random)
                await client.close()
            }
        }

        /// Lets the writers write while `story` runs; they have ended their writes when it returns.
        private func withPausedAtTheEnd(
            _ writers: [FaceWriter],
            _ client: MienClient,
            _ story: (FaceWriter.Pause) async throws -> Void
        ) async throws -> [FaceWriter] {
            let pause = FaceWriter.Pause()
            // Every other writer never tries again, so that some writes end with nobody knowing what became of them.
            let clients = [client, client.with(calls: .init(timeout: .seconds(3), retryDuration: .zero))]
            return try await withThrowingTaskGroup(of: (Int, FaceWriter).self) { group in
                for (number, writer) in writers.enumerated() {
                    let client = clients[number % clients.count]
                    group.addTask { (number, await writer.writing(to: client, until: pause)) }
                }
                defer { pause.ask() }
                try await story(pause)
                pause.ask()
                var written = writers
                for try await (number, writer) in group { written[number] = writer }
                return written
            }
        }

        /// Lists the whole collection and compares it with what the writers know.
        ///
        /// - Returns: how many faces are stored.
        private func check(_ writers: inout [FaceWriter], _ client: MienClient, round: Int) async throws -> Int {
            let patient = client.with(calls: .init(timeout: .seconds(10), retryDuration: .seconds(5)))
            var stored = try await FaceWriter.storedFaces(patient)
            let faceCount = stored.count
            var faults: [String] = []
            for number in writers.indices { faults += writers[number].check(&stored) }
            #expect(faults.isEmpty, "round \(round): \(faults.count) faults, first \(faults.prefix(3))")
            #expect(stored.isEmpty, "round \(round): \(stored.count) faces are listed that nobody wrote")
            return faceCount
        }

        /// Exact searches for some faces find each at rank 1, and deleted ones nowhere.
        private func searchSamples(
            _ writers: [FaceWriter],
            _ client: MienClient,
            random: inout SeededRandom
        ) async throws {
            var faces: [(id: Face.ID, version: Int)] = []
            var deleted: Set<Face.ID> = []
            for (id, contents) in writers.flatMap(\.ledger.contents) {
                if case .version(let version)? = contents.first {
                    faces.append((id, version))
                } else {
                    deleted.insert(id)
                }
            }
            #expect(deleted.count > 10, "the story deleted hardly anything")
            let sample = faces.sorted { $0.id < $1.id }.shuffled(using: &random).prefix(200)
            #expect(sample.count == 200)
            // Each with its own embedding, which would find it if it were there.
            var gone: [(id: Face.ID, version: Int)] = []
            for (id, versions) in writers.flatMap(\.ledger.lastVersions) {
                gone += versions.map { (id: id, version: $0) }
            }
            gone.sort { ($0.id, $0.version) < ($1.id, $1.version) }
            gone = Array(gone.shuffled(using: &random).prefix(50))
            #expect(gone.count > 10)
            let probes = Embeddings(
                dimension: FaceWriter.dimension,
                values: (sample + gone).flatMap {
                    FaceLedger.embedding($0.id, version: $0.version, dimension: FaceWriter.dimension)
                }
            )
            for effort in [SearchOptions.Effort.exact, .full] {
                let results = try await eventually("a search covers everything", within: .seconds(5)) {
                    try await client.search(
                        FaceWriter.collection,
                        probes: probes,
                        model: FaceWriter.model,
                        options: SearchOptions(matchLimit: 5, effort: effort)
                    )
                }
                #expect(results.outcomes.count == sample.count + gone.count)
                for outcome in results.outcomes.suffix(gone.count) {
                    guard case .matches(let matches) = outcome else {
                        Issue.record("a good probe was refused")
                        continue
                    }
                    #expect(matches.allSatisfy { !deleted.contains($0.id) }, "\(effort): a deleted face was found")
                }
                for (face, outcome) in zip(sample, results.outcomes) {
                    guard case .matches(let matches) = outcome else {
                        Issue.record("a good probe was refused")
                        continue
                    }
                    #expect(matches.first?.id == face.id, "\(effort): the face is not its own best match")
                    #expect(matches.first.map { $0.similarity > 0.999 } ?? false)
                    #expect(matches.allSatisfy { !deleted.contains($0.id) }, "\(effort): a deleted face was found")
                }
                #expect(results.coverage.facesTotal == UInt64(faces.count))
            }
        }
    }
}
