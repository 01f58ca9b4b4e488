import MienClient
import Testing

extension Integration {
    /// Operations that are held up, and those that meet: copies, splits and rollouts of codebooks.
    @Suite struct OperationsTogetherTests {
        private struct Operation: Decodable {
            struct Step: Decodable {
                var sent_bytes: UInt64
                var total_bytes: UInt64
            }
            var id: String
            var state: String
            var steps: [Step]
        }

        /// A copy stands still while its operation is paused, keeps nobody else's from beginning, and goes on where it
        /// was.
        @Test(.timeLimit(.minutes(4))) func aPausedCopySendsNothingUntilItIsResumed() async throws {
            try await play { cluster, client in
                let shard = try #require(try await client.describe("people").shards.first)
                let (from, to) = try await Self.workers(of: shard, client)
                let move = ["shard", "move", "people", "\(shard.index)", "--from", from, "--to", to]
                // The plan knows how fast workers may send, and that they make a copy first.
                let planned = try await cluster.mien(["plan"] + move)
                #expect(planned.output.contains("at 1.3 MiB/s"), "\(planned)")
                let begun = try await cluster.mien(move + ["--json"]).document(Operation.self)
                // Whoever asks again gets the same one.
                #expect(try await cluster.mien(move + ["--json"]).document(Operation.self).id == begun.id)
                try await eventually("some of the copy has come", within: .seconds(60)) {
                    try await Self.step(begun.id, cluster).sent_bytes > 1 << 20 ? () : nil
                }
                let paused = try await cluster.mien("operation", "pause", begun.id)
                #expect(paused.status == 0, "\(paused)")
                // What was on its way arrives.
                var (held, sameCount) = (try await Self.step(begun.id, cluster), 0)
                try await eventually("nothing more comes", within: .seconds(30)) {
                    try await Task.sleep(for: .seconds(1))
                    let now = try await Self.step(begun.id, cluster)
                    sameCount = now.sent_bytes == held.sent_bytes ? sameCount + 1 : 0
                    held = now
                    return sameCount >= 2 ? () : nil
                }
                #expect(try await cluster.mien(move + ["--json"]).document(Operation.self).state == "paused")
                #expect(held.sent_bytes > 0 && held.sent_bytes < held.total_bytes, "\(held)")
                // Another step of the same workers need not wait for it.
                let other = try #require(try await client.describe("people").shards.first { $0.index != shard.index })
                let (source, target) = try await Self.workers(of: other, client)
                let second = try await cluster.mien(
                    ["shard", "move", "people", "\(other.index)", "--from", source, "--to", target, "--json"]
                ).document(Operation.self)
                try await Self.awaitEnd(second.id, cluster)
                let still = try await Self.step(begun.id, cluster)
                #expect(still.sent_bytes == held.sent_bytes, "\(held), then \(still)")
                let resumed = try await cluster.mien("operation", "resume", begun.id)
                #expect(resumed.status == 0, "\(resumed)")
                try await Self.awaitEnd(begun.id, cluster)
                #expect(try await client.describe("people").shards.first { $0.index == shard.index }?.workerID != from)
            }
        }

        /// A codebook is rolled out while a replica moves and shards are split, and begun before and after them: the
        /// replicas are equal at the end.
        @Test(.timeLimit(.minutes(5))) func aRolloutBesideMovesAndSplitsLeavesReplicasEqual() async throws {
            try await play(copies: 2) { cluster, client in
                func begin(_ words: String...) async throws -> String {
                    let begun = try await cluster.mien(words + ["--json"])
                    #expect(begun.status == 0, "\(begun)")
                    return try begun.document(Operation.self).id
                }
                let shard = try #require(try await client.describe("people").shards.first)
                let (from, to) = try await Self.workers(of: shard, client)
                let move = try await begin("shard", "move", "people", "\(shard.index)", "--from", from, "--to", to)
                let first = try await begin("collection", "train", "people")
                let beside = try await Self.awaitEnds(move, first, cluster)
                let second = try await begin("collection", "train", "people")
                let split = try await begin("shard", "split", "people", "--all")
                let together = try await Self.awaitEnds(split, second, cluster)
                #expect(beside || together, "neither the move nor the split was open together with a rollout")
                try await eventually("every replica has the newest codebook alone", within: .seconds(60)) {
                    let people = try await client.describe("people")
                    let newest = people.codebook?.generation ?? 0
                    let isThere = people.shards.allSatisfy { $0.generation == newest && $0.inSyncCount == 2 }
                    return newest >= 2 && people.shards.count == 4 && isThere ? () : nil
                }
            }
        }

