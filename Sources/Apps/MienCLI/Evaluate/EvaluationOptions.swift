import ArgumentParser
import MienClient

/// What both evaluations ask.
struct EvaluationOptions: ParsableArguments {
    static let defaultEfforts: [SearchOptions.Effort] = [
        .recall(0.9), .recall(0.95), .recall(0.99), .recall(0.998), .full,
    ]

    @Option(
        name: .customLong("effort"),
        help: ArgumentHelp(
            "Effort to evaluate beside exact; may be repeated. Otherwise "
                + defaultEfforts.map(\.description).joined(separator: ", ") + ".",
            valueName: "effort"
        ),
        transform: ArgumentText.effort
    )
    var chosenEfforts: [SearchOptions.Effort] = []
    @Option(name: [.customShort("k"), .customLong("matches")], help: "Matches of each search, the list length L.")
    var matchLimit = 10
    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Time single-probe searches with this many matches as well, such as 1 and 50; may be repeated.",
            valueName: "matches"
        )
    )
    var alsoTimeK: [Int] = []
    @Option(help: "Probes of one photo.")
    var photo = 100
    @Option(help: "Single-probe searches timed for each effort.")
    var singles = 100

    func validate() throws {
        guard (1...1000).contains(matchLimit) else { throw ValidationError("-k must be from 1 to 1000.") }
        guard alsoTimeK.allSatisfy((1...1000).contains) else {
            throw ValidationError("--also-time-k must be from 1 to 1000.")
        }
        guard (1...1000).contains(photo) else { throw ValidationError("--photo must be from 1 to 1000.") }
        guard (1...100_000).contains(singles) else { throw ValidationError("--singles must be from 1 to 100000.") }
    }

    /// What the times are of, as a sentence below them.
    ///
    /// - Parameter probeCount: of the whole evaluation.
    func timesNote(probeCount: Int) -> String {
        let photoCount = (probeCount + photo - 1) / photo
        let kindCount = efforts.count * (1 + otherLimits.count)
        // With fewer of them, some that follow each other ask the same.
        let areApart = photoCount >= 2 * efforts.count && min(probeCount, singles) >= 2 * kindCount
        return "Times are medians of single calls, seen by the caller. Efforts follow each other by chance"
            + (areApart ? ", each with another photo or probe than the one before." : ".")
    }

    /// Other list lengths that searches are timed with, each once, ascending.
    var otherLimits: [Int] { Set(alsoTimeK).subtracting([matchLimit]).sorted() }

    /// For a report: what was typed.
    static var commandLine: String { (["mien"] + CommandLine.arguments.dropFirst()).joined(separator: " ") }

    /// Exact search first, every other once.
    var efforts: [SearchOptions.Effort] {
        var efforts: [SearchOptions.Effort] = [.exact]
        for effort in chosenEfforts.isEmpty ? Self.defaultEfforts : chosenEfforts where !efforts.contains(effort) {
            efforts.append(effort)
        }
        return efforts
    }
}
