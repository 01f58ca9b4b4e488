import ArgumentParser
import VectorMath

struct BenchKernelsCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels",
        abstract: "Measure the vector kernels of every level this CPU has.",
        discussion: """
            EXAMPLE
              mien bench kernels
              mien bench kernels --memory 2048 --json

            Times are nanoseconds of CPU time for one row and one probe, on one thread: of rows that stay in cache \
            (a mebibyte of them at most) and of rows that come from memory; rates are the bytes \
            of rows that are read meanwhile, beside the rate at which one thread reads memory in order. Levels take \
            turns. Rows have 512 components, centroids 256, codes five planes of 384; some 3 % of the rows pass a \
            code's heads, and how many is counted and told. Coding, rounding and normalising read float32 and have \
            no probe; a look-up table is made of a row as of a probe. Packing has one level, and the checksum chooses \
            its instructions by itself.
            """
    )

    @Option(help: "Mebibytes that rows from memory lie in; more than the caches hold.")
    var memory = 1024
    @Option(help: "Passes of each kernel, of which the median counts.")
    var passes = 5
    @Flag(help: "Write JSON for programs.")
    var json = false

    func validate() throws {
        guard (64...65_536).contains(memory), (1...1000).contains(passes) else {
            throw ValidationError("--memory must be 64 to 65536, --passes 1 to 1000.")
        }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let bench = KernelBench(byteCount: memory << 20)
        let best = VectorKernels.level
        defer { VectorKernels.setLevel(best) }
        let levels = KernelLevel.allCases.filter { $0.rawValue <= best.rawValue && VectorKernels.setLevel($0) == $0 }
        let bandwidth = bench.readBandwidth(passCount: passes)
        let passed = bench.countedPassedShare()
        var rows: [Measurement] = []
        for kernel in KernelBench.kernels {
            for place in KernelBench.Place.allCases {
                let times = levels.map { level in
                    VectorKernels.setLevel(level)
                    return bench.nanoseconds(kernel, in: place, passCount: passes)
                }
                rows.append(Measurement(kernel: kernel, place: place, nanoseconds: times))
            }
        }
        console.writeOutput(
            json
                ? Self.json(levels, rows, bandwidth: bandwidth, passed: passed)
                : Self.text(levels, rows, bandwidth: bandwidth, passed: passed)
        )
    }

    private struct Measurement {
        let kernel: KernelBench.Kernel
        let place: KernelBench.Place
        /// A row and probe, by level.
        let nanoseconds: [Double]

        /// Bytes a nanosecond that are read, by level: a row is read once for all probes of a call.
        var rates: [Double] {
            nanoseconds.map { Double(kernel.rowByteCount) / $0 / Double(kernel.probeCount) }
        }
    }

    private static func text(
        _ levels: [KernelLevel],
        _ rows: [Measurement],
        bandwidth: Double,
        passed: Double
    ) -> String {
        let columns: [TextTable.Column] = [.init("probes", .right), .init("rows in")]
        var times = TextTable([.init("ns a row and probe")] + columns + levels.map { .init($0.name, .right) })
        var rates = TextTable([.init("GB/s")] + columns + levels.map { .init($0.name, .right) })
        for row in rows {
            let names = [row.kernel.name, "\(row.kernel.probeCount)", row.place.rawValue]
            times.append(names + row.nanoseconds.map { NumberText.fixed($0, $0 < 10 ? 2 : 1) })
            rates.append(names + row.rates.map { NumberText.fixed($0, 1) })
        }
        return times.rendered() + "\n" + rates.rendered()
            + "\nOne thread reads memory in order at \(NumberText.fixed(bandwidth, 1)) GB/s.\n"
            + "\(NumberText.fixed(100 * passed, 1)) % of the rows pass a code's heads.\n"
    }

    private static func json(
        _ levels: [KernelLevel],
        _ rows: [Measurement],
        bandwidth: Double,
        passed: Double
    ) -> String {
        JSONValue.object([
            ("read_gb_per_second", .number(bandwidth)), ("passed_share", .number(passed)),
            (
                "kernels",
                .array(
                    rows.map { row in
                        .object([
                            ("kernel", .string(row.kernel.name)), ("probes", .count(row.kernel.probeCount)),
                            ("rows_in", .string(row.place.rawValue)), ("row_bytes", .count(row.kernel.rowByteCount)),
                            (
                                "nanoseconds",
                                .object(zip(levels, row.nanoseconds).map { ($0.name, .number($1)) })
                            ),
                            ("gb_per_second", .object(zip(levels, row.rates).map { ($0.name, .number($1)) })),
                        ])
                    }
                )
            ),
        ]).document
    }
}
