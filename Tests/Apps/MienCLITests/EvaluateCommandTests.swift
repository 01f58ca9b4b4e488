import EmbeddingFiles
import FaceModel
import Foundation
import FoundationXML
import Synchronization
import Testing
import WireProtocol

@Suite struct EvaluateCommandTests {
    /// Faces along the first axes; alice's is found by exact searches only.
    private func withFaces(_ body: (String, ScratchFolder) async throws -> Void) async throws {
        let folder = try ScratchFolder()
        // Alice, bob, and two probes of nobody who is enrolled: the first like bob, the second like nobody.
        let probes: [[Float]] = [[1, 0.1, 0], [0, 1, 0], [0, 3, 4], [0, 0, 2]]
        try write(probes, to: folder.file("probes.npy"))
        try folder.write(
            "truth.jsonl",
            """
            {"probe":0,"mated":true,"person":"alice"}
            {"probe":1,"mated":true,"person":"bob"}
            {"probe":2,"mated":false}
            {"probe":3,"mated":false}
            """
        )
        try folder.write("persons.txt", "alice\nbob\ncarol\n\n")
        try await ToyCluster.run { cluster, address in
            let create = ["collection", "create", "people", "--dimension", "64", "--model", "toy-64"]
            #expect(await mienCommand(create + ["--coordinator", address]).status == 0)
            cluster.change { state in
                for (axis, person) in [(0, "alice"), (1, "bob")] {
                    var embedding = [Float](repeating: 0, count: 64)
                    embedding[axis] = 1
                    state.faces["people"]?[FaceID(high: 0, low: UInt64(10 + axis))] = .init(
                        metadata: FaceMetadata(personID: person),
                        embedding: embedding,
                        sequence: 1
                    )
                }
                state.hiddenFaces = [FaceID(high: 0, low: 10)]
            }
            try await body(address, folder)
        }
    }

    private func write(_ rows: [[Float]], to path: String) throws {
        var writer = try NpyWriter(path: path, dimension: 64)
        for row in rows { try writer.append(row + [Float](repeating: 0, count: 64 - row.count)) }
        try writer.finish()
    }

    private func accuracy(_ address: String, _ folder: ScratchFolder, _ more: [String]) async -> CommandResult {
        await mienCommand(
            [
                "evaluate", "accuracy", "people", "--coordinator", address, "--probes", folder.file("probes.npy"),
                "--effort", "full", "--singles", "2", "-k", "1",
            ] + more
        )
    }

    @Test func ratesAreThoseOfTheTruth() async throws {
        try await withFaces { address, folder in
            let result = await accuracy(address, folder, ["--truth", folder.file("truth.jsonl")])
            #expect(result.status == 0)
            #expect(result.output.contains("2 mated and 2 nonmated probes, L = 1 match\n"))
            #expect(result.output.hasPrefix("people: N = 2 faces of 2 persons, 2 shards, "), "\(result)")
            #expect(result.output.contains("the embedding 128, its rounding 76; there are no codes yet.\n"))
            let exact = try #require(result.outputLines.first { $0.hasPrefix("exact ") })
            #expect(exact.contains("0.0000 (0.0000–0.8419)"))
            let full = try #require(result.outputLines.first { $0.hasPrefix("full ") })
            // One of two mates is missed, by the index; and of two faces wanted of all probes, the hidden one.
            #expect(full.contains("0.5000 (0.0126–0.9874)"))
            #expect(full.contains(#/ 0\.[57]\d{3} \(0\.\d{4}–1\.0000\) /#))
            #expect(exact.contains(#/ 1 +-$/#))
            // Of each band's mates as well.
            #expect(result.outputLines.contains { $0.hasPrefix("full ") && $0.hasSuffix("1 (1.3–98.7 %)") })
            #expect(result.output.contains("FPIR 0.001 cannot be told from 2 nonmated probes; it needs 1000.\n"))
        }
    }

