import Foundation
import MienClient
import Testing

extension Integration {
    /// Every replica that had all faces of a shard is lost, and an operator goes on without them.
    @Suite struct LostShardTests {
        private static let dimension = 64
        private static let model = "model-a"

        private typealias Sample = (id: Face.ID, embedding: [Float])

        @Test(.timeLimit(.minutes(2))) func anEmptyShardTakesThePlaceOfOneThatIsLost() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 4)
                try await cluster.start()
                let client = try cluster.client()
                let faces = Self.samples(400)
                try await create(cluster, shards: 2, copies: 2)
                try await enrol(faces, client)
                let holders = try await holders(ofShard: 0, cluster, client)
                try await eventually("what is there is not given up", within: .seconds(10)) {
                    let early = try await cluster.mien("shard", "recover", "people", "0", "--accept-data-loss")
                    #expect(early.status != 0, "\(early)")
                    return early.error.contains("nothing of it is lost") ? () : nil
                }

                let place = stage.path("backups")
                let backedUp = try await cluster.mien("backup", "create", "people", "--to", place)
                #expect(backedUp.status == 0, "\(backedUp)")

                // One disk is destroyed; the other comes back when it is too late.
                for holder in holders { cluster.workers[holder].kill() }
                try FileManager.default.removeItem(atPath: stage.path("worker-\(holders[0] + 1)"))
                try await searches("nothing answers for shard 0", cluster, faces) { $0.status == 69 }
                let left = try await eventually("the coordinator misses the shard", within: .seconds(5)) {
                    let shards = try await client.describe("people").shards
                    return shards.contains { $0.state == .missing } ? shards.first { $0.index == 1 }!.faceCount : nil
                }

                let plan = try await cluster.mien("shard", "recover", "people", "0")
                #expect(plan.status == 0 && plan.output.contains("shard 2 takes its place, empty"), "\(plan)")
                #expect(plan.output.contains("Nothing was changed"), "\(plan)")
                #expect(try await client.describe("people").shards.map(\.index) == [0, 1])
                let done = try await cluster.mien("shard", "recover", "people", "0", "--accept-data-loss")
                #expect(done.status == 0 && done.output.contains("Done"), "\(done)")

                let partial = try await searches("all that is left", cluster, faces) { $0.status == 0 }
                var coverage = try #require(try partial.search().summary.coverage)
                #expect(coverage.full && coverage.has_loss && coverage.faces_total == Int(left))
                #expect(try await client.describe("people").shards.map(\.index).sorted() == [1, 2])
                try await tells(true, cluster)

                // It takes writes, and a coordinator that is started anew still tells of the loss.
                try await enrol(faces, client)
                let deleted = faces[0].id
                _ = try await client.deleteFaces([deleted], from: "people")
                cluster.coordinator.kill()
                try await cluster.coordinator.start()
                try await cluster.workers[holders[1]].start()
                try await eventually("what came back is removed", within: .seconds(20)) {
                    let worker = try await client.status().workers.first {
                        $0.address == cluster.workerAddresses[holders[1]]
                    }
                    return worker?.isLive == true && worker?.replicaCount == 0 ? () : nil
                }
                let whole = try await searches("everything but what was deleted", cluster, faces) { $0.status == 0 }
                let (probes, summary) = try whole.search()
                coverage = try #require(summary.coverage)
                #expect(coverage.full && coverage.has_loss && coverage.faces_total == faces.count - 1)
                #expect(probes.dropFirst().map { $0.matches.first?.face_id } == faces.dropFirst().map { "\($0.id)" })
                #expect(!probes[0].matches.contains { $0.face_id == "\(deleted)" })

                // What is backed up meanwhile says so, and so does what is restored from that.
                let lossy = stage.path("lossy")
                let marked = try await cluster.mien("backup", "create", "people", "--to", lossy)
                #expect(marked.status == 0 && marked.error.contains("faces that were given up at"), "\(marked)")
                let copy = try await cluster.mien([
                    "backup", "restore", lossy, "--collection", "copy", "--from", "people", "--without-ledger",
                ])
                #expect(copy.status == 0, "\(copy)")
                let copied = try await searches("the copy", cluster, faces, in: "copy") { $0.status == 0 }
                coverage = try #require(try copied.search().summary.coverage)
                #expect(coverage.full && coverage.has_loss)

