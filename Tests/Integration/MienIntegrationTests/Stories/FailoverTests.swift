import Foundation
import MienClient
import Testing

extension Integration {
    /// More than one copy of every shard: workers are killed and frozen under load, and nobody who searches notices.
    @Suite struct FailoverTests {
        /// `MIEN_FAILOVER_ROUNDS` makes it a long run.
        private static let roundCount = StoryLength.named("MIEN_FAILOVER_ROUNDS", or: 4)
        /// Half of the time a new primary orders writes within this of a death, with the timings that a cluster has by
        /// default; and always within the other, however busy the machine is.
        private static let failoverLimit = Duration.seconds(3)
        private static let longestFailover = Duration.seconds(10)
        /// The 99th percentile of a long run, which has a machine to itself.
        private static let rareFailover = Duration.seconds(5)
        private static let calmTime = Duration.seconds(roundCount > 10 ? 60 : 2)
        /// How long a worker is frozen in the first frozen round of a long run, and in every tenth after it; in the
        /// others it is a few seconds at most.
        private static let longFreeze = Duration.seconds(35)
        private static let hasLongFreezes = roundCount > 20

        struct Copies: CustomTestStringConvertible {
            var count: Int
            var minimum: Int
            var hasTLS = false
            /// Writes wait for the worker that is away.
            var hasNoneToSpare: Bool { count == minimum }
            var testDescription: String { "\(count), at least \(minimum)\(hasTLS ? ", with TLS" : "")" }
        }

        /// `MIEN_FAILOVER_COPIES` names those that are wanted by their number of copies, such as `3` or `2 3`.
        private static let wantedCopies: [Copies] = {
            let all = [
                Copies(count: 2, minimum: 2), Copies(count: 2, minimum: 1), Copies(count: 3, minimum: 2, hasTLS: true),
            ]
            guard let text = ProcessInfo.processInfo.environment["MIEN_FAILOVER_COPIES"] else { return all }
            let counts = text.split(separator: " ").map { Int($0) }
            let wanted = all.filter { counts.contains($0.count) }
            precondition(!wanted.isEmpty, "MIEN_FAILOVER_COPIES is '\(text)', and no story has so many copies")
            return wanted
        }()

        @Test(.timeLimit(.minutes(roundCount > 10 ? 180 : 5)), arguments: wantedCopies)
        func aWorkerThatDiesIsNoticedByNobody(copies: Copies) async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("failover")
                var random = SeededRandom(seed: seed)
                let cluster = try Cluster(
                    stage,
                    workers: 3,
                    coordinatorSettings: ["coordinator.worker_timeout=1500ms"],
                    workerSettings: ["worker.heartbeat_interval=500ms"],
                    security: copies.hasTLS ? ClusterSecurity(stage) : nil
                )
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(8), timeout: .seconds(10))
                try await FaceWriter.createCollection(
                    shards: 3,
                    copies: copies.count,
                    minimumInSync: copies.minimum,
                    client
                )
                var writers = (1...3).map { FaceWriter(seed: seed &+ UInt64($0)) }
                // Sends again what failed, and counts that.
                let patient = client.with(calls: .init(timeout: .seconds(10), retryDuration: .seconds(8)))
                let searcher = try await Searcher(patient)
                // Is content with what can be had.
                let modestSearcher = try await Searcher(client, coverage: .atLeast(0), rest: .milliseconds(20))
                // Is told of whatever the cluster itself does not get over.
                let hastySearcher = try await Searcher(
                    client.with(calls: .init(timeout: .seconds(10), retryDuration: .zero)),
                    rest: .milliseconds(20)
                )
                let searchers = [searcher, modestSearcher, hastySearcher]
                var gaps: [Duration] = []
                // From a death until writes are served again.
                var failovers: [Range<ContinuousClock.Instant>] = []
                // Searches beside the same writers while nobody dies.
                let calm = FaceWriter.Pause()
                writers = try await withThrowingTaskGroup(of: Step.self) { group in
                    for (number, writer) in writers.enumerated() {
                        group.addTask { .wrote(number, await writer.writing(to: client, until: calm)) }
                    }
                    for searcher in searchers { group.addTask { .searched(await searcher.searching(until: calm)) } }
                    try await Task.sleep(for: Self.calmTime)
                    calm.ask()
                    var writers = writers
                    for try await step in group {
                        if case .wrote(let number, let writer) = step { writers[number] = writer }
                    }
                    return writers
                }
                let before = await searcher.takeTally()
                #expect(before.failures.isEmpty, "before the first death: \(before.failures.prefix(3))")
                var longFreezeCount = 0

