import MienClient
import SyntheticGallery
import Testing

extension Integration {
    /// Searches that are really made are checked, and what was found of their recall is told wherever it is documented.
    @Suite struct LiveRecallTests {
        private static let dimension = 64

        private func fill(_ cluster: Cluster, to faceCount: Int) async throws {
            let filled = try await cluster.stage.mien(
                [
                    "load", "people", "--fill", "\(faceCount)", "--dimension", "\(Self.dimension)", "--shards", "1",
                    "--coordinator", "\(cluster.address)",
                ],
                within: .seconds(60)
            )
            try #require(filled.status == 0, "\(filled)")
        }

        /// Nothing is promised, and so nothing corrected, before rows are coded and in lists; lists may turn out uneven
        /// then, and bring another codebook.
        ///
        /// - Returns: generation of the codebook that stays.
        private func settledGeneration(_ cluster: Cluster, after earlier: Int = 0) async throws -> Int {
            let client = try cluster.client()
            var (seen, since) = (0, ContinuousClock.now)
            let generation = try await eventually("rows are in lists", within: .seconds(60)) {
                let people = try await client.describe("people")
                let codebook = people.codebook?.generation ?? 0
                let isCoded = people.shards.allSatisfy { $0.generation == codebook && $0.olderGeneration == 0 }
                let isSettled = people.training == .trained && people.freshCount < 128 && isCoded
                let generation = isSettled ? codebook : 0
                if generation <= earlier || generation != seen { (seen, since) = (generation, ContinuousClock.now) }
                return ContinuousClock.now - since > .seconds(2) ? generation : nil
            }
            await client.close()
            return generation
        }

        /// Searches as programs do, one after the other, until the worker has told of so many checked mates.
        private func search(_ cluster: Cluster, _ gallery: SyntheticGallery, mates: Double) async throws {
            let client = try cluster.client()
            let model = try await client.describe("people").options.embeddingModel
            var probe = 0
            try await eventually("\(mates) mates are compared", within: .seconds(40)) {
                for _ in 0..<20 {
                    probe = (probe + 1) % 1000
                    _ = try await client.search(
                        "people",
                        probes: Embeddings(dimension: Self.dimension, values: gallery.probes(in: probe..<probe + 1)),
                        model: model
                    )
                }
                let told = try await ScrapedMetrics(of: cluster.workers)
                return told.sum("mien_recall_compared_total", Self.mates) >= mates ? () : nil
            }
            await client.close()
        }

        private static let mates = ["kind": "mates", "effort": "recall"]

        @Test(.timeLimit(.minutes(2))) func whatSearchesFindIsToldAndForgottenAsDocumented() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 1,
                    coordinatorSettings: [
                        "coordinator.training.min_faces=6000", "coordinator.training.growth=2",
                    ],
                    workerSettings: [
                        "worker.search_threads=1", "worker.recall_check_interval=1", "worker.background_percent=100",
                    ]
                )
                try await cluster.start()
                try await fill(cluster, to: 6000)
                let first = try await settledGeneration(cluster)
                let gallery = try SyntheticGallery(GalleryParameters(faceCount: 6000, dimension: Self.dimension))
                let unchecked = try await cluster.mien("status")
                #expect(unchecked.status == 0 && !unchecked.output.contains("live recall"), "\(unchecked)")
                try await search(cluster, gallery, mates: 150)
                try await whatIsToldAgrees(cluster)

                // A restart forgets it.
                cluster.workers[0].kill()
                try await cluster.start()
                try await eventually("nothing is told of before the restart", within: .seconds(20)) {
                    let described = try await cluster.mien("collection", "describe", "people").output
                    let status = try await cluster.mien("status").output
                    let isForgotten = !described.contains("live recall") && !status.contains("live recall")
                    return isForgotten && described.contains("serving") ? () : nil
                }

                // So does another codebook, of what is corrected by it; the worker's own count goes on.
                try await search(cluster, gallery, mates: 20)
                try await eventually("the collection tells of its checks", within: .seconds(20)) {
                    let described = try await cluster.mien("collection", "describe", "people")
                    return described.output.contains("live recall ") ? () : nil
                }
                try await fill(cluster, to: 12_500)
                _ = try await settledGeneration(cluster, after: first)
                #expect(try await !cluster.mien("collection", "describe", "people").output.contains("live recall "))
                #expect(try await cluster.mien("status").output.contains("live recall at "))
            }
        }

        /// One estimate with its bounds, in the metrics, for people and for programs, of the worker and the collection.
        private func whatIsToldAgrees(_ cluster: Cluster) async throws {
            let pattern = #/at 127\.0\.0\.1:\d+: ([\d.]+) % of (\d+) mates, (\d+) missed \(([\d.]+) to ([\d.]+) %\)/#
            let numbers = try await eventually("heartbeats tell of it", within: .seconds(20)) { () -> [Double]? in
                let status = try await cluster.mien("status")
                let line = status.output.split(separator: "\n").first { $0.hasPrefix("live recall ") }
                guard let found = line?.firstMatch(of: pattern) else { return nil }
                let numbers = [found.1, found.2, found.3, found.4, found.5].compactMap { Double($0) }
                return numbers.count == 5 && numbers[1] >= 150 ? numbers : nil
            }
            let (recall, count, missed, low, high) = (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])
            #expect(count >= 150 && abs(recall - 100 * (1 - missed / count)) < 0.01)
            #expect(low <= recall && recall <= high && low < high && low > 50 && high <= 100)

            let told = try await ScrapedMetrics(of: cluster.workers)
            let compared = told.sum("mien_recall_compared_total", Self.mates)
            let lost = told.sum("mien_recall_missed_total", Self.mates)
            let rate = told.sum("mien_live_recall", Self.mates)
            #expect(compared >= 150 && lost <= compared && abs(rate - (1 - lost / compared)) < 1e-9)
            #expect(told.sum("mien_live_recall_low", Self.mates) < rate)
            #expect(told.sum("mien_live_recall_high", Self.mates) >= rate)
            #expect(told.sum("mien_recall_checks_total", ["status": "done"]) >= 10)
            #expect(told.sum("mien_recall_checks_total", ["status": "failed"]) == 0)
            #expect(told.sum("mien_recall_compared_total", ["kind": "matches", "effort": "recall"]) >= compared)
            #expect(told.sum("mien_recall_miss_ratio", ["collection": "people"]) >= 1)

            let described = try await cluster.mien("collection", "describe", "people")
            #expect(
                described.output.contains(#/live recall +[\d.]+ % of \d+ mated probes, \d+ missed \(/#),
                "\(described)"
            )
            let document = try await cluster.mien("status", "--json")
            #expect(
                document.output.contains(#/"mate_recall": \{\s+"recall": 0?\.?\d/#)
                    || document.output.contains("\"recall\": 1")
            )
        }
    }
}
