import VectorMath

/// The calls of an open-loop load in order of their times: those of the mix, and the frames of streams.
struct ArrivalQueue {
    /// One call that is to begin at a time.
    struct Arrival: Sendable {
        var at: Duration
        var operation: LoadOperation
        /// Probes, or faces to write.
        var count: Int
        /// The stream of a frame.
        var stream = 0
        /// For the choices that the call makes.
        var random: SplitMix64
    }

    private let mix: LoadMix
    private let streams: VideoStreams?
    private var random: SplitMix64
    private var schedule: ArrivalSchedule
    private var frames: [ArrivalSchedule]
    private var nextCall: Duration
    private var nextFrames: [Duration]

    init(_ plan: LoadPlan, ratePerSecond: Double, process: ArrivalProcess) {
        mix = plan.mix
        streams = plan.streams
        random = SplitMix64(seed: plan.seed)
        schedule = ArrivalSchedule(
            ratePerSecond: ratePerSecond,
            process: process,
            seed: random.next(),
            // The parts of a load take turns.
            phase: Double(plan.part) / Double(plan.partCount)
        )
        let (streams, count) = (plan.streams, plan.streams?.count ?? 0)
        // Cameras are not in step.
        frames = (0..<count).map { stream in
            ArrivalSchedule(
                ratePerSecond: streams?.framesPerSecond ?? 1,
                process: .constant,
                seed: 0,
                phase: Double(stream) / Double(count)
            )
        }
        nextCall = schedule.next()
        nextFrames = []
        for stream in frames.indices { nextFrames.append(frames[stream].next()) }
    }

    /// Time of the next call.
    var next: Duration { min(nextCall, nextFrames.min() ?? nextCall) }

    mutating func take() -> Arrival {
        if let stream = nextFrames.indices.min(by: { nextFrames[$0] < nextFrames[$1] }),
            nextFrames[stream] < nextCall
        {
            let at = nextFrames[stream]
            nextFrames[stream] = frames[stream].next()
            return Arrival(
                at: at,
                operation: .frame,
                count: streams?.faceCount ?? 1,
                stream: stream,
                random: SplitMix64(seed: random.next())
            )
        }
        let at = nextCall
        nextCall = schedule.next()
        return Self.arrival(of: mix, at: at, &random)
    }

    /// A call of the mix, chosen by chance.
    static func arrival(of mix: LoadMix, at: Duration, _ random: inout SplitMix64) -> Arrival {
        let item = mix.item(at: random.uniform())
        return Arrival(at: at, operation: item.operation, count: item.count, random: SplitMix64(seed: random.next()))
    }
}

extension SplitMix64 {
    /// A number of 0 ..< 1.
    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
}
