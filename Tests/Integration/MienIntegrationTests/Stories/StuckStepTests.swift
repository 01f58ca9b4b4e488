import Foundation
import Glibc
import MienClient
import Testing

extension Integration {
    /// What does not get on for a minute is told of, begins anew, and ends when what held it up is gone: steps of
    /// operations, and copies in the place of lost ones.
    @Suite struct StuckStepTests {
        private struct Operation: Decodable {
            struct Step: Decodable { var restarts: Int }
            var kind: String
            var state: String
            var steps: [Step]
        }

        /// The worker that is to have the replica cannot write it.
        @Test(.timeLimit(.minutes(6))) func aMoveThatDoesNotGetOnBeginsAnewUntilItDoes() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 3)
                func faults(_ worker: Int) -> String { "faults-\(worker)" }
                for (number, worker) in cluster.workers.enumerated() {
                    try await worker.start(adding: StorageFaults.environment(each: stage.path(faults(number))))
                }
                try await cluster.start()
                let load = try await ReplicatedLoad("stuck step", cluster, copies: 2, minimumInSync: 1, shards: 1)
                let replicas = try #require(try await load.client.describe(FaceWriter.collection).shards.first).replicas
                let workers = try await load.client.status().workers
                let leaver = try #require(replicas.first { !$0.isPrimary }?.workerID)
                let address = try #require(workers.first { worker in !replicas.contains { $0.workerID == worker.id } })
                    .address
                let target = try #require(cluster.workerAddresses.firstIndex(of: address))

