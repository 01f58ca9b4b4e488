import Foundation
import Testing

/// The experiments at sizes of a second: what their figures must be whatever the machine.
@Suite struct ExperimentCommandTests {
    private typealias Row = [String: Any]

    /// The members of an experiment's JSON.
    private func result(_ arguments: [String]) async throws -> Row {
        let result = await computingCommand(["bench"] + arguments + ["--json"])
        try #require(result.status == 0, "\(result.error)")
        return try #require(JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? Row)
    }

    private func rows(_ name: String, of result: Row) throws -> [Row] {
        try #require(result[name] as? [Row])
    }

    private func number(_ name: String, of row: Row?) throws -> Double {
        try #require(row?[name] as? NSNumber).doubleValue
    }

    /// A row's cells of the bands of mate similarity, in order.
    private func bands(of row: Row) -> [Double?] {
        ["-1", "0.30", "0.35", "0.40", "0.45", "0.50", "0.60"].map { (row["band_\($0)"] as? NSNumber)?.doubleValue }
    }

    // MARK: spectrum

    @Test func aGallerySaysHowManyDimensionsItHas() async throws {
        let wild = try await result(["spectrum", "--faces", "4000", "--probes", "500"])
        let low = try await result(["spectrum", "--faces", "4000", "--probes", "500", "--model", "lowdim"])
        let ratios = try [wild, low].map { try number("participation_ratio", of: $0) }
        #expect(ratios[0] > 1.3 * ratios[1] && ratios[1] > 20)
        for gallery in [wild, low] {
            let energies = try rows("energy", of: gallery).map { try number("energy", of: $0) }
            #expect(energies == energies.sorted())
            #expect(abs(try #require(energies.last) - 1) < 1e-4)
            let similarities = try rows("similarities", of: gallery)
            #expect(abs(try number("mean", of: similarities[0])) < 0.05)
            #expect(try number("quantile_0.5", of: similarities[1]) > 0.5)
            let shares = bands(of: try rows("mate_bands", of: gallery)[0]).compactMap { $0 }
            #expect(abs(shares.reduce(0, +) - 1) < 1e-9)
        }
        let energies = try [wild, low].map { try number("energy", of: try rows("energy", of: $0)[4]) }
        #expect(energies[0] + 0.03 < energies[1])
    }

    @Test func aFolderIsMeasuredAsTheGalleryItWasMadeFrom() async throws {
        let folder = try ScratchFolder()
        let gallery = folder.file("gallery")
        let generate = ["generate", gallery, "--faces", "600", "--probes", "50", "--dimension", "512", "--seed", "5"]
        #expect(await computingCommand(generate).status == 0)
        let made = try await result(["spectrum", "--faces", "600", "--probes", "50", "--seed", "5"])
        let read = try await result(["spectrum", gallery, "--seed", "5"])
        #expect(try number("faces", of: read) == 600)
        for name in ["participation_ratio", "length_of_the_mean"] {
            #expect(abs(try number(name, of: made) / number(name, of: read) - 1) < 1e-4)
        }
        let persons = try [made, read].map { try number("persons", of: try rows("images_a_person", of: $0)[0]) }
        #expect(persons[0] == persons[1])
        let probes = try [made, read].map { try number("energy_of_probes", of: try rows("energy", of: $0)[3]) }
        #expect(abs(probes[0] - probes[1]) < 1e-4)
    }

    @Test func aFolderWithoutPersonsOrRowsIsAnError() async throws {
        let folder = try ScratchFolder()
        #expect(await computingCommand(["bench", "spectrum", folder.path]).status == 74)
        let generate = ["generate", folder.file("gallery"), "--faces", "50", "--probes", "5", "--dimension", "64"]
        #expect(await computingCommand(generate).status == 0)
        try folder.write("gallery/persons.txt", "one person\n")
        let result = await computingCommand(["bench", "spectrum", folder.file("gallery")])
        #expect(result.status == 65)
        #expect(result.error.contains("has 1 lines for 50 rows"))
    }

    // MARK: codes

