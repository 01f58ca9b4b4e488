import MienClient
import Testing

extension Integration {
    /// One worker of three is away; everyone is told, and it comes back.
    @Suite struct DeadWorkerTests {
        private static let dimension = 64
        private static let model = "model-a"
        private static let faceCount = 600

        @Test(.timeLimit(.minutes(3))) func aMissingWorkerIsNamedAndItsReturnMakesAnswersWhole() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 3)
                try await cluster.start()
                let client = try cluster.client()
                let faces = try await enrolFaces(client, cluster)
                try stage.write("probes.npy", NpyFile(rows: faces.prefix(20).map(\.embedding)).data)
                let before = try await describe(cluster, faceCount: Self.faceCount)
                let search = ["search", "people", "--probes", stage.path("probes.npy"), "-k", "3", "--json"]
                let whole = try await cluster.mien(search).search()
                #expect(whole.summary.coverage?.full == true)
                #expect(whole.probes.map { $0.matches.first?.face_id } == faces.prefix(20).map { $0.id.description })

                #expect(try await cluster.workers[1].stop() == 0, "a worker that is asked to stop ends well")
                let away = try await missingShard(cluster)
                let awayFaceCount = before.shards[away].faces
                #expect(awayFaceCount > 100, "the shard holds about a third of the faces")
                try await searchesWithout(away, awayFaceCount, cluster, search)
                try await writesWithout(away, faces, cluster, client)
                try await reportsWithout(away, before, faces, cluster, client)

                try await cluster.workers[1].start()
                let answer = try await eventually("full coverage", within: .seconds(20)) {
                    let result = try await cluster.mien(search)
                    return result.status == 0 ? try result.search() : nil
                }
                #expect(answer.probes == whole.probes)

