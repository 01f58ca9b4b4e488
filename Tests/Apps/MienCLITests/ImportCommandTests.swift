import EmbeddingFiles
import FaceModel
import Foundation
import Testing

@Suite struct ImportCommandTests {
    /// Writes `[count × 64]` rows, each in a direction of its own.
    private func embeddings(
        _ folder: ScratchFolder,
        _ count: Int,
        spoil: (inout [Float]) -> Void = { _ in }
    ) throws -> String {
        var values = (0..<count * 64).map { Float(sin(Double($0 * $0 % 7919))) }
        spoil(&values)
        var writer = try NpyWriter(path: folder.file("embeddings.npy"), dimension: 64)
        try writer.append(values)
        try writer.finish()
        return folder.file("embeddings.npy")
    }

    private func withPeople(_ body: (ToyCluster, [String], ScratchFolder) async throws -> Void) async throws {
        let folder = try ScratchFolder()
        try await ToyCluster.run { cluster, address in
            let create = ["collection", "create", "people", "--dimension", "64", "--model", "toy-64"]
            #expect(await mienCommand(create + ["--coordinator", address]).status == 0)
            try await body(cluster, ["import", "people", "--coordinator", address], folder)
        }
    }

    @Test func everyRowIsStoredUnderItsIdAndPerson() async throws {
        try await withPeople { cluster, command, folder in
            let ids = (0..<50).map { _ in FaceID.random() }
            let file = try embeddings(folder, 50)
            let idFile = try folder.write("ids.txt", ids.map { "\($0)\n" }.joined())
            let persons = try folder.write(
                "persons.txt",
                (0..<50).map { $0 % 2 == 0 ? "person-\($0)\n" : "\n" }.joined()
            )
            let externals = try folder.write("external.txt", (0..<50).map { "image-\($0)\n" }.joined())
            let result = await mienCommand(
                command + [
                    "--embeddings", file, "--ids", idFile, "--persons", persons, "--external-ids", externals, "--batch",
                    "7", "--json",
                ]
            )
            #expect(result.status == 0)
            #expect(result.output.contains("\"accepted\": 50"))
            let faces = cluster.faces(of: "people")
            #expect(Set(faces.keys) == Set(ids))
            #expect(faces[ids[4]]?.metadata == FaceMetadata(personID: "person-4", externalImageID: "image-4"))
            #expect(faces[ids[5]]?.metadata.personID == nil)
            #expect(cluster.current.mostRowsInABatch == 7)
        }
    }

