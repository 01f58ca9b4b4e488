import Foundation
import Testing

extension Integration {
    /// Searches for some of the faces only, from the command line to the partitions, before and after a kill.
    @Suite struct FilteredSearchTests {
        private struct Face: Sendable {
            var id: String
            var person: String
            var gate: String
            var day: Int
            var embedding: [Float]

            var line: String {
                let numbers = embedding.map { "\($0)" }.joined(separator: ",")
                return """
                    {"id":"\(id)","person":"\(person)","external_id":"\(id).jpg",\
                    "created":"2026-01-\(10 + day)T12:00:00Z",\
                    "attributes":{"gate":"\(gate)","lens":"\(day % 2)"},"embedding":[\(numbers)]}
                    """
            }
        }

        /// Options of a search, and which faces they let through.
        private struct Filter: Sendable {
            var options: [String]
            var passes: @Sendable (Face) -> Bool
        }

        private static let filters = [
            Filter(options: ["--person", "p3"]) { $0.person == "p3" },
            Filter(options: ["--person", "p3", "--person", "p4", "--attribute", "gate=north"]) {
                ["p3", "p4"].contains($0.person) && $0.gate == "north"
            },
            Filter(options: ["--attribute", "gate=south", "--attribute", "lens=1"]) {
                $0.gate == "south" && $0.day % 2 == 1
            },
            Filter(options: ["--created-from", "2026-01-12", "--created-to", "2026-01-13T12:00:00Z"]) { $0.day == 2 },
            Filter(options: ["--person", "nobody"]) { _ in false },
        ]

        @Test(.timeLimit(.minutes(1))) func aSearchFindsTheFacesThatPassAndOnlyThose() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 2)
                try await cluster.start()
                var random = SeededRandom(seed: 11)
                var faces = (0..<400).map { number in
                    Face(
                        id: String(format: "00000000-0000-4000-8000-%012x", number),
                        person: "p\(number % 23)",
                        gate: number % 3 == 0 ? "north" : "south",
                        day: number % 7,
                        embedding: random.direction(dimension: 64)
                    )
                }
                let create = ["collection", "create", "people", "--dimension", "64", "--model", "m", "--shards", "3"]
                #expect(try await cluster.mien(create).status == 0)
                try await enrol(faces, stage, cluster)
                let probes = try stage.write("probes.npy", NpyFile(rows: faces[..<2].map(\.embedding)).data)
                let search = ["search", "people", "--probes", probes, "--json"]
                try await check(faces, search, cluster)

                // A face that comes again as somebody else's passes other filters; one that is deleted passes none.
                faces[3].person = "p4"
                faces[3].gate = "north"
                try await enrol([faces[3]], stage, cluster)
                #expect(try await cluster.mien("face", "delete", "people", faces[26].id).status == 0)
                faces.remove(at: 26)
                try await check(faces, search, cluster)

                cluster.workers[0].kill()
                try await cluster.workers[0].start()
                try await eventually("both workers serve", within: .seconds(10)) {
                    try await cluster.mien(search + ["--person", "p3"]).status == 0 ? () : nil
                }
                try await check(faces, search, cluster)

                let byFace = ["search", "people", "--face-id", faces[3].id, "-k", "1000", "--json", "--person", "p4"]
                let result = try await cluster.mien(byFace)
                #expect(result.status == 0, "\(result)")
                let found = try #require(result.lines.first)
                #expect(found.components(separatedBy: "\"rank\":").count - 1 == faces.count { $0.person == "p4" } - 1)
                let one = try await cluster.mien(search + ["--external-id", "\(faces[9].id).jpg"])
                #expect(try one.search().probes.allSatisfy { $0.matches.map(\.face_id) == [faces[9].id] })
            }
        }

        private func enrol(_ faces: [Face], _ stage: Stage, _ cluster: Cluster) async throws {
            let file = try stage.write("faces.jsonl", faces.map { $0.line + "\n" }.joined())
            let result = try await cluster.mien("import", "people", "--embeddings", file)
            #expect(result.status == 0, "\(result)")
        }

        private func check(_ faces: [Face], _ search: [String], _ cluster: Cluster) async throws {
            let all = try await cluster.mien(search + ["-k", "1000", "--effort", "exact"]).search().probes
            #expect(all.allSatisfy { $0.matches.count == faces.count })
            for filter in Self.filters {
                let passing = Set(faces.filter(filter.passes).map(\.id))
                for (limit, effort) in [(1000, "exact"), (3, "recall:0.99"), (5, "full")] {
                    let result = try await cluster.mien(
                        search + filter.options + ["-k", "\(limit)", "--effort", effort]
                    )
                    #expect(result.status == 0, "\(result)")
                    let (probes, summary) = try result.search()
                    #expect(summary.coverage?.full == true && summary.coverage?.faces_answered == faces.count)
                    for (probe, unfiltered) in zip(probes, all) {
                        let expected = unfiltered.matches.map(\.face_id).filter(passing.contains).prefix(limit)
                        #expect(probe.matches.map(\.face_id) == Array(expected), "\(filter.options), \(effort)")
                    }
                }
            }
        }
    }
}
