import FaceModel
import Foundation
import MienClient
import SyntheticGallery
import Testing

extension Integration {
    /// `mien load` against real processes: it breaks its own cluster and finds everything true, and it is not fooled.
    @Suite struct LoadTests {
        /// The report as far as these stories look at it.
        private struct Report: Decodable {
            struct Figures: Decodable {
                var statuses: [String: Int]
            }

            struct Fault: Decodable {
                var what: String
                var from_seconds: Double
                var to_seconds: Double
            }

            struct Truth: Decodable {
                struct Findings: Decodable {
                    var counts: [String: Int]
                    var examples: [String]
                }

                var findings: Findings
                var written_face_count: Int
                var read_back_count: Int
                var checked_answer_count: Int
                var deleted_search_count: Int
                var flagged_partial_count: Int
                var compared_answer_count: Int
                var required_match_count: Int
                var found_match_count: Int
                var mated_search_count: Int
                var mate_found_count: Int
                var final_face_count: Int
                var unchecked: [String]
            }

            struct Load: Decodable {
                var process_count: Int
                var rate_per_second: Double
            }

            struct Ramp: Decodable {
                struct Step: Decodable {
                    var rate_per_second: Double
                    var is_met: Bool
                }

                var steps: [Step]
                var found_rate_per_second: Double?
            }

            struct Series: Decodable {
                struct Window: Decodable {
                    var required_match_count: Int?
                    var found_match_count: Int?
                }

                var windows: [Window]
            }

            var format: Int
            var series: Series
            var totals: [String: Figures]
            var faults: [Fault]
            var truth: Truth
            var load: Load
            var ramp: Ramp?
            var objective_is_met: Bool?

            func count(_ operation: String, _ status: String = "ok") -> Int {
                totals[operation]?.statuses[status] ?? 0
            }
        }

        private static func report(_ path: String) throws -> Report {
            try JSONDecoder().decode(Report.self, from: try Data(contentsOf: URL(filePath: path)))
        }

        /// Plays with a folder of its own for temporary files: the story leaves none of them, and no process.
        private static func playLeavingNothing(_ story: (Stage) async throws -> Void) async throws {
            try await Stage.play { stage in
                stage.environment["TMPDIR"] = stage.path("tmp")
                try FileManager.default.createDirectory(atPath: stage.path("tmp"), withIntermediateDirectories: true)
                try await story(stage)
                #expect(try FileManager.default.contentsOfDirectory(atPath: stage.path("tmp")).isEmpty)
                #expect(try Self.processes(mentioning: stage.folder) == [])
            }
        }

        /// A cluster that has started, whose collection "people" a load has filled.
        private static func filledCluster(_ stage: Stage, workers: Int, faceCount: Int) async throws -> Cluster {
            let cluster = try Cluster(stage, workers: workers)
            try await cluster.start()
            let filled = try await cluster.mien("load", "people", "--fill", "\(faceCount)", "--dimension", "64")
            #expect(filled.status == 0, "\(filled)")
            return cluster
        }

        @Test(.timeLimit(.minutes(2))) func aKilledWorkerLosesNothingAndNoProcessIsLeft() async throws {
            try await Self.playLeavingNothing { stage in
                let result = try await stage.mien(
                    [
                        "load", "people", "--fill", "2000", "--dimension", "64", "--probes", "200",
                        "--cluster", "workers=2,coordinator.worker_timeout=1s,worker.heartbeat_interval=100ms",
                        "--rate", "150", "--warm-up", "1s", "--duration", "6s",
                        "--mix", "search=50,photo:5=10,by-face=10,enrol:2=12,upsert=8,delete=10",
                        "--streams", "count=1,fps=5,faces=2", "--min-coverage", "0",
                        "--fault", "at 2s kill worker 2 for 1500ms; at 5s stop worker 1 for 500ms",
                        "--json-file", stage.path("load.json"), "--report", stage.path("load.html"),
                    ],
                    within: .seconds(90)
                )
                #expect(result.status == 0, "\(result)")
                let report = try Self.report(stage.path("load.json"))
                #expect(report.format == 1)
                #expect(report.truth.findings.counts.isEmpty, "\(report.truth.findings.examples)")
                #expect(report.truth.unchecked.isEmpty, "\(report.truth.unchecked)")
                for operation in ["search", "photo", "by-face", "frame", "enrol", "upsert", "delete"] {
                    #expect(report.count(operation) > 0, "no \(operation) was answered: \(result)")
                }
                #expect(report.faults.map(\.what) == ["worker 2 killed", "worker 1 stopped"])
                #expect(report.faults.allSatisfy { $0.to_seconds > $0.from_seconds })
                #expect(report.truth.flagged_partial_count > 0, "no answer was partial while a worker was dead")
                #expect(report.truth.written_face_count > 50 && report.truth.deleted_search_count > 10)
                #expect(report.truth.read_back_count >= 2000 && report.truth.compared_answer_count > 50)
                // Compared answers are of all of its time, and each is told of in the second of its search.
                let windows = report.series.windows
                #expect(windows.compactMap(\.required_match_count).reduce(0, +) == report.truth.required_match_count)
                #expect(windows.compactMap(\.found_match_count).reduce(0, +) == report.truth.found_match_count)
                #expect(windows.count { ($0.required_match_count ?? 0) > 0 } >= 4)
                let page = try stage.text("load.html")
                #expect(page.contains("Every answer was true") && page.contains("worker 2 killed"))
            }
        }

