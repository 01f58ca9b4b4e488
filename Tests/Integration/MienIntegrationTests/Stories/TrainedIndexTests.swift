import MienClient
import SyntheticGallery
import Testing

extension Integration {
    /// A codebook is trained by itself, and the index that it makes is there at once after a kill.
    @Suite struct TrainedIndexTests {
        private static let faceCount = 10_000
        private static let probeCount = 100
        private static let dimension = 128
        private static let model = "synthetic-mugshot-128"

        @Test(.timeLimit(.minutes(3))) func aTrainedIndexServesAtOnceAfterItsWorkerIsKilled() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 2,
                    coordinatorSettings: [
                        // Not before all are there: those that come later may fit less well, and bring a second one.
                        "coordinator.training.min_faces=\(Self.faceCount)", "coordinator.training.sample=8000",
                    ]
                )
                try await cluster.start()
                let client = try cluster.client()
                let gallery = try SyntheticGallery(
                    GalleryParameters(faceCount: Self.faceCount, dimension: Self.dimension, profile: .mugshot, seed: 7)
                )
                let ids = try await enrol(gallery, client)

                let description = try await eventually(
                    "the codebook is trained and rows are folded",
                    within: .seconds(40)
                ) {
                    let description = try await client.describe("people")
                    // Folds go on until fewer rows are left than make a chunk.
                    let isFolded = description.shards.allSatisfy { $0.freshCount < 128 }
                    return description.training == .trained && description.codebook != nil && isFolded
                        && description.faceCount == Self.faceCount ? description : nil
                }
                #expect(description.codebook?.listCount ?? 0 > 8)
                let probes = Embeddings(
                    dimension: Self.dimension,
                    values: gallery.probes(in: 0..<Self.probeCount)
                )
                let before = try await searches(probes, gallery, ids, client)

