import Foundation
import MienClient
import Testing

extension Integration {
    /// What a person does with a collection, from an empty folder to a copy of it, on `mien dev`.
    @Suite struct CommandLineTests {
        private static let faceCount = 2000
        private static let probeCount = 60
        private static let efforts = ["exact", "full", "lists:4", "recall:0.95"]

        @Test(.timeLimit(.minutes(1))) func aGalleryIsImportedSearchedChangedAndCopied() async throws {
            try await withGallery { stage, mien in
                try await importsTwice(stage, mien)
                try await searchesWithEveryEffort(stage, mien)
                try await deletesAFace(stage, mien)
                try await exportsAndImports(stage, mien)
            }
        }

        @Test(.timeLimit(.minutes(1))) func badRowsAreToldOfAndTheRestIsImported() async throws {
            try await withGallery { stage, mien in
                try await refusesRowsOfAnArray(stage, mien)
                try await refusesLines(stage, mien)
            }
        }

        @Test(.timeLimit(.minutes(1))) func anImportThatIsKilledAndRunAgainEndsInTheSameCollection() async throws {
            try await withGallery { stage, mien in
                try await create("whole", mien)
                try await create("interrupted", mien)
                // Without ids: those that the command derives must be the same each time.
                let file = ["--embeddings", stage.path("gallery/embeddings.npy")]
                #expect(try await mien(["import", "whole"] + file).status == 0)

                let client = try MienClient(addresses: [
                    #require(MienClient.Address(stage.environment["MIEN_COORDINATOR"]!))
                ])
                let interrupted = try await stage.start(
                    ["import", "interrupted"] + file + ["--batch", "5", "--in-flight", "1"]
                )
                try await eventually("the import is under way", within: .seconds(10)) {
                    for try await page in client.allFaces(in: "interrupted") where !page.isEmpty { return () }
                    return nil
                }
                interrupted.kill()
                let rest = try await mien(["import", "interrupted", "--json"] + file).document(ImportDocument.self)
                #expect(rest.replaced > 0, "the killed import had stored something")
                #expect(rest.accepted > 0, "the import was killed before its end")
                #expect(rest.accepted + rest.replaced == Self.faceCount)
                #expect(try await ids("interrupted", mien) == ids("whole", mien))
                await client.close()
            }
        }

        private typealias Run = ([String]) async throws -> CommandResult

        /// A story on a cluster in one process, with a small gallery in the folder `gallery`.
        private func withGallery(_ story: (Stage, Run) async throws -> Void) async throws {
            try await Stage.play { stage in
                let generated = try await stage.mien(
                    "generate",
                    stage.path("gallery"),
                    "--faces",
                    "\(Self.faceCount)",
                    "--dimension",
                    "64",
                    "--profile",
                    "mugshot",
                    "--probes",
                    "\(Self.probeCount)",
                    "--seed",
                    "3"
                )
                #expect(generated.status == 0, "\(generated)")
                let address = "127.0.0.1:\(try LoopbackPort.free())"
                let cluster = Node(stage, ["dev", "--data", stage.path("dev"), "--listen", address, "--workers", "3"])
                try await cluster.start()
                stage.environment["MIEN_COORDINATOR"] = address
                try await story(stage) { try await stage.mien($0) }
                #expect(try await cluster.stop() == 0, "a cluster that is asked to stop ends well")
            }
        }

        private func create(_ name: String, _ mien: Run) async throws {
            let created = try await mien(["collection", "create", name, "--dimension", "64", "--model", "model-a"])
            #expect(created.status == 0, "\(created)")
        }