        /// A worker is killed under a load of two processes: each has its own truth, and one report has all of it.
        @Test(.timeLimit(.minutes(2))) func severalProcessesSeeOneFaultTogether() async throws {
            try await Self.playLeavingNothing { stage in
                let result = try await stage.mien(
                    [
                        "load", "people", "--fill", "2000", "--dimension", "64", "--probes", "200", "--processes", "2",
                        "--cluster", "workers=2,coordinator.worker_timeout=1s,worker.heartbeat_interval=100ms",
                        "--rate", "120", "--warm-up", "1s", "--duration", "6s", "--mix",
                        "search=60,enrol:2=15,upsert=10,delete=15", "--min-coverage", "0", "--fault",
                        "at 2s kill worker 2 for 1500ms", "--json-file", stage.path("load.json"), "--report",
                        stage.path("load.html"),
                    ],
                    within: .seconds(90)
                )
                #expect(result.status == 0, "\(result)")
                let report = try Self.report(stage.path("load.json"))
                #expect(report.load.process_count == 2 && report.load.rate_per_second == 120)
                #expect(report.faults.map(\.what) == ["worker 2 killed"])
                #expect(report.truth.findings.counts.isEmpty, "\(report.truth.findings.examples)")
                #expect(report.truth.unchecked.isEmpty, "\(report.truth.unchecked)")
                #expect(report.truth.flagged_partial_count > 0, "no answer was partial while a worker was dead")
                #expect(report.truth.written_face_count > 50 && report.truth.read_back_count >= 2000)
                // A part knows of its own half of the mates, which most persons have a face in.
                #expect(report.truth.mated_search_count > report.count("search") / 2, "\(result)")
                #expect(report.truth.mate_found_count > report.truth.mated_search_count / 2)
                #expect(try stage.text("load.html").contains("worker 2 killed"))
            }
        }

        @Test(.timeLimit(.minutes(3))) func aFaceThatSomebodyElseDeletesIsMissed() async throws {
            try await Stage.play { stage in
                let cluster = try await Self.filledCluster(stage, workers: 2, faceCount: 1500)
                let load = [
                    "load", "people", "--probes", "200", "--rate", "100", "--warm-up", "0s", "--duration", "2s",
                ]
                let mix = ["--mix", "search=60,enrol=20,delete=20", "--json-file", stage.path("load.json")]

                let together = try await cluster.mien(load + mix + ["--processes", "2", "--duration", "6s"])
                #expect(together.status == 0, "\(together)")
                // The second line of the view would be that of ten seconds.
                let seconds = together.error.split(separator: "\n").filter { $0.contains(" in flight") }
                #expect(seconds.count == 1 && seconds[0].hasPrefix("5 s  "), "\(together)")
                var report = try Self.report(stage.path("load.json"))
                #expect(report.load.process_count == 2 && report.load.rate_per_second == 100)
                #expect(report.count("search") > 50 && report.count("enrol") > 5 && report.count("delete") > 5)
                #expect(report.truth.findings.counts.isEmpty, "\(report.truth.findings.examples)")
                #expect(report.truth.unchecked.isEmpty && report.truth.final_face_count > 1000, "\(together)")

                let client = try cluster.client()
                // No part can know of a face too many; together they do.
                let foreign = Face.ID(high: 7, low: 7)
                let port = try cluster.coordinator.adminPort
                let before = try await Self.searchCount(port)
                async let intrusion: Void = {
                    try await Self.isUnderWay(port, since: before)
                    _ = try await client.enrol(
                        [NewFace(id: foreign)],
                        embeddings: Embeddings(dimension: 64, values: [Float](repeating: 1, count: 64)),
                        into: "people",
                        model: client.describe("people").options.embeddingModel
                    )
                }()
                let crowded = try await cluster.mien(load + mix + ["--processes", "2", "--duration", "10s"])
                try await intrusion
                #expect(crowded.status == 1, "\(crowded)")
                report = try Self.report(stage.path("load.json"))
                #expect(report.truth.findings.examples.contains { $0.contains("faces are there; at most") })
                _ = try await client.deleteFaces([foreign], from: "people")

                let gallery = try SyntheticGallery(GalleryParameters(faceCount: 1500, dimension: 64))
                let victim = gallery.faceID(1234)
                let between = try await Self.searchCount(port)
                async let sabotage: Void = {
                    // Not before the load has found the collection as it should be.
                    try await Self.isUnderWay(port, since: between)
                    _ = try await client.deleteFaces([Face.ID(high: victim.high, low: victim.low)], from: "people")
                }()
                let fooled = try await cluster.mien(load + mix + ["--duration", "10s"])
                try await sabotage
                #expect(fooled.status == 1, "\(fooled)")
                report = try Self.report(stage.path("load.json"))
                #expect((report.truth.findings.counts["lost"] ?? 0) > 0, "\(fooled)")
                #expect(report.truth.findings.examples.contains { $0.contains("\(victim)") }, "\(fooled)")

                let list = try await cluster.mien("face", "list", "people", "--all", "--json")
                #expect(list.lines.count == 1500, "the loads leave the collection as it was filled")
                await client.close()
            }
        }