                let settled = try await cluster.mien("collection", "losses", "people", "--restored")
                #expect(settled.status == 0 && settled.output.contains("No faces"), "\(settled)")
                try await tells(false, cluster)
                // With the shard went its ledger: who was deleted before nobody knows, though the faces are back.
                let restore = ["backup", "restore", place, "--collection", "again", "--from", "people"]
                let ignorant = try await cluster.mien(restore)
                #expect(ignorant.status == 1 && ignorant.error.contains("reaches back"), "\(ignorant)")
                let later = try await cluster.mien("backup", "create", "people", "--to", place)
                #expect(later.status == 0, "\(later)")
                // So soon after the loss the clocks of two machines need not agree that the backup is younger.
                let soon = try await cluster.mien(restore)
                #expect(soon.status == 1 && soon.error.contains("reaches back"), "\(soon)")
                let restored = try await cluster.mien(restore + ["--without-ledger"])
                #expect(restored.status == 0, "\(restored)")
                await client.close()
            }
        }

        /// The deletion finds nobody there, and is remembered: a restore from before the loss leaves the face out.
        @Test(.timeLimit(.minutes(2))) func whoIsDeletedAfterTheLossIsNotBroughtBack() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 2)
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(20), timeout: .seconds(30))
                let faces = Self.samples(40)
                try await create(cluster, shards: 1, copies: 1)
                try await enrol(faces, client)
                let (place, ledger) = (stage.path("backups"), stage.path("people.ledger"))
                let backedUp = try await cluster.mien("backup", "create", "people", "--to", place)
                #expect(backedUp.status == 0, "\(backedUp)")
                let exported = try await cluster.mien("backup", "ledger", "export", "people", ledger)
                #expect(exported.status == 0, "\(exported)")

                let holder = try await holders(ofShard: 0, cluster, client)[0]
                cluster.workers[holder].kill()
                try FileManager.default.removeItem(atPath: stage.path("worker-\(holder + 1)"))
                try await eventually("the shard is given up", within: .seconds(30)) {
                    let done = try await cluster.mien("shard", "recover", "people", "0", "--accept-data-loss")
                    return done.status == 0 ? () : nil
                }
                try await searches("the empty shard answers", cluster, faces) { $0.status == 0 }
                let gone = faces[7].id
                let deleted = try await cluster.mien("face", "delete", "people", "\(gone)")
                #expect(deleted.status == 1 && deleted.error.contains("was not in people"), "\(deleted)")
                #expect(deleted.error.contains("a restore leaves them out"), "\(deleted)")

                let restored = try await cluster.mien([
                    "backup", "restore", place, "--collection", "again", "--from", "people", "--ledger", ledger,
                    "--ledger", "people",
                ])
                #expect(restored.status == 0, "\(restored)")
                #expect(restored.output.contains("left out as deleted since: 1"), "\(restored)")
                let found = try await client.faces(faces.map(\.id), in: "again")
                #expect(found.map(\.id) == faces.map(\.id).filter { $0 != gone })
                await client.close()
            }
        }

        @Test(.timeLimit(.minutes(2))) func aReplicaThatWasBehindGoesOnWithWhatItHas() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 3)
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(15), timeout: .seconds(20))
                let faces = Self.samples(200)
                try await create(cluster, shards: 1, copies: 3)
                try await enrol(Array(faces.prefix(120)), client)
                let holders = try await holders(ofShard: 0, cluster, client)
                let behind = holders[2]
                try await eventually("all have it", within: .seconds(10)) {
                    try await client.describe("people").shards[0].inSyncCount == 3 ? () : nil
                }
                cluster.workers[behind].kill()
                try await enrol(Array(faces.dropFirst(120)), client)
                for holder in holders.prefix(2) {
                    cluster.workers[holder].kill()
                    try FileManager.default.removeItem(atPath: stage.path("worker-\(holder + 1)"))
                }
                try await cluster.workers[behind].start()
                // Never with an empty shard, as long as nobody has heard of the replica.
                let leader = "\(cluster.workerAddresses[behind])@1"
                let recover = ["shard", "recover", "people", "0", "--accept-data-loss", "--led-by", leader]
                let done = try await eventually("it can be gone on with", within: .seconds(15)) {
                    let done = try await cluster.mien(recover)
                    return done.status == 0 ? done : nil
                }
                #expect(done.output.contains("Shard 0 goes on with what the replica has"), "\(done)")

                let answer = try await searches("what it has", cluster, faces) { $0.status == 0 }
                let (probes, summary) = try answer.search()
                let coverage = try #require(summary.coverage)
                #expect(coverage.full && coverage.has_loss && coverage.faces_total == 120)
                #expect(
                    probes.prefix(120).map { $0.matches.first?.face_id } == faces.prefix(120).map { "\($0.id)" }
                )
                // Writes need a second copy, which a new worker gets.
                try cluster.addWorker()
                try await cluster.workers.last!.start()
                try await enrol(faces, client)
                #expect(try await client.describe("people").shards[0].inSyncCount >= 2)
                await client.close()
            }
        }

        // MARK: Steps

        private static func samples(_ count: Int) -> [Sample] {
            var random = SeededRandom(seed: SeededRandom.storySeed("lost shard"))
            return (0..<count).map { _ in
                (Face.ID(high: random.next(), low: random.next()), random.direction(dimension: dimension))
            }
        }

        private func create(_ cluster: Cluster, shards: Int, copies: Int) async throws {
            let created = try await cluster.mien(
                "collection",
                "create",
                "people",
                "--dimension",
                "\(Self.dimension)",
                "--model",
                Self.model,
                "--shards",
                "\(shards)",
                "--copies",
                "\(copies)"
            )
            #expect(created.status == 0, "\(created)")
        }

        private func enrol(_ faces: [Sample], _ client: MienClient) async throws {
            let result = try await client.enrol(
                faces.map { NewFace(id: $0.id) },
                embeddings: Embeddings(dimension: Self.dimension, values: faces.flatMap(\.embedding)),
                into: "people",
                model: Self.model
            )
            #expect(result.outcomes.count == faces.count)
        }

        /// Positions of the workers that have a shard, of its primary first.
        private func holders(ofShard index: Int, _ cluster: Cluster, _ client: MienClient) async throws -> [Int] {
            let workers = try await client.status().workers
            let shard = try #require(try await client.describe("people").shards.first { $0.index == index })
            let replicas = shard.replicas.sorted { $0.isPrimary && !$1.isPrimary }
            return try replicas.map { replica in
                let address = try #require(workers.first { $0.id == replica.workerID }?.address)
                return try #require(cluster.workerAddresses.firstIndex(of: address))
            }
        }

        @discardableResult
        private func searches(
            _ what: String,
            _ cluster: Cluster,
            _ faces: [Sample],
            in collection: String = "people",
            until isIt: (CommandResult) -> Bool
        ) async throws -> CommandResult {
            try cluster.stage.write("probes.npy", NpyFile(rows: faces.map(\.embedding)).data)
            return try await eventually(what, within: .seconds(20)) {
                let result = try await cluster.mien(
                    "search",
                    collection,
                    "--probes",
                    cluster.stage.path("probes.npy"),
                    "-k",
                    "1",
                    "--json"
                )
                return isIt(result) ? result : nil
            }
        }

        private func tells(_ isLost: Bool, _ cluster: Cluster) async throws {
            let status = try await cluster.mien("status")
            #expect(status.output.contains("faces were given up of people") == isLost, "\(status)")
            let losses = try await cluster.mien("collection", "losses", "people")
            #expect(losses.status == 0 && losses.output.contains("%") == isLost, "\(losses)")
        }
    }
}
