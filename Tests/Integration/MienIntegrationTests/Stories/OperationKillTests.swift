import Foundation
import Glibc
import MienClient
import Testing

extension Integration {
    /// Whoever steers is killed while a replica moves or a shard is split: the other coordinator brings it to its end
    /// unasked, and nobody who writes or searches notices.
    @Suite struct OperationKillTests {
        /// Deaths while the operation cannot get on; one more comes when it can. `MIEN_OPERATION_KILLS` makes it a long
        /// run.
        private static let killCount = StoryLength.named("MIEN_OPERATION_KILLS", or: 2)

        private struct Operation: Decodable {
            struct Step: Decodable {
                var change: String
                var state: String
            }

            var state: String
            var steps: [Step]
        }

        /// The worker that is to have the replica cannot write it, at first. The replica that makes way is the primary:
        /// it has to be handed over as well.
        @Test(.timeLimit(.minutes(killCount > 10 ? 180 : 3)))
        func aMoveOutlivesDeathsOfWhoeverSteers() async throws {
            try await Stage.play { stage in
                let cluster = try SharedCluster(stage, coordinators: 2, workers: 3)
                let variables = try cluster.workers.indices.map { number in
                    try StorageFaults.environment(each: stage.path(Self.faults(number)))
                }
                try await Self.start(cluster, variables)
                let name = "deaths during a move"
                let seed = SeededRandom.storySeed(name)
                let load = try await ReplicatedLoad(name, cluster, copies: 2, shards: 1, seed: seed)
                let replicas = try #require(try await load.client.describe(FaceWriter.collection).shards.first).replicas
                let workers = try await load.client.status().workers
                let leaver = try #require(replicas.first { $0.isPrimary }?.workerID)
                let target = try #require(workers.first { worker in !replicas.contains { $0.workerID == worker.id } })
                let number = try #require(cluster.workers.firstIndex { $0.arguments.contains(target.address) })

                let time = try await Self.play(
                    ["shard", "move", FaceWriter.collection, "0", "--from", leaver, "--to", target.address],
                    "move",
                    cluster,
                    load,
                    faults: Self.faults(number),
                    lead: Self.lead(seed)
                ) {
                    let now = try await load.client.describe(FaceWriter.collection).shards[0].replicas
                    #expect(now.contains { $0.workerID == leaver }, "nobody leaves before another has everything")
                }
                let moved = try #require(try await load.client.describe(FaceWriter.collection).shards.first).replicas
                #expect(moved.contains { $0.workerID == target.id } && !moved.contains { $0.workerID == leaver })
                try await load.check("after the move")
                try await load.end(Self.told(time))
            }
        }

        /// One of the workers cannot write one of the shards that are made beside the one that is split, at first.
        @Test(.timeLimit(.minutes(killCount > 10 ? 180 : 3)))
        func aSplitOutlivesDeathsOfWhoeverSteers() async throws {
            try await Stage.play { stage in
                let cluster = try SharedCluster(stage, coordinators: 2, workers: 2)
                let variables = try StorageFaults.environment(
                    each: stage.path(Self.faults(0)),
                    file: "/2/partition/data.mdb"
                )
                try await Self.start(cluster, [variables, [:]])
                let name = "deaths during a split"
                let seed = SeededRandom.storySeed(name)
                let load = try await ReplicatedLoad(name, cluster, copies: 2, shards: 1, seed: seed)

                let time = try await Self.play(
                    ["shard", "split", FaceWriter.collection, "0"],
                    "split",
                    cluster,
                    load,
                    faults: Self.faults(0),
                    lead: Self.lead(seed)
                ) {
                    let shards = try await load.client.describe(FaceWriter.collection).shards
                    #expect(shards.map(\.index) == [0], "nothing is in force that is not whole")
                }
                let shards = try await load.client.describe(FaceWriter.collection).shards
                #expect(shards.map(\.index).sorted() == [1, 2])
                try await load.check("after the split")
                try await load.end(Self.told(time))
            }
        }

        // MARK: The story

