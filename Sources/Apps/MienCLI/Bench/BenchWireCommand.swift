import ArgumentParser

struct BenchWireCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "wire",
        abstract: "Measure encoding and decoding of the messages of searches and enrolments.",
        discussion: """
            EXAMPLE
              mien bench wire

            Microseconds of CPU time for a whole frame with its checksum, on one thread, beside the time to copy as \
            many bytes. Embeddings have 512 numbers.
            """
    )

    @Option(help: "Passes of each message, of which the median counts.")
    var passes = 9
    @Flag(help: "Write JSON for programs.")
    var json = false

    func validate() throws {
        guard (1...1000).contains(passes) else { throw ValidationError("--passes must be 1 to 1000.") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        var results: [WireBench.Result] = []
        do {
            for subject in WireBench.subjects() {
                results.append(try WireBench.measure(subject, passCount: passes))
            }
        } catch {
            throw CommandFailure(.internalError, "a message could not be encoded and read back: \(error)")
        }
        console.writeOutput(json ? Self.json(results) : Self.text(results))
    }

    private static func text(_ results: [WireBench.Result]) -> String {
        var table = TextTable([
            .init("frame"), .init("bytes", .right), .init("encode µs", .right), .init("GB/s", .right),
            .init("decode µs", .right), .init("GB/s", .right), .init("copy µs", .right),
        ])
        for result in results {
            let kilobytes = Double(result.byteCount) / 1e3
            table.append([
                result.name, "\(result.byteCount)", NumberText.fixed(result.encoding, 2),
                NumberText.fixed(kilobytes / result.encoding, 2), NumberText.fixed(result.decoding, 2),
                NumberText.fixed(kilobytes / result.decoding, 2), NumberText.fixed(result.copying, 2),
            ])
        }
        return table.rendered()
    }

    private static func json(_ results: [WireBench.Result]) -> String {
        JSONValue.array(
            results.map { result in
                .object([
                    ("frame", .string(result.name)), ("bytes", .count(result.byteCount)),
                    ("encode_us", .number(result.encoding)), ("decode_us", .number(result.decoding)),
                    ("copy_us", .number(result.copying)),
                ])
            }
        ).document
    }
}