                for round in 1...Self.roundCount {
                    let victim = cluster.workers[round <= 3 ? round - 1 : Int.random(in: 0..<3, using: &random)]
                    let isFrozen = round % 4 == 0 && copies.count > 2
                    let lead = Duration.milliseconds(Int.random(in: 200...900, using: &random))
                    let shortAbsence = Duration.milliseconds(Int.random(in: 100...4500, using: &random))
                    let isLongFreeze = isFrozen && Self.hasLongFreezes && round % 40 == 4
                    let absence = isLongFreeze ? Self.longFreeze : shortAbsence
                    longFreezeCount += isLongFreeze ? 1 : 0
                    let pause = FaceWriter.Pause()
                    let (gap, failover) = try await withThrowingTaskGroup(of: Step.self) { group in
                        for (number, writer) in writers.enumerated() {
                            group.addTask { .wrote(number, await writer.writing(to: client, until: pause)) }
                        }
                        for searcher in searchers {
                            group.addTask { .searched(await searcher.searching(until: pause)) }
                        }
                        defer { pause.ask() }
                        try await Task.sleep(for: lead)
                        try await eventually("writes are served in round \(round)", within: .seconds(20)) {
                            pause.acknowledgedCount > 8 ? () : nil
                        }
                        // Where one copy is enough, the one that dies may be the only one in sync.
                        try await eventually("every copy is in sync in round \(round)", within: .seconds(30)) {
                            try await Self.areAllInSync(client, copies.count) ? () : nil
                        }
                        let death = ContinuousClock.now
                        if isFrozen { victim.process?.freeze() } else { victim.kill() }
                        var start = ContinuousClock.now
                        if copies.hasNoneToSpare {
                            try await Task.sleep(for: absence)
                            start = .now
                            try await victim.start()
                        }
                        // A write of all shards that begins now. Deletions are held back longer, by what they promise.
                        try await Searcher.enrolFaces(client)
                        let end = ContinuousClock.now
                        // A write goes to every shard nearly always; the ones under way at the death are not counted.
                        let count = pause.acknowledgedCount + writers.count
                        try await eventually("writes are served again in round \(round)", within: .seconds(20)) {
                            pause.acknowledgedCount > count ? () : nil
                        }
                        if !copies.hasNoneToSpare {
                            try await Task.sleep(for: absence)
                            if isFrozen { victim.process?.thaw() } else { try await victim.start() }
                        }
                        // Until every shard has its copies again: without, the next death is one too many.
                        try await eventually("every copy is in sync after round \(round)", within: .seconds(30)) {
                            try await Self.areAllInSync(client, copies.count) ? () : nil
                        }
                        pause.ask()
                        for try await step in group {
                            if case .wrote(let number, let writer) = step { writers[number] = writer }
                        }
                        return (end - start, death..<end)
                    }
                    gaps.append(gap)
                    failovers.append(failover)
                    var stored = try await FaceWriter.storedFaces(client)
                    for face in Searcher.faces { stored[face] = nil }
                    var faults: [String] = []
                    for number in writers.indices { faults += writers[number].check(&stored) }
                    #expect(faults.isEmpty, "round \(round): \(faults.count) faults, first \(faults.prefix(3))")
                    #expect(stored.isEmpty, "round \(round): \(stored.count) faces are listed that nobody wrote")
                }
                #expect(writers.map(\.failedCount) == [0, 0, 0], "by retries under the same key every write is done")
                let surprises = writers.flatMap(\.surprises)
                #expect(surprises.isEmpty, "\(surprises.count) failures that no kill explains: \(surprises.prefix(5))")
                let searches = await searcher.tally
                #expect(searches.failures.isEmpty, "\(searches.failures.count): \(searches.failures.prefix(3))")
                // Each has every face that is known as a probe.
                #expect(searches.count > 20 * Self.roundCount)
                let (modest, hasty) = (await modestSearcher.tally, await hastySearcher.tally)
                #expect(modest.failures.isEmpty, "\(modest.failures.count): \(modest.failures.prefix(3))")
                #expect(modest.count > 10 * Self.roundCount)
                // Nothing promises that a search without a second try gets its answer; what it gets is true.
                #expect(hasty.untrue.isEmpty, "\(hasty.untrue.count): \(hasty.untrue.prefix(3))")
                #expect(hasty.times.count > 10 * Self.roundCount)
                let meanwhile = searches.during(failovers)
                #expect(meanwhile.count >= Self.roundCount, "searches went on in every failover")
                let sorted = gaps.sorted()
                if !copies.hasNoneToSpare {
                    let median = sorted[(sorted.count - 1) / 2]
                    #expect(median < Self.failoverLimit, "of \(sorted) half are longer than \(Self.failoverLimit)")
                    #expect(sorted.last! < Self.longestFailover, "a failover took too long: \(sorted)")
                    let rare = sorted[(sorted.count * 99 + 99) / 100 - 1]
                    #expect(Self.roundCount <= 10 || rare < Self.rareFailover, "1 in 100: \(sorted.suffix(9))")
                }
                let verified = try await cluster.mien("verify", FaceWriter.collection, "--json")
                #expect(verified.status == 0, "\(verified)")
                let told: [String] = [
                    "\(copies.testDescription) copies, \(Self.roundCount) rounds, \(longFreezeCount) of them frozen "
                        + "for \(Self.longFreeze)",
                    "\(writers.map(\.acknowledgedCount).reduce(0, +)) writes acknowledged, "
                        + "\(writers.map(\.failedCount).reduce(0, +)) failed, "
                        + "\(writers.map(\.readCount).reduce(0, +)) reads and searches after writes, none untrue",
                    "writes went on \(copies.hasNoneToSpare ? "after its return " : "")after a median of "
                        + "\(sorted[sorted.count / 2]), 10th and 90th percentile "
                        + "\(sorted[sorted.count / 10]) and \(sorted[sorted.count * 9 / 10]), at most \(sorted.last!)",
                    "\(searches.count) searches of \(Searcher.faces.count) probes, \(searches.failures.count) failed, "
                        + "\(patient.resends.callCount) calls of that client sent again, \(searches.distribution)",
                    "before the first death \(before.distribution)",
                    "from deaths until writes were served \(meanwhile.count) searches, \(meanwhile.distribution), the "
                        + "99th percentile \(Self.ratio(meanwhile.percentile(0.99), before.percentile(0.99))) times "
                        + "that before",
                    "\(modest.count) searches for what can be had, \(modest.failures.count) failed, "
                        + "\(modest.partialCount) partial, \(modest.judgedCount) of which were held against the faces "
                        + "of the shards that were missing",
                    "\(hasty.count) searches by a client that sends nothing again, \(hasty.failures.count) failed"
                        + hasty.failures.prefix(3).map { ", such as '\($0)'" }.joined(),
                ]
                print("failover: " + told.joined(separator: "; "))
                await client.close()
            }
        }

        private static func ratio(_ one: Duration, _ other: Duration) -> String {
            other > .zero ? String(format: "%.1f", one / other) : "-"
        }

        private enum Step {
            case wrote(Int, FaceWriter)
            case searched(Void)
        }

        private static func areAllInSync(_ client: MienClient, _ count: Int) async throws -> Bool {
            let collection = try await client.describe(FaceWriter.collection)
            return collection.shards.allSatisfy { shard in
                shard.replicas.count == count && shard.replicas.allSatisfy { $0.isInSync && $0.state == .serving }
            }
        }
    }
}