                try await Self.getStuck(
                    ["shard", "move", FaceWriter.collection, "0", "--from", leaver, "--to", address],
                    cluster,
                    load,
                    faults: faults(target),
                    told: "is catching up. It ",
                    logged: "The replica on the worker"
                )
                try await load.check("after the move")
                try await load.end("a step that was stuck for a minute")
            }
        }

        /// One of the workers cannot write one of the shards that are made beside the one that is split.
        @Test(.timeLimit(.minutes(6))) func aSplitThatDoesNotGetOnBeginsAnewUntilItDoes() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 2)
                try await cluster.workers[0].start(
                    adding: StorageFaults.environment(each: stage.path("faults"), file: "/2/partition/data.mdb")
                )
                try await cluster.workers[1].start()
                try await cluster.start()
                let load = try await ReplicatedLoad("stuck split", cluster, copies: 2, minimumInSync: 1, shards: 1)
                try await Self.getStuck(
                    ["shard", "split", FaceWriter.collection, "0"],
                    cluster,
                    load,
                    faults: "faults",
                    told: "Shard 2 begins anew there: ",
                    logged: "What takes the shard's"
                ) {
                    let shards = try await load.client.describe(FaceWriter.collection).shards
                    #expect(shards.map(\.index) == [0], "nothing is in force that is not whole")
                }
                let shards = try await load.client.describe(FaceWriter.collection).shards
                #expect(shards.map(\.index).sorted() == [1, 2])
                try await load.check("after the split")
                try await load.end("a split that was stuck for a minute")
            }
        }

        /// A worker is gone for good, and the only one that could have its replica cannot write it.
        @Test(.timeLimit(.minutes(6))) func aReplacementThatDoesNotGetOnBeginsAnewUntilItDoes() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 3, coordinatorSettings: ["coordinator.replace_after=2s"])
                func faults(_ worker: Int) -> String { "faults-\(worker)" }
                for (number, worker) in cluster.workers.enumerated() {
                    try await worker.start(adding: StorageFaults.environment(each: stage.path(faults(number))))
                }
                try await cluster.start()
                let load = try await ReplicatedLoad("stuck copy", cluster, copies: 2, minimumInSync: 1, shards: 1)
                let replicas = try #require(try await load.client.describe(FaceWriter.collection).shards.first).replicas
                let workers = try await load.client.status().workers
                func number(_ id: String) throws -> Int {
                    let address = try #require(workers.first { $0.id == id }).address
                    return try #require(cluster.workerAddresses.firstIndex(of: address))
                }
                let gone = try number(try #require(replicas.first { !$0.isPrimary }?.workerID))
                let target = try number(
                    try #require(workers.first { worker in !replicas.contains { $0.workerID == worker.id } }).id
                )
                try await Self.getStuck(
                    by: {
                        cluster.workers[gone].kill()
                        try await eventually("a copy is on its way", within: .seconds(30)) {
                            try await cluster.mien(["operations"]).output.contains("replacement of lost") ? () : nil
                        }
                    },
                    cluster,
                    load,
                    faults: faults(target),
                    told: "is catching up. It ",
                    logged: "The replica on the worker",
                    isReplacement: true
                )
                try await load.check("with the copy")
                try await load.end("a copy that was stuck for a minute")
            }
        }

        /// Begins an operation, of which nothing can be written, under load: its step is silent for a minute, begins
        /// anew, and ends once it can.
        ///
        /// - Parameters:
        ///   - faults: the file on the stage by which writes fail.
        ///   - stuck: what is to be looked at before they do not fail any more.
        private static func getStuck(
            _ order: [String],
            _ cluster: Cluster,
            _ load: ReplicatedLoad,
            faults: String,
            told: String,
            logged: String,
            _ stuck: () async throws -> Void = {}
        ) async throws {
            try await getStuck(
                by: {
                    let answer = try await cluster.mien(order)
                    #expect(answer.status == 0, "\(answer)")
                },
                cluster,
                load,
                faults: faults,
                told: told,
                logged: logged,
                stuck
            )
        }

        /// - Parameters:
        ///   - begin: has something begin of which nothing can be written.
        ///   - isReplacement: whether that is a copy in the place of a lost one, and no operation.
        private static func getStuck(
            by begin: () async throws -> Void,
            _ cluster: Cluster,
            _ load: ReplicatedLoad,
            faults: String,
            told: String,
            logged: String,
            isReplacement: Bool = false,
            _ stuck: () async throws -> Void = {}
        ) async throws {
            try cluster.stage.write(faults, "write:1:\(EIO)")
            try await begin()
            let begun = ContinuousClock.now
            try await load.runs { pause in
                try await eventually("it is told why", within: .seconds(30)) {
                    try await cluster.mien(["operations"]).output.contains(told) ? () : nil
                }
                try await eventually("it begins anew", within: .seconds(120)) { () async throws -> Void? in
                    let log = try #require(cluster.coordinator.process).error
                    guard log.contains("what did not move begins anew") else { return nil }
                    if isReplacement { return () }
                    return try await operation(cluster).steps[0].restarts > 0 ? () : nil
                }
                #expect(ContinuousClock.now - begun > .seconds(50))
                let log = try #require(cluster.coordinator.process).error
                let sentence = isReplacement ? "which is to be that, has not got on for a minute." : "/0 for a minute."
                #expect(log.contains("\(sentence) \(logged)"), "\(log.suffix(2000))")
                let metrics = try await ScrapedMetrics(of: [cluster.coordinator])
                #expect(metrics.sum("mien_operation_silence_seconds") > 50)
                try await stuck()

                try FileManager.default.removeItem(atPath: cluster.stage.path(faults))
                try await eventually("it is done", within: .seconds(120)) {
                    isReplacement
                        ? try await operations(cluster).contains { $0.kind == "replacement" } ? nil : ()
                        : try await operation(cluster).state == "done" ? () : nil
                }
                try await load.isWhole("after it")
                try await load.goesOn(pause, "after it")
            }
        }

        private static func operation(_ cluster: Cluster) async throws -> Operation {
            let operations = try await operations(cluster)
            return try #require(operations.first { $0.kind != "replacement" && !$0.steps.isEmpty }, "\(operations)")
        }

        private static func operations(_ cluster: Cluster) async throws -> [Operation] {
            let result = try await cluster.mien("operations", "--all", "--json")
            return try JSONDecoder().decode([Operation].self, from: Data(result.output.utf8))
        }
    }
}
