import Foundation
import Glibc
import MienClient
import Testing

extension Integration {
    /// A step that does not get on for a minute is told of, begins anew, and ends when what held it up is gone.
    @Suite struct StuckStepTests {
        private struct Operation: Decodable {
            struct Step: Decodable { var restarts: Int }
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
            try cluster.stage.write(faults, "write:1:\(EIO)")
            let answer = try await cluster.mien(order)
            #expect(answer.status == 0, "\(answer)")
            let begun = ContinuousClock.now
            try await load.runs { pause in
                try await eventually("it is told why", within: .seconds(30)) {
                    try await cluster.mien(["operations"]).output.contains(told) ? () : nil
                }
                try await eventually("the step begins anew", within: .seconds(120)) {
                    try await operation(cluster).steps[0].restarts > 0 ? () : nil
                }
                #expect(ContinuousClock.now - begun > .seconds(50))
                let log = try #require(cluster.coordinator.process).error
                #expect(log.contains("/0 for a minute. \(logged)"), "\(log.suffix(2000))")
                #expect(log.contains("a step of an operation begins anew"), "\(log.suffix(2000))")
                let metrics = try await ScrapedMetrics(of: [cluster.coordinator])
                #expect(metrics.sum("mien_operation_silence_seconds") > 50)
                try await stuck()

                try FileManager.default.removeItem(atPath: cluster.stage.path(faults))
                try await eventually("it is done", within: .seconds(120)) {
                    try await operation(cluster).state == "done" ? () : nil
                }
                try await load.isWhole("after it")
                try await load.goesOn(pause, "after it")
            }
        }

        private static func operation(_ cluster: Cluster) async throws -> Operation {
            let result = try await cluster.mien("operations", "--all", "--json")
            let operations = try JSONDecoder().decode([Operation].self, from: Data(result.output.utf8))
            return try #require(operations.first { !$0.steps.isEmpty }, "\(result)")
        }
    }
}
