import Foundation
import MienClient
import Testing

extension Integration {
    /// Packets vanish: nobody is told of an end, a reset or a refusal, as behind a switch that lost its power.
    ///
    /// Each node is on a host of its own, a network namespace, and a router between them has routes into nowhere. Nodes
    /// listen beyond loopback, with TLS and a token, and nobody else can reach them all the same: see
    /// ``PrivateNetwork``. That is for root only; elsewhere the suite is skipped, and says so.
    @Suite(.enabled(if: PrivateNetwork.isAvailable, "no network namespace may be made"))
    struct BlackholeTests {
        /// `MIEN_BLACKHOLES` makes it a long run.
        private static let roundCount = ProcessInfo.processInfo.environment["MIEN_BLACKHOLES"].flatMap(Int.init) ?? 2
        private static let minutes = roundCount > 10 ? 180 : 2
        /// As for a death: half of the failovers are faster.
        private static let failoverLimit = Duration.seconds(3)

        enum Loss: String, CaseIterable {
            /// All that the worker sends and is sent.
            case ofEverything = "of everything"
            /// What it sends to the coordinator: other workers hear it, and it hears everybody.
            case towardsTheCoordinator = "towards the coordinator"
        }

        @Test(.timeLimit(.minutes(minutes)), arguments: Loss.allCases)
        func aPrimaryThatIsNotHeardIsReplaced(loss: Loss) async throws {
            try await PrivateNetwork.play(hosts: 4) { stage, network in
                let cluster = try await Self.cluster(stage, network)
                let load = try await Load("packets lost, \(loss.rawValue)", cluster, copies: 3)
                var gaps: [Duration] = []
                for round in 1...Self.roundCount {
                    let gap = try await load.runs { pause in
                        let shard = round % Load.shardCount
                        let primary = try await load.primaries()[shard]
                        let victim = try Self.host(of: primary, try await load.client.status(), network)
                        switch loss {
                        case .ofEverything: try await network.cutOff(victim)
                        case .towardsTheCoordinator: try await network.lose(from: victim, to: network.hosts[0])
                        }
                        let start = ContinuousClock.now
                        // A write of all shards that begins now.
                        try await Searcher.enrolFaces(load.client)
                        let gap = ContinuousClock.now - start
                        #expect(try await load.primaries()[shard] != primary, "a write needed somebody else")
                        try await load.goesOn(pause, "without a worker in round \(round)")
                        try await network.heal()
                        try await load.isWhole("after round \(round)")
                        return gap
                    }
                    gaps.append(gap)
                    try await load.check("round \(round)")
                }
                gaps.sort()
                let median = gaps[(gaps.count - 1) / 2]
                #expect(median < Self.failoverLimit, "of \(gaps) half are longer than \(Self.failoverLimit)")
                try await load.end(
                    "\(gaps.count) rounds, writes went on after a median of \(median), "
                        + "at most \(gaps[gaps.count - 1])"
                )
            }
        }

        /// Two workers do not hear each other, and the coordinator hears both: nobody takes over. With a copy to spare
        /// each does without the other where it leads; without one, writes wait, and searches go on.
        @Test(.timeLimit(.minutes(minutes)), arguments: [3, 2])
        func twoWorkersThatDoNotHearEachOtherKeepTheirShards(copies: Int) async throws {
            try await PrivateNetwork.play(hosts: copies + 1) { stage, network in
                let cluster = try await Self.cluster(stage, network)
                let load = try await Load("one link of \(copies) workers lost", cluster, copies: copies)
                let primaries = try await load.primaries()
                let status = try await load.client.status()
                let one = primaries[0]
                let other = try #require(status.workers.map(\.id).filter { $0 != one }.sorted().last)
                let ends = [try Self.host(of: one, status, network), try Self.host(of: other, status, network)]
                try await load.runs { pause in
                    try await load.goesOn(pause, "before")
                    try await network.lose(between: ends[0], and: ends[1])
                    if copies > 2 {
                        try await load.goesOn(pause, "without the other")
                        try await eventually("each leads without the other", within: .seconds(20)) {
                            let shards = try await load.client.describe(FaceWriter.collection).shards
                            return zip(shards, primaries).allSatisfy { shard, primary in
                                let count = [one, other].contains(primary) ? copies - 1 : copies
                                return shard.replicas.count(where: \.isInSync) == count
                            } ? () : nil
                        }
                    } else {
                        // What both had is acknowledged; nothing is from now on.
                        try await Task.sleep(for: .seconds(1))
                        let count = pause.acknowledgedCount
                        let searchCount = await load.searcher.tally.times.count
                        try await Task.sleep(for: .seconds(3))
                        #expect(pause.acknowledgedCount == count, "a write was acknowledged that one worker has")
                        #expect(await load.searcher.tally.times.count > searchCount + 20, "searches go on")
                    }
                    #expect(try await load.primaries() == primaries)
                    try await network.heal()
                    try await load.isWhole("after that")
                    try await load.goesOn(pause, "after that")
                }
                #expect(try await load.primaries() == primaries, "nobody takes over for a link")
                try await load.check("the link")
                try await load.end("nobody took over")
            }
        }

        // MARK: Parts

        /// Timings are those that a cluster has by default.
        private static func cluster(_ stage: Stage, _ network: PrivateNetwork) async throws -> Cluster {
            let cluster = try Cluster(
                stage,
                workers: network.hosts.count - 1,
                coordinatorSettings: ["coordinator.worker_timeout=1500ms"],
                workerSettings: ["worker.heartbeat_interval=500ms"],
                security: ClusterSecurity(stage, certificate: "own-hosts.pem", authority: "own-hosts.pem"),
                network: network
            )
            try await cluster.start()
            return cluster
        }

