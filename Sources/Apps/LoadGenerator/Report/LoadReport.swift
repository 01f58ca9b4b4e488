package import MienClient

/// Everything that a load came to: what it did, on what, how it went, and whether the answers were true.
///
/// Its JSON is described in `docs/operations/load-testing.md`; ``format`` rises when a reader of an older one would
/// misunderstand it.
package struct LoadReport: Sendable, Equatable, Codable {
    package static let currentFormat = 1

    package var format = currentFormat
    package var command: String
    /// When the load began, its warm-up included, to the millisecond: the series' first window. RFC 3339, UTC.
    package var startedAt: String
    package var version: String
    package var machine: Machine
    package var cluster: Cluster
    package var load: Load
    package var fill: Fill?
    package var ramp: Ramp?
    /// Of the measured time, without the warm-up.
    package var totals: [LoadOperation: CallFigures]
    /// Of the whole load, its warm-up included; how these calls ended is among all others'. Nil in a report of a
    /// program that did not count them.
    package var resends: MienClient.Resends?
    /// Of them, those of writes. Nil in a report of a program that did not count them apart.
    package var writeResends: MienClient.Resends?
    /// How late calls began, against their intended times.
    package var pacing: LatencyHistogram
    package var series: LoadSeries
    package var faults: [Fault]
    package var truth: TruthReport
    /// An objective that was given, and whether the whole load met it.
    package var objective: String?
    package var objectiveIsMet: Bool?

    /// The machine that made the load; a cluster that the load started ran on it too.
    package struct Machine: Sendable, Equatable, Codable {
        package var processor: String
        package var processorCount: Int
        package var memoryBytes: UInt64
        package var system: String

        package init(processor: String, processorCount: Int, memoryBytes: UInt64, system: String) {
            self.processor = processor
            self.processorCount = processorCount
            self.memoryBytes = memoryBytes
            self.system = system
        }
    }

    package struct Cluster: Sendable, Equatable, Codable {
        package struct Worker: Sendable, Equatable, Codable {
            package var address: String
            package var faceCount: UInt64
            package var kernels: String

            package init(address: String, faceCount: UInt64, kernels: String) {
                self.address = address
                self.faceCount = faceCount
                self.kernels = kernels
            }
        }

        package var version: String
        /// Whether the load started it, and stopped it again.
        package var isOwn: Bool
        package var workers: [Worker]
        package var collection: String
        package var dimension: Int
        package var shardCount: Int
        package var replicationFactor: Int
        /// Before the load.
        package var faceCount: Int
        /// Such as `512 lists`.
        package var index: String

        package init(
            version: String,
            isOwn: Bool,
            workers: [Worker],
            collection: String,
            dimension: Int,
            shardCount: Int,
            replicationFactor: Int,
            faceCount: Int,
            index: String
        ) {
            self.version = version
            self.isOwn = isOwn
            self.workers = workers
            self.collection = collection
            self.dimension = dimension
            self.shardCount = shardCount
            self.replicationFactor = replicationFactor
            self.faceCount = faceCount
            self.index = index
        }
    }

    /// What was asked for.
    package struct Load: Sendable, Equatable, Codable {
        /// Intended calls a second, frames of streams not among them; nil for a closed loop.
        package var ratePerSecond: Double?
        package var process: ArrivalProcess?
        /// Of a closed loop.
        package var callerCount: Int?
        package var mix: String
        package var streams: String?
        package var durationSeconds: Double
        package var warmUpSeconds: Double
        package var effort: String
        package var matchLimit: Int
        package var leastCoverage: Double?
        package var timeoutSeconds: Double
        package var retrySeconds: Double
        package var connectionCount: Int
        package var inFlightLimit: Int
        package var processCount: Int
        package var seed: UInt64

        package init(plan: LoadPlan, timeoutSeconds: Double, retrySeconds: Double, connectionCount: Int) {
            switch plan.arrivals {
            case .open(let rate, let process):
                ratePerSecond = rate
                self.process = process
            case .closed(let count): callerCount = count
            }
            mix = plan.mix.description
            streams = plan.streams?.description
            durationSeconds = plan.duration / .seconds(1)
            warmUpSeconds = plan.warmUp / .seconds(1)
            effort = plan.options.effort.description
            matchLimit = plan.options.matchLimit
            if case .atLeast(let share) = plan.options.coverage { leastCoverage = share }
            self.timeoutSeconds = timeoutSeconds
            self.retrySeconds = retrySeconds
            self.connectionCount = connectionCount
            inFlightLimit = plan.inFlightLimit
            processCount = 1
            seed = plan.seed
        }

        /// Such as `open loop, 2000 calls/s, poisson`.
        package var arrivals: String {
            if let callerCount { return "closed loop, \(callerCount) callers" }
            let rate = ratePerSecond.map { FigureText.rate($0) } ?? "?"
            return "open loop, \(rate), \(process?.rawValue ?? "?") arrivals"
        }
    }

    package struct Fill: Sendable, Equatable, Codable {
        package var faceCount: Int
        package var sentCount: Int
        package var seconds: Double

        package init(_ tally: FillTally) {
            faceCount = tally.faceCount
            sentCount = tally.sentCount
            seconds = tally.elapsed / .seconds(1)
        }
    }

    package struct Ramp: Sendable, Equatable, Codable {
        package struct Step: Sendable, Equatable, Codable {
            package var ratePerSecond: Double
            /// Answered in full, a second.
            package var answeredPerSecond: Double
            package var p50: UInt64
            /// At the percentile of the objective, in microseconds, as ``p50``: of answered calls, while the objective
            /// is held against all of them.
            package var atObjective: UInt64
            package var errorShare: Double
            package var isMet: Bool

            /// The step in one line.
            package func line(objective: LatencyObjective) -> String {
                "\(FigureText.rate(ratePerSecond)): answered \(FigureText.rate(answeredPerSecond)), "
                    + "p50 \(FigureText.time(p50)), p\(FigureText.plain(objective.percent)) "
                    + "\(FigureText.time(atObjective)), \(FigureText.share(errorShare)) failed: "
                    + (isMet ? "met" : "not met")
            }
        }

        package var objective: String
        package var limitMicroseconds: Double
        package var steps: [Step]
        /// Highest rate that met the objective; nil when none did.
        package var foundRatePerSecond: Double?

        package init(_ objective: LatencyObjective) {
            self.objective = objective.description
            limitMicroseconds = objective.limit / .microseconds(1)
            steps = []
        }

        /// Adds a step that was made.
        package mutating func append(
            _ plan: LoadPlan,
            rate: Double,
            _ figures: CallFigures,
            objective: LatencyObjective,
            isMet: Bool
        ) {
            steps.append(
                Step(
                    ratePerSecond: rate,
                    answeredPerSecond: Double(figures.okCount) / (plan.duration / .seconds(1)),
                    p50: figures.times.percentile(50),
                    atObjective: figures.times.percentile(objective.percent),
                    errorShare: figures.errorShare,
                    isMet: isMet
                )
            )
        }
    }

    /// Something done to a node, from when it was done until the node served again.
    package struct Fault: Sendable, Equatable, Codable {
        /// Such as `worker 2 killed`.
        package var what: String
        package var fromSeconds: Double
        package var toSeconds: Double

        package init(what: String, fromSeconds: Double, toSeconds: Double) {
            self.what = what
            self.fromSeconds = fromSeconds
            self.toSeconds = toSeconds
        }
    }

    package init(
        command: String,
        startedAt: String,
        version: String,
        machine: Machine,
        cluster: Cluster,
        load: Load,
        figures: LoadFigures,
        resends: MienClient.Resends?,
        writeResends: MienClient.Resends?,
        truth: TruthReport,
        faults: [Fault] = []
    ) {
        self.command = command
        self.startedAt = startedAt
        self.version = version
        self.machine = machine
        self.cluster = cluster
        self.load = load
        self.truth = truth
        self.faults = faults
        totals = figures.totals
        self.resends = resends
        self.writeResends = writeResends
        pacing = figures.pacing
        series = figures.series
    }

    /// All operations of the measured time together.
    package var all: CallFigures { totals.values.reduce(into: CallFigures()) { $0.add($1) } }

    /// What is known of the answers, the worst first.
    package enum Verdict: Sendable {
        /// Something that is not so was seen.
        case untrue
        /// There were no answers, or none to a search though some were made: nothing is known.
        case unanswered
        /// Nothing untrue was seen, and not all was checked.
        case unchecked
        /// All was checked that was to be.
        case sound
    }

    package var verdict: Verdict {
        if !truth.findings.isClean { return .untrue }
        if hasNoAnswer { return .unanswered }
        return truth.isClean ? .sound : .unchecked
    }

    private var hasNoAnswer: Bool {
        guard truth.checkedAnswerCount == 0 else { return false }
        let searches = totals.filter { !$0.key.isWrite }
        return all.times.isEmpty || searches.values.contains { $0.count > 0 }
    }

    /// Calls that were answered in full, a second of the measured time.
    package var answeredPerSecond: Double { Double(all.okCount) / max(load.durationSeconds, 1e-9) }
}
