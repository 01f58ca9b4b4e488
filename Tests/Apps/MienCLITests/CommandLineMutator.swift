import VectorMath

/// Changes command lines a little, as slips and malice do: one seed, one row of changes.
struct CommandLineMutator {
    /// At the edges of what options take, and beyond.
    private static let numbers: [String] = [
        "", "-", "-1", "0", "-0", "1", "00007", "1_000", "0x10", "٣", "½", "0.1", ".", "1e3", "1e400", "-1e400",
        "1e-400", "5e-324", "1e308", "nan", "-nan", "inf", "-inf", "2147483648", "4294967295", "4294967296",
        "1099511627776", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615",
        "18446744073709551616", "340282366920938463463374607431768211456", String(repeating: "9", count: 400),
    ]
    private static let words: [String] = [
        " ", "--", "---", "--=", "-=x", "=", "a=", "=b", "a=b=c", ",", ":", "::", "@", "@7", "it's", "\"", "\\", "\n",
        "\t", "\u{1}\u{7F}", "e\u{301}", "-\u{301}", "🙂", "\u{202E}people", "\u{FEFF}", "/dev/null", "../..", "system",
        "0s", "999999999h", "0.000000000000000001s", "0.0000000000000001ms", "1e9s", "-5s", "5 s",
        "0%", "1e-323%", "201%", "nan%", "0KiB", "8589934592GiB", "9223372036854775807GiB", "64MB", "1000001d", "-1d",
        "127.0.0.1:0", "127.0.0.1:65536", "[::1", "[::1]:7400", "host:", ":7400", "a:b:c", "0b9f2c1e",
        "0b9f2c1e-6d3a-8c41-9a54-3f0c3b7e2d1", "00000000-0000-0000-0000-000000000000", "2026-02-30", "9999-12-31",
        "0000-01-01T00:00:00+23:59", "2026-01-31T09:30:60.123456789-23:59", "lists:9223372036854775807",
        "lists:9223372036854775808", "recall:nan", "recall:", "9223372036854775807,1", "4,4,4,4",
        "4294967295:18446744073709551615", "4294967296:1", "w@18446744073709551615", "from=5e-324,each=999999999h",
        "enrol:1000=1e306,search=1e308", "fps=5e-324,track=0.000000000000000001s", "workers=64,workers=64",
        "p100 <= 999999999h, errors <= 1e-320%", "pnan <= 1s", "at 0s kill worker 9223372036854775807",
        "at 1s stop coordinator for 999999999h", String(repeating: ",", count: 500),
        String(repeating: "a", count: 5000),
    ]

    private var random: SplitMix64

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
    }

    /// One to four changes of a command line.
    ///
    /// - Parameters:
    ///   - nameCount: words at its beginning that name the command; they are seldom changed.
    ///   - options: of the command; some may be added.
    mutating func mutation(of arguments: [String], nameCount: Int, options: [String]) -> [String] {
        var arguments = arguments
        let first = Int.random(in: 0..<8, using: &random) == 0 ? 0 : nameCount
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            change(&arguments, from: min(first, arguments.count), options)
        }
        return arguments
    }

    private mutating func change(_ arguments: inout [String], from first: Int, _ options: [String]) {
        let kind = Int.random(in: 0..<12, using: &random)
        guard first < arguments.count, kind > 3 else { return add(to: &arguments, from: first, options) }
        let place = Int.random(in: first..<arguments.count, using: &random)
        switch kind {
        case 4: arguments.remove(at: place)
        case 5: arguments.insert(arguments[place], at: place)
        case 6: arguments.swapAt(place, Int.random(in: first..<arguments.count, using: &random))
        case 7: arguments.removeSubrange(place...)
        case 8: arguments[place] = String(arguments[place].prefix(Int.random(in: 0..<8, using: &random)))
        case 9, 10: arguments[place] = withAnotherNumber(arguments[place])
        default: arguments[place] = word()
        }
    }

    private mutating func add(to arguments: inout [String], from first: Int, _ options: [String]) {
        let place = Int.random(in: first...arguments.count, using: &random)
        let word = word()
        let option = options.randomElement(using: &random) ?? "--json"
        switch Int.random(in: 0..<4, using: &random) {
        case 0: arguments.insert(word, at: place)
        case 1: arguments.insert(contentsOf: [option, word], at: place)
        // Joined to its name, what begins with a dash is a value as well.
        default: arguments.insert("\(option)=\(word)", at: place)
        }
    }

    private mutating func withAnotherNumber(_ text: String) -> String {
        var text = text
        guard let place = text.ranges(of: /[0-9]+(\.[0-9]+)?/).randomElement(using: &random) else { return word() }
        text.replaceSubrange(place, with: Self.numbers.randomElement(using: &random) ?? "")
        return text
    }

    private mutating func word() -> String {
        let words = Bool.random(using: &random) ? Self.numbers : Self.words
        return words.randomElement(using: &random) ?? ""
    }
}
