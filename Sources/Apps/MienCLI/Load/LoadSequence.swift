import LoadGenerator
import MienClient
import NodeServer
import Threads

/// The parts of a load one after the other: fill, ramp, the load itself, checks, report.
struct LoadSequence {
    let command: LoadRunCommand
    /// Nodes that were started for the load.
    let nodes: LoadCluster?
    let clients: [MienClient]
    let interruption: LoadInterruption
    let console: Console

    private var options: LoadOptions { command.load }
    private var asJSON: Bool { command.connection.json }

    func run() async throws(CommandFailure) {
        var collection = try await command.gallery.collection(command.name, clients[0], console)
        let dimension = collection.options.dimension
        var tally: FillTally?
        if let count = command.fill {
            let population = try command.gallery.population(faceCount: count, dimension: dimension)
            let filled = try await command.filling.run(population, into: collection, clients[0], console)
            if !asJSON || !options.isAsked {
                console.writeOutput(
                    asJSON ? filled.json(collection: command.name).document : filled.text(collection: command.name)
                )
            }
            tally = filled
        }
        guard options.isAsked else {
            for client in clients { await client.close() }
            return
        }
        try await command.filling.waitForIndex(of: command.name, clients[0], console)
        collection = try await describe()
        var faceCount = command.fill ?? command.faces ?? 0
        if command.fill == nil, command.faces == nil { faceCount = try await countFaces(collection) }
        guard faceCount > 0 else {
            throw CommandFailure(.badData, "\(command.name) is empty; fill it with --fill")
        }
        let population = try command.gallery.population(
            faceCount: faceCount,
            dimension: dimension,
            writeCount: options.imageCount(ratePerSecond: highestRate, time: options.warmUp + options.duration)
        )
        let subject = LoadSubject(collection, options: options, population: population, clients: clients)
        var start = TruthReport()
        if command.part.folder == nil { start = try await begin(subject, tally) }
        interruption.beginLoad()
        try await load(subject, collection, tally, start)
        await subject.close()
    }

    /// Sees to it that the collection is as a fill left it.
    ///
    /// - Returns: what is not so and is no trace of an earlier load: that is left as it is.
    private func begin(_ subject: LoadSubject, _ tally: FillTally?) async throws(CommandFailure) -> TruthReport {
        var report = TruthReport()
        // Nobody can have loaded what has just been enrolled.
        let isNew = tally.map { $0.accepted == $0.faceCount } ?? false
        guard command.expectFilled || isNew else {
            let undone = try await restore(subject, "what an earlier load left")
            report.start = TruthReport.Start(
                wasExpected: false,
                removedCount: undone.removedCount,
                restoredCount: undone.restoredCount
            )
            try await subject.checkCount()
            return report
        }
        if !command.expectFilled { try await subject.checkCount() }
        report.start = TruthReport.Start(wasExpected: true)
        report.findings = try await subject.findings()
        for example in report.findings.examples { console.writeError("before the load: \(example)\n") }
        return report
    }

    /// Faces there are now; what the collection's description tells may be a heartbeat old.
    private func countFaces(_ collection: CollectionInfo) async throws(CommandFailure) -> Int {
        let dimension = collection.options.dimension
        let results = try await calling { () async throws(MienClientError) in
            try await clients[0].search(
                command.name,
                probes: Embeddings(
                    dimension: dimension,
                    values: [1] + [Float](repeating: 0, count: dimension - 1)
                ),
                model: collection.options.embeddingModel,
                options: SearchOptions(matchLimit: 1, effort: .lists(1))
            )
        }
        return Int(clamping: results.coverage.facesTotal)
    }

