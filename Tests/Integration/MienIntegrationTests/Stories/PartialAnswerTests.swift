import MienClient
import Testing

extension Integration {
    /// Both copies of a shard are killed: who asks for less than everything is told what is missing, gets all of the
    /// rest and nothing else; who asks for everything is refused.
    @Suite struct PartialAnswerTests {
        /// `MIEN_PARTIAL_ROUNDS` makes it a long run.
        private static let roundCount = StoryLength.named("MIEN_PARTIAL_ROUNDS", or: 3)
        private static let shardCount = 3
        private static let copyCount = 2
        /// Answers without the round's shard, and with all others, that each round waits for.
        private static let leastAnswers = 20
        /// Between the two deaths, at least. A request that one dying worker had, and then the other, would be taken
        /// for what they died of.
        private static let gap = Duration.milliseconds(300)

        @Test(.timeLimit(.minutes(roundCount > 10 ? 120 : 4)))
        func anAnswerWithoutAShardHasAllOfTheOthers() async throws {
            try await Stage.play { stage in
                let name = "both copies of a shard killed"
                let seed = SeededRandom.storySeed(name)
                var random = SeededRandom(seed: seed)
                let cluster = try Cluster(
                    stage,
                    workers: 3,
                    coordinatorSettings: ["coordinator.worker_timeout=1500ms"],
                    workerSettings: ["worker.heartbeat_interval=300ms"]
                )
                try await cluster.start()
                let load = try await ReplicatedLoad(
                    name,
                    cluster,
                    copies: Self.copyCount,
                    minimumInSync: 1,
                    shards: Self.shardCount,
                    seed: seed
                )
                var refusalCount = 0
                for round in 1...Self.roundCount {
                    // Each of them at least once.
                    let shard = (round - 1) % Self.shardCount
                    let absence = Duration.milliseconds(Int.random(in: 500...4000, using: &random))
                    try await load.runs { pause in
                        // The primary first, or the other.
                        let holders = try await Self.holders(of: shard, cluster, load.client).shuffled(using: &random)
                        let before = await load.modestSearcher.tally.lackingCounts[shard, default: 0]
                        for (number, holder) in holders.enumerated() {
                            if number > 0 { try await Self.leaveBehind(load, "in round \(round)") }
                            holder.kill()
                        }
                        let death = ContinuousClock.now
                        try await eventually("answers lack shard \(shard) in round \(round)", within: .seconds(30)) {
                            let count = await load.modestSearcher.tally.lackingCounts[shard, default: 0]
                            return count >= before + Self.leastAnswers ? () : nil
                        }
                        // Whoever wants all is told that nobody has the shard, and not shown a part.
                        try await eventually("a search for all is refused in round \(round)", within: .seconds(30)) {
                            let failures = await load.searcher.tally.failures(since: death)
                            return failures.contains { $0.hasPrefix("incompleteCoverage") } ? () : nil
                        }
                        try await Task.sleep(for: absence)
                        for holder in holders { try await holder.start() }
                        try await load.isWhole("after both came back in round \(round)")
                        try await load.goesOn(pause, "after both came back in round \(round)")
                        let refused = await load.searcher.tally.failures(since: death).count
                        refusalCount += refused
                    }
                    try await load.check("in round \(round)")
                }
                let modest = await load.modestSearcher.tally
                let lackingCount = modest.lackingCounts.values.reduce(0, +)
                #expect(lackingCount >= Self.leastAnswers * Self.roundCount)
                #expect(modest.judgedCount == modest.partialCount, "the shards are those that there were")
                // Faces are spread evenly over the shards, and there are a hundred or more.
                #expect(modest.greatestShareDeviation < 0.2, "a share that is none of the shards that answered")
                try await load.end(
                    "\(Self.roundCount) rounds, \(modest.partialCount) partial answers, each with exactly the faces of "
                        + "the shards that answered, \(lackingCount) of which lacked one shard; \(refusalCount) "
                        + "searches for full answers refused meanwhile",
                    mayRefuseWrites: true,
                    mayRefuseSearches: true
                )
            }
        }

        /// Waits until the searches that were under way at the first death have ended, however busy the machine is.
        private static func leaveBehind(_ load: ReplicatedLoad, _ when: String) async throws {
            try await Task.sleep(for: gap)
            let (full, modest) = (await load.searcher.tally.count, await load.modestSearcher.tally.count)
            try await eventually("searches go on without the first holder \(when)", within: .seconds(30)) {
                let (fullNow, modestNow) = (await load.searcher.tally.count, await load.modestSearcher.tally.count)
                return fullNow >= full + 2 && modestNow >= modest + 2 ? () : nil
            }
        }

        /// The workers that have a shard, all of them.
        private static func holders(of shard: Int, _ cluster: Cluster, _ client: MienClient) async throws -> [Node] {
            let shards = try await client.describe(FaceWriter.collection).shards
            let replicas = try #require(shards.first { $0.index == shard }).replicas
            let workers = try await client.status().workers
            let holders = try replicas.map { replica in
                let address = try #require(workers.first { $0.id == replica.workerID }?.address)
                return cluster.workers[try #require(cluster.workerAddresses.firstIndex(of: "\(address)"))]
            }
            #expect(holders.count == copyCount)
            return holders
        }
    }
}