    @Test func badRowsAreToldAndTheRestGoesOn() async throws {
        try await withPeople { cluster, command, folder in
            let file = try embeddings(folder, 10) { values in
                values[2 * 64 + 5] = .nan
                for column in 0..<64 { values[7 * 64 + column] = 0 }
            }
            let ids = try folder.write("ids.txt", (0..<10).map { $0 == 4 ? "what\n" : "\($0)\n" }.joined())
            let report = folder.file("refused.jsonl")
            let result = await mienCommand(command + ["--embeddings", file, "--ids", ids, "--report", report])
            #expect(result.status == 1)
            #expect(
                result.error == """
                    row 2: the embedding holds NaN or infinity
                    row 4: the id is neither a UUID nor a whole number
                    row 7: the embedding has no direction (its norm is zero or out of range)
                    mien: 3 rows refused

                    """
            )
            #expect(result.output.contains("accepted    7\n"))
            #expect(result.output.contains("rejected    3\n"))
            let stored = Set(cluster.faces(of: "people").keys)
            #expect(stored == Set([0, 1, 3, 5, 6, 8, 9].map { FaceID(high: 0, low: $0) }))
            #expect(try folder.text("refused.jsonl").split(separator: "\n").count == 3)
            #expect(try folder.text("refused.jsonl").hasPrefix(#"{"row":2,"reason":"the embedding holds NaN"#))
        }
    }

    @Test func onlyTheFirstTwentyBadRowsAreShown() async throws {
        try await withPeople { _, command, folder in
            let file = try embeddings(folder, 30) { values in for index in values.indices { values[index] = 0 } }
            let result = await mienCommand(command + ["--embeddings", file])
            #expect(result.status == 1)
            let lines = result.error.split(separator: "\n")
            #expect(lines.filter { $0.hasPrefix("row ") }.count == 20)
            #expect(lines.contains("and 10 refused rows more; --report FILE lists all"))
        }
    }

    @Test func theSameFileImportedTwiceIsTheSameCollection() async throws {
        try await withPeople { cluster, command, folder in
            let file = try embeddings(folder, 40)
            #expect(await mienCommand(command + ["--embeddings", file]).status == 0)
            let first = Set(cluster.faces(of: "people").keys)
            let again = await mienCommand(command + ["--embeddings", file, "--batch", "3", "--json"])
            #expect(again.output.contains("\"replaced\": 40"))
            #expect(Set(cluster.faces(of: "people").keys) == first)
            #expect(first.allSatisfy { $0.high >> 12 & 0xF == 8 && $0.low >> 62 == 2 })
            let part = await mienCommand(command + ["--embeddings", file, "--from-row", "35", "--json"])
            #expect(part.output.contains("\"rows\": 5"))
            #expect(Set(cluster.faces(of: "people").keys) == first)
        }
    }

    @Test func anInterruptedImportSaysWhereToGoOn() async throws {
        try await withPeople { cluster, command, folder in
            let file = try embeddings(folder, 40)
            cluster.change { $0.enrolmentLimit = 2 }
            let arguments = command + ["--embeddings", file, "--batch", "10", "--in-flight", "1"]
            let result = await mienCommand(arguments)
            #expect(result.status == 74)
            #expect(result.error.contains("the disk is full"))
            #expect(result.error.contains("--from-row 20"))
            #expect(cluster.faces(of: "people").count == 20)
            cluster.change { $0.enrolmentLimit = .max }
            #expect(await mienCommand(arguments + ["--from-row", "20"]).status == 0)
            #expect(cluster.faces(of: "people").count == 40)
        }
    }

    @Test func aWorkerAwayForAMomentIsWaitedFor() async throws {
        try await withPeople { cluster, command, folder in
            cluster.change { $0.failingEnrolments = 3 }
            let file = try embeddings(folder, 40)
            #expect(await mienCommand(command + ["--embeddings", file, "--batch", "10"]).status == 0)
            #expect(cluster.faces(of: "people").count == 40)
        }
    }

    /// A request that may take little time is sent again for as long as any.
    @Test func aWorkerAwayForLongerThanARequestMayTakeIsWaitedFor() async throws {
        try await withPeople { cluster, command, folder in
            // Three seconds, with the pauses between the sendings.
            cluster.change { $0.failingEnrolments = 6 }
            let file = try embeddings(folder, 40)
            let result = await mienCommand(command + ["--embeddings", file, "--timeout", "1.5"])
            #expect(result.status == 0, "\(result)")
            #expect(cluster.faces(of: "people").count == 40)
        }
    }

    /// Batches under way at once must not let an earlier row of an id win over a later one.
    @Test func ofRowsWithOneIdTheLastCounts() async throws {
        try await withPeople { cluster, command, folder in
            let file = try embeddings(folder, 60)
            let ids = try folder.write("ids.txt", (0..<60).map { "\($0 % 3)\n" }.joined())
            let persons = try folder.write("persons.txt", (0..<60).map { "row-\($0)\n" }.joined())
            let result = await mienCommand(
                command + [
                    "--embeddings", file, "--ids", ids, "--persons", persons, "--batch", "1", "--in-flight", "8",
                ]
            )
            #expect(result.status == 0)
            let persisted = cluster.faces(of: "people").mapValues(\.metadata.personID)
            for id in 0..<3 { #expect(persisted[FaceID(high: 0, low: UInt64(id))] == "row-\(57 + id)") }
        }
    }

    @Test func jsonLinesCarryTheirOwnIdsAndMetadata() async throws {
        try await withPeople { cluster, command, folder in
            let row = "[" + (0..<64).map { "\($0 + 1)" }.joined(separator: ",") + "]"
            let id = FaceID.random()
            let file = try folder.write(
                "faces.jsonl",
                """
                {"id":"\(id)","embedding":\(row),"person":"p","quality":12.5,"attributes":{"k":"v"}}
                {"embedding":\(row),"model":"another"}
                not json
                {"embedding":\(row),"person":"\(String(repeating: "x", count: 256))"}
                """
            )
            let result = await mienCommand(command + ["--embeddings", file])
            #expect(result.status == 1)
            #expect(cluster.faces(of: "people").keys.elementsEqual([id]))
            #expect(
                cluster.faces(of: "people")[id]?.metadata
                    == FaceMetadata(personID: "p", quality: 12.5, attributes: ["k": "v"])
            )
            let lines = result.error.split(separator: "\n")
            #expect(lines.count == 4)
            #expect(lines[0] == "row 1: the embedding was made by another model than the collection's")
            #expect(lines[1].hasPrefix("row 2: line 3: "))
            #expect(lines[2] == "row 3: person id must be 1–255 bytes, not 256")
        }
    }

    @Test func whereEveryRowIsBadTheSummaryAndTheReportAreWritten() async throws {
        try await withPeople { cluster, command, folder in
            let row = "[" + (0..<64).map { "\($0 + 1)" }.joined(separator: ",") + "]"
            let file = try folder.write("faces.jsonl", "{\"id\":\"x\",\"embedding\":\(row)}\n{}\n")
            let result = await mienCommand(
                command + ["--embeddings", file, "--report", folder.file("refused.jsonl"), "--json"]
            )
            #expect(result.status == 1)
            #expect(result.output.contains("\"rejected\": 2"))
            #expect(result.error.hasSuffix("\nmien: \(file) has no row that can be imported: 2 rows refused\n"))
            #expect(try folder.text("refused.jsonl").split(separator: "\n").count == 2)
            #expect(cluster.current.enrolmentCount == 0)
        }
    }

    /// The example and the keys of the help and of the README are those that a file may hold.
    @Test func theDocumentedJSONLineIsRead() async throws {
        let folder = try ScratchFolder()
        let help = await mienCommand(["import", "--help"]).output
        var root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<4 { root.deleteLastPathComponent() }
        let readme = try String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
        let line = try #require(help.split(separator: "\n").first { $0.hasPrefix("  {") }).dropFirst(2)
        #expect(readme.contains("\n\(line)\n"))
        var reader = try EmbeddingFile.open(path: try folder.write("a.jsonl", "\(line)\n"))
        let batch = try #require(try reader.nextBatch(maximumRows: 2))
        #expect(batch.problems.isEmpty)
        let face = FaceMetadata(personID: "alice", attributes: ["gate": "4"])
        #expect(batch.metadata == [FaceLineMetadata(id: FaceID(high: 0, low: 7), face: face)])
        // A null stands for every key that may be left out, and an unknown key is a fault.
        let keys = help.split(separator: "\n").drop { !$0.hasPrefix("Keys;") }.dropFirst()
            .prefix { $0.hasPrefix("  ") }.compactMap { $0.split(separator: " ").first }
        #expect(keys.count == 12)
        #expect(keys.allSatisfy { readme.contains("`\($0)`") })
        let nulls = keys.filter { $0 != "embedding" }.map { "\"\($0)\":null" } + ["\"embedding\":[1]"]
        let all = try folder.write("all.jsonl", "{\(nulls.joined(separator: ","))}\n")
        var everyKey = try EmbeddingFile.open(path: all)
        #expect(try everyKey.nextBatch(maximumRows: 1)?.problems.isEmpty == true)
    }

    @Test func filesThatCannotBeUsedEndBeforeAnythingIsSent() async throws {
        try await withPeople { cluster, command, folder in
            let text = try folder.write("text.npy", "1,2,3\n")
            #expect(await mienCommand(command + ["--embeddings", text]).status == 65)
            #expect(await mienCommand(command + ["--embeddings", folder.file("absent.npy")]).status == 74)
            var narrow = try NpyWriter(path: folder.file("narrow.npy"), dimension: 8)
            try narrow.append([Float](repeating: 1, count: 8))
            try narrow.finish()
            let wrong = await mienCommand(command + ["--embeddings", folder.file("narrow.npy")])
            #expect(wrong.status == 65)
            #expect(wrong.error.contains("rows of 8 numbers; the collection people has dimension 64"))
            let file = try embeddings(folder, 3)
            let few = try folder.write("few.txt", "1\n2\n")
            #expect(await mienCommand(command + ["--embeddings", file, "--ids", few]).status == 65)
            #expect(await mienCommand(command + ["--embeddings", file, "--from-row", "4"]).status == 65)
            #expect(cluster.current.enrolmentCount == 0)
        }
    }

    /// Behind a heading every face would get the label of another.
    @Test func labelsThatAreNotAsManyAsTheLinesEndBeforeAnythingIsSent() async throws {
        try await withPeople { cluster, command, folder in
            let row = "[" + (0..<64).map { "\($0 + 1)" }.joined(separator: ",") + "]"
            let file = try folder.write(
                "faces.jsonl",
                (0..<3).map { "{\"id\":\($0),\"embedding\":\(row)}\n\n" }.joined()
            )
            let more = try folder.write("more.txt", "heading\n0\n1\n2\n")
            let fewer = try folder.write("fewer.txt", "0\n1\n")
            for option in ["--persons", "--ids", "--external-ids"] {
                for (labels, count) in [(more, 4), (fewer, 2)] {
                    let result = await mienCommand(command + ["--embeddings", file, option, labels])
                    #expect(result.status == 65, "\(result)")
                    #expect(result.error.contains("has \(count) labels for 3 embeddings"), "\(result)")
                }
            }
            #expect(cluster.current.enrolmentCount == 0)
            let persons = try folder.write("persons.txt", "a\nb\nc\n")
            #expect(await mienCommand(command + ["--embeddings", file, "--persons", persons]).status == 0)
            let stored = cluster.faces(of: "people")
            let names = (0..<3).compactMap { stored[FaceID(high: 0, low: $0)]?.metadata.personID }
            #expect(names == ["a", "b", "c"])
        }
    }

    /// A report may go where nothing can be made durable.
    @Test func aReportThatIsNoFileIsNoFailure() async throws {
        try await withPeople { cluster, command, folder in
            let file = try embeddings(folder, 10) { $0[0] = .nan }
            let result = await mienCommand(command + ["--embeddings", file, "--report", "/dev/null"])
            #expect(result.status == 1 && result.output.contains("accepted    9\n"), "\(result)")
            #expect(result.error.hasSuffix("mien: 1 row refused\n"), "\(result)")
            let whole = try embeddings(folder, 10)
            let sound = await mienCommand(command + ["--embeddings", whole, "--report", "/dev/null"])
            #expect(sound.status == 0 && sound.output.contains("rejected    0\n"), "\(sound)")
        }
    }

    @Test func aReportWithoutRoomStopsTheImportWhereItCanGoOn() async throws {
        try await withPeople { cluster, command, folder in
            let file = try embeddings(folder, 40) { $0[25 * 64] = .nan }
            let arguments = command + ["--embeddings", file, "--batch", "10", "--in-flight", "1", "--report"]
            let result = await mienCommand(arguments + ["/dev/full"])
            #expect(result.status == 74 && result.error.contains("/dev/full could not be written"), "\(result)")
            // Rows 20 to 29 are stored, and are told of again.
            #expect(result.error.contains("the import stopped; go on with --from-row 20, or"), "\(result)")
            let report = folder.file("refused.jsonl")
            let again = await mienCommand(arguments + [report, "--from-row", "20"])
            #expect(again.status == 1, "\(again)")
            #expect(cluster.faces(of: "people").count == 39)
            #expect(try refusedRows(folder) == [25])
        }
    }

    private func refusedRows(_ folder: ScratchFolder) throws -> [Int] {
        try folder.text("refused.jsonl").split(separator: "\n").compactMap { line in
            line.split(separator: ",").first.flatMap { Int($0.dropFirst(#"{"row":"#.count)) }
        }
    }

    @Test func anImportThatGoesOnAddsToItsReport() async throws {
        try await withPeople { cluster, command, folder in
            let file = try embeddings(folder, 40) { values in for row in [5, 30] { values[row * 64] = .nan } }
            cluster.change { $0.enrolmentLimit = 2 }
            let arguments =
                command + [
                    "--embeddings", file, "--batch", "10", "--in-flight", "1", "--report", folder.file("refused.jsonl"),
                ]
            let stopped = await mienCommand(arguments)
            #expect(stopped.status == 74 && stopped.error.contains("--from-row 20"), "\(stopped)")
            #expect(try refusedRows(folder) == [5])
            cluster.change { $0.enrolmentLimit = .max }
            #expect(await mienCommand(arguments + ["--from-row", "20"]).status == 1)
            #expect(try refusedRows(folder) == [5, 30])
            // From the beginning it is another report.
            #expect(await mienCommand(arguments).status == 1)
            #expect(try refusedRows(folder) == [5, 30])
        }
    }

    @Test func aReportIsNotWrittenOverWhatIsImported() async throws {
        try await withPeople { cluster, command, folder in
            let file = try embeddings(folder, 3)
            let ids = try folder.write("ids.txt", "1\n2\n3\n")
            let link = folder.file("link")
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file)
            let before = try Data(contentsOf: URL(fileURLWithPath: file))
            for report in [file, link, ids] {
                let result = await mienCommand(command + ["--embeddings", file, "--ids", ids, "--report", report])
                #expect(result.status == 64 && result.error.contains("which is read; name another file"), "\(result)")
            }
            let isWhole = try Data(contentsOf: URL(fileURLWithPath: file)) == before
            #expect(isWhole)
            #expect(try folder.text("ids.txt") == "1\n2\n3\n")
            #expect(cluster.current.enrolmentCount == 0)
        }
    }

    @Test func aFileWithoutRowsIsRefused() async throws {
        try await withPeople { cluster, command, folder in
            let array = try embeddings(folder, 0)
            let lines = try folder.write("blank.jsonl", "\n \n")
            for file in [array, lines] {
                let result = await mienCommand(command + ["--embeddings", file])
                #expect(result.status == 65)
                #expect(result.error == "mien: \(file) holds no rows; check what wrote it\n")
                #expect(result.output.isEmpty)
            }
            let empty = try folder.write("empty.fvecs", "")
            #expect(await mienCommand(command + ["--embeddings", empty]).status == 65)
            #expect(cluster.current.enrolmentCount == 0)
            // To go on at the end of a file that has been imported is no mistake.
            let file = try embeddings(folder, 3)
            #expect(await mienCommand(command + ["--embeddings", file, "--from-row", "3"]).status == 0)
        }
    }

    @Test func anUnknownCollectionIsANo() async throws {
        try await ToyCluster.run { _, address in
            let result = await mienCommand(["import", "nobody", "--embeddings", "a.npy", "--coordinator", address])
            #expect(result.status == 1)
        }
    }
}
