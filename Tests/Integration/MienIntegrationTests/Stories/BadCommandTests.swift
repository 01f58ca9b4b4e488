import Foundation
import MienClient
import Testing

extension Integration {
    /// What is wrong with a command, a file or a request is said in one sentence, and nothing is lost.
    @Suite struct BadCommandTests {
        /// A command line, how it must end, and words of the sentence it must say.
        private struct BadCommand {
            var arguments: [String]
            var status: Int32
            var words: String
        }

        private static let token = "a-token-of-this-story"

        @Test(.timeLimit(.minutes(1))) func everyBadCommandSaysOneClearSentence() async throws {
            try await Stage.play { stage in
                let address = "127.0.0.1:\(try LoopbackPort.free())"
                stage.environment["MIEN_TOKEN"] = Self.token
                stage.environment["MIEN_COORDINATOR"] = address
                let cluster = Node(stage, ["dev", "--data", stage.path("dev"), "--listen", address, "--workers", "1"])
                try await cluster.start()
                try await prepare(stage)
                for command in try badFiles(stage) + badRequests(stage) {
                    let result = try await stage.mien(command.arguments)
                    let name = command.arguments.joined(separator: " ")
                    #expect(result.status == command.status, "\(name): \(result)")
                    #expect(result.error.contains(command.words), "\(name): \(result)")
                    #expect(result.output.isEmpty, "\(name): \(result)")
                    // A wrong command line is followed by its usage; everything else is one sentence.
                    let sentences = result.error.split(separator: "\n")
                    if command.status != 64 {
                        #expect(sentences.count == 1 && sentences[0].hasPrefix("mien: "), "\(name): \(result)")
                    }
                }
                try await refusesEmptyBatches(address)
                let list = try await stage.mien("face", "list", "people", "--all", "--json")
                #expect(list.status == 0 && list.lines.count == 10, "nothing was lost: \(list)")
            }
        }

        private func prepare(_ stage: Stage) async throws {
            var random = SeededRandom(seed: 9)
            let rows = (0..<10).map { _ in random.direction(dimension: 64) }
            try stage.write("good.npy", NpyFile(rows: rows).data)
            try stage.write("truncated.npy", NpyFile(rows: rows, promisedRows: 12).data)
            try stage.write("fortran.npy", NpyFile(rows: rows, isFortran: true).data)
            try stage.write("big-endian.npy", NpyFile(rows: rows, type: ">f4").data)
            try stage.write("integers.npy", NpyFile(rows: rows, type: "<i4").data)
            try stage.write("flat.npy", NpyFile(rows: [rows[0]], dimension: 32).data)
            try stage.write("no-rows.npy", NpyFile(rows: [], dimension: 64).data)
            try stage.write("text.npy", "0.1,0.2,0.3\n0.4,0.5,0.6\n")
            try stage.write("empty.npy", "")
            try stage.write("short.npy", NpyFile(rows: rows.map { Array($0.prefix(56)) }).data)
            try stage.write("ids.txt", "1\n2\n3\n")
            try stage.write("wrong-token", "another-token-entirely\n", mode: 0o600)
            try stage.write("open-token", "\(Self.token)\n", mode: 0o644)
            try stage.write("truth.jsonl", "no truth\n")
            let created = try await stage.mien("collection", "create", "people", "--dimension", "64", "--model", "m")
            #expect(created.status == 0, "\(created)")
            let imported = try await stage.mien("import", "people", "--embeddings", stage.path("good.npy"))
            #expect(imported.status == 0, "\(imported)")
        }

        private func badFiles(_ stage: Stage) -> [BadCommand] {
            [
                ("truncated.npy", 65, "is truncated: 12 rows of 256 bytes promised"),
                ("fortran.npy", 65, "Fortran order"), ("big-endian.npy", 65, "big-endian"),
                ("integers.npy", 65, "numbers of type <i4"), ("flat.npy", 65, "after the 1 rows"),
                ("text.npy", 65, "is a text file"), ("empty.npy", 65, "is empty"), ("short.npy", 65, "dimension 64"),
                ("absent.npy", 74, "cannot be opened"), (".", 74, "is not a regular file"),
            ].flatMap { name, status, words in
                [
                    BadCommand(
                        arguments: ["import", "people", "--embeddings", stage.path(name)],
                        status: status,
                        words: words
                    ),
                    BadCommand(
                        arguments: ["search", "people", "--probes", stage.path(name)],
                        status: status,
                        words: words
                    ),
                ]
            }
        }