                cluster.coordinator.kill()
                try await cluster.coordinator.start()
                let again = try await eventually("full coverage", within: .seconds(20)) {
                    let result = try await cluster.mien(search)
                    return result.status == 0 ? try result.search() : nil
                }
                #expect(again.probes == whole.probes, "a coordinator that comes back gives the same answers")
                let after = try await describe(cluster, faceCount: Self.faceCount)
                #expect(after.shards.map(\.faces) == before.shards.map(\.faces))
                await client.close()
            }
        }

        private typealias Sample = (id: Face.ID, embedding: [Float])

        private func enrolFaces(_ client: MienClient, _ cluster: Cluster) async throws -> [Sample] {
            let created = try await cluster.mien(
                "collection",
                "create",
                "people",
                "--dimension",
                "\(Self.dimension)",
                "--model",
                Self.model
            )
            #expect(created.status == 0, "\(created)")
            var random = SeededRandom(seed: SeededRandom.storySeed("dead worker"))
            var faces: [Sample] = []
            for _ in 0..<Self.faceCount {
                faces.append(
                    (Face.ID(high: random.next(), low: random.next()), random.direction(dimension: Self.dimension))
                )
            }
            try await enrol(faces, client)
            return faces
        }

        private func enrol(_ faces: [Sample], _ client: MienClient) async throws {
            _ = try await client.enrol(
                faces.map { NewFace(id: $0.id) },
                embeddings: Embeddings(dimension: Self.dimension, values: faces.flatMap(\.embedding)),
                into: "people",
                model: Self.model
            )
        }

        /// What the coordinator says once the workers have reported all faces.
        private func describe(_ cluster: Cluster, faceCount: Int) async throws -> CollectionDocument {
            try await eventually("the coordinator knows of \(faceCount) faces", within: .seconds(20)) {
                let result = try await cluster.mien("collection", "describe", "people", "--json")
                let collection = try result.document(CollectionDocument.self)
                return collection.faces == faceCount && collection.shards.allSatisfy { $0.state == "serving" }
                    ? collection : nil
            }
        }

        /// The shard whose worker is away, once the coordinator has noticed.
        private func missingShard(_ cluster: Cluster) async throws -> Int {
            try await eventually("the coordinator misses the worker", within: .seconds(20)) {
                let result = try await cluster.mien("collection", "describe", "people", "--json")
                return try result.document(CollectionDocument.self).shards.first { $0.state == "missing" }?.index
            }
        }

        private func searchesWithout(
            _ away: Int,
            _ awayFaceCount: Int,
            _ cluster: Cluster,
            _ search: [String]
        ) async throws {
            let failed = try await cluster.mien(search)
            #expect(failed.status == 69, "\(failed)")
            #expect(failed.output.isEmpty, "no answer is shown that was not asked for")
            #expect(failed.error.contains("shard \(away) is missing"), "\(failed)")
            #expect(failed.error.contains(cluster.workerAddresses[1]), "\(failed)")
            #expect(failed.error.split(separator: "\n").count == 1, "one sentence: \(failed)")

            let partial = try await cluster.mien(search + ["--min-coverage", "0.3"])
            #expect(partial.status == 0, "\(partial)")
            #expect(partial.error.contains("partial"), "\(partial)")
            let answer = try partial.search()
            let coverage = try #require(answer.summary.coverage)
            let answered = Self.faceCount - awayFaceCount
            #expect(!coverage.full)
            #expect(coverage.shards_asked == 3 && coverage.shards_answered == 2)
            // What the missing worker reported, or what is to be expected of a third of the ring when that is more.
            let total = answered + max(awayFaceCount, Int((Double(answered) / 2).rounded()))
            #expect(abs(coverage.faces_total - total) <= 1 && coverage.faces_answered == answered)
            #expect(abs(coverage.share - Double(answered) / Double(coverage.faces_total)) < 1e-9)
            #expect(coverage.missing.map(\.shard) == [away])
            #expect(answer.probes.allSatisfy { !$0.matches.isEmpty })

            let tooLittle = try await cluster.mien(search + ["--min-coverage", "0.95"])
            #expect(tooLittle.status == 69, "\(tooLittle)")
        }

        private func writesWithout(
            _ away: Int,
            _ faces: [Sample],
            _ cluster: Cluster,
            _ client: MienClient
        ) async throws {
            // The faces are there already, so that writing them again changes no count.
            let failure = await #expect(throws: MienClientError.self) {
                try await enrol(Array(faces.prefix(40)), client)
            }
            #expect(failure?.code == .unavailable)
            #expect(failure?.message.contains("shard \(away) is missing") ?? false, "\(String(describing: failure))")

            let absent = try await eventually("a face of the missing shard", within: .seconds(5)) {
                for face in faces.prefix(40) where try await isAway(face.id, client) { return face.id }
                return nil
            }
            let deletion = try await cluster.mien("face", "delete", "people", "\(absent)", "--timeout", "2")
            #expect(deletion.status == 69, "\(deletion)")
            #expect(deletion.error.contains("shard \(away)"), "\(deletion)")
        }

        private func isAway(_ id: Face.ID, _ client: MienClient) async throws -> Bool {
            do throws(MienClientError) {
                _ = try await client.faces([id], in: "people")
                return false
            } catch {
                #expect(error.code == .unavailable, "\(error)")
                return true
            }
        }

        private func reportsWithout(
            _ away: Int,
            _ before: CollectionDocument,
            _ faces: [Sample],
            _ cluster: Cluster,
            _ client: MienClient
        ) async throws {
            let text = try await cluster.mien("collection", "describe", "people")
            #expect(text.status == 0)
            #expect(text.output.contains("missing"), "\(text)")
            let status = try await cluster.mien("status")
            #expect(status.status == 69, "\(status)")
            #expect(status.error.contains(cluster.workerAddresses[1]), "\(status)")
            #expect(status.error.contains("no live worker for shard \(away)"), "\(status)")
            let list = try await cluster.mien("face", "list", "people", "--all", "--json", "--timeout", "2")
            #expect(list.status == 69, "a list with a gap is no list: \(list)")
            try await causesAreTold(cluster)
        }

        /// Of the one that has ended, and of another that hangs meanwhile.
        private func causesAreTold(_ cluster: Cluster) async throws {
            let hanging = try #require(cluster.workers[2].process)
            hanging.freeze()
            defer { hanging.thaw() }
            try await eventually("people are told why workers are silent", within: .seconds(60)) {
                let told = try await cluster.mien("status")
                let lines = told.error.split(separator: "\n")
                let isTold = [(1, "the process is not running"), (2, "the process hangs")].allSatisfy { index, cause in
                    lines.contains { $0.contains(cluster.workerAddresses[index]) && $0.contains(cause) }
                }
                return isTold ? () : nil
            }
        }
    }
}
