import Foundation
import MienClient
import Testing

extension Integration {
    /// One after the other of three coordinators and three members of their etcd is killed and comes back, while faces
    /// are written and searched for, and collections are created and deleted. No search and no write fails.
    @Suite struct CoordinatorKillTests {
        /// `MIEN_COORDINATOR_KILLS` makes it a long run.
        private static let roundCount = StoryLength.named("MIEN_COORDINATOR_KILLS", or: 2)

        private enum Victim: CaseIterable {
            case controller
            case leader
            case coordinator
            case member
        }

        @Test(.timeLimit(.minutes(roundCount > 10 ? 180 : 3)))
        func whatWasAcknowledgedOutlivesDeathsOfWhoeverSteers() async throws {
            try await Stage.play { stage in
                let name = "deaths of coordinators and of etcd"
                let seed = SeededRandom.storySeed(name)
                var random = SeededRandom(seed: seed)
                let cluster = try SharedCluster(stage, coordinators: 3, workers: 3)
                try await cluster.start()
                let load = try await ReplicatedLoad(name, cluster, copies: 3, seed: seed)
                var clerk = Clerk(seed: seed &+ 100)
                for round in 1...Self.roundCount {
                    // Whoever steers, whoever leads the etcd; then it is left to chance.
                    let victim =
                        round <= 2 ? Victim.allCases[round - 1] : Victim.allCases.randomElement(using: &random)!
                    let lead = Duration.milliseconds(Int.random(in: 100...900, using: &random))
                    // Longer than leases last, or shorter.
                    let absence = Duration.milliseconds(
                        Int.random(in: Bool.random(using: &random) ? 0...500 : 2100...4500, using: &random)
                    )
                    let (before, client) = (clerk, load.client)
                    clerk = try await load.runs { pause in
                        async let clerking = before.working(for: client, until: pause)
                        do {
                            try await Task.sleep(for: lead)
                            try await kill(victim, for: absence, cluster, load, &random)
                            try await load.goesOn(pause, "after the death of \(victim)")
                        } catch {
                            pause.ask()
                            _ = await clerking
                            throw error
                        }
                        pause.ask()
                        return await clerking
                    }
                    try await load.check("after the death of \(victim), in round \(round)")
                    for number in cluster.coordinators.indices {
                        let client = try cluster.client(of: number)
                        try await load.explaining {
                            // Coordinators that do not steer hear of changes a moment later.
                            try await eventually("coordinator \(number) knows all of \(clerk)", within: .seconds(20)) {
                                clerk.agrees(with: try await client.collections().map(\.options.name)) ? () : nil
                            }
                        }
                        await client.close()
                    }
                    let names = try await load.client.collections().map(\.options.name)
                    clerk.settle(names)
                }
                #expect(clerk.surprises.isEmpty, "\(clerk.surprises.prefix(5))")
                #expect(clerk.acknowledgedCount > Self.roundCount, "\(clerk)")
                try await load.end("\(Self.roundCount) deaths; \(clerk)")
            }
        }

        /// Kills it, starts it again, and waits until all know each other.
        private func kill(
            _ victim: Victim,
            for absence: Duration,
            _ cluster: SharedCluster,
            _ load: ReplicatedLoad,
            _ random: inout SeededRandom
        ) async throws {
            switch victim {
            case .controller, .coordinator:
                var number = Int.random(in: 0..<3, using: &random)
                if victim == .controller {
                    number = try await eventually("there is a controller", within: .seconds(20)) {
                        try await cluster.controller(asSeenBy: 0)
                    }
                }
                cluster.coordinators[number].kill()
                try await Task.sleep(for: absence)
                try await cluster.coordinators[number].start()
            case .leader, .member:
                var number = Int.random(in: 0..<3, using: &random)
                if victim == .leader { number = try await cluster.etcd.leader() }
                cluster.etcd.members[number]?.kill()
                try await Task.sleep(for: absence)
                try await cluster.etcd.start()
            }
            try await load.explaining {
                for number in cluster.etcd.members.indices {
                    try await eventually("member \(number) of the etcd is back", within: .seconds(30)) {
                        try await cluster.etcd.isHealthy(number) ? () : nil
                    }
                }
                for number in cluster.coordinators.indices { try await cluster.awaitWhole(number) }
            }
            try await load.isWhole("after the death of \(victim)")
        }
    }

    /// Creates and deletes collections, one after the other, and knows which there must be.
    private struct Clerk: CustomStringConvertible {
        private static let prefix = "clerk-"
        private static let pause = Duration.milliseconds(100)
        private static let largestCount = 6

        /// Whether each is there; nil when nobody knows.
        private var isThere: [String: Bool?] = [:]
        private(set) var acknowledgedCount = 0
        private var failedCount = 0
        /// Failures that no death explains.
        private(set) var surprises: [String] = []
        private var lastNumber = 0
        private var random: SeededRandom

        init(seed: UInt64) { random = SeededRandom(seed: seed) }

        var description: String {
            "\(acknowledgedCount) changes of collections acknowledged, \(failedCount) failed"
        }

        func working(for client: MienClient, until pause: FaceWriter.Pause) async -> Clerk {
            var clerk = self
            while !pause.isAsked, !Task.isCancelled {
                let there = clerk.isThere.filter { $0.value == true }.keys.sorted()
                if there.count >= Self.largestCount || Bool.random(using: &clerk.random), !there.isEmpty {
                    await clerk.delete(there.randomElement(using: &clerk.random)!, client)
                } else {
                    await clerk.create(client)
                }
                try? await Task.sleep(for: Self.pause)
            }
            return clerk
        }

        private mutating func create(_ client: MienClient) async {
            lastNumber += 1
            let name = "\(Self.prefix)\(lastNumber)"
            do throws(MienClientError) {
                _ = try await client.createCollection(
                    CollectionOptions(name: name, dimension: 64, embeddingModel: FaceWriter.model, shardCount: 1)
                )
                note(name, true)
            } catch  where error.code == .alreadyExists {
                // By an earlier attempt of the same call: nobody else has the name.
                note(name, true)
            } catch {
                note(name, error, before: false)
            }
        }

        private mutating func delete(_ name: String, _ client: MienClient) async {
            do throws(MienClientError) {
                _ = try await client.deleteCollection(name)
                note(name, false)
            } catch {
                note(name, error, before: true)
            }
        }

        private mutating func note(_ name: String, _ isThere: Bool) {
            acknowledgedCount += 1
            self.isThere[name] = .some(isThere)
        }

        private mutating func note(_ name: String, _ error: MienClientError, before: Bool) {
            failedCount += 1
            isThere[name] = .some(error.hasNoEffect ? before : nil)
            if ![.unavailable, .deadlineExceeded].contains(error.code) { surprises.append("\(name): \(error)") }
        }

        /// Whether all that are certain are there, and none that is certainly not.
        func agrees(with names: [String]) -> Bool {
            let names = Set(names.filter { $0.hasPrefix(Self.prefix) })
            return names.allSatisfy { isThere[$0] != nil }
                && isThere.allSatisfy { name, isThere in isThere.map { $0 == names.contains(name) } ?? true }
        }

        /// What nobody knew is known now.
        mutating func settle(_ names: [String]) {
            for name in isThere.keys { isThere[name] = .some(names.contains(name)) }
        }
    }
}
