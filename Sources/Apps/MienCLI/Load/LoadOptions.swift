import ArgumentParser
import LoadGenerator
import MienClient

/// What calls a load makes, when, and how they are judged.
struct LoadOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Calls a second, begun at their times whatever became of earlier ones; or a share, such as 70%, of "
                + "the rate that --ramp finds.",
            valueName: "rate"
        ),
        transform: LoadArgument.rate
    )
    var rate: LoadArgument.Rate?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Instead of a rate: so many callers, each of whom waits for its answer and calls again.",
            valueName: "callers"
        )
    )
    var closed: Int?
    @Option(help: "How calls lie in time: poisson (unless given) or constant.", transform: LoadArgument.arrivals)
    var arrivals = ArrivalProcess.poisson
    @Option(help: ArgumentHelp("Measured time; 30s unless given.", valueName: "time"), transform: LoadArgument.duration)
    var duration = Duration.seconds(30)
    @Option(
        help: ArgumentHelp("Time before it, shown and not counted; 3s unless given, at most 168h.", valueName: "time"),
        transform: LoadArgument.duration
    )
    var warmUp = Duration.seconds(3)
    @Option(
        help: ArgumentHelp(
            "Calls and their weights: search, photo:N, by-face, enrol:N, upsert:N, delete:N. \(LoadMix.example)",
            valueName: "calls"
        ),
        transform: LoadArgument.mix
    )
    var mix: LoadMix?
    @Option(
        help: ArgumentHelp("Video streams besides: \(VideoStreams.example)", valueName: "streams"),
        transform: LoadArgument.streams
    )
    var streams: VideoStreams?
    @Option(
        help: ArgumentHelp(
            "Find the highest rate that meets the objective, in steps: \(RampPlanner.example)",
            valueName: "steps"
        ),
        transform: LoadArgument.ramp
    )
    var ramp: RampPlanner?
    @Option(
        help: ArgumentHelp("What must be kept to: '\(LatencyObjective.example)'", valueName: "objective"),
        transform: LoadArgument.objective
    )
    var objective: LatencyObjective?

    @Option(
        name: [.customShort("k"), .customLong("matches")],
        parsing: .unconditional,
        help: "Matches for each probe."
    )
    var matchLimit = 10
    @Option(
        help: ArgumentHelp(
            "How much a search visits: exact, full, lists:N or recall:R; recall:0.99 unless given.",
            valueName: "effort"
        ),
        transform: ArgumentText.effort
    )
    var effort = SearchOptions.Effort.recall(0.99)
    @Option(
        name: .customLong("min-coverage"),
        parsing: .unconditional,
        help: "Take answers that cover at least this share (0 to 1) of the faces."
    )
    var minimumCoverage: Double?
    @Option(
        help: ArgumentHelp(
            "Longest time of one call, 2s unless given, at most 24h; what takes longer failed.",
            valueName: "time"
        ),
        transform: LoadArgument.duration
    )
    var deadline = Duration.seconds(2)
    @Option(
        help: ArgumentHelp(
            "How long calls that fail for a passing reason are sent again, at most 24h; not at all unless given.",
            valueName: "time"
        ),
        transform: LoadArgument.duration
    )
    var retry = Duration.zero
    @Option(parsing: .unconditional, help: "Connections; calls take turns on them.")
    var connections = 8
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Calls under way at once; what comes beyond is not sent, and failed.", valueName: "count")
    )
    var maxInFlight = 2000
    @Option(parsing: .unconditional, help: "Different probes, made beforehand and used again and again.")
    var probes = 4096
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Answers, evenly from all, that are compared with exact searches at the end.",
            valueName: "count"
        )
    )
    var compare = 300

    func validate() throws {
        guard rate == nil || closed == nil else { throw ValidationError("Give either --rate or --closed.") }
        if case .shareOfFound? = rate, ramp == nil {
            throw ValidationError("A --rate in percent needs --ramp, which finds what it is a share of.")
        }
        guard ramp == nil || objective != nil else { throw ValidationError("--ramp needs --objective.") }
        if let closed, !(1...10_000).contains(closed) { throw ValidationError("--closed must be from 1 to 10000.") }
        guard duration >= .seconds(1), duration <= .seconds(86_400 * 7) else {
            throw ValidationError("--duration must be from 1s to 168h.")
        }
        guard warmUp <= .seconds(86_400 * 7) else { throw ValidationError("--warm-up must be at most 168h.") }
        guard deadline > .zero, deadline <= .seconds(86_400) else {
            throw ValidationError("--deadline must be more than nothing and at most 24h.")
        }
        guard retry <= .seconds(86_400) else { throw ValidationError("--retry must be at most 24h.") }
        guard (1...256).contains(connections) else { throw ValidationError("--connections must be from 1 to 256.") }
        guard (1...100_000).contains(maxInFlight) else {
            throw ValidationError("--max-in-flight must be from 1 to 100000.")
        }
        guard (100...1_000_000).contains(probes) else { throw ValidationError("--probes must be from 100 to 1000000.") }
        guard (0...1_000_000).contains(compare) else { throw ValidationError("--compare must be from 0 to 1000000.") }
        if let problem = searchOptions.problem { throw ValidationError("The searches cannot be done: \(problem).") }
    }

    var searchOptions: SearchOptions {
        SearchOptions(
            matchLimit: matchLimit,
            effort: effort,
            coverage: minimumCoverage.map { .atLeast($0) } ?? .full
        )
    }

    /// Whether there is a load to make.
    var isAsked: Bool { rate != nil || closed != nil || ramp != nil }

    func plan(arrivals: LoadPlan.Arrivals, duration: Duration, warmUp: Duration, seed: UInt64) -> LoadPlan {
        var plan = LoadPlan(
            arrivals: arrivals,
            mix: mix ?? Self.defaultMix,
            duration: duration,
            warmUp: warmUp,
            options: searchOptions,
            inFlightLimit: maxInFlight,
            seed: seed
        )
        plan.streams = streams
        plan.comparedAnswerLimit = compare
        return plan
    }

    private static let defaultMix = LoadMix.searches

    /// Images that the writes of a load at a rate may take, with some to spare.
    func imageCount(ratePerSecond: Double, time: Duration) -> Int {
        let seconds = time / .seconds(1)
        let expected = (mix ?? Self.defaultMix).imagesPerCall * ratePerSecond * seconds
        return expected == 0 ? 0 : Int(expected * 1.5) + 4096
    }
}