        /// A load mends what it finds missing, as an earlier one may have left it so, unless it is told that none has.
        @Test(.timeLimit(.minutes(2))) func whatIsMissingBeforeALoadIsAFindingWhereNothingMayBe() async throws {
            try await Stage.play { stage in
                let cluster = try await Self.filledCluster(stage, workers: 2, faceCount: 1500)
                let load = [
                    "load", "people", "--faces", "1500", "--probes", "200", "--rate", "50", "--warm-up", "0s",
                    "--duration", "1s", "--json-file", stage.path("load.json"),
                ]
                let whole = try await cluster.mien(load + ["--expect-filled"])
                #expect(whole.status == 0, "\(whole)")

                let gallery = try SyntheticGallery(GalleryParameters(faceCount: 1500, dimension: 64))
                let victim = gallery.faceID(1234)
                let client = try cluster.client()
                _ = try await client.deleteFaces([Face.ID(high: victim.high, low: victim.low)], from: "people")
                for _ in 0..<2 {
                    let missing = try await cluster.mien(load + ["--expect-filled"])
                    #expect(missing.status == 1, "\(missing)")
                    #expect(missing.error.contains("before the load: lost: \(victim) is not there"), "\(missing)")
                    let report = try Self.report(stage.path("load.json"))
                    #expect((report.truth.findings.counts["lost"] ?? 0) > 1, "\(report.truth.findings.examples)")
                }
                let mended = try await cluster.mien(load)
                #expect(mended.status == 0, "\(mended)")
                #expect(mended.error.contains("undid what an earlier load left: 0 faces removed, 1 given"))
                #expect(mended.output.contains("1 filled ones given back"), "\(mended)")
                let again = try await cluster.mien(load + ["--expect-filled"])
                #expect(again.status == 0, "\(again)")
                await client.close()
            }
        }

        @Test(.timeLimit(.minutes(2))) func aRampFindsTheRateThatALoadIsAShareOf() async throws {
            try await Stage.play { stage in
                let cluster = try await Self.filledCluster(stage, workers: 1, faceCount: 1000)
                let load = ["load", "people", "--probes", "200", "--warm-up", "0s", "--duration", "1s"]
                let found = try await cluster.mien(
                    load + [
                        "--ramp", "from=20,to=40,factor=2,each=1s", "--objective", "p99 <= 20s", "--rate", "50%",
                        "--mix", "search=60,enrol=20,delete=20", "--json-file", stage.path("load.json"),
                    ]
                )
                #expect(found.status == 0, "\(found)")
                let report = try Self.report(stage.path("load.json"))
                let ramp = try #require(report.ramp)
                #expect(ramp.steps.map(\.rate_per_second) == [20, 40] && ramp.steps.allSatisfy(\.is_met))
                #expect(ramp.found_rate_per_second == 40 && report.load.rate_per_second == 20)
                #expect(report.objective_is_met == true && report.count("search") > 3)
                #expect(report.truth.findings.counts.isEmpty && report.truth.unchecked.isEmpty, "\(found)")
                let list = try await cluster.mien("face", "list", "people", "--all", "--json")
                #expect(list.lines.count == 1000, "what the steps wrote is undone")

                // Nobody answers within a microsecond: rates fall to the least there is, twice each.
                let none = try await cluster.mien(
                    load + ["--ramp", "from=2,each=1s", "--objective", "p99 <= 0.001ms", "--rate", "50%"]
                )
                #expect(none.status == 1 && none.error.contains("the objective is not met at any rate"), "\(none)")
            }
        }

        /// Searches that the coordinator with this endpoint has been asked for.
        private static func searchCount(_ port: Int) async throws -> Double {
            try await ScrapedMetrics(at: [port]).sum("mien_requests_total", ["request": "searchFaces"])
        }

        /// Waits until a load has begun that found nothing amiss: since then there have been a second's searches.
        private static func isUnderWay(_ port: Int, since count: Double) async throws {
            try await eventually("the load is under way", within: .seconds(60)) {
                try await searchCount(port) >= count + 60 ? () : nil
            }
        }

        /// Command lines of processes that name the folder.
        private static func processes(mentioning folder: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { Int($0) != nil }.compactMap { id in
                guard let data = FileManager.default.contents(atPath: "/proc/\(id)/cmdline") else { return nil }
                let line = String(decoding: data, as: UTF8.self)
                return line.contains(folder) ? line.replacing("\0", with: " ") : nil
            }
        }
    }
}