    @Test func codesAreComparedOnTheSameProbes() async throws {
        let arguments = [
            "codes", "--faces", "4096", "--per-band", "8", "--model", "wild", "--plan", "2,2,1", "--partitions", "2",
            "--lists", "16",
        ]
        let first = try await result(arguments)
        let codes = try rows("codes_wild", of: first)
        #expect(codes.map { $0["bits"] as? String } == ["mates", "1,1,1,1", "1,1,1,1", "2,2", "3,1", "3,1,1", "2,2,1"])
        let counts = bands(of: codes[0])
        #expect(counts.suffix(4) == [8, 8, 8, 8])
        #expect(counts.allSatisfy { $0 ?? 99 <= 8 })
        let errors = try codes.dropFirst().map { try number("error", of: $0) }
        // RaBitQ's error is known: 0.75 of the root of the dimension.
        #expect(abs(errors[0] - 0.0333) < 0.002)
        #expect(errors[3] < errors[0] && errors[4] <= errors[3] * 1.02)
        #expect(try codes.dropFirst().map { try number("bytes", of: $0) } == [64, 64, 64, 64, 80, 80])
        // Mates keep more of their similarity when more components are coded.
        #expect(try number("mate_bias", of: codes[4]) < number("mate_bias", of: codes[5]))
        for row in codes.dropFirst() {
            #expect(try number("candidates_95", of: row) <= number("candidates_99", of: row))
            #expect(bands(of: row)[6] == 1)
        }
        let lists = try rows("scope_lists", of: first)
        #expect(lists.count == 12)
        for scope in ["of the collection, 16", "of the collection, 32", "of each partition, 16"] {
            let found = try lists.filter { $0["codebook"] as? String == scope }.map { try number("mates", of: $0) }
            #expect(found.count == 4 && found == found.sorted())
            #expect(found[3] > 0.6)
        }
        #expect(try rows("scope_codes", of: first).count == 3)
        #expect(NSDictionary(dictionary: first) == NSDictionary(dictionary: try await result(arguments)))
    }

    @Test(arguments: ["", "5", "3,x", "4,4,1", "0", "1,1,1,1,1", "3,1,0"])
    func whatIsNoPlanIsAUsageError(_ plan: String) async {
        let result = await computingCommand(["bench", "codes", "--plan", plan])
        #expect(result.status == 64)
        #expect(result.error.contains("is no plan"))
    }

    // MARK: abandon