        /// Begins an operation that cannot get on, under load, and kills whoever steers, again and again. Then lets it
        /// get on, and kills once more.
        ///
        /// - Parameters:
        ///   - change: what the operation's only step is.
        ///   - faults: the file on the stage by which writes fail.
        ///   - lead: time between the moment from which it can get on, and the last death.
        ///   - held: what is to be looked at before that moment.
        /// - Returns: time between that moment and the end of the operation.
        private static func play(
            _ order: [String],
            _ change: String,
            _ cluster: SharedCluster,
            _ load: ReplicatedLoad,
            faults: String,
            lead: Duration,
            _ held: () async throws -> Void
        ) async throws -> Duration {
            try cluster.stage.write(faults, "write:1:\(EIO)")
            let answer = try await cluster.mien(order)
            #expect(answer.status == 0, "\(answer)")
            let time = try await load.runs { pause in
                var taken = Duration.zero
                try await load.explaining {
                    try await awaitRunning(change, cluster, askedOf: 0)
                    for _ in 0..<killCount {
                        let killed = try await killController(of: cluster)
                        try await awaitRunning(change, cluster, askedOf: 1 - killed)
                        try await bringBack(killed, cluster)
                    }
                    try await held()

                    try FileManager.default.removeItem(atPath: cluster.stage.path(faults))
                    let start = ContinuousClock.now
                    try await Task.sleep(for: lead)
                    let killed = try await killController(of: cluster)
                    try await awaitDone(cluster, askedOf: 1 - killed)
                    taken = ContinuousClock.now - start
                    try await bringBack(killed, cluster)
                }
                try await load.goesOn(pause, "after it")
                return taken
            }
            try await load.isWhole("after it")
            for number in cluster.coordinators.indices { try await awaitDone(cluster, askedOf: number) }
            return time
        }

        private static func told(_ time: Duration) -> String {
            "\(killCount) deaths of whoever steered while it was held up, one afterwards; it ended \(time) after what "
                + "held it up was gone"
        }

        /// Longer than the operation takes, or shorter.
        private static func lead(_ seed: UInt64) -> Duration {
            var random = SeededRandom(seed: seed)
            return .milliseconds(Int.random(in: 0...1500, using: &random))
        }

        private static func faults(_ worker: Int) -> String { "faults-\(worker)" }

        // MARK: Nodes

        /// Starts everything, each worker with variables of its own.
        private static func start(_ cluster: SharedCluster, _ variables: [[String: String]]) async throws {
            try await cluster.etcd.start()
            for node in cluster.coordinators { try await node.start() }
            for (node, own) in zip(cluster.workers, variables) { try await node.start(adding: own) }
            for number in cluster.coordinators.indices { try await cluster.awaitWhole(number) }
        }

        /// Kills the one of two coordinators that steers, and waits until the other does.
        ///
        /// - Returns: number of the one that was killed.
        private static func killController(of cluster: SharedCluster) async throws -> Int {
            let killed = try await eventually("there is a controller", within: .seconds(20)) {
                try await cluster.controller(asSeenBy: 0)
            }
            cluster.coordinators[killed].kill()
            let left = 1 - killed
            try await eventually("the other coordinator steers", within: .seconds(20)) {
                try await cluster.controller(asSeenBy: left) == left ? () : nil
            }
            return killed
        }

        private static func bringBack(_ number: Int, _ cluster: SharedCluster) async throws {
            try await cluster.coordinators[number].start()
            try await cluster.awaitWhole(number)
        }

        // MARK: Operations

        private static func operations(_ cluster: SharedCluster, askedOf number: Int) async throws -> [Operation] {
            let coordinator = "\(cluster.addresses[number])"
            let result = try await cluster.stage.mien("operations", "--all", "--json", "--coordinator", coordinator)
            return try result.document([Operation].self)
        }

        /// Waits until a coordinator tells of one operation, whose only step is under way.
        private static func awaitRunning(
            _ change: String,
            _ cluster: SharedCluster,
            askedOf number: Int
        ) async throws {
            try await eventually("coordinator \(number) tells of a \(change) under way", within: .seconds(20)) {
                let all = try await operations(cluster, askedOf: number)
                let steps = all.flatMap(\.steps).map { "\($0.change) \($0.state)" }
                return all.map(\.state) == ["running"] && steps == ["\(change) running"] ? () : nil
            }
        }

        /// Waits until a coordinator tells that the operation is done.
        private static func awaitDone(_ cluster: SharedCluster, askedOf number: Int) async throws {
            try await eventually("coordinator \(number) tells that the operation is done", within: .seconds(60)) {
                try await operations(cluster, askedOf: number).map(\.state) == ["done"] ? () : nil
            }
        }
    }
}
