import ArgumentParser
import ClusterSimulator
import Glibc
import ShardReplication
import Synchronization
import Threads

/// Runs the replication of shards under simulated faults, seed after seed.
@main
struct SimulatorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mien-simulator",
        abstract: "Run shard replication under simulated faults, seed after seed.",
        discussion: """
            Each seed is one cluster of one shard or two: workers, disks, clocks, a network, controllers and clients. \
            The same seed gives the same run. The command ends with status 1 when a promise was broken, and prints the \
            shrunk run.
            """,
        subcommands: [Run.self, Matrix.self, Planted.self, Replay.self],
        defaultSubcommand: Run.self
    )
}

/// Seeds given on the command line.
struct SeedOptions: ParsableArguments {
    @Option(help: "First seed.")
    var seed: UInt64 = 1

    @Option(help: "Number of seeds.")
    var seeds: UInt64 = 1000

    @Option(help: "Threads that run seeds.")
    var threads = 2

    mutating func validate() throws {
        guard seeds > 0, threads > 0, threads <= 256 else {
            throw ValidationError("seeds and threads must be positive")
        }
    }
}

/// What runs are like, given on the command line.
struct CourseOptions: ParsableArguments {
    @Option(help: "What faults are aimed at: \(SimulationCourse.Aim.allCases.map(\.rawValue).joined(separator: ", ")).")
    var aim = SimulationCourse.Aim.anything

    @Flag(help: "No disk goes back to an earlier state, and no replica looks whether one did.")
    var trustDisks = false

    var course: SimulationCourse { SimulationCourse(aim: aim, trustsDisks: trustDisks) }
}

extension SimulationCourse.Aim: ExpressibleByArgument {}

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run seeds and report what they saw.")

    @OptionGroup var options: SeedOptions
    @OptionGroup var course: CourseOptions

    func run() throws {
        let start = ContinuousClock.now
        let course = course.course
        Interruption.listen()
        let sweep = Sweep.run(options, stopsAtFirst: false) { Simulation(seed: $0, course: course) }
        let elapsed = ContinuousClock.now - start
        let counts = sweep.counts
        let end = sweep.runCount < options.seeds ? ", interrupted" : ""
        print("seeds                 from \(options.seed) on, \(sweep.runCount) run\(end)")
        print("time                  \(elapsed)")
        print("events                \(counts.events)")
        print("log entries           \(counts.entries)")
        print("writes acknowledged   \(counts.acknowledged)")
        print("writes refused        \(counts.rejected)")
        print("writes unknown        \(counts.unknown)")
        if counts.routedRounds > 0 {
            print(
                "through coordinators  \(counts.routedRounds) rounds, \(counts.routedAnew) begun anew, "
                    + "\(counts.routedLost) calls died with one"
            )
            print(
                "attempts at shards    \(counts.routedAttempts), stale \(counts.routedStale), "
                    + "overtaken \(counts.routedOvertaken), rests \(counts.restsOrdered)"
            )
            print("called again          \(counts.callsAgain), settled \(counts.settledAgain)")
        }
        print(
            "searches              \(counts.searches), full \(counts.fullSearches), "
                + "in part \(counts.partialSearches), refused \(counts.refusedSearches)"
        )
        print("reads                 \(counts.reads), refused \(counts.refusedReads)")
        print("crashes               \(counts.crashes)")
        for point in CrashPoint.allCases {
            let name = point.rawValue + String(repeating: " ", count: max(1, 20 - point.rawValue.count))
            print("  \(name)\(counts.crashPoints[point, default: 0])")
        }
        print("cut links             \(counts.cuts)")
        print("pauses                \(counts.pauses), and \(counts.controllerPauses) of coordinators")
        print("clocks set            \(counts.leaps)")
        print("disks lost            \(counts.wipes)")
        print("disks put back        \(counts.rollbacks), told \(counts.lossesTold)")
        print("disks full            \(counts.fills), no room for a step \(counts.fullSteps)")
        print("strong reads          \(counts.strongReads), refused \(counts.refusedStrongReads)")
        print("reads, others unheard \(counts.unheardReads), \(counts.unnoticedReads) of what went back")
        print("copies                \(counts.copies)")
        if counts.powerCuts > 0 {
            print("power cuts            \(counts.powerCuts)")
            print(
                "steps failed          \(counts.failedSteps), \(counts.unknownSteps) with something of them there, "
                    + "\(counts.turnedSteps) turned out otherwise"
            )
            print(
                "copies gone on with   \(counts.resumedCopies), \(counts.foundCopies) found by another life, "
                    + "\(counts.tornCopies) not what was sent"
            )
        }
        if counts.lateOrders > 0 { print("orders again, late    \(counts.lateOrders)") }
        print("changes of primary    \(counts.epochs)")
        print(
            "operations            \(counts.operations), \(counts.operationsDone) done, "
                + "\(counts.operationsTakenBack) taken back"
        )
        if counts.damages > 0 { print("damaged replicas        \(counts.damages), made anew \(counts.repairs)") }
        if counts.operationsBegunAlone + counts.pins > 0 {
            print("begun by themselves   \(counts.operationsBegunAlone), pins \(counts.pins)")
        }
        print("shards replaced       \(counts.successions) times")
        print("codebooks recorded    \(counts.codebooks)")
        print("promises broken       \(sweep.failures.count)")
        guard let first = sweep.failures.min(by: { $0.seed < $1.seed }) else { return }
        for failure in sweep.failures.sorted(by: { $0.seed < $1.seed }).prefix(20) {
            print("seed \(failure.seed): \(failure.violation)")
        }
        print(Simulation(seed: first.seed, course: course).command)
        Replay.show(Simulation(seed: first.seed, course: course).shrunk(), lines: 60)
        throw ExitCode.failure
    }
}