        private static func host(
            of workerID: String,
            _ status: ClusterInfo,
            _ network: PrivateNetwork
        ) throws -> PrivateNetwork.Host {
            let worker = try #require(status.workers.first { $0.id == workerID })
            return try #require(network.hosts.first { "\($0.node)" == worker.address })
        }
    }

    /// Three who write and one who searches, and what they have been told.
    private final class Load {
        static let shardCount = 3

        let client: MienClient
        let searcher: Searcher
        private let name: String
        private let cluster: Cluster
        private let copies: Int
        private var writers: [FaceWriter]

        init(_ name: String, _ cluster: Cluster, copies: Int) async throws {
            self.name = name
            self.cluster = cluster
            self.copies = copies
            let seed = SeededRandom.storySeed(name)
            writers = (1...3).map { FaceWriter(seed: seed &+ UInt64($0)) }
            client = try cluster.client(retrying: .seconds(8), timeout: .seconds(10))
            _ = try await client.createCollection(
                CollectionOptions(
                    name: FaceWriter.collection,
                    dimension: FaceWriter.dimension,
                    embeddingModel: FaceWriter.model,
                    shardCount: Self.shardCount,
                    replicationFactor: copies,
                    minimumInSync: 2
                )
            )
            searcher = try await Searcher(client)
            try await isWhole("before")
            // Whoever has just begun to lead holds back deletions, whatever becomes of links meanwhile. When one of all
            // shards is answered, that is over.
            var random = SeededRandom(seed: seed)
            let faces = (0..<30).map { _ in Face.ID(high: random.next(), low: random.next()) }
            _ = try await client.enrol(
                faces.map { NewFace(id: $0) },
                embeddings: Embeddings(
                    dimension: FaceWriter.dimension,
                    values: faces.flatMap { FaceLedger.embedding($0, version: 0, dimension: FaceWriter.dimension) }
                ),
                into: FaceWriter.collection,
                model: FaceWriter.model
            )
            _ = try await client.deleteFaces(faces, from: FaceWriter.collection)
        }

        /// Has them write and search while the body runs.
        func runs<T>(_ body: (FaceWriter.Pause) async throws -> T) async throws -> T {
            let pause = FaceWriter.Pause()
            return try await withThrowingTaskGroup(of: (Int, FaceWriter)?.self) { group in
                for (number, writer) in writers.enumerated() {
                    group.addTask { [client] in (number, await writer.writing(to: client, until: pause)) }
                }
                group.addTask { [searcher] in
                    await searcher.searching(until: pause)
                    return nil
                }
                defer { pause.ask() }
                try await goesOn(pause, "at first")
                let result = try await body(pause)
                pause.ask()
                for try await case let (number, writer)? in group { writers[number] = writer }
                return result
            }
        }

        /// Waits until writes are acknowledged that began after now.
        func goesOn(_ pause: FaceWriter.Pause, _ when: String) async throws {
            let count = pause.acknowledgedCount + writers.count + 5
            try await explaining {
                try await eventually("writes are served \(when)", within: .seconds(20)) {
                    pause.acknowledgedCount > count ? () : nil
                }
            }
        }

        func isWhole(_ when: String) async throws {
            try await explaining {
                try await eventually("every copy is in sync \(when)", within: .seconds(30)) {
                    let shards = try await client.describe(FaceWriter.collection).shards
                    return shards.allSatisfy { $0.replicas.count == copies && $0.inSyncCount == copies } ? () : nil
                }
            }
        }

        func primaries() async throws -> [String] {
            try await client.describe(FaceWriter.collection).shards.map { shard in
                shard.replicas.filter(\.isPrimary).map(\.workerID).joined()
            }
        }

        /// Compares what is there with what was acknowledged.
        func check(_ when: String) async throws {
            var stored = try await FaceWriter.storedFaces(client)
            for face in Searcher.faces { stored[face] = nil }
            var faults: [String] = []
            for number in writers.indices { faults += writers[number].check(&stored) }
            #expect(faults.isEmpty, "\(when): \(faults.count) faults, first \(faults.prefix(3))")
            #expect(stored.isEmpty, "\(when): \(stored.count) faces are listed that nobody wrote")
        }

        func end(_ result: String) async throws {
            #expect(writers.map(\.failedCount) == [0, 0, 0], "by retries under the same key every write is done")
            let surprises = writers.flatMap(\.surprises)
            #expect(surprises.isEmpty, "\(surprises.count) failures that no loss explains: \(surprises.prefix(5))")
            let searches = await searcher.tally
            #expect(searches.failures.isEmpty, "\(searches.failures.count): \(searches.failures.prefix(3))")
            let verified = try await cluster.mien("verify", FaceWriter.collection, "--json")
            #expect(verified.status == 0, "\(verified)")
            print(
                "\(name): \(result); \(writers.map(\.acknowledgedCount).reduce(0, +)) writes acknowledged, "
                    + "\(writers.map(\.failedCount).reduce(0, +)) failed, "
                    + "\(writers.map(\.readCount).reduce(0, +)) reads and searches after writes, none untrue; "
                    + "\(searches.count) searches, \(searches.failures.count) failed, \(searches.distribution)"
            )
            await client.close()
        }

        /// Adds what the nodes last said to an error.
        private func explaining(_ body: () async throws -> Void) async throws {
            do {
                try await body()
            } catch {
                let nodes = [cluster.coordinator] + cluster.workers
                let words = nodes.compactMap { $0.process?.error.suffix(3000) }.joined(separator: "\n\n")
                throw StoryError("\(error)\n\(words)")
            }
        }
    }
}
