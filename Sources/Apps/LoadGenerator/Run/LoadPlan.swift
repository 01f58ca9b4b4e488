package import MienClient

/// What a load does, for how long, and how hard.
package struct LoadPlan: Sendable {
    package enum Arrivals: Sendable {
        /// Calls begin at their times, whatever became of the earlier ones.
        case open(ratePerSecond: Double, ArrivalProcess)
        /// So many callers, each of whom calls again when it has its answer; latency then hides what a slow cluster
        /// keeps from being asked.
        case closed(callerCount: Int)
    }

    package var arrivals: Arrivals
    package var mix: LoadMix
    package var streams: VideoStreams?
    /// Measured time.
    package var duration: Duration
    /// Time before it whose figures are shown, and not counted.
    package var warmUp: Duration
    package var options: SearchOptions
    /// Calls that may be under way; what comes beyond is not sent, and counts as failed.
    package var inFlightLimit: Int
    package var seed: UInt64
    /// Which part of the faces to write this process has, of how many.
    package var part = 0
    package var partCount = 1
    /// Whether nobody else writes to the collection, so that its number of faces is known.
    package var isAlone = true
    /// Answers that are kept to be compared with exact searches at the end.
    package var comparedAnswerLimit = 300

    package init(
        arrivals: Arrivals,
        mix: LoadMix,
        duration: Duration,
        warmUp: Duration,
        options: SearchOptions,
        inFlightLimit: Int,
        seed: UInt64
    ) {
        self.arrivals = arrivals
        self.mix = mix
        self.duration = duration
        self.warmUp = warmUp
        self.options = options
        self.inFlightLimit = inFlightLimit
        self.seed = seed
    }

    package var totalDuration: Duration { warmUp + duration }

    /// Of the windows of the series: a second, longer when the load is very long.
    package var window: Duration { max(.seconds(1), .seconds(((totalDuration / .seconds(1)) / 900).rounded(.up))) }
}