    private func load(
        _ subject: LoadSubject,
        _ collection: CollectionInfo,
        _ tally: FillTally?,
        _ start: TruthReport
    ) async throws(CommandFailure) {
        let status = try await calling { () async throws(MienClientError) in try await clients[0].status() }
        var earlier = start
        var ramp: LoadReport.Ramp?
        var last: Measured?
        if let planner = options.ramp, let objective = options.objective {
            guard start.findings.isClean || !plan(of: .closed(callerCount: 1)).mix.hasWrites else {
                console.writeError("no ramp is made: what its steps write is undone, and with it what was found\n")
                throw CommandFailure(.no, "the collection was not as its fill left it before the load")
            }
            (ramp, last) = try await self.ramp(subject, planner, objective, &earlier)
        }
        if command.processes == 1, let arrivals = try arrivals(ramp) {
            var plan = self.plan(of: arrivals)
            command.part.apply(to: &plan)
            last = try await measure(subject, plan, withFaults: true)
        }
        guard var report = try await report(last, subject, status, collection, earlier) else {
            throw CommandFailure(.no, "the objective is not met at any rate")
        }
        report.fill = tally.map { LoadReport.Fill($0) }
        report.ramp = ramp
        if let objective = options.objective {
            report.judge(objective)
        }
        if !command.keep, command.part.folder == nil {
            if start.findings.isClean {
                try await restore(subject, "what the load wrote")
            } else {
                console.writeError("nothing is undone, since the collection was not as its fill left it\n")
            }
        }
        try command.output.finish(report, asJSON: asJSON, console)
    }

    private func plan(of arrivals: LoadPlan.Arrivals) -> LoadPlan {
        options.plan(
            arrivals: arrivals,
            duration: options.duration,
            warmUp: options.warmUp,
            seed: command.gallery.seed
        )
    }

    /// The report of a load that this process made, or that it has others make.
    private func report(
        _ measured: Measured?,
        _ subject: LoadSubject,
        _ status: ClusterInfo,
        _ collection: CollectionInfo,
        _ earlier: TruthReport
    ) async throws(CommandFailure) -> LoadReport? {
        if command.processes > 1 {
            let schedule = faultSchedule
            let player = player
            var report = try await LoadParts(command: command, interruption: interruption, console: console).run(
                faceCount: subject.population.filledCount,
                address: nodes?.currentAddress
            ) { start in
                if let player, let schedule { await player.play(schedule, from: start) } else { FaultPlayer.Outcome() }
            }
            report.command = Self.commandLine
            report.cluster = cluster(status, collection, subject)
            report.truth.unchecked += nodes?.deaths() ?? []
            report.truth.findings.add(earlier.findings)
            report.truth.start = earlier.start
            console.writeError("checking number of faces\n")
            await subject.verification(plan(of: .closed(callerCount: 1)), limits: .init())
                .checkCount(ofMerged: &report.truth)
            return report
        }
        guard let measured else { return nil }
        var truth: TruthReport
        if let checked = measured.truth {
            truth = checked
            // They are among the earlier ones.
            (truth.findings, truth.unchecked) = (TruthFindings(), [])
        } else {
            truth = await verify(subject, measured, untouchedCount: command.checkLimit, isStep: false)
        }
        truth.findings.add(earlier.findings)
        truth.unchecked += earlier.unchecked
        truth.start = earlier.start
        var load = LoadReport.Load(
            plan: measured.plan,
            timeoutSeconds: options.deadline / .seconds(1),
            retrySeconds: options.retry / .seconds(1),
            connectionCount: options.connections
        )
        load.durationSeconds = max(0, measured.seconds - load.warmUpSeconds)
        return LoadReport(
            command: Self.commandLine,
            startedAt: TimeText.text(measured.startedAt),
            version: NodeServer.version,
            machine: MachineFacts.read(),
            cluster: cluster(status, collection, subject),
            load: load,
            figures: measured.recorder.figures,
            resends: measured.resends,
            writeResends: measured.writeResends,
            truth: truth,
            faults: measured.faults.faults
        )
    }

