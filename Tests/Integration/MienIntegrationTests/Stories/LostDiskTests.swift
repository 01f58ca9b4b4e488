import Foundation
import MienClient
import Testing

extension Integration {
    /// The disk of one of three workers is destroyed under load, and a worker with an empty folder comes to its
    /// address: it is another one, and what the disk had is made anew from the other copies.
    @Suite struct LostDiskTests {
        private static let copyCount = 2
        /// Nobody writes it meanwhile.
        private static let archive = "archive"
        private static let archiveFaces = (1...3000).map { Face.ID(high: 0xd15c, low: UInt64($0)) }
        /// What the coordinator is told, and a little less than that, since the last heartbeat is older than the death.
        private static let replacementTime = (setting: "3s", least: Duration.milliseconds(2500))

        struct Loss: CustomTestStringConvertible {
            /// Least number of copies in sync for writes: with two of them they wait for the new one.
            var minimum: Int
            /// Whether the empty folder comes before copies are made anew, or after.
            var comesAtOnce: Bool

            var testDescription: String {
                "at least \(minimum) in sync, an empty folder \(comesAtOnce ? "at once" : "afterwards")"
            }
        }

        private static let losses = [
            Loss(minimum: 2, comesAtOnce: true), Loss(minimum: 1, comesAtOnce: true),
            Loss(minimum: 2, comesAtOnce: false),
        ]

        private struct Victim {
            var id: String
            var address: String
            var node: Node
            var folder: String
        }

        private struct ShardName: Hashable {
            var collection: String
            var index: Int
        }

        /// Times since the loss.
        private struct Recovery {
            /// When the first of the new copies was seen.
            var begun: Duration?
            /// When each shard had both its copies again.
            var ended: [ShardName: Duration] = [:]
        }