                cluster.workers[0].kill()
                try await cluster.workers[0].start()
                let restart = ContinuousClock.now
                let first = try await eventually("a full search after the restart", within: .seconds(20)) {
                    try await client.search(
                        "people",
                        probes: probes,
                        model: Self.model,
                        options: SearchOptions(matchLimit: 3, effort: .full)
                    )
                }
                let pause = ContinuousClock.now - restart
                print("trained index: first full answer \(pause) after the killed worker said that it serves")
                #expect(pause < .seconds(15))
                #expect(first.coverage.isFull)
                // It is the index that was there: nothing is trained or coded anew.
                let served = try await client.describe("people")
                #expect(served.codebook == description.codebook && served.trainingUnderWay == nil)
                #expect(served.shards.allSatisfy { $0.freshCount < 128 })
                let after = try await searches(probes, gallery, ids, client)
                for (effort, matches) in before {
                    // What a scan of codes gives up may change with the runs; what it must find is checked by itself.
                    let least = effort == "\(SearchOptions.Effort.exact)" ? matches.count : matches.count / 2
                    let same = zip(after[effort] ?? [], matches).count { $0 == $1 }
                    #expect(same >= least, "\(effort) gives \(same) of \(matches.count) answers as before the kill")
                }
                try await restore(description, stage, cluster, client)
                try await trainAgain(cluster, client)
                await client.close()
            }
        }

        /// The codebook goes along in a backup: the index of what is restored needs no training.
        private func restore(
            _ original: CollectionInfo,
            _ stage: Stage,
            _ cluster: Cluster,
            _ client: MienClient
        ) async throws {
            let place = stage.path("backups")
            for words in [
                ["backup", "create", "people", "--to", place],
                ["backup", "restore", place, "--collection", "again", "--from", "people", "--shards", "3"],
            ] {
                let result = try await cluster.mien(words)
                #expect(result.status == 0 && !result.error.contains("codebook"), "\(words): \(result)")
            }
            let verified = try await stage.mien("backup", "verify", place)
            #expect(verified.status == 0, "\(verified)")
            let restored = try await eventually("what is restored is indexed", within: .seconds(40)) {
                let description = try await client.describe("again")
                let isIndexed = description.shards.allSatisfy { $0.freshCount < 128 && $0.generation == 1 }
                // Faces that are yet to be told of are not fresh either.
                return description.faceCount == Self.faceCount && isIndexed ? description : nil
            }
            #expect(restored.codebook == original.codebook)
            #expect(restored.standing?.cause == .first)
            let rollouts = try await client.operations().filter { $0.kind == .rollout }
            #expect(rollouts.map(\.collection) == ["people"])
            #expect(rollouts.allSatisfy { $0.state == .done })
        }

        /// Another codebook, asked for: every row is coded by it when the operation has ended.
        private func trainAgain(_ cluster: Cluster, _ client: MienClient) async throws {
            let planned = try await cluster.mien("plan", "collection", "train", "people")
            #expect(planned.status == 0 && planned.output.contains("trains codebook 2"), "\(planned)")
            let trained = try await cluster.mien("collection", "train", "people", "--wait")
            #expect(trained.status == 0 && trained.output.contains("rollout of codebook 2"), "\(trained)")
            let description = try await client.describe("people")
            #expect(description.codebook?.generation == 2 && description.standing?.cause == .request)
            #expect(description.shards.allSatisfy { $0.generation == 2 && $0.olderGeneration == 0 })
        }

        private struct FoundFace: Hashable {
            var id: Face.ID
            var similarity: Float
        }

        private func enrol(_ gallery: SyntheticGallery, _ client: MienClient) async throws -> [Face.ID] {
            _ = try await client.createCollection(
                CollectionOptions(
                    name: "people",
                    dimension: Self.dimension,
                    embeddingModel: Self.model,
                    shardCount: 2
                )
            )
            var ids: [Face.ID] = []
            for first in stride(from: 0, to: Self.faceCount, by: 1000) {
                let rows = first..<min(first + 1000, Self.faceCount)
                let faces = rows.map { row in
                    NewFace(
                        id: Face.ID(high: UInt64(row), low: UInt64(row) &* 0x9E37_79B9_7F4A_7C15),
                        metadata: Face.Metadata(
                            personID: SyntheticGallery.personID(gallery.faceInfo(row).identity)
                        )
                    )
                }
                _ = try await client.enrol(
                    faces,
                    embeddings: Embeddings(dimension: Self.dimension, values: gallery.faces(in: rows)),
                    into: "people",
                    model: Self.model
                )
                ids += faces.map(\.id)
            }
            return ids
        }

        /// The matches of all probes at every effort; mates are found as exact search finds them.
        private func searches(
            _ probes: Embeddings,
            _ gallery: SyntheticGallery,
            _ ids: [Face.ID],
            _ client: MienClient
        ) async throws -> [String: [[FoundFace]]] {
            var matches: [String: [[FoundFace]]] = [:]
            var exactFound: Set<Int> = []
            for effort in [SearchOptions.Effort.exact, .full, .recall(0.99), .lists(8)] {
                let results = try await client.search(
                    "people",
                    probes: probes,
                    model: Self.model,
                    options: SearchOptions(matchLimit: 3, effort: effort)
                )
                #expect(results.coverage.isFull)
                let found = results.outcomes.map { outcome -> [FoundFace] in
                    guard case .matches(let matches) = outcome else { return [] }
                    return matches.map { FoundFace(id: $0.id, similarity: $0.similarity) }
                }
                matches["\(effort)"] = found
                let rankOne = Set(
                    found.indices.filter { probe in
                        gallery.probeInfo(probe).mates.contains { ids[$0] == found[probe].first?.id }
                    }
                )
                if effort == .exact {
                    exactFound = rankOne
                    #expect(exactFound.count > 70, "only \(exactFound.count) probes find a mate")
                    #expect(results.coverage.rowsVisited == UInt64(Self.faceCount * Self.probeCount))
                } else {
                    // Eight lists are few; the other efforts promise to find nearly all.
                    let promised = effort == .lists(8) ? 0.8 : 0.97
                    let kept = rankOne.intersection(exactFound).count
                    #expect(
                        Double(kept) >= promised * Double(exactFound.count),
                        "\(effort) finds \(kept) of the \(exactFound.count) mates that exact search finds"
                    )
                }
                if effort == .lists(8) {
                    // In each shard, and of each generation while there are two.
                    #expect(results.coverage.listsVisited <= UInt64(2 * 2 * 8 * Self.probeCount))
                    #expect(
                        results.coverage.rowsVisited < UInt64(Self.faceCount * Self.probeCount / 2),
                        "the index spares no work"
                    )
                }
            }
            return matches
        }
    }
}
