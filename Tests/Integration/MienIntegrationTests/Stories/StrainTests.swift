import Foundation
import MienClient
import Testing

extension Integration {
    /// Workers under strain: a slow disk, a clock that is wrong, more load than there is room for. What was
    /// acknowledged is kept, nobody is answered wrongly, and afterwards all is as before.
    @Suite struct StrainTests {
        private static let copies = 2

        /// A disk whose syncs take a hundred times as long, then longer than the others wait for. Reads take as long as
        /// ever.
        @Test(.timeLimit(.minutes(2))) func aDiskThatBecomesSlowCostsNobodyAnything() async throws {
            try await Stage.play { stage in
                let (cluster, client) = try await Self.cluster(stage)
                let (delay, report) = (stage.path("delay"), stage.path("report"))
                let slow = cluster.workers[1]
                slow.kill()
                try await slow.start(adding: StorageFaults.changing(delay: delay, report: report))
                try await Self.allInSync(client)
                let searcher = try await Searcher(client)
                var writers = Self.writers("slow disk", 3)
                // A sync takes some milliseconds here; a replica is silent after 1.5 s.
                for milliseconds in [300, 2000] {
                    try await Self.load(&writers, searcher, client) { pause in
                        try stage.write("delay", "\(milliseconds)")
                        let before = pause.acknowledgedCount
                        try await eventually("writes go on with syncs of \(milliseconds) ms", within: .seconds(20)) {
                            pause.acknowledgedCount >= before + 3 ? () : nil
                        }
                        try await eventually("syncs take \(milliseconds) ms", within: .seconds(20)) {
                            let lines = (try? stage.text("report"))?.split(separator: "\n") ?? []
                            return lines.contains("delay \(milliseconds)") ? () : nil
                        }
                        if milliseconds > 1500 {
                            try await eventually("the slow replicas are done without", within: .seconds(20)) {
                                try await Self.inSyncCount(client) < 3 * Self.copies ? () : nil
                            }
                        }
                        try FileManager.default.removeItem(atPath: delay)
                    }
                    try await Self.allInSync(client)
                    try await Self.check(&writers, client)
                }
                #expect(writers.map(\.failedCount).reduce(0, +) == 0)
                try await Self.end(writers, searcher, "slow disk")
                try await Self.verify(cluster)
                await client.close()
            }
        }

        /// A disk that hangs, while its worker goes on saying that it is there: others order the writes of its shards.
        @Test(.timeLimit(.minutes(3))) func aDiskThatHangsHoldsUpNobodyForLong() async throws {
            try await Stage.play { stage in
                let (cluster, client) = try await Self.cluster(stage)
                let delay = stage.path("delay")
                let slow = cluster.workers[1]
                let listen = cluster.workerAddresses[1]
                let name = try #require(try await client.status().workers.first { "\($0.address)" == listen }?.id)
                slow.kill()
                try await slow.start(adding: StorageFaults.changing(delay: delay))
                try await Self.allInSync(client)
                let searcher = try await Searcher(client)
                var writers = Self.writers("hanging disk", 3)
                try await Self.load(&writers, searcher, client) { pause in
                    try stage.write("delay", "30000")
                    let begin = ContinuousClock.now
                    try await eventually("others order the writes", within: .seconds(20)) {
                        try await Self.primaries(client).contains(name) ? nil : ()
                    }
                    try FileManager.default.removeItem(atPath: delay)
                    let before = pause.acknowledgedCount
                    try await eventually("writes go on", within: .seconds(20)) {
                        pause.acknowledgedCount >= before + 30 ? () : nil
                    }
                    let time = ContinuousClock.now - begin
                    print("strain: a disk hangs for 30 s: others order all writes after \(time)")
                    #expect(time < .seconds(25), "the disk was not waited for")
                }
                try await eventually("all copies are in sync again", within: .seconds(60)) {
                    try await Self.inSyncCount(client) == 3 * Self.copies ? () : nil
                }
                try await Self.check(&writers, client)
                try await Self.end(writers, searcher, "hanging disk")
                try await Self.verify(cluster)
                await client.close()
            }
        }

