import EmbeddingFiles
import Testing

@Suite struct GenerateCommandTests {
    @Test func theFolderHoldsAGalleryAndAPhoto() async throws {
        let folder = try ScratchFolder()
        let command = ["generate", folder.file("gallery"), "--faces", "200", "--probes", "120", "--dimension", "64"]
        let result = await mienCommand(command)
        #expect(result.status == 0)
        #expect(result.output == "Generated 200 faces and 120 probes in \(folder.file("gallery")).\n")
        var probes = try EmbeddingFile.open(path: folder.file("gallery/probes.npy"))
        var photo = try EmbeddingFile.open(path: folder.file("gallery/photo.npy"))
        #expect(photo.rowCount == 100)
        #expect(try photo.nextBatch(maximumRows: 100)?.values == probes.nextBatch(maximumRows: 100)?.values)
        let truth = try folder.text("gallery/photo-truth.jsonl")
        #expect(truth.split(separator: "\n").count == 100)
        #expect(try folder.text("gallery/probe-truth.jsonl").hasPrefix(truth))
        let again = await mienCommand(command)
        #expect(again.status == 0)
        #expect(again.output == "\(folder.file("gallery")) holds 200 faces and 120 probes already.\n")
        let other = await mienCommand(command + ["--seed", "2"])
        #expect(other.status == 74)
        #expect(other.error.contains("exists and is not this gallery"))
    }

    @Test func aGalleryIsImportedAndItsMatesAreFound() async throws {
        let folder = try ScratchFolder()
        let gallery = folder.file("gallery")
        let generate = ["generate", gallery, "--faces", "300", "--probes", "40", "--dimension", "512"]
        #expect(await mienCommand(generate).status == 0)
        try await ToyCluster.run { _, address in
            let common = ["people", "--coordinator", address]
            #expect(
                await mienCommand(["collection", "create"] + common + ["--dimension", "512", "--model", "synthetic"])
                    .status == 0
            )
            let load = await mienCommand(
                ["import"] + common + [
                    "--embeddings", "\(gallery)/embeddings.npy", "--ids", "\(gallery)/ids.txt", "--persons",
                    "\(gallery)/persons.txt", "--json",
                ]
            )
            #expect(load.output.contains("\"accepted\": 300"))
            let search = await mienCommand(
                ["search"] + common + [
                    "--probes", "\(gallery)/photo.npy", "-k", "1", "--truth", "\(gallery)/photo-truth.jsonl", "--json",
                ]
            )
            let summary = try #require(search.outputLines.last)
            let mated = try #require(number("mated_probes", in: summary))
            #expect(try #require(number("mates_at_rank_1", in: summary)) > mated * 8 / 10)
        }
    }

    private func number(_ key: String, in line: Substring) -> Int? {
        guard let start = line.firstRange(of: "\"\(key)\":")?.upperBound else { return nil }
        return Int(line[start...].prefix { $0.isNumber })
    }

    @Test func optionsOutOfRangeAreUsageErrors() async throws {
        let folder = try ScratchFolder()
        let result = await mienCommand(["generate", folder.file("gallery"), "--faces", "0"])
        #expect(result.status == 64)
        #expect(result.error.contains("face count 0 is out of range"))
        #expect(folder.names == [])
    }
}
