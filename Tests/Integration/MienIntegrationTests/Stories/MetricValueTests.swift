import MienClient
import Testing

extension Integration {
    /// What nodes count is what was done to them: known requests, and the values that they make.
    @Suite struct MetricValueTests {
        private static let dimension = 64
        private static let faceCount = 300

        @Test(.timeLimit(.minutes(1))) func everyRequestIsCountedOnceByWhoeverAnswersIt() async throws {
            try await Stage.play { stage in
                // No searches but those of the story.
                let cluster = try Cluster(
                    stage,
                    workers: 2,
                    // A busy machine makes no search slow and no worker silent.
                    coordinatorSettings: ["coordinator.slow_search=60s", "coordinator.worker_timeout=15s"],
                    workerSettings: ["worker.recall_check_interval=0", "worker.slow_search=60s"]
                )
                try await cluster.start()
                let client = try cluster.client()
                try await work(on: client)
                // Workers are told of by their heartbeats.
                let coordinator = try await eventually("the coordinator knows of the deletion", within: .seconds(20)) {
                    let told = try await ScrapedMetrics(of: [cluster.coordinator])
                    return told["mien_collection_faces{collection=\"people\"}"] == 290 ? told : nil
                }
                let workers = try await ScrapedMetrics(of: cluster.workers)
                requestsAreCounted(coordinator, workers)
                timesAreCounted(coordinator, workers)
                searchesAndWritesAreCounted(coordinator, workers)
                statesAreTold(coordinator, workers)
                for told in [coordinator, workers] { bytesAreLikely(told) }
                await client.close()
            }
        }

        /// 3 enrolments of 100 faces, 7 searches for one probe, one for five, one of another model, a deletion of ten.
        private func work(on client: MienClient) async throws {
            _ = try await client.createCollection(
                CollectionOptions(name: "people", dimension: Self.dimension, embeddingModel: "m", shardCount: 2)
            )
            try await eventually("both shards are served", within: .seconds(20)) {
                try await client.describe("people").shards.allSatisfy { $0.state == .serving } ? () : nil
            }
            for first in stride(from: 0, to: Self.faceCount, by: 100) {
                let faces = Array(first..<first + 100)
                let receipt = try await client.enrol(
                    faces.map { NewFace(id: Self.id($0)) },
                    embeddings: embeddings(of: faces),
                    into: "people",
                    model: "m"
                )
                #expect(receipt.outcomes.allSatisfy { $0 == .accepted })
            }
            for probe in 0..<7 { _ = try await client.search("people", probes: embeddings(of: [probe]), model: "m") }
            _ = try await client.search("people", probes: embeddings(of: [8, 9, 10, 11, 12]), model: "m")
            await #expect(throws: MienClientError.self) {
                try await client.search("people", probes: embeddings(of: [1]), model: "another")
            }
            let deleted = try await client.deleteFaces((0..<10).map(Self.id), from: "people")
            #expect(deleted.wasPresent == [Bool](repeating: true, count: 10))
        }

        private static func id(_ face: Int) -> Face.ID {
            Face.ID(high: UInt64(face), low: UInt64(face) &* 0x9E37_79B9_7F4A_7C15)
        }

        private func embeddings(of faces: [Int]) -> Embeddings {
            var values: [Float] = []
            for face in faces {
                var random = SeededRandom(seed: UInt64(face))
                values += (0..<Self.dimension).map { _ in Float.random(in: -1...1, using: &random) }
            }
            return Embeddings(dimension: Self.dimension, values: values)
        }

        private func requestsAreCounted(_ coordinator: ScrapedMetrics, _ workers: ScrapedMetrics) {
            let requests: [(ScrapedMetrics, role: String, request: String, status: String, count: Double)] = [
                (coordinator, "coordinator", "createCollection", "ok", 1),
                (coordinator, "coordinator", "enrolFaces", "ok", 3),
                (coordinator, "coordinator", "deleteFaces", "ok", 1),
                (coordinator, "coordinator", "searchFaces", "ok", 8),
                (coordinator, "coordinator", "searchFaces", "modelMismatch", 1),
                // Of each call a part at either worker; what is refused reaches none.
                (workers, "worker", "shardEnrol", "ok", 6), (workers, "worker", "shardDelete", "ok", 2),
                (workers, "worker", "shardSearch", "ok", 16), (workers, "worker", "hostReplica", "ok", 2),
            ]
            for (told, role, request, status, count) in requests {
                let series = "mien_requests_total{role=\"\(role)\",request=\"\(request)\",status=\"\(status)\"}"
                #expect(told[series] == count, "\(series)")
            }
            #expect(coordinator.sum("mien_requests_total", ["request": "searchFaces"]) == 9)
            #expect(workers.sum("mien_requests_total", ["request": "shardSearch"]) == 16)
            #expect(coordinator["mien_requests_in_flight{role=\"coordinator\"}"] ?? -1 >= 0)
            #expect(workers["mien_requests_in_flight{role=\"worker\"}"] == 0)
        }

