import Foundation
import MienClient
import Testing

extension Integration {
    /// The power fails for one of a shard's copies, or for all of them and the coordinator in one instant, while they
    /// are written to. What is rebuilt of their disks has what was synced, and of the rest any sectors.
    @Suite struct ReplicaPowerCutTests {
        /// `MIEN_REPLICA_POWER_CUTS` makes it a long run.
        private static let roundCount = StoryLength.named("MIEN_REPLICA_POWER_CUTS", or: Cut.allCases.count)

        /// Free pages are overwritten once something has been dead for a third of it: several times a round.
        private static let erasurePeriod = 4

        private enum Cut: CaseIterable {
            case ofThePrimary
            case ofTheOther
            case ofAll
        }

        /// A node and its disk.
        private final class PoweredNode {
            let node: Node
            private let stage: Stage
            private let folder: String
            private var disk: WatchedDisk?
            private var lifeCount = 0
            /// Of files: most cuts come between a write and its sync while there is much time between them.
            static let delay = "delay"

            init(_ node: Node, _ stage: Stage, folder: String) {
                self.node = node
                self.stage = stage
                self.folder = folder
            }

            func start() async throws {
                lifeCount += 1
                let record = stage.path("\(folder)-record-\(lifeCount)")
                if lifeCount > 1 { try? FileManager.default.removeItem(atPath: disk?.recordPath ?? "") }
                let disk = try WatchedDisk(folder: stage.path(folder), record: record)
                self.disk = disk
                try await node.start(adding: disk.environment(delay: stage.path(Self.delay)))
            }

            /// Of one that was killed.
            func cutPower(isTruthful: Bool = true, _ random: inout SeededRandom) throws -> WatchedDisk.Loss {
                guard let disk else { throw StoryError("the node has never run") }
                return try disk.cutPower(isTruthful: isTruthful, random: &random)
            }
        }

        @Test(.timeLimit(.minutes(roundCount > 10 ? 180 : 6)), arguments: [2, 1])
        func whatWasAcknowledgedOutlivesPowerCutsOfOneAndOfAll(minimumInSync: Int) async throws {
            try await Stage.play { stage in
                let name = "power cuts of 2 copies, at least \(minimumInSync)"
                let seed = SeededRandom.storySeed(name)
                var random = SeededRandom(seed: seed)
                let cluster = try Cluster(
                    stage,
                    workers: 3,
                    workerSettings: ["worker.erasure_period=\(Self.erasurePeriod)s"]
                )
                let coordinator = PoweredNode(cluster.coordinator, stage, folder: "coordinator")
                let workers = cluster.workers.enumerated().map {
                    PoweredNode($0.element, stage, folder: "worker-\($0.offset + 1)")
                }
                for node in [coordinator] + workers { try await node.start() }
                try await cluster.start()
                let load = try await ReplicatedLoad(
                    name,
                    cluster,
                    copies: 2,
                    minimumInSync: minimumInSync,
                    shards: 1,
                    seed: seed
                )
                // Whose files were there before they are watched.
                try await restart([coordinator] + workers, cluster)
                try await load.isWhole("at first")
                var total = WatchedDisk.Loss()
                for round in 1...Self.roundCount {
                    let cut =
                        round <= Cut.allCases.count
                        ? Cut.allCases[round - 1] : Cut.allCases.randomElement(using: &random)!
                    let lead = Duration.milliseconds(Int.random(in: 50...900, using: &random))
                    let absence = Duration.milliseconds(Int.random(in: 0...2500, using: &random))
                    var start = ContinuousClock.now
                    try stage.write(PoweredNode.delay, "\(Int.random(in: 0...40, using: &random))")
                    try await load.runs { pause in
                        // Writes are acknowledged by now; before, nobody may have led since the last cut.
                        start = .now
                        try await Task.sleep(for: lead)
                        // Where one copy is enough the other one's disk may be all that has what was acknowledged.
                        try await load.isWhole("before a power cut \(cut)")
                        let victims = try await victims(of: cut, load.client, cluster, coordinator, workers)
                        ChildProcess.kill(victims.compactMap(\.node.process))
                        for victim in victims { total += try victim.cutPower(&random) }
                        try await Task.sleep(for: absence)
                        for victim in victims { try await victim.start() }
                        try await load.isWhole("after a power cut \(cut)")
                        try await load.goesOn(pause, "after a power cut \(cut)")
                    }
                    try await load.check("after a power cut \(cut), in round \(round)")
                    // The other copy answers, where there is one.
                    let failures = await load.searchFailures(since: start)
                    #expect(cut == .ofAll || failures.isEmpty, "\(cut), in round \(round): \(failures.prefix(3))")
                }
                #expect(total.calls > 20 * Self.roundCount, "the files were hardly written")
                #expect(total.erasures > 0, "nothing was erased")
                try await load.end(
                    "\(Self.roundCount) power cuts, \(total.calls) calls, \(total.unsynced) writes not synced, "
                        + "\(total.erasures) over free pages",
                    mayRefuseWrites: true,
                    mayRefuseSearches: true
                )
                let seen = try await lyingDisksAreSeen(cluster, [coordinator] + workers, minimumInSync, &random)
                #expect(seen, "a story that sees nothing when disks lie proves nothing")
            }
        }