    @Test func thePageIsWhole() async throws {
        try await withFaces { address, folder in
            let page = folder.file("accuracy.html")
            let result = await accuracy(address, folder, ["--truth", folder.file("truth.jsonl"), "--report", page])
            #expect(result.status == 0)
            let text = try folder.text("accuracy.html")
            try checkIsXML(text)
            for part in [
                "FPIR(N, T)</text>", "FNIR(N, L, T)</text>", "Accuracy on people", "Recall against time", "recall@1",
                "2 mated and 2 nonmated probes",
            ] {
                #expect(text.contains(part), "\(part)")
            }
        }
    }

    /// A page's tags are closed and its text is escaped.
    private func checkIsXML(_ page: String) throws {
        let body = page.split(separator: "\n").dropFirst().joined(separator: "\n")
        let parser = XMLParser(data: Data(body.utf8))
        #expect(parser.parse(), "line \(parser.lineNumber): \(String(describing: parser.parserError))")
    }

    @Test func programsGetEveryCount() async throws {
        try await withFaces { address, folder in
            let result = await accuracy(address, folder, ["--truth", folder.file("truth.jsonl"), "--json"])
            #expect(result.status == 0)
            let text = result.output.filter { $0 != " " && $0 != "\n" }
            #expect(text.contains(#""mated_probes":2,"nonmated_probes":2,"#))
            #expect(text.contains(#""faces":2,"persons":2,"faces_without_person":0,"#))
            #expect(text.contains(#""template_bytes":{"embedding":128,"rounding":76,"code":null},"#))
            #expect(text.contains(#""single_ms_at":[],"#))
            #expect(text.contains(#""efforts":[{"effort":"exact","visited_share":1,"#))
            #expect(text.contains(#""fnir_rank_1":{"count":1,"total":2,"rate":0.5,"#))
            #expect(text.contains(#""fnir_at_fpir":[null,null]"#))
            #expect(
                text.contains(/"recall":0\.\d+,"recall_half_width":0\.\d+,"recall_lower":0\.?\d*,"recall_upper":1,/)
            )
            #expect(text.contains(/"missed":\{"count":1,"total":2,"rate":0\.5,"lower":0\.01\d*,"upper":0\.98\d*\}/))
            #expect(text.contains(#""similarity_from":0.6,"missed":{"count":1,"total":2,"rate":0.5,"#))
        }
    }

    @Test func searchesAreTimedWithListsOfOtherLengths() async throws {
        try await withFaces { address, folder in
            let others = ["--also-time-k", "50", "--also-time-k", "2", "--also-time-k", "1"]
            let truth = ["--truth", folder.file("truth.jsonl")]
            let result = await accuracy(address, folder, truth + others)
            #expect(result.status == 0)
            // That of -k has its column already.
            #expect(result.output.contains(#/single ms, L = 1 +L = 2 +L = 50 +photo ms a probe/#), "\(result)")
            let times = #/full +\d+\.\d % +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d +\d+\.\d{3} /#
            #expect(result.output.contains(times), "\(result)")
            let json = await accuracy(address, folder, truth + others + ["--json"])
            let text = json.output.filter { $0 != " " && $0 != "\n" }
            let apart = /"single_ms_at":\[\{"match_limit":2,"single_ms":[\d.e-]+\},\{"match_limit":50,/
            #expect(text.contains(apart), "\(json)")
            let refused = await accuracy(address, folder, truth + ["--also-time-k", "0"])
            #expect(refused.status == 64 && refused.error.contains("--also-time-k must be from 1 to 1000."))
        }
    }

    @Test func noSearchFollowsOneWithTheSameProbe() async throws {
        let folder = try ScratchFolder()
        let gallery = folder.file("gallery")
        let generate = ["generate", gallery, "--faces", "100", "--probes", "60", "--dimension", "64"]
        #expect(await mienCommand(generate).status == 0)
        let seen = Mutex<[[[Float]]]>([])
        try await ToyCluster.run { cluster, address in
            cluster.change { state in
                state.beforeAnswer = { request in
                    guard case .searchFaces(let message) = request else { return }
                    let probes = (0..<message.probes.rowCount).map { [Float](message.probes.row($0)) }
                    seen.withLock { $0.append(probes) }
                }
            }
            let result = await mienCommand([
                "evaluate", "growth", "trial", "--coordinator", address, "--gallery", gallery, "--faces", "100",
                "--effort", "full", "--effort", "lists:1", "--also-time-k", "1", "--singles", "20", "--photo", "10",
                "--steady", "0",
            ])
            #expect(result.status == 0, "\(result)")
            #expect(result.output.contains("Times are medians of single calls"), "\(result)")
        }
        let (photos, singles) = seen.withLock { all in (all.filter { $0.count == 10 }, all.filter { $0.count == 1 }) }
        // Three efforts of six photos and one that warms, and six kinds of searches of twenty probes and one more.
        #expect(photos.count == 19 && singles.count == 6 * 21)
        #expect(zip(singles, singles.dropFirst()).allSatisfy { $0 != $1 }, "a search found what the last one had read")
        #expect(zip(photos, photos.dropFirst()).allSatisfy { $0 != $1 }, "a photo found what the last one had read")
        let counted = singles.dropFirst(6)
        #expect(Dictionary(grouping: counted, by: { $0 }).values.allSatisfy { $0.count == 6 }, "all have all probes")
        let measured = Array(photos.dropFirst())
        #expect(Dictionary(grouping: measured, by: { $0 }).values.allSatisfy { $0.count == 3 })
        for round in stride(from: 0, to: measured.count, by: 3) {
            #expect(Set(measured[round..<round + 3].map { $0[0] }).count == 3, "a round of efforts has three photos")
        }
    }

    @Test func labelsTellWhoIsMated() async throws {
        try await withFaces { address, folder in
            let result = await accuracy(address, folder, ["--probe-persons", folder.file("persons.txt")])
            #expect(result.status == 0)
            // Carol is nobody who is enrolled.
            #expect(result.output.contains("2 mated and 2 nonmated probes"))
        }
    }

    /// A collection without persons, and a truth that names one face of each.
    @Test func whatMayOnlyLookMissedIsSaid() async throws {
        try await withFaces { address, folder in
            let ids = [10, 11].map { FaceID(high: 0, low: $0).description }
            try folder.write(
                "truth.jsonl",
                """
                {"probe":0,"mated":true,"face_id":"\(ids[0])"}
                {"probe":1,"mated":true,"face_id":"\(ids[1])"}
                """
            )
            let truth = ["--truth", folder.file("truth.jsonl"), "--report", folder.file("accuracy.html")]
            let known = await accuracy(address, folder, truth)
            #expect(known.status == 0)
            let nameless = "of 2 mated probes the truth names one face and no person"
            #expect(known.output.contains(nameless), "\(known)")
            try await withoutPersons(address)
            let result = await accuracy(address, folder, truth)
            let remark = "Mates may look missed that are not: no match has a person, and of 2 mated probes"
            #expect(result.output.contains(remark), "\(result)")
            #expect(try folder.text("accuracy.html").contains(remark))
            #expect(result.output.contains("N = 2 faces of unknown persons, "), "\(result)")
            let json = await accuracy(address, folder, truth + ["--json"])
            #expect(json.output.contains(#""remark": "Mates may look missed"#), "\(json)")
        }
    }

    /// Enrols the faces again, under their ids alone.
    private func withoutPersons(_ address: String) async throws {
        let folder = try ScratchFolder()
        try write([[1, 0, 0], [0, 1, 0]], to: folder.file("faces.npy"))
        try folder.write("ids.txt", "10\n11\n")
        let result = await mienCommand([
            "import", "people", "--coordinator", address, "--embeddings", folder.file("faces.npy"), "--ids",
            folder.file("ids.txt"),
        ])
        #expect(result.status == 0, "\(result)")
    }

    @Test func thresholdsAreThoseOfExactSearch() async throws {
        try await withFaces { address, folder in
            // A thousand probes of strangers, of which one is as similar to bob as 0.8, three as 0.6.
            var rows: [[Float]] = [[1, 0.1, 0]]
            var truth = #"{"probe":0,"mated":true,"person":"alice"}"# + "\n"
            for number in 1...1000 {
                rows.append(number == 500 ? [0, 4, 3] : number.isMultiple(of: 300) ? [0, 3, 4] : [0, 0, 1])
                truth += #"{"probe":\#(number),"mated":false}"# + "\n"
            }
            try write(rows, to: folder.file("probes.npy"))
            try folder.write("truth.jsonl", truth)
            let result = await accuracy(address, folder, ["--truth", folder.file("truth.jsonl")])
            #expect(
                result.output.contains(
                    "FPIR 0.001: T = 0.6000, 1 of 1000 nonmated searches pass it; so few leave the rate anywhere "
                        + "from 0.0000 to 0.0056.\n"
                )
            )
            let exact = try #require(result.outputLines.first { $0.hasPrefix("exact ") })
            #expect(exact.contains("0.0000 (0.0000–0.9750)"))
        }
    }

    @Test func whatCannotBeEvaluatedIsSaid() async throws {
        try await withFaces { address, folder in
            let neither = await accuracy(address, folder, [])
            #expect(neither.status == 64)
            #expect(neither.error.contains("Give either --truth or --probe-persons."))
            var writer = try NpyWriter(path: folder.file("wide.npy"), dimension: 128)
            try writer.append([Float](repeating: 1, count: 128))
            try writer.finish()
            let wide = await accuracy(
                address,
                folder,
                ["--truth", folder.file("truth.jsonl"), "--probes", folder.file("wide.npy")]
            )
            #expect(wide.status == 65)
            #expect(wide.error.contains("128"))
            let absent = await mienCommand([
                "evaluate", "accuracy", "nobody", "--coordinator", address, "--probes", folder.file("probes.npy"),
                "--truth", folder.file("truth.jsonl"),
            ])
            #expect(absent.status == 1)
        }
    }

    @Test func aCollectionGrowsAndIsRemoved() async throws {
        let folder = try ScratchFolder()
        let gallery = folder.file("gallery")
        let generate = ["generate", gallery, "--faces", "400", "--probes", "60", "--dimension", "64"]
        #expect(await mienCommand(generate).status == 0)
        try await ToyCluster.run { cluster, address in
            let grow = [
                "evaluate", "growth", "trial", "--coordinator", address, "--gallery", gallery, "--faces", "100",
                "--faces", "200", "--faces", "400", "--effort", "full", "--singles", "3", "--steady", "0",
            ]
            let result = await mienCommand(grow + ["--report", folder.file("growth.html")])
            #expect(result.status == 0)
            let page = try folder.text("growth.html")
            try checkIsXML(page)
            #expect(page.contains("Growth of trial") && page.contains("<circle"))
            let sizes = result.outputLines.compactMap { $0.split(separator: " ").first.flatMap { Int($0) } }
            #expect(sizes == [100, 200, 400, 100, 200, 400])
            // Persons beside faces: as many as the labels of so many rows name.
            let labels = try folder.text("gallery/persons.txt").split(separator: "\n")
            let persons = [100, 200, 400].map { Set(labels.prefix($0)).count }
            for (faces, count) in zip([100, 200, 400], persons) {
                let row = try #require(result.outputLines.first { $0.split(separator: " ").first == "\(faces)" })
                #expect(row.split(separator: " ")[1] == "\(count)", "\(result)")
            }
            #expect(result.outputLines[0].contains(#/^ *N +persons +import/s +finalisation +lists /#))
            // Too few probes of nobody for a threshold.
            #expect(!result.output.contains("at FPIR"))
            // Intervals are shown, as programs get them.
            #expect(result.output.contains(/full +\d\.\d{4} \(\d\.\d{4}–\d\.\d{4}\) +1\.0000 \(0\.\d{4}–1\.0000\) +0/))
            #expect(result.output.contains("ms = a · N^b") && result.output.contains("b, 95 %"))
            // Times of so few searches may as well fall with N.
            let fit = #/full +single probe .* ± \d+\.\d\d +-?\d+\.\d\d to -?\d+\.\d\d /#
            #expect(result.output.contains(fit), "\(result)")
            #expect(page.contains("faces, N") && page.contains("are 95 % intervals"))
            #expect(cluster.current.collections.isEmpty)
            // Probes of people who come later are nonmated before.
            let json = await mienCommand(grow + ["--json", "--keep"])
            let counts = json.outputLines.compactMap { line in
                line.contains("\"mated_probes\"") ? Int(line.filter(\.isNumber)) : nil
            }
            #expect(counts.count == 3 && counts == counts.sorted() && counts[0] < counts[2] / 2)
            #expect(cluster.faces(of: "trial").count == 400)
            let again = await mienCommand(grow)
            #expect(again.status == 1)
            let tooMany = await mienCommand(grow + ["--faces", "401"])
            #expect(tooMany.status == 65)
            #expect(tooMany.error.contains("400 rows"))
        }
    }

    @Test func missesAtThresholdsAreToldAtEachSize() async throws {
        let folder = try ScratchFolder()
        let gallery = folder.file("gallery")
        let generate = [
            "generate", gallery, "--faces", "200", "--probes", "1250", "--mated-share", "0.1", "--dimension", "64",
        ]
        #expect(await mienCommand(generate).status == 0)
        try await ToyCluster.run { _, address in
            let result = await mienCommand([
                "evaluate", "growth", "trial", "--coordinator", address, "--gallery", gallery, "--faces", "100",
                "--faces", "200", "--effort", "full", "--singles", "3", "--steady", "0",
            ])
            #expect(result.status == 0)
            let title = #/FNIR\(N,1,0\) +FNIR\(N,L,T\) at FPIR 0\.003 +FNIR\(N,L,T\) at FPIR 0\.001 +recall@10 /#
            #expect(result.output.contains(title), "\(result)")
            let rate = #"\d\.\d{4} \(\d\.\d{4}–\d\.\d{4}\) +"#
            let rows = try Regex("full +" + rate + rate + rate + rate)
            #expect(result.output.matches(of: rows).count == 2, "\(result)")
        }
    }

    /// Files of one's own, with labels and without ids.
    @Test func aCollectionGrowsFromLabelledFilesOfOnesOwn() async throws {
        let folder = try ScratchFolder()
        let generate = [
            "generate", folder.file("gallery"), "--faces", "400", "--probes", "60", "--dimension", "64",
        ]
        #expect(await mienCommand(generate).status == 0)
        let truth = try folder.text("gallery/probe-truth.jsonl").split(separator: "\n").map { line in
            line.firstMatch(of: /"person":"([^"]+)"/).map { String($0.1) } ?? ""
        }
        try folder.write("mine.txt", truth.joined(separator: "\n") + "\n")
        try await ToyCluster.run { cluster, address in
            let grow = [
                "evaluate", "growth", "trial", "--coordinator", address, "--faces", "100", "--faces", "200",
                "--faces", "400", "--effort", "full", "--singles", "3", "--steady", "0", "--within", "1000", "--json",
            ]
            let own = [
                "--embeddings", folder.file("gallery/embeddings.npy"), "--persons", folder.file("gallery/persons.txt"),
                "--probes", folder.file("gallery/probes.npy"), "--probe-persons", folder.file("mine.txt"),
            ]
            let theirs = await mienCommand(grow + ["--gallery", folder.file("gallery")])
            let result = await mienCommand(grow + own + ["--keep"])
            #expect(result.status == 0, "\(result)")
            func counts(_ result: CommandResult) -> [Int] {
                result.outputLines.filter { $0.contains("\"mated_probes\"") }.compactMap { Int($0.filter(\.isNumber)) }
            }
            #expect(counts(result).count == 3 && counts(result) == counts(theirs))
            #expect(result.output.contains(/"exponent_interval": \[/) && result.output.contains("\"within_ms\": 1000,"))
            #expect(cluster.faces(of: "trial").values.allSatisfy { $0.metadata.personID != nil })
            for words in [["--gallery", folder.file("gallery")] + own, Array(own.prefix(6)), []] {
                let refused = await mienCommand(grow + words)
                #expect(refused.status == 64 && refused.error.contains("Give either --gallery, or"), "\(refused)")
            }
            let few = await mienCommand(grow + own.dropLast() + [folder.file("gallery/persons.txt")])
            #expect(few.status == 65 && few.error.contains("400"), "\(few)")
        }
    }
}