        /// 12 000 faces in two shards on three workers that send two mebibytes a second; at the end all are there and
        /// all replicas are equal.
        private func play(
            copies: Int = 1,
            _ body: (Cluster, MienClient) async throws -> Void
        ) async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 3,
                    coordinatorSettings: [
                        "coordinator.training.min_faces=10000", "coordinator.training.sample=4000",
                        "coordinator.training.growth=1000",
                    ],
                    workerSettings: ["worker.copy_rate=2MiB"]
                )
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(15))
                let made = try await stage.mien("generate", stage.path("gallery"), "--faces", "12000")
                #expect(made.status == 0, "\(made)")
                let created = try await cluster.mien(
                    "collection",
                    "create",
                    "people",
                    "--dimension",
                    "512",
                    "--model",
                    "synthetic-wild-512",
                    "--shards",
                    "2",
                    "--copies",
                    "\(copies)",
                    "--min-copies",
                    "1"
                )
                #expect(created.status == 0, "\(created)")
                let imported = try await cluster.mien(
                    "import",
                    "people",
                    "--embeddings",
                    stage.path("gallery/embeddings.npy"),
                    "--ids",
                    stage.path("gallery/ids.txt")
                )
                #expect(imported.status == 0, "\(imported)")
                try await eventually("the first codebook is there", within: .seconds(60)) {
                    let people = try await client.describe("people")
                    return people.training == .trained && people.shards.allSatisfy { $0.generation == 1 } ? () : nil
                }
                try await body(cluster, client)
                #expect(try await client.describe("people").faceCount == 12_000)
                let verified = try await cluster.mien("verify", "people")
                #expect(verified.status == 0, "\(verified)")
                await client.close()
            }
        }

        /// Who has its primary, and somebody who has no replica of it.
        private static func workers(
            of shard: CollectionInfo.Shard,
            _ client: MienClient
        ) async throws -> (primary: String, other: String) {
            let members = Set(shard.replicas.map(\.workerID))
            let other = try await client.status().workers.first { !members.contains($0.id) }
            return (try #require(shard.replicas.first { $0.isPrimary }?.workerID), try #require(other?.id))
        }

        private static func operation(_ id: String, _ cluster: Cluster) async throws -> Operation {
            let all = try await cluster.mien("operations", "--json").document([Operation].self)
            return try #require(all.first { $0.id == id })
        }

        private static func step(_ id: String, _ cluster: Cluster) async throws -> Operation.Step {
            try #require(try await operation(id, cluster).steps.first)
        }

        /// Waits until two operations are done.
        ///
        /// - Returns: whether both were under way at one look.
        private static func awaitEnds(_ one: String, _ other: String, _ cluster: Cluster) async throws -> Bool {
            var wereTogether = false
            try await eventually("operations \(one) and \(other) are done", within: .seconds(240)) {
                let all = try await cluster.mien("operations", "--json").document([Operation].self)
                let states = try [one, other].map { id in try #require(all.first { $0.id == id }).state }
                wereTogether = wereTogether || states == ["running", "running"]
                return states == ["done", "done"] ? () : nil
            }
            return wereTogether
        }

        private static func awaitEnd(_ id: String, _ cluster: Cluster) async throws {
            try await eventually("operation \(id) is done", within: .seconds(120)) {
                try await operation(id, cluster).state == "done" ? () : nil
            }
        }
    }
}
