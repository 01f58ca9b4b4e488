import Foundation
import Testing
import mien

/// Every command, with sound command lines that are changed a little: each is read, or refused with 64 and a sentence
/// that says what of it is wrong. A trap ends the process.
@Suite struct CommandLineMutationTests {
    /// `MIEN_TEST_SEED` repeats a failure or varies what is drawn.
    private static let seed = ProcessInfo.processInfo.environment["MIEN_TEST_SEED"].flatMap { UInt64($0) } ?? 20_261_130
    /// Mutations of each command; `MIEN_MUTATIONS` for as many of all of them together.
    private static let mutationCount =
        ProcessInfo.processInfo.environment["MIEN_MUTATIONS"].flatMap { Int($0) }
        .map { max(1, $0 / CommandOutline.all.count) } ?? 40

    @Test(arguments: CommandOutline.all.map(\.words))
    func aChangedCommandLineIsReadOrRefusedWithTheReason(words: [String]) throws {
        let outlines = CommandOutline.all.filter { $0.words.starts(with: words) }
        let lines = SoundCommandLines.lines(of: words)
        let groupsOthers = try #require(outlines.first).groupsOthers
        #expect(groupsOthers || !lines.isEmpty, "mien \(words.joined(separator: " ")) has no sound command line")
        for line in lines { #expect(CommandReading(line) == .accepted, "\(line)") }
        guard !lines.isEmpty else { return }
        let names = ArgumentNames(outlines)
        var mutator = CommandLineMutator(seed: Self.seed)
        for number in 0..<Self.mutationCount {
            let line = lines[number % lines.count]
            let mutation = mutator.mutation(of: line, nameCount: words.count, options: names.options)
            guard case .refused(let status, let message) = CommandReading(mutation) else { continue }
            let isTold = status == 64 && !message.isEmpty && !message.contains("Internal error")
            guard isTold, names.areTold(in: message, arguments: mutation) else {
                let shown = mutation.map { $0.prefix(100) }
                Issue.record("\(shown) ends with \(status): \(message.prefix(500)); MIEN_TEST_SEED=\(Self.seed)")
                continue
            }
        }
    }

    /// Most of them ended the program by a trap, at once or at the end of a load; others made a report that nobody can
    /// read again, were asked of a cluster that could only refuse them, or were refused without saying what was meant.
    @Test(
        arguments: [
            (
                ["load", "people", "--rate", "5", "--check-limit", "9223372036854775807"],
                "--check-limit must be from 0 to"
            ),
            (["load", "people", "--rate", "5", "--warm-up", "999999999h"], "--warm-up must be at most 168h."),
            (
                ["load", "people", "--rate", "5", "--deadline", "999999999h"],
                "--deadline must be more than nothing and at"
            ),
            (["load", "people", "--rate", "5", "--retry", "25h"], "--retry must be at most 24h."),
            (["load", "people", "--rate", "5", "--mix", "enrol:1000=1e306"], "'1e306' is no weight for enrol:1000"),
            (
                ["load", "people", "--rate", "5", "--streams", "track=0.000000000000000001s"],
                "rack must be at least 1ms"
            ),
            (["load", "people", "--ramp", "from=5e-324", "--objective", "p99 <= 1s"], "rom must be at least 0.001"),
            (
                ["load", "people", "--ramp", "from=5", "--objective", "p99 <= 1s", "--rate", "1e-323%"],
                "'1e-323%' is no share of a found rate"
            ),
            (["load", "people", "--rate", "5", "--parts", "9223372036854775807"], "There is no such part."),
            (
                ["load", "people", "--rate", "5", "--cluster", "workers=2", "--fault", "at 1s kill worker 1"],
                "--fault cannot be played: worker 1 would be down at the end"
            ),
            (
                ["evaluate", "growth", "t", "--gallery", "g", "--faces", "9", "--within", "inf"],
                "--within must be above 0"
            ),
            (
                ["evaluate", "growth", "t", "--gallery", "g", "--faces", "9", "--within", "1e99"],
                "--within must be above 0"
            ),
            (["bench", "codes", "--plan", "9223372036854775807,1"], "'9223372036854775807,1' is no plan"),
            (["bench", "codes", "--lists", "9223372036854775807"], "--lists 1 to 1000000."),
            (["bench", "index", "gallery", "--lists", "4294967296"], "--lists 0 to 1000000"),
            (["bench", "lists", "--lists", "4294967296"], "--lists 0 or 2 to 1000000."),
            (["bench", "spectrum", "gallery", "--faces", "9223372036854775807"], "--faces must be 1 to 100000000"),
            (["bench", "abandon", "--rounds", "9223372036854775807"], "--rounds 1 to 1000."),
            (
                ["collection", "create", "people", "--dimension", "512", "--model", "m", "--copies", "8"],
                "--copies must be from 1 to 7."
            ),
            (["collection", "copies", "people", "--copies=-1"], "--copies must be from 1 to 7."),
            (
                ["collection", "copies", "people", "--copies", "3", "--min-copies", "4"],
                "--min-copies must be from 1 to the 3 there are."
            ),
        ] as [([String], String)]
    )
    func numbersThatNoRunBearsAreRefused(_ arguments: [String], _ sentence: String) {
        guard case .refused(let status, let message) = CommandReading(arguments) else {
            Issue.record("\(arguments) is accepted")
            return
        }
        #expect(status == 64)
        #expect(message.contains(sentence), "\(message)")
    }
}

/// What the options and arguments of commands are called.
private struct ArgumentNames {
    /// With their dashes.
    let options: [String]
    /// Placeholders, without brackets.
    private let places: [String]

    init(_ outlines: [CommandOutline]) {
        options = Set(outlines.flatMap { Self.options(in: $0.help) }).sorted()
        places = outlines.flatMap { $0.help.matches(of: /<([^<> ]+)>/).map { String($0.output.1) } }
    }

    private static func options(in text: String) -> [String] {
        text.split { !($0.isLetter || $0.isNumber || $0 == "-") }
            .filter { $0.hasPrefix("-") && $0.contains(where: \.isLetter) }.map(String.init)
    }

    /// Whether a sentence says what of a command line is meant: by the name of an option, by the place of an argument,
    /// by quoting a part of it, or in words of such a name.
    func areTold(in message: String, arguments: [String]) -> Bool {
        let given = arguments.filter { $0.hasPrefix("-") }.flatMap { Self.options(in: String($0.prefix { $0 != "=" })) }
        if !Set(Self.options(in: message)).isDisjoint(with: options + given) { return true }
        if message.contains(/<[^<> ]+>/) { return true }
        for quotation in message.matches(of: /'([^']*)'/) {
            let quoted = quotation.output.1.drop { $0 == "-" }
            if quoted.isEmpty || arguments.contains(where: { $0.contains(quoted) }) { return true }
        }
        // What has three dashes is not quoted.
        if arguments.contains(where: { $0.hasPrefix("-") && message.hasSuffix($0) }) { return true }
        var stems = Set((given + places).flatMap(Self.stems))
        // The number of matches is `k` in every sentence.
        if given.contains("--matches") { stems.insert("k") }
        return message.lowercased().split { !$0.isLetter }.contains { word in
            stems.contains { $0.count == 1 ? word == $0 : word.hasPrefix($0) }
        }
    }

    /// The longer words of a name, singular.
    private static func stems(_ name: String) -> [String] {
        let words = name.lowercased().split { !$0.isLetter }
        return words.filter { $0.count >= 4 || $0 == "k" }.map { String($0.last == "s" ? $0.dropLast() : $0) }
    }
}