    /// A load that was made, and what it was in the end.
    private struct Measured {
        var plan: LoadPlan
        var recorder: LoadRecorder
        var startedAt: Face.Timestamp
        var faults = FaultPlayer.Outcome()
        var resends: MienClient.Resends
        var writeResends: MienClient.Resends
        /// Warm-up and measured time; less than planned when it was ended early.
        var seconds: Double
        /// Of a step of a ramp, whose writes are undone before the next; nil for what is still to be checked.
        var truth: TruthReport?
    }

    private func measure(
        _ subject: LoadSubject,
        _ plan: LoadPlan,
        withFaults: Bool
    ) async throws(CommandFailure) -> Measured {
        let (run, stock) = subject.run(plan)
        let thread = stock.keepFull()
        let start = try await command.part.start() ?? .now + .milliseconds(50)
        let untilStart = (start - ContinuousClock.now) / .milliseconds(1)
        let startedAt = Face.Timestamp(millisecondsSince1970: TimeText.milliseconds + Int64(untilStart))
        let interruption = interruption
        let schedule = withFaults ? faultSchedule : nil
        let player = player
        let console = console
        let folder = command.part.folder
        let (resends, writeResends) = (subject.resends, subject.writeResends)
        async let faults: FaultPlayer.Outcome =
            if let player, let schedule { await player.play(schedule, from: start) } else { FaultPlayer.Outcome() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                if let folder {
                    let file = LoadProgressFile(path: LoadPartOptions.progressFile(plan.part, in: folder))
                    await file.write(window: plan.window, from: start, run.recorder.glimpse)
                } else {
                    var monitor = LoadMonitor(console: console, window: plan.window, warmUp: plan.warmUp)
                    await monitor.watch(from: start, run.recorder.glimpse)
                }
            }
            await run.run(from: start) { interruption.isAsked }
            group.cancelAll()
        }
        let seconds = min(plan.totalDuration, ContinuousClock.now - start) / .seconds(1)
        let outcome = await faults
        stock.close()
        thread.join()
        return Measured(
            plan: plan,
            recorder: run.recorder,
            startedAt: startedAt,
            faults: outcome,
            resends: subject.resends - resends,
            writeResends: subject.writeResends - writeResends,
            seconds: seconds
        )
    }

    private var faultSchedule: FaultSchedule? {
        guard let fault = command.fault, let count = command.cluster?.workerCount else { return nil }
        // It was checked with the command line.
        return try? FaultSchedule(fault, workerCount: count)
    }

    private var player: FaultPlayer? {
        let interruption = interruption
        return nodes.map { nodes in
            FaultPlayer(
                cluster: nodes,
                collection: command.name,
                client: clients[0].with(calls: .init(timeout: .seconds(1), retryDuration: .zero)),
                isStopped: { interruption.isAsked }
            )
        }
    }

    // MARK: Rates

    /// Highest rate that may be asked for, as far as is known before a ramp.
    private var highestRate: Double {
        let ramp = options.ramp?.rateLimit ?? 0
        // Nobody knows how fast callers of a closed loop will be.
        let closed = Double(options.closed ?? 0) * 1000
        if case .perSecond(let rate)? = options.rate { return max(rate, ramp) }
        return max(ramp, closed)
    }

    /// How the load itself arrives; nil when only a ramp was asked for.
    private func arrivals(_ ramp: LoadReport.Ramp?) throws(CommandFailure) -> LoadPlan.Arrivals? {
        if let callerCount = options.closed { return .closed(callerCount: callerCount) }
        switch options.rate {
        case nil: return nil
        case .perSecond(let rate): return .open(ratePerSecond: rate, options.arrivals)
        case .shareOfFound(let share):
            guard let found = ramp?.foundRatePerSecond else {
                throw CommandFailure(.no, "the objective is not met at any rate, so there is no share of one")
            }
            return .open(ratePerSecond: found * share, options.arrivals)
        }
    }

    /// Makes the steps of a ramp.
    ///
    /// - Returns: also the last step that met the objective.
    private func ramp(
        _ subject: LoadSubject,
        _ start: RampPlanner,
        _ objective: LatencyObjective,
        _ earlier: inout TruthReport
    ) async throws(CommandFailure) -> (LoadReport.Ramp, Measured?) {
        var planner = start
        var ramp = LoadReport.Ramp(objective)
        var best: Measured?
        let warmUp = min(.seconds(2), planner.stepDuration / 4)
        while let rate = planner.nextRate, !interruption.isAsked {
            let plan = options.plan(
                arrivals: .open(ratePerSecond: rate, options.arrivals),
                duration: planner.stepDuration,
                warmUp: warmUp,
                seed: command.gallery.seed &+ UInt64(ramp.steps.count)
            )
            var measured = try await measure(subject, plan, withFaults: false)
            let all = measured.recorder.figures.all
            let isMet = objective.isMet(by: all)
            planner.note(rate: rate, isMet: isMet)
            ramp.append(plan, rate: rate, all, objective: objective, isMet: isMet)
            if let step = ramp.steps.last { console.writeError(step.line(objective: objective) + "\n") }
            if plan.mix.hasWrites {
                let truth = await verify(subject, measured, untouchedCount: 0, isStep: true)
                measured.truth = truth
                earlier.findings.add(truth.findings)
                earlier.unchecked += truth.unchecked
                try await restore(subject, nil)
            } else {
                earlier.findings.add(measured.recorder.glimpse(ofWindow: 0).findings)
            }
            if isMet { best = measured }
        }
        ramp.foundRatePerSecond = planner.found
        return (ramp, best)
    }

    // MARK: Truth

    /// - Parameter isStep: whether it was a step of a ramp.
    private func verify(
        _ subject: LoadSubject,
        _ measured: Measured,
        untouchedCount: Int,
        isStep: Bool
    ) async -> TruthReport {
        var limits = LoadVerification.Limits()
        limits.untouchedCount = untouchedCount
        if isStep { limits.liveSearchCount /= 10 }
        let verification = subject.verification(measured.plan, limits: limits)
        let console = console
        var truth = await verification.run(measured.recorder) { console.writeError("checking \($0)\n") }
        truth.unchecked += measured.faults.problems + (nodes?.deaths() ?? [])
        return truth
    }

    @discardableResult
    private func restore(
        _ subject: LoadSubject,
        _ what: String?
    ) async throws(CommandFailure) -> LoadRestoration.Result {
        let result = try await subject.restore()
        guard let what, !result.isNothing else { return result }
        console.writeError(
            "undid \(what): \(NumberText.counted(result.removedCount, "face")) removed, "
                + "\(result.restoredCount) given back their own\n"
        )
        return result
    }

    // MARK: Facts

    /// As it can be typed again.
    private static var commandLine: String {
        let words = CommandLine.arguments.dropFirst().map { word in
            let isPlain = word.allSatisfy { $0.isLetter || $0.isNumber || "-_./:=,%".contains($0) }
            return isPlain && !word.isEmpty ? word : "'" + word.replacing("'", with: "'\\''") + "'"
        }
        return (["mien"] + words).joined(separator: " ")
    }

    private func describe() async throws(CommandFailure) -> CollectionInfo {
        try await calling { () async throws(MienClientError) in try await clients[0].describe(command.name) }
    }

    private func cluster(
        _ status: ClusterInfo,
        _ collection: CollectionInfo,
        _ subject: LoadSubject
    ) -> LoadReport.Cluster {
        LoadReport.Cluster(
            version: status.version,
            isOwn: nodes != nil,
            workers: status.workers.map {
                LoadReport.Cluster.Worker(address: $0.address, faceCount: $0.faceCount, kernels: $0.kernelLevel)
            },
            collection: command.name,
            dimension: collection.options.dimension,
            shardCount: collection.options.shardCount,
            replicationFactor: collection.options.replicationFactor,
            faceCount: subject.population.filledCount,
            index: collection.codebook.map { "\($0.listCount) lists" } ?? "none: every embedding is compared"
        )
    }
}