        @Test(.timeLimit(.minutes(2)), arguments: losses)
        func aDiskThatIsDestroyedIsMadeAnewElsewhere(loss: Loss) async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 3,
                    coordinatorSettings: [
                        "coordinator.replace_after=\(Self.replacementTime.setting)", "coordinator.spare_disk=16MiB",
                    ]
                )
                try await cluster.start()
                let load = try await ReplicatedLoad(
                    "a lost disk, \(loss.testDescription)",
                    cluster,
                    copies: Self.copyCount,
                    minimumInSync: loss.minimum
                )
                try await Self.fillArchive(load.client)
                let victim = try await Self.leader(of: load, in: cluster)
                let result = try await load.runs { pause in
                    let words = try await Self.lose(victim, loss, load)
                    try await load.goesOn(pause, "after the loss")
                    return words
                }
                try await load.check("after the loss")
                try await Self.checkArchive(load.client)
                let verified = try await cluster.mien("verify", Self.archive, "--json")
                #expect(verified.status == 0, "\(verified)")
                try await load.end(result, mayRefuseWrites: loss.minimum == Self.copyCount)
            }
        }

        /// The worker that leads the first shard.
        private static func leader(of load: ReplicatedLoad, in cluster: Cluster) async throws -> Victim {
            let id = try #require(try await load.primaries().first)
            let address = try #require(try await load.client.status().workers.first { $0.id == id }?.address)
            let index = try #require(cluster.workerAddresses.firstIndex(of: address))
            return Victim(
                id: id,
                address: address,
                node: cluster.workers[index],
                folder: cluster.stage.path("worker-\(index + 1)")
            )
        }

        /// Kills the worker and removes all that it had, starts one with nothing in its place, and waits until every
        /// shard has its copies.
        ///
        /// - Returns: how that went, for people.
        private static func lose(_ victim: Victim, _ loss: Loss, _ load: ReplicatedLoad) async throws -> String {
            let client = load.client
            let before = try await client.status().workers
            var lost: [ShardName: Set<String>] = [:]
            for (name, replicas) in try await shards(client) {
                let workers = Set(replicas.map(\.workerID))
                if workers.contains(victim.id) { lost[name] = workers }
            }
            #expect(before.count == 3 && lost.count > 1, "\(lost.count) shards are to lose a copy")

            victim.node.kill()
            let death = ContinuousClock.now
            try FileManager.default.removeItem(atPath: victim.folder)
            if loss.comesAtOnce { try await victim.node.start() }
            let recovery = try await recovered(lost, without: victim.id, since: death, load)
            if !loss.comesAtOnce { try await victim.node.start() }

            let after = try await eventually("the lost worker is away, and another is there", within: .seconds(20)) {
                let workers = try await client.status().workers
                let isSo = workers.count == 4 && workers.allSatisfy { $0.isLive == ($0.id != victim.id) }
                return isSo ? workers : nil
            }
            let newcomer = try #require(after.first { $0.address == victim.address && $0.isLive })
            #expect(!before.contains { $0.id == newcomer.id }, "an empty folder is another worker's")
            try await load.isWhole("after the loss")

            let begun = try #require(recovery.begun, "no copy was seen that was made anew")
            let ended = recovery.ended.values.sorted()
            let whole = try #require(ended.last)
            #expect(begun > replacementTime.least, "nobody is replaced before coordinator.replace_after")
            let survivors = before.filter { $0.id != victim.id }.reduce(0) { $0 + $1.diskByteCount }
            let present = after.filter(\.isLive).reduce(0) { $0 + $1.diskByteCount }
            let byteCount = present > survivors ? present - survivors : 0
            let seconds = max((whole - begun) / Duration.seconds(1), 0.001)
            var newcomerCount = 0
            for (name, replicas) in try await shards(client) where lost[name] != nil {
                if replicas.contains(where: { $0.workerID == newcomer.id }) { newcomerCount += 1 }
            }
            return "\(lost.count) shards had one copy for a median of \(ended[ended.count / 2]), at most \(whole); "
                + "new ones were begun after \(begun), \(newcomerCount) of them on the new worker; "
                + "about \(byteCount >> 10) KiB more are on disks, \(Int(Double(byteCount) / 1024 / seconds)) KiB/s"
        }

        /// Waits until every shard has both its copies in sync, none of them on the worker that is gone.
        ///
        /// - Parameter lost: shards that lack a copy, with the workers that had one.
        private static func recovered(
            _ lost: [ShardName: Set<String>],
            without worker: String,
            since death: ContinuousClock.Instant,
            _ load: ReplicatedLoad
        ) async throws -> Recovery {
            let client = load.client
            var recovery = Recovery()
            try await load.explaining {
                try await eventually("every lost copy is made anew", within: .seconds(40)) {
                    for (name, replicas) in try await shards(client) {
                        guard let former = lost[name], recovery.ended[name] == nil else { continue }
                        let time = ContinuousClock.now - death
                        let hasNewcomer = replicas.contains { !former.contains($0.workerID) }
                        if hasNewcomer, recovery.begun == nil { recovery.begun = time }
                        let isWhole = replicas.allSatisfy { replica in
                            replica.workerID != worker && replica.isInSync && replica.state == .serving
                        }
                        if isWhole, replicas.count == copyCount { recovery.ended[name] = time }
                    }
                    return recovery.ended.count == lost.count ? () : nil
                }
            }
            return recovery
        }

        /// Of both collections.
        private static func shards(_ client: MienClient) async throws -> [ShardName: [CollectionInfo.Replica]] {
            var shards: [ShardName: [CollectionInfo.Replica]] = [:]
            for collection in [FaceWriter.collection, archive] {
                for shard in try await client.describe(collection).shards {
                    shards[ShardName(collection: collection, index: shard.index)] = shard.replicas
                }
            }
            return shards
        }

        private static func fillArchive(_ client: MienClient) async throws {
            _ = try await client.createCollection(
                CollectionOptions(
                    name: archive,
                    dimension: FaceWriter.dimension,
                    embeddingModel: FaceWriter.model,
                    shardCount: 3,
                    replicationFactor: copyCount
                )
            )
            for first in stride(from: 0, to: archiveFaces.count, by: 1000) {
                let faces = Array(archiveFaces[first..<first + 1000])
                _ = try await client.enrol(
                    faces.map { NewFace(id: $0) },
                    embeddings: Embeddings(
                        dimension: FaceWriter.dimension,
                        values: faces.flatMap { FaceLedger.embedding($0, version: 0, dimension: FaceWriter.dimension) }
                    ),
                    into: archive,
                    model: FaceWriter.model
                )
            }
        }

        /// Everything that was put into it is there as it was, and nothing else.
        private static func checkArchive(_ client: MienClient) async throws {
            let stored = try await FaceWriter.storedFaces(client, in: archive)
            #expect(stored.count == archiveFaces.count)
            let wrong = archiveFaces.filter { id in
                let wanted = FaceLedger.embedding(id, version: 0, dimension: FaceWriter.dimension)
                guard let embedding = stored[id]?.embedding, embedding.count == wanted.count else { return true }
                // Half of the last place of float16 at most, and the rounding of the length.
                return zip(wanted, embedding).contains { abs($0 - $1) > 6e-4 }
            }
            #expect(wrong.isEmpty, "\(wrong.count) faces of the archive are lost, or are others")
        }
    }
}