    @Test func aWiderMarginReadsMoreAndLosesLess() async throws {
        let result = try await result([
            "abandon", "--faces", "4096", "--per-band", "8", "--lists", "16", "--candidates", "40", "--margin", "-1",
            "--margin", "0.8", "--margin", "50", "--rounds", "1",
        ])
        #expect(try number("slot_bytes", of: result) == 96)
        let rows = try rows("abandon_wild", of: result)
        #expect(rows.map { $0["margin"] as? String } == ["mates", "whole code", "-1.0", "0.8", "50.0", "0.8", "0.8"])
        let passed = try rows.dropFirst().map { try number("passed", of: $0) }
        #expect(passed[0] == 1 && passed[3] == 1)
        #expect(passed[1] < passed[2] && passed[2] < 0.5)
        // What is known beforehand can only be read less of.
        #expect(passed[5] < passed[2])
        let bytes = try rows.dropFirst().map { try number("bytes", of: $0) }
        #expect(bytes[0] == 96 && abs(bytes[2] - 32 - 64 * passed[2]) < 1e-9)
        let recalls = try rows.dropFirst().map { try number("recall", of: $0) }
        #expect(recalls[1] < recalls[2] && recalls[2] <= recalls[0] && recalls[3] == recalls[0])
        for row in rows.dropFirst() { #expect(try number("nanoseconds", of: row) > 0) }
    }

    // MARK: lists

    @Test func listsAreComparedWithAFlatScan() async throws {
        let folder = try ScratchFolder()
        let result = try await result([
            "lists", "--faces", "3000", "--per-band", "5", "--rounds", "1", "--lists", "8", "--effort", "lists:1",
            "--effort", "full", "--folder", folder.path,
        ])
        let rows = try rows("lists_wild", of: result)
        #expect(rows.map { $0["effort"] as? String } == ["mates", "full", "lists:1", "full"])
        let recalls = try rows.dropFirst().map { try number("recall", of: $0) }
        #expect(recalls[0] > 0.99 && recalls[2] > 0.99 && recalls[1] < 0.95)
        let visited = try rows.dropFirst().map { try number("visited", of: $0) }
        #expect(visited[0] == 1 && visited[2] == 1 && visited[1] < 0.5)
        #expect(bands(of: rows[1]) == bands(of: rows[0]))
        let crossover = try self.rows("crossover", of: result)
        #expect(crossover.count == 2)
        #expect(crossover.allSatisfy { ["full", "lists:1"].contains($0["effort"] as? String) })
        #expect(folder.names == [])
    }

    // MARK: churn

    @Test func churnKeepsTheFacesAndCountsWhatItWrites() async throws {
        let folder = try ScratchFolder()
        let result = try await result([
            "churn", "--faces", "4096", "--turnover", "1.5", "--batch", "300", "--folder", folder.path,
        ])
        let bytes = try rows("bytes", of: result)
        #expect(
            bytes.map { $0["stage"] as? String } == [
                "growth to 2048", "growth to 4096", "searches alone", "churn to 0.5", "churn to 1.0", "churn to 1.5",
            ]
        )
        let faces = try bytes.map { try number("faces", of: $0) }
        #expect(faces.prefix(3) == [2048, 4096, 4096])
        // A batch enrols as many as it deletes, but for rounding.
        #expect(faces.dropFirst(3).allSatisfy { abs($0 - 4096) < 100 })
        #expect(try bytes.dropFirst(3).reduce(0) { try $0 + number("changes", of: $1) } == 6144)
        for row in bytes where try number("changes", of: row) > 0 {
            #expect(try number("amplification", of: row) > 1)
            #expect(try number("written", of: row) > number("logical", of: row))
        }
        for row in bytes {
            #expect(try number("free", of: row) < number("file", of: row))
            // At least the stored embedding.
            #expect(try number("bytes_a_face", of: row) > 1024)
            #expect(try number("file_bytes_a_face", of: row) >= number("bytes_a_face", of: row))
        }
        let times = try rows("times", of: result)
        for row in times {
            #expect(try number("searches", of: row) > 0)
            #expect(try number("search_p99", of: row) <= number("search_longest", of: row))
        }
        for row in times.dropFirst(3) {
            #expect(try number("commit_p50", of: row) <= number("commit_longest", of: row))
            #expect(try number("steps", of: row) > 0)
        }
        // What each kind of work wrote is of the whole, to which other tests of this process add.
        let work = try rows("work", of: result)
        for row in bytes where try number("changes", of: row) > 0 {
            let parts = work.filter { $0["stage"] as? String == row["stage"] as? String }
            #expect(parts.first?["work"] as? String == "commits")
            let shares = try parts.map { try number("share", of: $0) }
            #expect(shares.allSatisfy { $0 >= 0 } && shares[0] > 0 && shares.reduce(0, +) <= 1.001, "\(row) \(shares)")
            for part in parts { #expect(try number("p50", of: part) <= number("longest", of: part)) }
        }
        let kinds = Set(work.compactMap { $0["work"] as? String })
        #expect(kinds.isSuperset(of: ["commits", "folds", "merges", "overwriting"]))
        #expect(kinds.isDisjoint(with: ["upgrade", "expiry"]))
        #expect(folder.names == [])
    }

    @Test(arguments: [
        ["churn", "--faces", "100"], ["churn", "--batch", "0"], ["codes", "--faces", "5000", "--partitions", "4"],
        ["abandon", "--candidates", "0"], ["lists", "--faces", "1"], ["lists", "--lists", "1"],
        ["codes", "--per-band", "0"], ["spectrum", "--faces", "0"],
    ])
    func sizesOutOfRangeAreUsageErrors(_ arguments: [String]) async {
        #expect(await computingCommand(["bench"] + arguments).status == 64)
    }
}
