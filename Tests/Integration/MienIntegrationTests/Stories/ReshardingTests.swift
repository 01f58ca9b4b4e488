import Foundation
import Glibc
import MienClient
import Testing

extension Integration {
    /// Shards are split and merged while faces are written and searched for, and nobody who does so notices.
    @Suite struct ReshardingTests {
        @Test(.timeLimit(.minutes(5)))
        func shardsAreSplitAndMergedUnderLoad() async throws {
            try await ClusterUnderLoad.play(
                "resharding",
                shards: 2,
                workersWith: { stage in
                    // Of a shard that the last split makes: so it can be held up.
                    try StorageFaults.environment(each: stage.path(Self.faults), file: "/8/partition/data.mdb")
                }
            ) { cluster, client in
                let pause = FaceWriter.Pause()
                let listing = Task { await Self.listing(client, until: pause) }
                defer { pause.ask() }
                try await Self.reshard(cluster, client)
                pause.ask()
                let (count, faults) = await listing.value
                #expect(faults.isEmpty && count > 0, "\(faults.count) faults in \(count) listings: \(faults.prefix(3))")
            }
        }

        /// Lists the collection again and again, a few faces at a time: one that is there all the time comes once in
        /// each listing, and none comes twice.
        private static func listing(
            _ client: MienClient,
            until pause: FaceWriter.Pause
        ) async -> (count: Int, faults: [String]) {
            var (count, faults) = (0, [String]())
            while !pause.isAsked {
                var listed: Set<Face.ID> = []
                do {
                    for try await page in client.allFaces(in: FaceWriter.collection, pageLimit: 3) {
                        for face in page where !listed.insert(face.id).inserted {
                            faults.append("\(face.id) is listed twice")
                        }
                    }
                } catch {
                    faults.append("\(error)")
                }
                let missing = Searcher.faces.filter { !listed.contains($0) }
                if !missing.isEmpty { faults.append("\(missing.count) faces are left out, first \(missing[0])") }
                count += 1
            }
            return (count, faults)
        }

        @Test(.timeLimit(.minutes(2))) func whatOutgrowsItsShardIsSplitByItself() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 1,
                    coordinatorSettings: ["coordinator.split_above=20", "coordinator.spare_disk=16MiB"]
                )
                try await cluster.start()
                let client = try cluster.client()
                try await FaceWriter.createCollection(shards: 1, client)
                let searcher = try await Searcher(client)
                let pause = FaceWriter.Pause()
                let searching = Task { await searcher.searching(until: pause) }
                let seed = SeededRandom.storySeed("growth")
                let writing = Task { await FaceWriter(seed: seed).writing(to: client, until: pause) }
                try await eventually("shards have been divided", within: .seconds(60)) {
                    try await client.describe(FaceWriter.collection).shards.count >= 3 ? () : nil
                }
                pause.ask()
                await searching.value
                var writer = await writing.value
                let operations = try await client.operations()
                #expect(operations.allSatisfy { $0.note?.contains("by itself") == true })
                let tally = await searcher.tally
                #expect(tally.failures.isEmpty && tally.count > 0, "\(tally.failures.prefix(3))")
                var stored = try await FaceWriter.storedFaces(client)
                for face in Searcher.faces { stored[face] = nil }
                let faults = writer.check(&stored)
                #expect(faults.isEmpty && stored.isEmpty, "\(faults.prefix(3)), \(stored.count) strays")
                await client.close()
            }
        }

        /// A file on the stage by which writes of shard 8 fail.
        private static let faults = "faults"

        /// 2 shards, then 4, then 2 again; then one of them is split, and a worker that has it is killed in the middle.
        private static func reshard(_ cluster: Cluster, _ client: MienClient) async throws {
            let name = FaceWriter.collection
            let planned = try await cluster.mien("plan", "shard", "split", name, "--all")
            #expect(planned.status == 0 && planned.output.contains("Nothing was changed."), "\(planned)")
            try await done(cluster, "shard", "split", name, "--all", "--wait")
            try await expectShards([2, 3, 4, 5], client)
            let rebalanced = try await cluster.mien("rebalance")
            #expect(rebalanced.status == 0 || rebalanced.error.contains("Nothing has to move"), "\(rebalanced)")
            try await settled(client)
            try await done(cluster, "shard", "merge", name, "--all", "--wait")
            try await expectShards([6, 7], client)

            // Whoever dies in the middle: it ends by itself.
            let victim = try await primary(ofShard: 6, cluster, client)
            try cluster.stage.write(faults, "write:1:\(EIO)")
            try await done(cluster, "shard", "split", name, "6")
            try await isSplitting(client)
            victim.kill()
            try await Task.sleep(for: .milliseconds(500))
            let isOpen = try await client.operations().contains { !$0.state.hasEnded }
            #expect(isOpen, "what cannot be written is not done")
            try await victim.start()
            try FileManager.default.removeItem(atPath: cluster.stage.path(faults))
            try await settled(client)
            try await expectShards([7, 8, 9], client)
            let refused = try await cluster.mien("shard", "merge", name, "7", "7")
            #expect(refused.status != 0 && refused.output.isEmpty, "\(refused)")
        }

        private static func primary(ofShard index: Int, _ cluster: Cluster, _ client: MienClient) async throws -> Node {
            let shards = try await client.describe(FaceWriter.collection).shards
            let shard = try #require(shards.first { $0.index == index })
            let id = try #require(shard.replicas.first(where: \.isPrimary)?.workerID)
            let address = try #require(try await client.status().workers.first { $0.id == id }?.address)
            return cluster.workers[try #require(cluster.workerAddresses.firstIndex(of: address))]
        }

        /// Waits until the one operation that is open has its only step under way.
        private static func isSplitting(_ client: MienClient) async throws {
            try await eventually("the split is under way", within: .seconds(20)) {
                let open = try await client.operations().filter { !$0.state.hasEnded }
                return open.map(\.state) == [.running] && open[0].steps.map(\.state) == [.running] ? () : nil
            }
        }

        private static func settled(_ client: MienClient) async throws {
            try await eventually("no operation is open", within: .seconds(60)) {
                try await client.operations().allSatisfy(\.state.hasEnded) ? () : nil
            }
        }

        private static func expectShards(_ indices: [Int], _ client: MienClient) async throws {
            try await eventually("shards are \(indices), each with two copies in sync", within: .seconds(30)) {
                let shards = try await client.describe(FaceWriter.collection).shards
                return shards.map(\.index).sorted() == indices && shards.allSatisfy { $0.inSyncCount == 2 } ? () : nil
            }
        }

        private static func done(_ cluster: Cluster, _ words: String...) async throws {
            let result = try await cluster.mien(words)
            #expect(result.status == 0, "mien \(words.joined(separator: " ")): \(result)")
        }
    }
}