        private func ids(_ name: String, _ mien: Run) async throws -> Set<String> {
            struct Line: Decodable { var id: String }
            let list = try await mien(["face", "list", name, "--all", "--json"])
            #expect(list.status == 0, "\(list)")
            let ids = try list.lines.map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)).id }
            #expect(Set(ids).count == ids.count)
            return Set(ids)
        }

        /// The number on the line of a summary that begins with a word.
        private func count(_ word: String, in result: CommandResult) -> Int? {
            let words = result.lines.map { $0.split(separator: " ") }
            return words.first { $0.first == word[...] }?.last.flatMap { Int($0) }
        }

        // MARK: Import, search, delete, copy

        private func importsTwice(_ stage: Stage, _ mien: Run) async throws {
            try await create("people", mien)
            #expect(
                try await mien(["collection", "create", "people", "--dimension", "64", "--model", "m"]).status == 1
            )
            let files = [
                "import", "people", "--embeddings", stage.path("gallery/embeddings.npy"),
                "--ids", stage.path("gallery/ids.txt"), "--persons", stage.path("gallery/persons.txt"),
            ]
            let first = try await mien(files + ["--json", "--batch", "1", "--in-flight", "1"])
            #expect(first.status == 0, "\(first)")
            let imported = try first.document(ImportDocument.self)
            #expect(imported.accepted == Self.faceCount && imported.rejected == 0 && imported.replaced == 0)

            let second = try await mien(files)
            #expect(second.status == 0, "\(second)")
            #expect(count("replaced", in: second) == Self.faceCount && count("accepted", in: second) == 0, "\(second)")
            #expect(try await ids("people", mien).count == Self.faceCount)
            let list = try await mien(["collection", "list"])
            #expect(list.status == 0 && list.output.contains("people"), "\(list)")
        }

        private func searchesWithEveryEffort(_ stage: Stage, _ mien: Run) async throws {
            let search = [
                "search", "people", "--probes", stage.path("gallery/probes.npy"), "-k", "2",
                "--truth", stage.path("gallery/probe-truth.jsonl"),
            ]
            var answers: [[ProbeLine]] = []
            for effort in Self.efforts {
                let result = try await mien(search + ["--effort", effort, "--json"])
                #expect(result.status == 0, "\(result)")
                let (probes, summary) = try result.search()
                #expect(probes.map(\.probe) == Array(0..<Self.probeCount))
                #expect(probes.allSatisfy { $0.matches.map(\.rank) == [1, 2] })
                #expect(probes.allSatisfy { $0.matches[0].similarity >= $0.matches[1].similarity })
                #expect(summary.coverage?.full == true && summary.coverage?.faces_total == Self.faceCount)
                let mated = try #require(summary.mated_probes)
                #expect(mated + (summary.nonmated_probes ?? 0) == Self.probeCount)
                #expect((summary.mates_at_rank_1 ?? 0) * 10 >= mated * 8, "\(effort): \(result)")
                answers.append(probes)

                let text = try await mien(search + ["--effort", effort])
                #expect(text.status == 0)
                #expect(text.output.contains("best match") || text.output.contains("match"))
                #expect(text.output.contains("found"))
                #expect(text.output.contains("3 of 3 shards, 2000 of 2000 faces (100.0 %)"), "\(text)")
                #expect(text.output.contains("\(summary.mates_at_rank_1 ?? -1) of \(mated) found at rank 1"), "\(text)")
                #expect(text.lines.allSatisfy { $0.count <= 120 }, "the table fits a terminal")
            }
            // No codebook is needed for so few faces, so that every effort compares every row.
            #expect(answers.allSatisfy { $0 == answers[0] })
        }

        private func deletesAFace(_ stage: Stage, _ mien: Run) async throws {
            let face = try #require(try stage.text("gallery/ids.txt").split(separator: "\n").first).description
            let get = try await mien(["face", "get", "people", face])
            #expect(get.status == 0 && get.output.contains(face) && get.output.contains("person-"), "\(get)")
            let neighbours = try await mien(["search", "people", "--face-id", face, "-k", "1", "--json"])
            #expect(neighbours.status == 0, "\(neighbours)")
            #expect(!neighbours.output.contains("\"face_id\":\"\(face)\""), "a face is not its own match")

            try stage.write("self.npy", NpyFile(rows: [try firstRow(stage)]).data)
            let search = ["search", "people", "--probes", stage.path("self.npy"), "-k", "5", "--json"]
            #expect(try await mien(search).search().probes[0].matches[0].similarity > 0.999)
            #expect(try await mien(search).output.contains(face))
            let delete = try await mien(["face", "delete", "people", face])
            #expect(delete.status == 0, "\(delete)")
            #expect(try await !mien(search).output.contains(face), "a deleted face is not found any more")
            #expect(try await mien(["face", "get", "people", face]).status == 1)
            let again = try await mien(["face", "delete", "people", face])
            #expect(again.status == 1 && again.error.contains("was not in people"), "\(again)")
            #expect(try await ids("people", mien).count == Self.faceCount - 1)
        }

        /// The first embedding of the gallery, read from its array.
        private func firstRow(_ stage: Stage) throws -> [Float] {
            let data = try Data(contentsOf: URL(filePath: stage.path("gallery/embeddings.npy")))
            let header = 10 + Int(data[8]) + Int(data[9]) << 8
            return (0..<64).map { column in
                let bytes = data[(header + 4 * column)..<(header + 4 * column + 4)]
                return Float(bitPattern: bytes.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
            }
        }

        private func exportsAndImports(_ stage: Stage, _ mien: Run) async throws {
            let lines = stage.path("people.jsonl")
            #expect(try await mien(["export", "people", lines]).status == 0)
            #expect(try await mien(["export", "people", lines]).status == 74, "nothing is written over")
            let folder = stage.path("people-npy")
            #expect(try await mien(["export", "people", folder, "--format", "npy"]).status == 0)

            try await create("from-lines", mien)
            let fromLines = try await mien(["import", "from-lines", "--embeddings", lines])
            #expect(fromLines.status == 0, "\(fromLines)")
            try await create("from-npy", mien)
            let fromNpy = try await mien([
                "import", "from-npy", "--embeddings", "\(folder)/embeddings.npy", "--ids", "\(folder)/ids.txt",
                "--persons", "\(folder)/persons.txt",
            ])
            #expect(fromNpy.status == 0, "\(fromNpy)")

            let original = try faces(lines)
            #expect(original.count == Self.faceCount - 1)
            for copy in ["from-lines", "from-npy"] {
                #expect(try await mien(["export", copy, stage.path("\(copy).jsonl")]).status == 0)
                let copied = try faces(stage.path("\(copy).jsonl"))
                #expect(copied.count == original.count)
                var faults = 0
                for (id, face) in original {
                    let difference = zip(face.embedding, copied[id]?.embedding ?? []).map { abs($0 - $1) }.max() ?? 1
                    if copied[id]?.person != face.person || difference > 6e-4 { faults += 1 }
                }
                #expect(faults == 0, "\(copy): \(faults) faces differ")
            }
        }

        private struct ExportedFace: Decodable {
            var id: String
            var person: String?
            var embedding: [Float]
        }

        private func faces(_ path: String) throws -> [String: ExportedFace] {
            let text = try String(contentsOfFile: path, encoding: .utf8)
            let faces = try text.split(separator: "\n").map {
                try JSONDecoder().decode(ExportedFace.self, from: Data($0.utf8))
            }
            return Dictionary(uniqueKeysWithValues: faces.map { ($0.id, $0) })
        }

        // MARK: Bad rows

        private func refusesRowsOfAnArray(_ stage: Stage, _ mien: Run) async throws {
            try await create("array", mien)
            var random = SeededRandom(seed: 5)
            var rows = (0..<40).map { _ in random.direction(dimension: 64) }
            rows[7][3] = .nan
            rows[11] = [Float](repeating: 0, count: 64)
            rows[23][60] = .infinity
            let file = try stage.write("rows.npy", NpyFile(rows: rows).data)
            let report = stage.path("refused.jsonl")
            let result = try await mien(["import", "array", "--embeddings", file, "--report", report])
            #expect(result.status == 1, "\(result)")
            for row in [7, 11, 23] { #expect(result.error.contains("row \(row): "), "\(result)") }
            #expect(result.error.contains("3 rows refused"), "\(result)")
            #expect(count("rejected", in: result) == 3 && count("accepted", in: result) == 37, "\(result)")
            #expect(try stage.text("refused.jsonl").split(separator: "\n").count == 3)
            #expect(try await ids("array", mien).count == 37)
        }

        private func refusesLines(_ stage: Stage, _ mien: Run) async throws {
            try await create("lines", mien)
            var random = SeededRandom(seed: 6)
            func line(_ dimension: Int, _ rest: String = "") -> String {
                let numbers = random.direction(dimension: dimension).map { "\($0)" }.joined(separator: ",")
                return "{\"embedding\":[\(numbers)]\(rest)}"
            }
            let lines = [
                line(64), line(72), line(64, ",\"model\":\"model-b\""), line(64, ",\"person\":\"p-1\""),
                "this is no JSON", line(64, ",\"quality\":900"),
            ]
            let file = try stage.write("rows.jsonl", lines.joined(separator: "\n") + "\n")
            let result = try await mien(["import", "lines", "--embeddings", file])
            #expect(result.status == 1, "\(result)")
            for row in [1, 2, 4, 5] { #expect(result.error.contains("row \(row): "), "\(result)") }
            #expect(try await ids("lines", mien).count == 2)
        }
    }
}
