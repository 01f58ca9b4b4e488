import Foundation
import MienClient
import Testing

extension Integration {
    /// The folder of an etcd is put back to a copy, made before a worker died and others took over.
    @Suite struct RestoredEtcdTests {
        /// - Parameter isGone: whether the primary of the earlier records is dead when the coordinator starts on them.
        @Test(.timeLimit(.minutes(3)), arguments: [false, true])
        func aStoreThatIsPutBackIsNotFollowed(isGone: Bool) async throws {
            try await Stage.play { stage in
                let etcd = try EtcdCluster(stage, memberCount: 1)
                try await Self.start(etcd)
                let cluster = try Cluster(stage, workers: 3, coordinatorSettings: etcd.coordinatorSettings)
                try await cluster.start()
                let load = try await ReplicatedLoad("etcd put back", cluster, copies: 2, minimumInSync: 1)
                try await load.runs { pause in try await load.goesOn(pause, "before the copy") }
                let shards = try await load.client.describe(FaceWriter.collection).shards
                let victim = try #require(shards[0].replicas.first { $0.isPrimary }?.workerID)
                let left = shards.filter { shard in shard.replicas.contains { $0.workerID == victim } }.map(\.index)
                let address = try #require(try await load.client.status().workers.first { $0.id == victim }?.address)
                let index = try #require(cluster.workerAddresses.firstIndex(of: address))
                let worker = cluster.workers[index]
                let old = try await Self.leaders(of: left, load.client)
                etcd.members[0]?.kill()
                try FileManager.default.copyItem(atPath: etcd.folder(of: 0), toPath: stage.path("kept"))
                try await Self.start(etcd)
                try await Self.awaitController(load.client)

                // What the copy does not know: who leads, and who was away for a while.
                try await load.runs { pause in
                    worker.kill()
                    try await Self.awaitAbsence(of: victim, load.client)
                    try await load.goesOn(pause, "without it")
                    try await worker.start()
                    try await load.isWhole("when it is back")
                    try await load.goesOn(pause, "on newer records")
                }
                try await load.check("on newer records")
                #expect(try await Self.leaders(of: left, load.client) != old, "another replica took over")

                #expect(try await cluster.coordinator.stop() == 0)
                etcd.members[0]?.kill()
                try FileManager.default.removeItem(atPath: etcd.folder(of: 0))
                try FileManager.default.moveItem(atPath: stage.path("kept"), toPath: etcd.folder(of: 0))
                if isGone { worker.kill() }
                try await Self.start(etcd)
                if isGone { try await cluster.coordinator.start() } else { try await cluster.start() }
                try await Self.expectLeftAlone(left, as: old, cluster, load)
                // Everything that was acknowledged can be read where every replica in sync is there.
                if !isGone { try await load.check("while nobody is steered") }

                // No other replica takes over from the one that leads by the record, and is gone.
                worker.kill()
                try await Task.sleep(for: .seconds(4))
                #expect(try await Self.leaders(of: left, load.client) == old, "nobody steers what is left alone")

                let accepted = try await cluster.mien("metadata", "accept", FaceWriter.collection, "--yes")
                #expect(accepted.status == 0, "\(accepted)")
                #expect(accepted.output.contains("Accepted the records of"), "\(accepted)")
                #expect(accepted.output.contains("leads") && accepted.output.contains("is away"), "\(accepted)")
                // The one that was killed leads nothing: what the others have is all that was acknowledged.
                try await load.check("when the records were accepted")
                #expect(try await Self.leaders(of: left, load.client).allSatisfy { $0 != victim })
                try await load.runs { pause in
                    try await load.goesOn(pause, "when the records were accepted")
                    try await worker.start()
                    try await load.isWhole("at the end")
                    try await load.goesOn(pause, "at the end")
                }
                try await load.check("at the end")
                #expect(try await Self.olderCount(cluster) == 0)
                let status = try await cluster.mien("status")
                #expect(status.status == 0, "\(status)")
                try await load.end("accepted the records of \(left.count) of \(shards.count) shards")
            }
        }

        /// The coordinator says which shards it leaves alone, and they are as the copy has them.
        private static func expectLeftAlone(
            _ shards: [Int],
            as old: [String?],
            _ cluster: Cluster,
            _ load: ReplicatedLoad
        ) async throws {
            let words = "Workers go by a newer record of shard"
            try await load.explaining {
                try await eventually("the log tells of it", within: .seconds(30)) {
                    cluster.coordinator.process?.error.contains(words) == true ? () : nil
                }
                try await eventually("\(shards.count) shards are left alone", within: .seconds(10)) {
                    try await olderCount(cluster) >= Double(shards.count) ? () : nil
                }
            }
            #expect(try await leaders(of: shards, load.client) == old)
            // By the record somebody leads who does not.
            let status = try await cluster.mien("status")
            #expect(status.status == 69 && status.error.contains("shard"), "\(status)")
        }

        private static func olderCount(_ cluster: Cluster) async throws -> Double {
            try await ScrapedMetrics(of: [cluster.coordinator]).sum("mien_shards_of_older_records")
        }

        /// Who leads by the records.
        private static func leaders(of indices: [Int], _ client: MienClient) async throws -> [String?] {
            let shards = try await client.describe(FaceWriter.collection).shards
            return shards.filter { indices.contains($0.index) }.map { shard in
                shard.replicas.first { $0.isPrimary }?.workerID
            }
        }

        /// Starts it on the folder that is there, and waits until it answers.
        private static func start(_ etcd: EtcdCluster) async throws {
            try await etcd.start()
            try await eventually("etcd answers", within: .seconds(20)) { try await etcd.isHealthy(0) ? () : nil }
        }

        /// After an absence of the etcd.
        private static func awaitController(_ client: MienClient) async throws {
            // Longer than between two looks at the lease.
            try await Task.sleep(for: .seconds(1))
            try await eventually("there is a controller", within: .seconds(20)) {
                let status = try await client.status()
                return status.storeProblem == nil && status.coordinators.contains { $0.controllerSince != nil }
                    ? () : nil
            }
        }

        /// Waits until every shard goes on without the worker.
        private static func awaitAbsence(of worker: String, _ client: MienClient) async throws {
            try await eventually("nobody counts on \(worker)", within: .seconds(20)) {
                let shards = try await client.describe(FaceWriter.collection).shards
                let copies = shards.flatMap(\.replicas).filter { $0.workerID == worker }
                return copies.allSatisfy { !$0.isInSync } ? () : nil
            }
        }
    }
}