        /// Histograms count what the counters count, and every time lies in a bucket that can hold it.
        private func timesAreCounted(_ coordinator: ScrapedMetrics, _ workers: ScrapedMetrics) {
            let search = ["request": "searchFaces"]
            let histograms: [(ScrapedMetrics, String, [String: String], count: Double)] = [
                (coordinator, "mien_request_duration_seconds", search, 9),
                (coordinator, "mien_request_duration_seconds", ["request": "enrolFaces"], 3),
                (coordinator, "mien_router_stage_duration_seconds", ["stage": "shards"], 8),
                (coordinator, "mien_router_stage_duration_seconds", ["stage": "merge"], 8),
                (coordinator, "mien_shard_search_duration_seconds", [:], 16),
                (workers, "mien_request_duration_seconds", ["request": "shardSearch"], 16),
                (workers, "mien_search_stage_duration_seconds", ["stage": "flat"], 16),
                (workers, "mien_search_stage_duration_seconds", ["stage": "scan"], 0),
                (workers, "mien_commit_duration_seconds", [:], 8),
            ]
            for (told, name, labels, count) in histograms {
                #expect(told.sum(name + "_count", labels) == count, "\(name) \(labels)")
                let buckets = told.buckets(name, labels)
                #expect(buckets.last?.bound == .infinity && buckets.last?.count == count, "\(name) \(labels)")
                #expect(zip(buckets, buckets.dropFirst()).allSatisfy { $0.count <= $1.count }, "\(name) \(labels)")
                let sum = told.sum(name + "_sum", labels)
                #expect(count == 0 ? sum == 0 : sum > 0 && sum < 60 * count, "\(name) \(labels): \(sum) s")
            }
            // A search takes as long as its slowest shard at least.
            let whole = coordinator.sum("mien_request_duration_seconds_sum", search)
            #expect(whole >= coordinator.sum("mien_router_stage_duration_seconds_sum", ["stage": "shards"]))
        }

        private func searchesAndWritesAreCounted(_ coordinator: ScrapedMetrics, _ workers: ScrapedMetrics) {
            #expect(coordinator["mien_searched_probes_total{effort=\"recall\"}"] == 12)
            #expect(coordinator.sum("mien_searched_probes_total") == 12)
            #expect(coordinator["mien_partial_answers_total"] == 0)
            #expect(coordinator.sum("mien_missing_shards_total") == 0)
            #expect(coordinator["mien_recall_objective"] == 0.99)
            #expect(workers.sum("mien_worker_searches_total") == 16)
            // Without a codebook every probe is compared with every face of the time.
            #expect(workers["mien_rows_visited_total"] == 3600)
            #expect(workers["mien_lists_visited_total"] == 0)
            #expect(workers.sum("mien_recall_checks_total") == 0)
            #expect(workers["mien_written_faces_total{operation=\"enrol\"}"] == 300)
            #expect(workers["mien_written_faces_total{operation=\"delete\"}"] == 10)
            #expect(workers.sum("mien_slow_searches_total") + coordinator.sum("mien_slow_searches_total") == 0)
        }

        private func statesAreTold(_ coordinator: ScrapedMetrics, _ workers: ScrapedMetrics) {
            for (state, count) in [("serving", 2.0), ("opening", 0), ("failed", 0), ("missing", 0)] {
                #expect(coordinator["mien_shards{collection=\"people\",state=\"\(state)\"}"] == count, "\(state)")
            }
            for (state, count) in [("serving", 2.0), ("opening", 0), ("failed", 0)] {
                #expect(workers["mien_replicas{state=\"\(state)\"}"] == count, "\(state)")
            }
            for (state, count) in [("live", 2.0), ("silent", 0), ("unheard", 0)] {
                #expect(coordinator["mien_workers{state=\"\(state)\"}"] == count, "\(state)")
            }
            #expect(workers["mien_partition_faces{collection=\"people\"}"] == 290)
            #expect(workers["mien_partition_row_id_fill{collection=\"people\"}"] ?? 0 > 0)
            #expect(workers["mien_partition_fresh_faces{collection=\"people\"}"] ?? 0 >= 290)
            #expect(workers["mien_search_threads{state=\"idle\"}"] == 2)
            #expect(workers.sum("mien_queue_length") == 0 && coordinator["mien_trainings"] == 0)
            #expect(coordinator["mien_ready"] == 1 && workers["mien_ready"] == 2)
            #expect(coordinator["mien_worker_silence_seconds"] ?? 99 < 10)
            #expect(workers.sum("mien_heartbeats_total", ["status": "taken"]) > 2)
        }

        private func bytesAreLikely(_ told: ScrapedMetrics) {
            let rows = Double(Self.faceCount * Self.dimension)
            let mebibyte = Double(1 << 20)
            let ofAll: [(series: String, bounds: ClosedRange<Double>)] = [
                // Embeddings have two bytes a component at least; coordinator and workers both take them.
                ("mien_received_bytes_total", 2 * rows...40 * rows),
                ("mien_sent_bytes_total", 100...20 * mebibyte),
                ("process_resident_memory_bytes", 4 * mebibyte...4096 * mebibyte),
                ("process_open_fds", 5...2000), ("process_cpu_seconds_total", 0.001...120),
                ("mien_process_threads", 2...400),
            ]
            let ofPartitions: [(series: String, bounds: ClosedRange<Double>)] = [
                ("mien_partition_disk_bytes", 2 * rows...64 * mebibyte),
                ("mien_lmdb_used_bytes", 2 * rows...64 * mebibyte),
                ("mien_lmdb_map_bytes", 2048 * mebibyte...2048 * mebibyte),
                ("mien_free_disk_bytes", mebibyte...1e18),
            ]
            let isOfWorkers = told["mien_search_threads{state=\"idle\"}"] != nil
            for (series, bounds) in isOfWorkers ? ofAll + ofPartitions : ofAll {
                let value = told.sum(series)
                #expect(bounds.contains(value), "\(series) is \(value)")
            }
        }
    }
}