        private func badRequests(_ stage: Stage) throws -> [BadCommand] {
            let good = stage.path("good.npy")
            let search = ["search", "people", "--probes", good]
            let face = "00000000-0000-8000-8000-000000000001"
            return [
                BadCommand(
                    arguments: ["search", "nobody", "--probes", good],
                    status: 1,
                    words: "no collection 'nobody'"
                ),
                BadCommand(
                    arguments: ["import", "nobody", "--embeddings", good],
                    status: 1,
                    words: "no collection 'nobody'"
                ),
                BadCommand(
                    arguments: ["collection", "describe", "nobody"],
                    status: 1,
                    words: "no collection 'nobody'"
                ),
                BadCommand(
                    arguments: ["collection", "delete", "nobody", "--yes"],
                    status: 1,
                    words: "no collection 'nobody'"
                ),
                BadCommand(
                    arguments: ["export", "nobody", stage.path("x.jsonl")],
                    status: 1,
                    words: "no collection 'nobody'"
                ),
                BadCommand(arguments: ["face", "get", "people", face], status: 1, words: "is not in people"),
                BadCommand(arguments: ["search", "people", "--face-id", face], status: 1, words: "no face of that id"),
                BadCommand(arguments: search + ["-k", "0"], status: 64, words: "1 to 1000"),
                BadCommand(arguments: search + ["-k", "1000000000"], status: 64, words: "1 to 1000"),
                BadCommand(arguments: search + ["--effort", "lists:0"], status: 64, words: "lists:N"),
                BadCommand(arguments: search + ["--min-coverage", "1.5"], status: 64, words: "from 0 to 1"),
                BadCommand(arguments: search + ["--model", "other"], status: 65, words: "model 'm'"),
                BadCommand(
                    arguments: search + ["--truth", stage.path("truth.jsonl")],
                    status: 65,
                    words: "line 1 does not tell a probe's truth"
                ),
                BadCommand(
                    arguments: ["search", "people", "--probes", stage.path("no-rows.npy")],
                    status: 65,
                    words: "holds no probe"
                ),
                BadCommand(
                    arguments: ["import", "people", "--embeddings", good, "--ids", stage.path("ids.txt")],
                    status: 65,
                    words: "3"
                ),
                BadCommand(
                    arguments: ["collection", "create", "other", "--dimension", "65", "--model", "m"],
                    status: 64,
                    words: "multiple of 8"
                ),
                BadCommand(
                    arguments: ["collection", "create", "Upper Case", "--dimension", "64", "--model", "m"],
                    status: 64,
                    words: "name"
                ),
                BadCommand(arguments: ["generate", stage.path("g"), "--faces", "0"], status: 64, words: "face count"),
                BadCommand(
                    arguments: ["status", "--token-file", stage.path("wrong-token")],
                    status: 77,
                    words: "token"
                ),
                BadCommand(
                    arguments: ["status", "--token-file", stage.path("open-token")],
                    status: 78,
                    words: "chmod 600"
                ),
                BadCommand(
                    arguments: ["status", "--coordinator", "127.0.0.1:\(try LoopbackPort.free())"],
                    status: 69,
                    words: "127.0.0.1"
                ),
            ]
        }

        private func refusesEmptyBatches(_ address: String) async throws {
            let client = try MienClient(addresses: [#require(MienClient.Address(address))], token: Self.token)
            let nothing = Embeddings(dimension: 64, values: [])
            let enrolment = await #expect(throws: MienClientError.self) {
                _ = try await client.enrol([], embeddings: nothing, into: "people", model: "m")
            }
            #expect(enrolment?.code == .invalidRequest)
            #expect(enrolment?.message.contains("at least one") ?? false, "\(String(describing: enrolment))")
            let deletion = await #expect(throws: MienClientError.self) {
                _ = try await client.deleteFaces([], from: "people")
            }
            #expect(deletion?.code == .invalidRequest)
            let search = await #expect(throws: MienClientError.self) {
                _ = try await client.search("people", probes: nothing, model: "m")
            }
            #expect(search?.code == .invalidRequest)
            let greedy = await #expect(throws: MienClientError.self) {
                var random = SeededRandom(seed: 1)
                _ = try await client.search(
                    "people",
                    probes: Embeddings(dimension: 64, values: random.direction(dimension: 64)),
                    model: "m",
                    options: SearchOptions(matchLimit: 1_000_000_000)
                )
            }
            #expect(
                greedy.map { [.invalidRequest, .limitExceeded].contains($0.code) } ?? false,
                "\(String(describing: greedy))"
            )
            await client.close()
        }
    }
}
