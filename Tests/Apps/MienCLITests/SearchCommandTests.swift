import EmbeddingFiles
import FaceModel
import Testing

@Suite struct SearchCommandTests {
    private static let a = "00000000-0000-0000-0000-00000000000a"
    private static let b = "00000000-0000-0000-0000-00000000000b"

    /// Two faces along the first two axes, and three probes: near a, near b, and far from both.
    private func withFaces(_ body: (ToyCluster, [String], ScratchFolder) async throws -> Void) async throws {
        let folder = try ScratchFolder()
        var writer = try NpyWriter(path: folder.file("probes.npy"), dimension: 64)
        for (first, second, third) in [(Float(1), Float(0), Float(0)), (0, 3, 4), (0, 0, 2)] {
            try writer.append([first, second, third] + [Float](repeating: 0, count: 61))
        }
        try writer.finish()
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
            }
            let search = ["search", "people", "--coordinator", address]
            try await body(cluster, search, folder)
        }
    }

    private func truth(_ folder: ScratchFolder) throws -> String {
        try folder.write(
            "truth.jsonl",
            """
            {"probe":0,"mated":true,"person":"alice","mates":[0]}
            {"probe":1,"mated":true,"face_ids":["\(Self.a)"]}
            {"probe":2,"mated":false}
            """
        )
    }

    /// The lines above the summary's time, which differs from run to run.
    private func stableLines(_ result: CommandResult) -> String {
        result.output.split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("time ") }
            .joined(separator: "\n")
    }

    @Test func theTableShowsTheBestMatchOfEachProbe() async throws {
        try await withFaces { _, search, folder in
            let result = await mienCommand(
                search + ["--probes", folder.file("probes.npy"), "-k", "1", "--truth", try truth(folder)]
            )
            #expect(result.status == 0)
            #expect(result.error.isEmpty)
            #expect(
                stableLines(result) == """
                    probe  best match                            person           similarity  mate
                        0  00000000-0000-0000-0000-00000000000a  alice                1.0000  found
                        1  00000000-0000-0000-0000-00000000000b  bob                  0.6000  missed
                        2  00000000-0000-0000-0000-00000000000a  alice                0.0000  -

                    coverage  2 of 2 shards, 2 of 2 faces (100.0 %)
                    effort    recall:0.99: 6 rows compared
                    mates     1 of 2 found at rank 1 (50.0 %)
                    nonmates  1 probe of people who are not enrolled, the most similar match at 0.0000 (probe 2)

                    """
            )
            let time = try #require(result.outputLines.first { $0.hasPrefix("time ") })
            #expect(time.hasPrefix("time      2.5 ms in the cluster, "))
            #expect(time.hasSuffix(" in all, for 3 probes in 1 request"))
        }
    }

    /// A truth comes from anywhere: each of its lines tells something, or is named.
    @Test func aHostileTruthIsReadOrNamed() async throws {
        try await withFaces { _, search, folder in
            try folder.write("ids.txt", "\(Self.a)\n7\n")
            func find(_ line: String) async throws -> CommandResult {
                let path = try folder.write("truth.jsonl", "{\"probe\":2,\"mated\":false}\n\n\(line)\n")
                return await mienCommand(search + ["--probes", folder.file("probes.npy"), "--truth", path])
            }
            let deep = String(repeating: "[", count: 100_000)
            for line in [
                "{}", "[]", "7", "\u{0}", "{\"probe\":0,\"mated\":tru", "{\"probe\":0,\"mated\":true}", deep,
                "{\"probe\":0.5,\"mated\":false}", "{\"probe\":9223372036854775808,\"mated\":false}",
                "{\"probe\":1e400,\"mated\":false}", "{\"probe\":0,\"mated\":true,\"face_ids\":[]}",
                "{\"probe\":0,\"mated\":true,\"face_ids\":\(deep)}", "{\"probe\":null,\"mated\":false}",
                "{\"probe\":0,\"mated\":true,\"person\":\"x\",\"mates\":[9223372036854775808]}",
            ] {
                let result = try await find(line)
                #expect(result.status == 65, "\(line.prefix(80)): \(result)")
                #expect(result.error.contains("truth.jsonl line 3 does not tell"), "\(line.prefix(80)): \(result)")
            }
            for line in [
                "{\"probe\":-9223372036854775808,\"mated\":false}", "{\"probe\":9223372036854775807,\"mated\":false}",
                "{\"probe\":2,\"mated\":true,\"person\":\"\"}", "{\"probe\":0,\"mated\":true,\"face_id\":\"\\u0000\"}",
                "{\"probe\":0,\"mated\":true,\"person\":\"alice\","
                    + "\"mates\":[-9223372036854775808,-1,1,2,9223372036854775807,0,0]}",
            ] {
                let result = try await find(line)
                #expect(result.status == 0, "\(line): \(result)")
            }
        }
    }

    /// Of a collection without persons, mates are known by the faces that the truth names: all of them, where it does.
    @Test func withoutPersonsAnyFaceThatTheTruthNamesIsTheMate() async throws {
        try await withFaces { cluster, search, folder in
            cluster.change { state in
                for id in state.faces["people"]!.keys { state.faces["people"]?[id]?.metadata.personID = nil }
            }
            func find(_ truth: String) async throws -> CommandResult {
                let path = try folder.write("truth.jsonl", truth)
                return await mienCommand(
                    search + ["--probes", folder.file("probes.npy"), "-k", "1", "--truth", path]
                )
            }
            let whole =
                #"{"probe":1,"mated":true,"person":"alice","face_id":"\#(Self.a)","#
                + #""face_ids":["\#(Self.a)","\#(Self.b)"]}"#
            let named = try await find(whole)
            #expect(named.output.contains("mates     1 of 1 found at rank 1") && named.error.isEmpty, "\(named)")

            // Rows of a gallery mean the ids beside the truth, where there are any.
            let rows = #"{"probe":1,"mated":true,"person":"alice","face_id":"\#(Self.a)","mates":[0,2]}"#
            let unknown = try await find(rows)
            #expect(unknown.output.contains("mates     0 of 1 found at rank 1"), "\(unknown)")
            #expect(unknown.error.contains("warning: Mates cannot be told: no match has a person"), "\(unknown)")
            try folder.write("ids.txt", "\(Self.a)\n7\n\(Self.b)\n")
            let beside = try await find(rows)
            #expect(beside.output.contains("mates     1 of 1 found at rank 1") && beside.error.isEmpty, "\(beside)")

            // One face of perhaps several, of which one probe's is found.
            let one =
                #"{"probe":0,"mated":true,"face_id":"\#(Self.a)"}"# + "\n"
                + #"{"probe":1,"mated":true,"face_id":"\#(Self.a)"}"#
            let partly = try await find(one)
            #expect(partly.output.contains("mates     1 of 2 found at rank 1"), "\(partly)")
            #expect(partly.error.contains("of 2 mated probes the truth names one face"), "\(partly)")
        }
    }

    @Test func withMoreMatchesTheMatesRankIsMarked() async throws {
        try await withFaces { _, search, folder in
            let result = await mienCommand(
                search + [
                    "--probes", folder.file("probes.npy"), "-k", "2", "--truth", try truth(folder), "--threshold",
                    "-0.5", "--effort", "exact",
                ]
            )
            let rows = result.outputLines.prefix(7).map { $0.split(separator: " ").last ?? "" }
            #expect(rows == ["mate", "found", "0.0000", "0.6000", "found", "-", "0.0000"])
            #expect(result.output.contains("mates     1 of 2 found at rank 1 (50.0 %), 2 within rank 2\n"))
        }
    }

    @Test func aThresholdLeavesProbesWithoutMatches() async throws {
        try await withFaces { _, search, folder in
            let result = await mienCommand(
                search + ["--probes", folder.file("probes.npy"), "-k", "1", "--threshold", "0.7"]
            )
            let rows = result.outputLines.prefix(4).map { $0.split(separator: " ").dropFirst().first ?? "" }
            #expect(rows == ["best", Substring(Self.a), "none", "none"])
        }
    }

    @Test func programsGetALineForEachProbeAndASummary() async throws {
        try await withFaces { _, search, folder in
            let result = await mienCommand(
                search + ["--probes", folder.file("probes.npy"), "-k", "1", "--truth", try truth(folder), "--json"]
            )
            #expect(result.outputLines.count == 4)
            #expect(result.outputLines[0].hasPrefix(#"{"probe":0,"matches":[{"rank":1,"face_id":"\#(Self.a)","#))
            let covered = #","coverage":1,"missing":[],"has_loss":false}"#
            #expect(
                result.outputLines[0].hasSuffix(
                    #""similarity":1,"person":"alice"}],"mated":true,"mate_rank":1"# + covered
                )
            )
            #expect(result.outputLines[1].hasSuffix(#""mated":true,"mate_rank":null"# + covered))
            #expect(result.outputLines[2].hasSuffix(#""mated":false"# + covered))
            #expect(result.outputLines[3].hasPrefix(#"{"summary":{"probes":3,"rejected":0,"requests":1,"#))
            #expect(result.outputLines[3].contains(#""coverage":{"full":true,"share":1,"#))
            #expect(result.outputLines[3].contains(#""complete":true"#))
        }
    }

    @Test func aStoredFaceCanBeTheProbe() async throws {
        try await withFaces { _, search, _ in
            let result = await mienCommand(search + ["--face-id", Self.a, "-k", "1"])
            #expect(result.status == 0)
            #expect(result.outputLines[1].hasPrefix("00000000…  \(Self.b)  bob"))
            let absent = await mienCommand(search + ["--face-id", "00000000-0000-0000-0000-0000000000ff"])
            #expect(absent.status == 1)
        }
    }

    @Test func aFilterIsPassedOn() async throws {
        try await withFaces { cluster, search, folder in
            let probes = ["--probes", folder.file("probes.npy")]
            #expect(await mienCommand(search + probes).status == 0)
            #expect(cluster.current.filter == nil)
            let filter = [
                "--person", "alice", "--person", "bob", "--external-id", "a b.jpg", "--attribute", "gate=north",
                "--attribute", "note=a=b", "--attribute", "empty=", "--created-from", "2026-01-31",
                "--created-to", "2026-02-01T01:30:00.5+01:30",
            ]
            for probe in [probes, ["--face-id", Self.a]] {
                #expect(await mienCommand(search + probe + filter).status == 0)
                #expect(
                    cluster.current.filter
                        == FaceFilter(
                            personIDs: ["alice", "bob"],
                            externalImageIDs: ["a b.jpg"],
                            attributes: ["gate": "north", "note": "a=b", "empty": ""],
                            createdFrom: Timestamp(milliseconds: 1_769_817_600_000),
                            createdBefore: Timestamp(milliseconds: 1_769_904_000_500)
                        )
                )
                cluster.change { $0.filter = nil }
            }
        }
    }

    @Test func aMissingShardIsAnErrorOrAWarning() async throws {
        try await withFaces { cluster, search, folder in
            cluster.change { $0.workersAreLive[1] = false }
            let probes = ["--probes", folder.file("probes.npy")]
            let refused = await mienCommand(search + probes)
            #expect(refused.status == 69)
            #expect(refused.error == "mien: no live worker holds shard 1. Start it, or pass --min-coverage.\n")
            let partial = await mienCommand(search + probes + ["--min-coverage", "0.4"])
            #expect(partial.status == 0)
            #expect(partial.output.contains("coverage  1 of 2 shards, 1 of 2 faces (50.0 %, partial)\n"))
            #expect(
                partial.error
                    == "mien: warning: the answer is partial: it covers 50.0 % of the faces; "
                    + "missing: shard 1 (no live worker)\n"
            )
        }
    }

    @Test func badProbesAreToldAndTheRestIsSearched() async throws {
        try await withFaces { _, search, folder in
            let row = "[" + (0..<64).map { $0 == 1 ? "1" : "0" }.joined(separator: ",") + "]"
            let zero = "[" + (0..<64).map { _ in "0" }.joined(separator: ",") + "]"
            let file = try folder.write("probes.jsonl", "{\"embedding\":\(row)}\n{}\n{\"embedding\":\(zero)}\n")
            let result = await mienCommand(search + ["--probes", file, "-k", "1"])
            #expect(result.status == 1)
            #expect(result.outputLines[1].contains(Self.b))
            #expect(result.outputLines[2].hasPrefix("    1  refused: line 2: "))
            #expect(result.outputLines[3].hasPrefix("    2  refused: the embedding has no direction"))
            #expect(result.error == "mien: 2 probes refused\n")
        }
    }

    @Test func manyProbesGoInRequestsOfAHundred() async throws {
        try await withFaces { _, search, folder in
            var writer = try NpyWriter(path: folder.file("many.npy"), dimension: 64)
            try writer.append([Float](repeating: 1, count: 64 * 250))
            try writer.finish()
            let result = await mienCommand(search + ["--probes", folder.file("many.npy"), "-k", "1"])
            #expect(result.output.contains("for 250 probes in 3 requests\n"))
            #expect(result.outputLines.count { $0.hasPrefix("probe") } == 1)
            #expect(result.outputLines[250].hasPrefix("  249  "))
        }
    }

    /// Where an answer would be too large, fewer probes are asked for at once, and so are all that follow.
    @Test func anAnswerThatWouldBeTooLargeIsAskedForInParts() async throws {
        try await withFaces { cluster, search, folder in
            var writer = try NpyWriter(path: folder.file("many.npy"), dimension: 64)
            try writer.append([Float](repeating: 1, count: 64 * 110))
            try writer.finish()
            cluster.change { $0.probeLimit = 30 }
            let many = search + ["--probes", folder.file("many.npy"), "-k", "1"]
            let json = await mienCommand(many + ["--json"])
            #expect(json.status == 0 && json.outputLines.count == 111, "\(json.status) \(json.error)")
            for (number, line) in json.outputLines.dropLast().enumerated() {
                #expect(line.hasPrefix(#"{"probe":\#(number),"matches":[{"rank":1,"#), "\(line)")
            }
            // 100 by 25, and then the ten of the second batch.
            #expect(json.outputLines.last?.contains(#""probes":110,"rejected":0,"requests":5,"#) == true, "\(json)")

            // Rows that cannot be read are told of in their places.
            let row = "[" + (0..<64).map { _ in "1" }.joined(separator: ",") + "]"
            let lines = ["{}", "good", "good", "{}", "good", "{}"].map { $0 == "{}" ? $0 : "{\"embedding\":\(row)}" }
            let file = try folder.write("probes.jsonl", lines.joined(separator: "\n"))
            cluster.change { $0.probeLimit = 1 }
            let mixed = await mienCommand(search + ["--probes", file, "-k", "1", "--json"])
            #expect(mixed.status == 1 && mixed.outputLines.count == 7, "\(mixed)")
            for number in 0..<6 {
                let kind = lines[number] == "{}" ? "rejected" : "matches"
                #expect(mixed.outputLines[number].hasPrefix("{\"probe\":\(number),\"\(kind)\":"), "\(mixed)")
            }

            // Where one probe is too many, nothing helps.
            cluster.change { $0.probeLimit = 0 }
            let none = await mienCommand(many)
            #expect(none.status == 65 && none.error.contains("more bytes than a frame has room for"), "\(none)")
        }
    }

    /// Of several requests the summary tells the least coverage of those that asked a shard, and any loss.
    @Test(arguments: [false, true])
    func theSummaryHidesNoLossAndIsNotOfWhatAskedNobody(isReversed: Bool) async throws {
        try await withFaces { cluster, search, folder in
            var writer = try NpyWriter(path: folder.file("many.npy"), dimension: 64)
            try writer.append([Float](repeating: 1, count: 64 * 200))
            try writer.finish()
            func summary(_ coverages: [Coverage]) async throws -> String {
                cluster.change { $0.coverages = isReversed ? coverages.reversed() : coverages }
                let result = await mienCommand(search + ["--probes", folder.file("many.npy"), "-k", "1", "--json"])
                #expect(result.status == 0, "\(result)")
                #expect(cluster.current.coverages.isEmpty)
                return String(try #require(result.outputLines.last))
            }
            let whole = Coverage(shardsAsked: 2, shardsAnswered: 2, facesTotal: 2, facesAnswered: 2)
            var lossy = whole
            lossy.hasLoss = true
            let loss = try await summary([whole, lossy])
            #expect(loss.contains(#""has_loss":true"#), "\(loss)")
            let none = try await summary([whole, whole])
            #expect(none.contains(#""has_loss":false"#), "\(none)")
            let refused = try await summary([Coverage(), whole])
            #expect(refused.contains(#""shards_asked":2,"shards_answered":2,"faces_total":2"#), "\(refused)")
        }
    }

    /// What it covered stands with every answer: a later request that fails takes nothing of it back.
    @Test func eachAnswerSaysWhatItCoveredAndTheSummaryWhatAllMissed() async throws {
        try await withFaces { cluster, search, folder in
            var writer = try NpyWriter(path: folder.file("many.npy"), dimension: 64)
            try writer.append([Float](repeating: 1, count: 64 * 300))
            try writer.finish()
            func missing(_ shard: UInt32) -> Coverage {
                Coverage(
                    shardsAsked: 2,
                    shardsAnswered: 1,
                    facesTotal: 2,
                    facesAnswered: 1,
                    missing: [.init(shardIndex: shard, reason: .unavailable)]
                )
            }
            let whole = Coverage(shardsAsked: 2, shardsAnswered: 2, facesTotal: 2, facesAnswered: 2, hasLoss: true)
            let many = search + ["--probes", folder.file("many.npy"), "-k", "1", "--min-coverage", "0.1"]
            cluster.change { $0.coverages = [missing(1), whole, missing(0)] }
            let json = await mienCommand(many + ["--json"])
            #expect(json.status == 0 && json.outputLines.count == 301, "\(json.status) \(json.error)")
            let half = #","coverage":0.5,"missing":[{"shard":1,"reason":"no live worker"}],"has_loss":false}"#
            #expect(json.outputLines[..<100].allSatisfy { $0.hasSuffix(half) })
            let lossy = #","coverage":1,"missing":[],"has_loss":true}"#
            #expect(json.outputLines[100..<200].allSatisfy { $0.hasSuffix(lossy) })
            let both = #""missing":[{"shard":0,"reason":"no live worker"},{"shard":1,"reason":"no live worker"}]"#
            #expect(json.outputLines[300].contains(both), "\(json.outputLines[300])")
            #expect(json.error.contains("missing: shard 0 (no live worker), shard 1 (no live worker)"), "\(json.error)")

            cluster.change { state in
                state.coverages = [missing(1)]
                state.searchLimit = 1
            }
            let gap = "(the answer is partial: it covers 50.0 % of the faces; missing: shard 1 (no live worker))"
            let cut = await mienCommand(many)
            #expect(cut.status == 69 && cut.outputLines.contains { $0 == gap }, "\(cut)")
            #expect(cut.output.contains("cut off   no probe after those above was searched"), "\(cut)")
            #expect(cut.output.contains("for 100 probes in 1 request"), "\(cut)")
            #expect(cut.error.contains("warning: the answer is partial") && cut.error.contains("is away"), "\(cut)")
            cluster.change { state in
                state.coverages = [whole]
                state.searchLimit = 1
            }
            let line = await mienCommand(many + ["--json"])
            #expect(line.status == 69 && line.outputLines.count == 101, "\(line.status) \(line.error)")
            #expect(line.outputLines.last?.contains(#""complete":false"#) == true, "\(line.error)")
            // Where nothing was answered there is nothing to sum up.
            let nothing = await mienCommand(many + ["--json"])
            #expect(nothing.status == 69 && nothing.output.isEmpty, "\(nothing)")
        }
    }

    @Test func filesThatCannotBeUsedAreBadData() async throws {
        try await withFaces { _, search, folder in
            var narrow = try NpyWriter(path: folder.file("narrow.npy"), dimension: 8)
            try narrow.finish()
            let wrong = await mienCommand(search + ["--probes", folder.file("narrow.npy")])
            #expect(wrong.status == 65)
            #expect(wrong.error.contains("probes of 8 numbers"))
            let model = await mienCommand(search + ["--probes", folder.file("probes.npy"), "--model", "other"])
            #expect(model.status == 65)
            let truth = try folder.write("truth.jsonl", "{\"probe\":0,\"mated\":true}\n")
            let untold = await mienCommand(search + ["--probes", folder.file("probes.npy"), "--truth", truth])
            #expect(untold.status == 65)
            #expect(untold.error.contains("line 1"))
        }
    }
}
