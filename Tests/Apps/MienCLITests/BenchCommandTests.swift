import Foundation
import Testing

/// Measurements at sizes of a second: what is measured, and what their figures must be whatever the machine.
@Suite struct BenchCommandTests {
    private typealias Row = [String: Any]

    private func document(_ arguments: [String]) async throws -> Any {
        let result = await computingCommand(["bench"] + arguments + ["--json"])
        try #require(result.status == 0, "\(result.error)")
        return try JSONSerialization.jsonObject(with: Data(result.output.utf8))
    }

    private func number(_ name: String, of row: Row?) throws -> Double {
        try #require(row?[name] as? NSNumber).doubleValue
    }

    private func numbers(_ name: String, of row: Row) throws -> [Double] {
        try #require(row[name] as? [NSNumber]).map(\.doubleValue)
    }

    /// A gallery of 3000 faces of 512 components.
    private func gallery(in folder: ScratchFolder) async throws -> String {
        let gallery = folder.file("gallery")
        let generate = ["generate", gallery, "--faces", "3000", "--probes", "40", "--dimension", "512", "--seed", "3"]
        try #require(await computingCommand(generate).status == 0)
        return gallery
    }

    @Test func everyKernelHasTimesAndRatesOnEveryLevel() async throws {
        let result = try #require(try await document(["kernels", "--memory", "64", "--passes", "1"]) as? Row)
        #expect(try number("read_gb_per_second", of: result) > 0)
        let passed = try number("passed_share", of: result)
        #expect(passed > 0.02 && passed < 0.04)
        let kernels = try #require(result["kernels"] as? [Row])
        let names = Set(kernels.compactMap { $0["kernel"] as? String })
        #expect(
            names.isSuperset(of: [
                "scan of codes", "ranking of lists", "product with int8", "product with float16", "look-up tables",
                "coding", "packing", "rounding to int8", "checksum of float16",
            ])
        )
        for name in ["scan of codes", "ranking of lists", "product with int8", "product with float16"] {
            let probes = kernels.filter { $0["kernel"] as? String == name }.compactMap { $0["probes"] as? Int }
            #expect(probes == [1, 1, 4, 4], "in cache and from memory")
        }
        for row in kernels {
            let times = try #require(row["nanoseconds"] as? [String: Double])
            let rates = try #require(row["gb_per_second"] as? [String: Double])
            #expect(times["scalar"] != nil && times.keys == rates.keys)
            for (level, time) in times {
                let bytes = try number("row_bytes", of: row) / number("probes", of: row)
                #expect(time > 0 && abs(rates[level]! * time / bytes - 1) < 1e-6, "\(row["kernel"] ?? ""), \(level)")
            }
        }
    }

    @Test func theIndexIsMeasuredAgainstExactSearch() async throws {
        let folder = try ScratchFolder()
        let arguments = [
            "index", try await gallery(in: folder), "--effort", "recall:0.9", "--effort", "full", "--rounds", "2",
            "--probes", "30", "--photo", "10",
        ]
        let result = try #require(try await document(arguments) as? Row)
        #expect(try number("faces", of: result) == 3000 && number("probes", of: result) == 30)
        let efforts = try #require(result["efforts"] as? [Row])
        #expect(efforts.map { $0["effort"] as? String } == ["recall:0.9", "full"])
        for effort in efforts {
            #expect(try numbers("single_cpu_ms", of: effort).count == 2)
            #expect(try numbers("photo_cpu_ms", of: effort).allSatisfy { $0 > 0 })
            #expect(try number("recall", of: effort) > 0.5)
        }
        #expect(try number("visited_share", of: efforts[0]) < number("visited_share", of: efforts[1]))
        #expect(try number("visited_share", of: efforts[1]) > 0.99 && number("recall", of: efforts[1]) > 0.9)
        // The partition is there now. A threshold leaves fewer rows to compare.
        let above = try #require(try await document(arguments + ["--threshold", "0.5"]) as? Row)
        let cut = try #require(above["efforts"] as? [Row])
        #expect(try number("reranked", of: cut[0]) < number("reranked", of: efforts[0]))
    }

    @Test func filtersAreMeasuredAgainstSearchesWithoutOne() async throws {
        let folder = try ScratchFolder()
        let arguments = [
            "filter", try await gallery(in: folder), "--share", "0.5", "--effort", "exact", "--rounds", "1",
            "--probes", "5", "--photo", "5",
        ]
        let result = try #require(try await document(arguments) as? Row)
        let searches = try #require(result["searches"] as? [Row])
        #expect(searches.map { $0["passing"] as? String } == ["none", "50.000 %", "one person"])
        #expect(try searches.map { try number("compared", of: $0) }.last == 0)
        #expect(try searches.map { try number("matches", of: $0) } == [10, 10, 0])
        #expect(try searches.allSatisfy { try numbers("single_cpu_ms", of: $0)[0] > 0 })
    }

    @Test func messagesAreEncodedAndDecoded() async throws {
        let frames = try #require(try await document(["wire", "--passes", "1"]) as? [Row])
        #expect(frames.count > 3)
        for frame in frames {
            #expect(try number("bytes", of: frame) > 0, "\(frame["frame"] ?? "")")
            #expect(try number("encode_us", of: frame) > 0 && number("decode_us", of: frame) > 0)
        }
    }

    @Test func storageIsMeasuredAndLeavesNothingBehind() async throws {
        let folder = try ScratchFolder()
        let arguments = ["storage", "--faces", "2000", "--passes", "1", "--folder", folder.path]
        let results = try #require(try await document(arguments) as? [Row])
        #expect(results.count > 4)
        #expect(try results.allSatisfy { try number("seconds", of: $0) > 0 })
        #expect(folder.names == [])
    }

    @Test(arguments: [
        ["kernels", "--memory", "63"], ["kernels", "--passes", "0"], ["index", "nowhere", "--rounds", "0"],
        ["index", "nowhere", "--threshold", "1.5"], ["filter", "nowhere", "--share", "0"], ["wire", "--passes", "0"],
        ["storage", "--faces", "10"], ["overhead", "--faces", "1"],
    ])
    func sizesOutOfRangeAreUsageErrors(_ arguments: [String]) async {
        #expect(await computingCommand(["bench"] + arguments).status == 64)
    }
}
