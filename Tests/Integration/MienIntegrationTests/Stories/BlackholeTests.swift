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
        private static let roundCount = StoryLength.named("MIEN_BLACKHOLES", or: 2)
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
                let load = try await ReplicatedLoad("packets lost, \(loss.rawValue)", cluster, copies: 3)
                var gaps: [Duration] = []
                for round in 1...Self.roundCount {
                    let gap = try await load.runs { pause in
                        let shard = round % load.shardCount
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
                // So long that no worker is taken for gone on a busy machine either.
                let cluster = try await Self.cluster(stage, network, workerTimeout: "15s")
                let load = try await ReplicatedLoad("one link of \(copies) workers lost", cluster, copies: copies)
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
                        // What both had is acknowledged; then nothing is that one worker has.
                        var (count, since, searchCount) = (-1, ContinuousClock.now, 0)
                        try await eventually("writes stand still for three seconds", within: .seconds(20)) {
                            let acknowledged = pause.acknowledgedCount
                            if acknowledged != count {
                                searchCount = await load.searcher.tally.times.count
                                (count, since) = (acknowledged, .now)
                            }
                            return ContinuousClock.now - since >= .seconds(3) ? () : nil
                        }
                        try await eventually("searches go on", within: .seconds(20)) {
                            await load.searcher.tally.times.count > searchCount + 20 ? () : nil
                        }
                        #expect(pause.acknowledgedCount == count, "a write was acknowledged that one worker has")
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

        /// Timings are those that a cluster has by default unless a story is about workers that nobody replaces.
        private static func cluster(
            _ stage: Stage,
            _ network: PrivateNetwork,
            workerTimeout: String = "1500ms"
        ) async throws -> Cluster {
            let cluster = try Cluster(
                stage,
                workers: network.hosts.count - 1,
                coordinatorSettings: ["coordinator.worker_timeout=\(workerTimeout)"],
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
}