        private func victims(
            of cut: Cut,
            _ client: MienClient,
            _ cluster: Cluster,
            _ coordinator: PoweredNode,
            _ workers: [PoweredNode]
        ) async throws -> [PoweredNode] {
            if cut == .ofAll { return workers + [coordinator] }
            let replicas = try await client.describe(FaceWriter.collection).shards[0].replicas
            let wanted = try #require(replicas.first { $0.isPrimary == (cut == .ofThePrimary) })
            let address = try #require(try await client.status().workers.first { $0.id == wanted.workerID }?.address)
            return [workers[try #require(cluster.workerAddresses.firstIndex(of: "\(address)"))]]
        }

        private func restart(_ nodes: [PoweredNode], _ cluster: Cluster) async throws {
            for node in nodes { #expect(try await node.node.stop() == 0) }
            for node in nodes { try await node.start() }
            try await cluster.start()
        }

        /// The story must be able to fail: disks that say that they have synced, and have not, lose writes.
        private func lyingDisksAreSeen(
            _ cluster: Cluster,
            _ nodes: [PoweredNode],
            _ minimumInSync: Int,
            _ random: inout SeededRandom
        ) async throws -> Bool {
            let client = try cluster.client(retrying: .seconds(5), timeout: .seconds(5))
            try await restart(nodes, cluster)
            let pause = FaceWriter.Pause()
            let before = Set(
                try await eventually("faces are listed after the restart", within: .seconds(30)) {
                    try await FaceWriter.storedFaces(client)
                }.keys
            )
            async let writing = FaceWriter(seed: random.next()).writing(to: client, until: pause)
            try await eventually("writes are served", within: .seconds(20)) {
                pause.acknowledgedCount > 10 ? () : nil
            }
            pause.ask()
            var writer = await writing
            ChildProcess.kill(nodes.compactMap(\.node.process))
            for node in nodes { _ = try node.cutPower(isTruthful: false, &random) }
            for node in nodes { try await node.start() }
            var stored = try await eventually("what is there is served", within: .seconds(90)) {
                if let stored = try? await FaceWriter.storedFaces(client) { return stored }
                // The coordinator's disk lied as well, and workers may know of a later record than it has. Whatever
                // this comes to: it is refused where nothing is to be accepted yet, and what is listed is what counts.
                _ = try await cluster.mien("metadata", "accept", FaceWriter.collection, "--yes")
                return nil
            }
            for face in before { stored[face] = nil }
            await client.close()
            return writer.check(&stored).count > 10
        }
    }
}