struct Planted: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Plant each known bug in turn and tell the seeds that it took to find it.",
        discussion: """
            A bug that is not found by faults at random is looked for with faults that are aimed at something, and \
            then with replicas that trust their disks: the checks for disks that went back repair what some bugs break.
            """
    )

    @OptionGroup var options: SeedOptions

    @Option(help: "Only the bug of this name.")
    var bug: String?

    func run() throws {
        var missed: [String] = []
        let planted =
            PlantedBug.allCases.map { (name: $0.rawValue, bug: $0 as PlantedBug?, fault: nil as WorldFault?) }
            + WorldFault.allCases.map { ($0.rawValue, nil, $0) }
        for plant in planted where bug.map({ $0 == plant.name }) ?? true {
            let name = plant.name + String(repeating: " ", count: max(1, 28 - plant.name.count))
            var isFound = false
            for course in SimulationCourse.all where !isFound && course.aim == plant.fault?.aim ?? course.aim {
                let sweep = Sweep.run(options, stopsAtFirst: true) { seed in
                    plant.fault.map { Simulation.run(seed: seed, course: course, fault: $0) }
                        ?? Simulation(seed: seed, course: course, bug: plant.bug)
                }
                guard let first = sweep.failures.min(by: { $0.seed < $1.seed }) else { continue }
                let promise = first.violation.promise.rawValue
                print("\(name) found after \(sweep.runCount) seeds of \(course): seed \(first.seed), \(promise)")
                isFound = true
            }
            if !isFound {
                print("\(name) NOT FOUND in \(options.seeds) seeds of each course")
                missed.append(plant.name)
            }
        }
        if !missed.isEmpty { throw ExitCode.failure }
    }
}

struct Replay: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run one seed and print what happened.")

    @Argument(help: "The seed.")
    var seed: UInt64

    @OptionGroup var course: CourseOptions

    @Option(help: "A planted bug.")
    var bug: String?

    @Option(help: "Lines of the trace before its end.")
    var lines = 100

    @Flag(help: "Leave out what the broken promise does not need.")
    var shrink = false

    func run() throws {
        if let bug, PlantedBug(rawValue: bug) == nil, WorldFault(rawValue: bug) == nil {
            throw ValidationError("there is no planted bug '\(bug)'")
        }
        let simulation =
            bug.flatMap(WorldFault.init).map { Simulation.run(seed: seed, course: course.course, fault: $0) }
            ?? Simulation(seed: seed, course: course.course, bug: bug.flatMap(PlantedBug.init))
        Self.show(shrink ? simulation.shrunk() : simulation, lines: lines)
    }

    static func show(_ simulation: Simulation, lines: Int) {
        let outcome = simulation.run(keepsTrace: true)
        print("seed \(simulation.seed): \(outcome.violation?.description ?? "every promise was kept")")
        for line in outcome.trace.suffix(lines) { print("  \(line)") }
        print("trace hash \(outcome.traceHash)")
    }
}

/// Many seeds on several threads.
struct Sweep {
    var runCount: UInt64 = 0
    var counts = SimulationCounts()
    var failures: [(seed: UInt64, violation: Violation)] = []

    static func run(
        _ options: SeedOptions,
        stopsAtFirst: Bool,
        _ simulation: @escaping @Sendable (UInt64) -> Simulation
    ) -> Sweep {
        let next = Atomic<UInt64>(0)
        let sweep = Mutex(Sweep())
        let work: @Sendable () -> Void = {
            while true {
                let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard number < options.seeds, !Interruption.isAsked else { return }
                if stopsAtFirst, sweep.withLock({ !$0.failures.isEmpty }) { return }
                let seed = options.seed + number
                let outcome = simulation(seed).run()
                sweep.withLock { sweep in
                    sweep.runCount += 1
                    sweep.counts += outcome.counts
                    if let violation = outcome.violation { sweep.failures.append((seed, violation)) }
                }
            }
        }
        let threads = (0..<options.threads).map { WorkerThread(name: "seeds-\($0)", work) }
        for thread in threads { thread.join() }
        return sweep.withLock { $0 }
    }
}

/// Ctrl-C ends a long run behind the seeds that are being run, and what they saw is told.
private enum Interruption {
    private static let flag = Atomic<Bool>(false)

    static var isAsked: Bool { flag.load(ordering: .relaxed) }

    /// A second one ends the process.
    static func listen() {
        _ = isAsked
        for kind in [SIGINT, SIGTERM] {
            signal(kind) { kind in
                Interruption.flag.store(true, ordering: .relaxed)
                signal(kind, SIG_DFL)
            }
        }
    }
}
