import LoadGenerator
import MienClient

/// A report of a load that nobody made, with something of everything.
enum SampleReport {
    static func make(seed: UInt64 = 1, collection: String = "people", durationSeconds: Int = 20) throws -> LoadReport {
        var plan = LoadPlan(
            arrivals: .open(ratePerSecond: 100, .poisson),
            mix: try LoadMix("search=80,enrol=10,delete=10"),
            duration: .seconds(durationSeconds),
            warmUp: .seconds(2),
            options: SearchOptions(),
            inFlightLimit: 500,
            seed: seed
        )
        plan.streams = try VideoStreams("count=2")
        var figures = LoadFigures(window: .seconds(1), warmUp: .seconds(2))
        for call in 0..<(100 * (durationSeconds + 2)) {
            let at = Duration.milliseconds(call * 10)
            let isDown = (.seconds(10)..<Duration.seconds(14)).contains(at)
            let operation: LoadOperation = [.search, .photo, .search, .enrol][call % 4]
            let status: CallFigures.Status = isDown && call.isMultiple(of: 3) ? .failed("unavailable") : .ok
            let time = Duration.microseconds((isDown ? 90_000 : 2000) + (call * 7919 + Int(seed)) % 3000)
            figures.series.record(operation, status, at: at, time)
            figures.series.noteInFlight(call % 17, at: at)
            if at >= plan.warmUp { figures.totals[operation, default: CallFigures()].record(status, time) }
            figures.pacing.record(.microseconds(call % 200))
        }
        var truth = TruthReport()
        truth.checkedAnswerCount = 1700
        truth.matedSearchCount = 1000
        truth.mateFoundCount = 953
        truth.requiredMatchCount = 500
        truth.foundMatchCount = 496
        var report = LoadReport(
            command: "mien load \(collection) --mix 'search=80 & <more>'",
            startedAt: "2026-01-31T12:00:00Z",
            version: "0.1.0",
            machine: .init(
                processor: "A <fast> processor",
                processorCount: 2,
                memoryBytes: 24 << 30,
                system: "Linux 6.1"
            ),
            cluster: .init(
                version: "0.1.0",
                isOwn: true,
                workers: [.init(address: "127.0.0.1:7401", faceCount: 1000, kernels: "avx512")],
                collection: collection,
                dimension: 512,
                shardCount: 3,
                replicationFactor: 1,
                faceCount: 1000,
                index: "512 lists"
            ),
            load: .init(plan: plan, timeoutSeconds: 2, retrySeconds: 0, connectionCount: 8),
            figures: figures,
            resends: .init(callCount: 3, sendingCount: 7),
            writeResends: .init(callCount: 1, sendingCount: 4),
            truth: truth,
            faults: [.init(what: "worker 2 killed", fromSeconds: 10.02, toSeconds: 13.7)]
        )
        let objective = try LatencyObjective("p99 <= 50ms")
        var ramp = LoadReport.Ramp(objective)
        for (rate, isMet) in [(100.0, true), (200, true), (400, false), (283, false)] {
            ramp.append(plan, rate: rate, report.all, objective: objective, isMet: isMet)
        }
        ramp.foundRatePerSecond = 200
        report.ramp = ramp
        report.objective = objective.description
        report.objectiveIsMet = false
        return report
    }
}
