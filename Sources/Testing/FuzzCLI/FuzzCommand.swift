import ArgumentParser
import DecoderFuzzing
import Glibc

/// Runs Mien's decoders under libFuzzer, which changes sound bytes and keeps what takes a branch that nothing took.
@main
struct FuzzCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mien-fuzz",
        abstract: "Run Mien's decoders under libFuzzer.",
        discussion: "deploy/fuzz builds this and runs every target.",
        subcommands: [List.self, Seeds.self, Run.self]
    )
}

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the names of the targets.")

    func run() {
        for target in FuzzTarget.all { print(target.name) }
    }
}

struct Seeds: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Write the sound inputs of a target.")

    @Argument(help: "The target.")
    var target: String

    @Argument(help: "A folder that exists; one file for each input.")
    var folder: String

    func run() throws {
        for (number, seed) in try fuzzTarget(named: target).seeds().enumerated() {
            let path = "\(folder)/sound-\(number)"
            guard let file = unsafe fopen(path, "w") else {
                throw ValidationError("\(path) cannot be written: errno \(errno)")
            }
            let count = unsafe fwrite(seed, 1, seed.count, file)
            guard unsafe fclose(file) == 0, count == seed.count else {
                throw ValidationError("\(path) was not written whole: errno \(errno)")
            }
        }
    }
}

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run libFuzzer on a target.",
        discussion: """
            Arguments after the target are libFuzzer's: -help=1 lists its options; a folder is a corpus, and a file is \
            one input, which is given to the target once.
            """
    )

    @Argument(parsing: .captureForPassthrough, help: "The target, then libFuzzer's arguments.")
    var arguments: [String]

    func run() throws {
        guard let name = arguments.first else { throw ValidationError("no target; mien-fuzz list names them") }
        throw ExitCode(Fuzzer.run(try fuzzTarget(named: name), arguments: Array(arguments.dropFirst())))
    }
}

private func fuzzTarget(named name: String) throws -> FuzzTarget {
    guard let target = FuzzTarget.named(name) else {
        let names = FuzzTarget.all.map(\.name).joined(separator: ", ")
        throw ValidationError("there is no target '\(name)', but \(names)")
    }
    return target
}