        /// A disk that hangs under copies that writes need, and under the only ones: nobody else can take the writes,
        /// and people are told.
        @Test(.timeLimit(.minutes(3))) func aDiskThatHangsUnderCopiesThatAreNeededIsTold() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 2,
                    coordinatorSettings: ["coordinator.worker_timeout=1500ms"],
                    workerSettings: ["worker.heartbeat_interval=300ms"]
                )
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(8), timeout: .seconds(10))
                let collections = [("people", copies: 2), ("single", copies: 1)]
                for (name, copies) in collections {
                    try await FaceWriter.createCollection(
                        name,
                        shards: 2,
                        copies: copies,
                        minimumInSync: copies,
                        client
                    )
                }
                let delay = stage.path("delay")
                cluster.workers[1].kill()
                try await cluster.workers[1].start(adding: StorageFaults.changing(delay: delay))

                let hasty = client.with(calls: .init(timeout: .milliseconds(500), retryDuration: .zero))
                /// Whether faces for every shard are taken, by collection.
                func areTaken() async -> [Bool] {
                    var taken: [Bool] = []
                    for (name, _) in collections { taken.append(await Self.areTaken(by: name, hasty)) }
                    return taken
                }
                /// Shards that take no writes, by collection.
                func refusingCounts() async throws -> [Double?] {
                    let told = try await ScrapedMetrics(of: [cluster.coordinator])
                    return collections.map { told["mien_shards_below_minimum{collection=\"\($0.0)\"}"] }
                }
                try await eventually("all takes faces", within: .seconds(30)) {
                    let (taken, counts) = (await areTaken(), try await refusingCounts())
                    return taken == [true, true] && counts == [0, 0] ? () : nil
                }
                try stage.write("delay", "20000")
                try await eventually("both metrics tell", within: .seconds(30)) {
                    _ = await areTaken()
                    return try await refusingCounts().allSatisfy { $0 ?? 0 > 0 } ? () : nil
                }
                try await eventually("the status tells", within: .seconds(30)) {
                    let status = try await cluster.mien("status")
                    return status.status == 69 && status.error.contains("too few copies in sync for writes") ? () : nil
                }
                try FileManager.default.removeItem(atPath: delay)
                try await eventually("all takes faces again", within: .seconds(60)) {
                    let (taken, counts) = (await areTaken(), try await refusingCounts())
                    return taken == [true, true] && counts == [0, 0] ? () : nil
                }
                await client.close()
            }
        }

        /// The workers' wall clocks move an hour ahead and an hour behind, the coordinator's each time the other way.
        /// Agreement goes by spans of time; what expires goes by the workers' clocks, what is stamped by the
        /// coordinator's.
        @Test(.timeLimit(.minutes(2))) func aClockThatMovesByAnHourChangesNothingButExpiry() async throws {
            try await Stage.play { stage in
                // So long that nobody is taken for gone on a busy machine either.
                let (cluster, client) = try await Self.cluster(stage, workerTimeout: "15s")
                let (clock, otherClock) = (stage.path("clock"), stage.path("other-clock"))
                cluster.coordinator.kill()
                try await cluster.coordinator.start(adding: StorageFaults.changing(clock: otherClock))
                for worker in cluster.workers {
                    worker.kill()
                    try await worker.start(adding: StorageFaults.changing(clock: clock))
                }
                try await Self.allInSync(client)
                let searcher = try await Searcher(client)
                var writers = Self.writers("clock", 3)
                let primaries = try await Self.primaries(client)
                for shift in [3600, -3600] {
                    let id = Face.ID.random()
                    let now = Int64(Date().timeIntervalSince1970 * 1000)
                    let soon = Face.Timestamp(millisecondsSince1970: now + 1_800_000)
                    _ = try await client.enrol(
                        [NewFace(id: id, metadata: Face.Metadata(expires: soon))],
                        embeddings: Embeddings(
                            dimension: FaceWriter.dimension,
                            values: FaceLedger.embedding(id, version: 1, dimension: FaceWriter.dimension)
                        ),
                        into: FaceWriter.collection,
                        model: FaceWriter.model
                    )
                    try await Self.load(&writers, searcher, client) { pause in
                        try stage.write("clock", "\(shift)")
                        try stage.write("other-clock", "\(-shift)")
                        let before = pause.acknowledgedCount
                        try await eventually("writes go on with a clock off by \(shift) s", within: .seconds(20)) {
                            pause.acknowledgedCount >= before + 20 ? () : nil
                        }
                        // The shift has struck: what expires in half an hour has, with the clock ahead, and only then.
                        try await eventually("the expired is gone", within: .seconds(10)) {
                            let isThere = try await !client.faces([id], in: FaceWriter.collection).isEmpty
                            return isThere == (shift < 0) ? () : nil
                        }
                        try await Task.sleep(for: .milliseconds(2500))
                        let name = shift > 0 ? "ahead" : "behind"
                        try await FaceWriter.createCollection(name, shards: 1, client)
                        let stamp = try await client.describe(name).created
                        let time = Double(stamp.millisecondsSince1970) / 1000 - Date().timeIntervalSince1970
                        #expect(abs(time + Double(shift)) < 60, "the coordinator's clock is off by \(time) s")
                        try FileManager.default.removeItem(atPath: clock)
                        try FileManager.default.removeItem(atPath: otherClock)
                    }
                    _ = try await client.deleteFaces([id], from: FaceWriter.collection)
                    try await Self.allInSync(client)
                    try await Self.check(&writers, client)
                }
                #expect(try await Self.primaries(client) == primaries, "nobody took over for a clock")
                #expect(writers.map(\.failedCount).reduce(0, +) == 0)
                try await Self.end(writers, searcher, "clock")
                try await Self.verify(cluster)
                await client.close()
            }
        }

        /// Far more requests at once than a node takes: they are refused by name, and the rest goes on.
        @Test(.timeLimit(.minutes(2))) func threeTimesTheLoadIsRefusedByNameAndEnds() async throws {
            try await Stage.play { stage in
                let (cluster, client) = try await Self.cluster(stage)
                let hasty = client.with(calls: .init(timeout: .seconds(5), retryDuration: .zero))
                let searcher = try await Searcher(client)
                // What was just enrolled a search may miss.
                try await Task.sleep(for: FaceHistoryChecker.staleness)
                // A connection may have 256 requests under way.
                let crowd = 3 * 256
                var writers = Self.writers("overload", crowd / 4)
                let (answered, refused, surprises) = try await withThrowingTaskGroup(of: Crowd.self) { group in
                    let pause = FaceWriter.Pause()
                    for (number, writer) in writers.enumerated() {
                        group.addTask { .wrote(number, await writer.writing(to: hasty, until: pause)) }
                    }
                    for number in 0..<(crowd - writers.count) {
                        group.addTask { .searched(await Self.searches(hasty, number, until: pause)) }
                    }
                    defer { pause.ask() }
                    try await eventually("some writes are served", within: .seconds(20)) {
                        pause.acknowledgedCount > 50 ? () : nil
                    }
                    try await Task.sleep(for: .seconds(3))
                    pause.ask()
                    var tally = SearchTally()
                    for try await member in group {
                        switch member {
                        case .wrote(let number, let writer): writers[number] = writer
                        case .searched(let more): tally.add(more)
                        }
                    }
                    return (tally.answeredCount, tally.refusedCount, tally.surprises)
                }
                #expect(surprises.isEmpty, "\(surprises.count): \(surprises.prefix(3))")
                #expect(answered > 100 && refused > 100, "\(answered) searches answered, \(refused) refused")
                // All is as before.
                try await Self.allInSync(client)
                try await Self.check(&writers, client)
                var calm = Self.writers("calm", 1)
                try await Self.load(&calm, searcher, hasty) { pause in
                    try await eventually("fifty writes", within: .seconds(20)) {
                        pause.acknowledgedCount >= 50 ? () : nil
                    }
                }
                #expect(calm[0].failedCount == 0)
                try await Self.end(writers + calm, searcher, "overload: \(answered) searches, \(refused) refused")
                #expect(cluster.workers.allSatisfy(\.isRunning) && cluster.coordinator.isRunning)
                await client.close()
            }
        }

        // MARK: Parts

        private enum Step {
            case wrote(Int, FaceWriter)
            case searched
        }

        private enum Crowd {
            case wrote(Int, FaceWriter)
            case searched(SearchTally)
        }

        /// Three workers and three shards with two copies each.
        private static func cluster(
            _ stage: Stage,
            workerTimeout: String = "1500ms"
        ) async throws -> (Cluster, MienClient) {
            let cluster = try Cluster(
                stage,
                workers: 3,
                coordinatorSettings: ["coordinator.worker_timeout=\(workerTimeout)"],
                workerSettings: ["worker.heartbeat_interval=300ms"]
            )
            try await cluster.start()
            let client = try cluster.client(retrying: .seconds(8), timeout: .seconds(10))
            try await FaceWriter.createCollection(shards: 3, copies: copies, minimumInSync: 1, client)
            return (cluster, client)
        }

        private static func writers(_ story: String, _ count: Int) -> [FaceWriter] {
            let seed = SeededRandom.storySeed(story)
            return (1...count).map { FaceWriter(seed: seed &+ UInt64($0)) }
        }

        /// Has them write and somebody search while the body runs.
        private static func load(
            _ writers: inout [FaceWriter],
            _ searcher: Searcher,
            _ client: MienClient,
            _ body: (FaceWriter.Pause) async throws -> Void
        ) async throws {
            let pause = FaceWriter.Pause()
            writers = try await withThrowingTaskGroup(of: Step.self) { [writers] group in
                for (number, writer) in writers.enumerated() {
                    group.addTask { .wrote(number, await writer.writing(to: client, until: pause)) }
                }
                group.addTask {
                    await searcher.searching(until: pause)
                    return .searched
                }
                defer { pause.ask() }
                try await body(pause)
                pause.ask()
                var after = writers
                for try await step in group {
                    if case .wrote(let number, let writer) = step { after[number] = writer }
                }
                return after
            }
        }

        /// Whether a batch that has faces for every shard is taken.
        private static func areTaken(by collection: String, _ client: MienClient) async -> Bool {
            let ids = (0..<32).map { _ in Face.ID.random() }
            let dimension = FaceWriter.dimension
            let values = ids.flatMap { FaceLedger.embedding($0, version: 1, dimension: dimension) }
            let receipt = try? await client.enrol(
                ids.map { NewFace(id: $0) },
                embeddings: Embeddings(dimension: dimension, values: values),
                into: collection,
                model: FaceWriter.model
            )
            return receipt != nil
        }

        private static func searches(
            _ client: MienClient,
            _ number: Int,
            until pause: FaceWriter.Pause
        ) async -> SearchTally {
            var tally = SearchTally()
            while !pause.isAsked {
                let face = Searcher.faces[number % Searcher.faces.count]
                do throws(MienClientError) {
                    let results = try await client.search(
                        FaceWriter.collection,
                        probes: Embeddings(
                            dimension: FaceWriter.dimension,
                            values: FaceLedger.embedding(face, version: 0, dimension: FaceWriter.dimension)
                        ),
                        model: FaceWriter.model,
                        options: SearchOptions(matchLimit: 3, effort: .exact, coverage: .full)
                    )
                    tally.note(results, of: [face])
                } catch {
                    tally.note(error)
                    try? await Task.sleep(for: .milliseconds(10))
                }
            }
            return tally
        }

        private static func inSyncCount(_ client: MienClient) async throws -> Int {
            try await client.describe(FaceWriter.collection).shards.reduce(0) {
                $0 + $1.replicas.count(where: \.isInSync)
            }
        }

        private static func primaries(_ client: MienClient) async throws -> [String] {
            try await client.describe(FaceWriter.collection).shards.map { shard in
                shard.replicas.filter(\.isPrimary).map(\.workerID).joined()
            }
        }

        private static func allInSync(_ client: MienClient) async throws {
            try await eventually("every copy is in sync", within: .seconds(30)) {
                let shards = try await client.describe(FaceWriter.collection).shards
                return shards.allSatisfy { shard in
                    shard.replicas.count == copies && shard.replicas.allSatisfy { $0.isInSync && $0.state == .serving }
                } ? () : nil
            }
        }

        private static func check(_ writers: inout [FaceWriter], _ client: MienClient) async throws {
            var stored = try await FaceWriter.storedFaces(client)
            for face in Searcher.faces { stored[face] = nil }
            var faults: [String] = []
            for number in writers.indices { faults += writers[number].check(&stored) }
            #expect(faults.isEmpty, "\(faults.count) faults, first \(faults.prefix(3))")
            #expect(stored.isEmpty, "\(stored.count) faces are listed that nobody wrote")
        }

        private static func end(_ writers: [FaceWriter], _ searcher: Searcher, _ name: String) async throws {
            let surprises = writers.flatMap(\.surprises)
            #expect(surprises.isEmpty, "\(surprises.count) failures that nothing explains: \(surprises.prefix(5))")
            let searches = await searcher.tally
            #expect(searches.failures.isEmpty, "\(searches.failures.count): \(searches.failures.prefix(3))")
            print(
                "\(name): \(writers.map(\.acknowledgedCount).reduce(0, +)) writes acknowledged, "
                    + "\(writers.map(\.failedCount).reduce(0, +)) failed, none lost; \(searches.count) searches beside,"
                    + " 99th percentile \(searches.percentile(0.99)), longest \(searches.percentile(1))"
            )
        }

        private static func verify(_ cluster: Cluster) async throws {
            let verified = try await cluster.mien("verify", FaceWriter.collection, "--json")
            #expect(verified.status == 0, "\(verified)")
        }
    }
}
