import Foundation
import MienClient
import Testing

extension Integration {
    /// Every node is reached through a proxy that delays, throttles, cuts, resets and damages what passes.
    @Suite struct NetworkFaultTests {
        /// `MIEN_NETWORK_FAULTS` makes it a long run.
        private static let roundCount = StoryLength.named("MIEN_NETWORK_FAULTS", or: 7)

        private static let faults: [FaultProxy.Fault] = [
            .cut, .cutTowards, .cutFrom, .delay(.milliseconds(300)), .throttle(bytesPerSecond: 20_000),
            .flip(oneIn: 3000),
        ]

        @Test(.timeLimit(.minutes(roundCount > 10 ? 180 : 5)))
        func writesAndSearchesStayTrueThroughABadNetwork() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("bad network")
                var random = SeededRandom(seed: seed)
                let network = try await BadNetwork(stage, workers: 3)
                try await network.start()
                let client = try network.client()
                try await FaceWriter.createCollection(shards: 3, copies: 3, minimumInSync: 2, client)
                var writers = (1...3).map { FaceWriter(seed: seed &+ UInt64($0)) }
                for round in 1...Self.roundCount {
                    let fault =
                        round <= Self.faults.count
                        ? Self.faults[round - 1] : Self.faults.randomElement(using: &random)!
                    let victim = Int.random(in: 0..<3, using: &random)
                    // The ways to the worker, or its own to the coordinator too: then it is alone.
                    let isAlone = Bool.random(using: &random)
                    let time = Duration.milliseconds(Int.random(in: 500...4000, using: &random))
                    let resets = Bool.random(using: &random)
                    let pause = FaceWriter.Pause()
                    writers = try await withThrowingTaskGroup(of: (Int, FaceWriter).self) { group in
                        for (number, writer) in writers.enumerated() {
                            group.addTask { (number, await writer.writing(to: client, until: pause)) }
                        }
                        defer { pause.ask() }
                        network.worker(victim).set(fault)
                        if isAlone { network.coordinator(of: victim).set(fault) }
                        try await Task.sleep(for: time)
                        if resets { network.worker(victim).reset() }
                        network.heal()
                        try await network.explaining {
                            try await eventually("every copy is in sync after \(fault)", within: .seconds(30)) {
                                let collection = try await client.describe(FaceWriter.collection)
                                return collection.shards.allSatisfy { $0.inSyncCount == 3 } ? () : nil
                            }
                        }
                        let count = pause.acknowledgedCount + writers.count
                        try await eventually("writes are served after \(fault)", within: .seconds(20)) {
                            pause.acknowledgedCount > count ? () : nil
                        }
                        pause.ask()
                        var written = writers
                        for try await (number, writer) in group { written[number] = writer }
                        return written
                    }
                    var stored = try await FaceWriter.storedFaces(client)
                    var faults: [String] = []
                    for number in writers.indices { faults += writers[number].check(&stored) }
                    #expect(faults.isEmpty, "round \(round), \(fault): \(faults.count) faults, \(faults.prefix(3))")
                    #expect(stored.isEmpty, "round \(round), \(fault): \(stored.count) faces that nobody wrote")
                }
                #expect(writers.map(\.readCount).reduce(0, +) > Self.roundCount)
                let surprises = writers.flatMap(\.surprises)
                #expect(surprises.isEmpty, "\(surprises.count) failures that no fault explains: \(surprises.prefix(5))")
                let verified = try await stage.mien(
                    "verify",
                    FaceWriter.collection,
                    "--json",
                    "--coordinator",
                    "\(network.address)"
                )
                #expect(verified.status == 0, "\(verified)")
                print(
                    "bad network: \(Self.roundCount) faults, "
                        + "\(writers.map(\.acknowledgedCount).reduce(0, +)) writes acknowledged, "
                        + "\(writers.map(\.failedCount).reduce(0, +)) failed; "
                        + "\(writers.map(\.readCount).reduce(0, +)) reads and searches after writes, none untrue"
                )
                await client.close()
                await network.stop()
            }
        }
    }
}
