import Foundation
import MienClient
import Testing

extension Integration {
    /// Clients write and read the same few faces at once while nodes die, hang and are cut off. For every face there is
    /// one order of its writes that explains all that they were told and shown.
    @Suite struct HistoryTests {
        /// `MIEN_HISTORY_ROUNDS` makes it a long run.
        private static let roundCount = StoryLength.named("MIEN_HISTORY_ROUNDS", or: 5)
        private static let clientCount = 6
        private static let limit: Int = roundCount > 10 ? 240 : 4
        /// For so long after its client has given up, with nothing broken, a write may still be done: a node that was
        /// frozen reads it, and gives it the time that its client gave, 10 s at most; somebody who has just begun to
        /// lead holds back deletions for 2 s; the rest is for copies to have it.
        private static let longestLife = Duration.seconds(15)

        struct Copies: CustomTestStringConvertible {
            var count: Int
            var minimum: Int
            var testDescription: String { "\(count), at least \(minimum)" }
        }

        @Test(
            .timeLimit(.minutes(limit)),
            arguments: [Copies(count: 2, minimum: 2), Copies(count: 2, minimum: 1), Copies(count: 3, minimum: 2)]
        )
        func oneOrderExplainsWhatIsSeenWhileNodesDieAndHang(copies: Copies) async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("history, deaths")
                var random = SeededRandom(seed: seed)
                let cluster = try Cluster(
                    stage,
                    workers: 3,
                    coordinatorSettings: ["coordinator.worker_timeout=1500ms"],
                    workerSettings: ["worker.heartbeat_interval=500ms"]
                )
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(8), timeout: .seconds(10))
                try await Self.createCollection(client, copies)
                let recorder = HistoryRecorder(faceCount: 24)
                try await Self.playing(recorder, seed: seed, { try cluster.client() }) { pause in
                    for round in 1...Self.roundCount {
                        let nodes = cluster.workers + [cluster.coordinator]
                        let victim = round <= 2 ? cluster.coordinator : nodes.randomElement(using: &random)!
                        let isFrozen = round <= 2 ? round == 2 : Bool.random(using: &random)
                        let lead = Duration.milliseconds(Int.random(in: 100...700, using: &random))
                        let absence = Duration.milliseconds(Int.random(in: 100...3500, using: &random))
                        try await Self.awaitWrites(pause, round)
                        try await Task.sleep(for: lead)
                        if isFrozen { victim.process?.freeze() } else { victim.kill() }
                        switch round {
                        case 1:
                            try await eventually("a write is refused with nothing done", within: .seconds(20)) {
                                recorder.figures.refusedCount > 0 ? () : nil
                            }
                        case 2:
                            try await eventually("a write ends with nobody knowing", within: .seconds(20)) {
                                recorder.figures.unknownCount > 0 ? () : nil
                            }
                        default: try await Task.sleep(for: absence)
                        }
                        if isFrozen { victim.process?.thaw() } else { try await victim.start() }
                        try await Self.awaitCopies(client, copies.count, round)
                        try await Self.settle(recorder, client, copies.count, round)
                    }
                }
                let report = try await recorder.check(client)
                Self.expectTruth(recorder, report, "deaths, \(copies.testDescription) copies")
                let verified = try await cluster.mien("verify", FaceWriter.collection, "--json")
                #expect(verified.status == 0, "\(verified)")
                await client.close()
            }
        }

        private static let faults: [FaultProxy.Fault] = [
            .cut, .cutFrom, .cutTowards, .delay(.milliseconds(300)), .flip(oneIn: 3000),
        ]

        private static let faultsOfClients: [FaultProxy.Fault] = [.cutTowards, .cutFrom, .delay(.milliseconds(200))]

        @Test(.timeLimit(.minutes(limit)))
        func oneOrderExplainsWhatIsSeenThroughABadNetwork() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("history, bad network")
                var random = SeededRandom(seed: seed)
                let network = try await BadNetwork(stage, workers: 3)
                try await network.start()
                // Clients have a bad way of their own to the coordinator.
                let entrance = try await FaultProxy.start(to: network.address.port)
                let client = try network.client()
                let copies = Copies(count: 3, minimum: 2)
                try await Self.createCollection(client, copies)
                let recorder = HistoryRecorder(faceCount: 24)
                let connect = {
                    try MienClient(addresses: [MienClient.Address(host: "127.0.0.1", port: entrance.port)])
                }
                try await Self.playing(recorder, seed: seed, connect) { pause in
                    for round in 1...Self.roundCount {
                        let fault = Self.faults[(round - 1) % Self.faults.count]
                        let victim = Int.random(in: 0..<3, using: &random)
                        let isAlone = Bool.random(using: &random)
                        let time = Duration.milliseconds(Int.random(in: 500...3500, using: &random))
                        try await network.explaining { try await Self.awaitWrites(pause, round) }
                        network.worker(victim).set(fault)
                        if isAlone { network.coordinator(of: victim).set(fault) }
                        try await Task.sleep(for: time / 2)
                        // Writes under way are left without an answer.
                        entrance.set(Self.faultsOfClients[round % Self.faultsOfClients.count])
                        try await Task.sleep(for: time / 2)
                        entrance.reset()
                        entrance.set(.none)
                        network.worker(victim).reset()
                        network.heal()
                        try await network.explaining { try await Self.awaitCopies(client, copies.count, round) }
                        try await Self.settle(recorder, client, copies.count, round)
                    }
                    #expect(recorder.figures.unknownCount > 0, "no answer to a write was ever lost")
                }
                let report = try await recorder.check(client)
                Self.expectTruth(recorder, report, "bad network, \(copies.testDescription) copies")
                let verified = try await stage.mien(
                    "verify",
                    FaceWriter.collection,
                    "--json",
                    "--coordinator",
                    "\(network.address)"
                )
                #expect(verified.status == 0, "\(verified)")
                await client.close()
                await entrance.stop()
                await network.stop()
            }
        }

        // MARK: Parts of both

        private static func createCollection(_ client: MienClient, _ copies: Copies) async throws {
            try await FaceWriter.createCollection(
                shards: 3,
                copies: copies.count,
                minimumInSync: copies.minimum,
                client
            )
        }

        /// Lets clients play, each over a connection of its own, while `story` runs. Afterwards nothing has been
        /// written for longer than a read may miss.
        private static func playing(
            _ recorder: HistoryRecorder,
            seed: UInt64,
            _ connect: () throws -> MienClient,
            _ story: (FaceWriter.Pause) async throws -> Void
        ) async throws {
            let pause = FaceWriter.Pause()
            var connections: [MienClient] = []
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 1...clientCount {
                    let client = try connect()
                    connections.append(client)
                    // Every other one never tries again, so that some writes end as refused, or with nobody knowing.
                    let calls =
                        number.isMultiple(of: 2)
                        ? MienClient.CallOptions(timeout: .seconds(10), retryDuration: .seconds(8))
                        : MienClient.CallOptions(timeout: .milliseconds(1500), retryDuration: .zero)
                    let player = HistoryClient(number, client.with(calls: calls), recorder, seed: seed)
                    group.addTask { await player.playing(until: pause) }
                }
                defer { pause.ask() }
                try await story(pause)
                pause.ask()
                try await group.waitForAll()
            }
            for connection in connections { await connection.close() }
            try await Task.sleep(for: FaceHistoryChecker.staleness + .milliseconds(200))
        }

        private static func awaitWrites(_ pause: FaceWriter.Pause, _ round: Int) async throws {
            let count = pause.acknowledgedCount + 4 * clientCount
            try await eventually("writes are served before round \(round)", within: .seconds(20)) {
                pause.acknowledgedCount > count ? () : nil
            }
        }

        private static func awaitCopies(_ client: MienClient, _ count: Int, _ round: Int) async throws {
            try await eventually("every copy is in sync after round \(round)", within: .seconds(30)) {
                let collection = try await client.describe(FaceWriter.collection)
                return collection.shards.allSatisfy { $0.inSyncCount == count } ? () : nil
            }
        }

        /// In the middle, and now and then in a long run, nothing is broken for a while: what nobody knows of may not
        /// be an excuse for ever.
        private static func settle(
            _ recorder: HistoryRecorder,
            _ client: MienClient,
            _ count: Int,
            _ round: Int
        ) async throws {
            guard round == (roundCount + 1) / 2 || round.isMultiple(of: 20) else { return }
            let healed = recorder.now
            try await Task.sleep(for: longestLife)
            try await awaitCopies(client, count, round)
            recorder.settle(whatEndedBefore: healed)
        }

        private static func expectTruth(_ recorder: HistoryRecorder, _ report: HistoryRecorder.Report, _ name: String) {
            let excerpts = report.violations.prefix(2).joined(separator: "\n")
            #expect(report.violations.isEmpty, "\(report.violations.count) faces without an order:\n\(excerpts)")
            let surprises = recorder.surprises
            #expect(surprises.isEmpty, "\(surprises.count) that no fault explains: \(surprises.prefix(5))")
            print(
                "history: \(name), \(roundCount) rounds, \(report.operationCount) operations of a face; "
                    + "\(recorder.figures); longest check \(report.longestCheck)"
            )
        }
    }
}
