import Foundation
import MienClient
import Testing

extension Integration {
    /// What happens to a worker's folder while it is stopped: bits flip, an earlier state comes back, another worker's
    /// is put in its place.
    @Suite struct DamagedFolderTests {
        /// Of two copies either: checksums tell which is good, where one against one is no majority.
        @Test(.timeLimit(.minutes(2)), arguments: [false, true])
        func flippedBitsAreFoundAndMendedFromTheGoodSide(isPrimary: Bool) async throws {
            try await Stage.play { stage in
                let story = try await Story(
                    stage,
                    seed: "flipped bits of a \(isPrimary ? "primary" : "secondary")",
                    coordinatorSettings: ["coordinator.repair_after=0ms"]
                )
                // While it is written to: replicas are read at different writes, and compared all the same.
                let busy = try await story.writing { try await story.cluster.mien("verify", FaceWriter.collection) }
                #expect(busy.status == 0, "\(busy)")

                let (index, id) = try await story.workerWithAReplica(isPrimary: isPrimary)
                #expect(try await story.cluster.workers[index].stop() == 0)
                let count = try Self.flipBits(in: stage.path("worker-\(index + 1)"))
                #expect(count > 0)
                try await story.cluster.start()

                let address = story.cluster.workerAddresses[index]
                // Whoever is found damaged leaves service, and leads no longer: so it is found and mended at once. Its
                // worker may find it by itself before that.
                let leads = isPrimary ? try await story.lead(id) : false
                if !isPrimary {
                    let found = try await story.cluster.mien("verify", FaceWriter.collection)
                    #expect(found.status == 1)
                    let lines = found.output.split(separator: "\n").filter { $0.contains(address) }
                    #expect(lines.count == 1 && lines[0].contains("damaged"), "\(found)")
                }
                let mended = try await story.cluster.mien("verify", FaceWriter.collection, "--repair")
                #expect(mended.output.contains("Being replaced by a copy."), "\(mended)")
                let rows = mended.output.split(separator: "\n").filter {
                    $0.contains("ary ") && $0.split(separator: " ").first == "0"
                }
                let bad = rows.filter { $0.contains(address) }
                let good = rows.filter { !$0.contains(address) }
                try #require(bad.count == 1 && good.count == 1, "\(mended)")
                #expect(bad[0].contains("damaged") && bad[0].contains("Being replaced by a copy."), "\(mended)")
                if leads || !isPrimary {
                    #expect(bad[0].contains(isPrimary ? "primary" : "secondary"), "\(mended)")
                    #expect(good[0].contains(isPrimary ? "secondary" : "primary"), "\(mended)")
                }
                #expect(good[0].contains("sound"), "\(mended)")
                try await story.awaitCopies()
                try await story.writing {}
                try await story.finish()
            }
        }

        /// Nobody asks for it: writes, which need both copies, wait for it and go on.
        @Test(.timeLimit(.minutes(2)), arguments: [false, true])
        func aDamagedReplicaIsMadeAnewWithoutBeingAsked(isPrimary: Bool) async throws {
            try await Stage.play { stage in
                let story = try await Story(
                    stage,
                    seed: "flipped bits, mended unasked, of a \(isPrimary ? "primary" : "secondary")",
                    coordinatorSettings: ["coordinator.repair_after=1s"]
                )
                let (index, id) = try await story.workerWithAReplica(isPrimary: isPrimary)
                #expect(try await story.cluster.workers[index].stop() == 0)
                #expect(try Self.flipBits(in: stage.path("worker-\(index + 1)")) > 0)
                try await story.cluster.start()
                if isPrimary { _ = try await story.lead(id) }
                try await story.writing {
                    // It finds what the worker has not found by itself.
                    _ = try await story.cluster.mien("verify", FaceWriter.collection)
                    try await eventually("what is damaged has made way", within: .seconds(20)) {
                        let metrics = try await ScrapedMetrics(of: [story.cluster.coordinator])
                        return metrics["mien_replicas_repaired_total"] == 0 ? nil : ()
                    }
                }
                try await story.awaitCopies()
                try await story.finish()
            }
        }

        /// Twice: what it had before it was stopped, with writes in between that it acknowledged.
        @Test(.timeLimit(.minutes(2)), arguments: [false, true])
        func aFolderThatIsPutBackLosesNothing(isPrimary: Bool) async throws {
            try await Stage.play { stage in
                let story = try await Story(stage, seed: "folder put back")
                let (index, _) = try await story.workerWithAReplica(isPrimary: isPrimary)
                let (folder, kept) = (stage.path("worker-\(index + 1)"), stage.path("kept"))
                #expect(try await story.cluster.workers[index].stop() == 0)
                try FileManager.default.copyItem(atPath: folder, toPath: kept)
                try await story.cluster.start()
                try await story.awaitCopies()
                try await story.writing {}

                // The others may not notice that it was away: no time is left for another to take its place.
                story.cluster.workers[index].kill()
                try FileManager.default.removeItem(atPath: folder)
                try FileManager.default.moveItem(atPath: kept, toPath: folder)
                try await story.cluster.start()
                try await story.writing {}
                try await story.awaitCopies()
                try await story.finish()
            }
        }

        @Test(.timeLimit(.minutes(2))) func workersThatChangeFoldersChangePlaces() async throws {
            try await Stage.play { stage in
                let story = try await Story(stage, seed: "folders swapped")
                for worker in story.cluster.workers.prefix(2) { #expect(try await worker.stop() == 0) }
                let (first, second, aside) = (stage.path("worker-1"), stage.path("worker-2"), stage.path("aside"))
                for (from, to) in [(first, aside), (second, first), (aside, second)] {
                    try FileManager.default.moveItem(atPath: from, toPath: to)
                }
                // Who a worker is says its folder; where it is says its configuration.
                try await story.cluster.start()
                try await story.writing {}
                try await story.awaitCopies()
                try await story.finish()
            }
        }

        /// Flips a bit in the name of every face in a worker's partitions.
        ///
        /// - Returns: how many.
        private static func flipBits(in folder: String) throws -> Int {
            let name = Data("version-".utf8)
            var count = 0
            let files = FileManager.default.enumerator(atPath: folder)
            while let file = files?.nextObject() as? String {
                guard file.hasSuffix("/partition/data.mdb") else { continue }
                let path = "\(folder)/\(file)"
                var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
                var start = bytes.startIndex
                while let range = bytes.range(of: name, in: start..<bytes.endIndex) {
                    bytes[range.lowerBound] ^= 1
                    start = range.upperBound
                    count += 1
                }
                let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
                try handle.write(contentsOf: bytes)
                try handle.close()
            }
            return count
        }
    }

    /// A collection of two shards with two copies of each on three workers, with faces in it.
    private final class Story {
        private static let copyCount = 2
        let cluster: Cluster
        private let client: MienClient
        private var writers: [FaceWriter]

        init(_ stage: Stage, seed: String, coordinatorSettings: [String] = []) async throws {
            let seed = SeededRandom.storySeed(seed)
            writers = (1...2).map { FaceWriter(seed: seed &+ $0) }
            cluster = try Cluster(stage, workers: 3, coordinatorSettings: coordinatorSettings)
            try await cluster.start()
            client = try cluster.client(retrying: .seconds(15), timeout: .seconds(20))
            try await FaceWriter.createCollection(shards: 2, copies: Self.copyCount, minimumInSync: 2, client)
            try await writing {}
        }

        /// Runs `body` while faces are written, and goes on until some have been acknowledged.
        func writing<R>(during body: () async throws -> R) async throws -> R {
            let pause = FaceWriter.Pause()
            let (client, before) = (client, writers)
            return try await withThrowingTaskGroup(of: (Int, FaceWriter).self) { group in
                for (number, writer) in before.enumerated() {
                    group.addTask { (number, await writer.writing(to: client, until: pause)) }
                }
                defer { pause.ask() }
                let result = try await body()
                try await eventually("faces are written", within: .seconds(20)) {
                    pause.acknowledgedCount > 60 ? () : nil
                }
                pause.ask()
                for try await (number, writer) in group { writers[number] = writer }
                return result
            }
        }

        /// A worker that leads a shard, or has the other copy of it; its identity is in what commands print.
        func workerWithAReplica(isPrimary: Bool) async throws -> (index: Int, id: String) {
            let shard = try await client.describe(FaceWriter.collection).shards[0]
            let id = try #require(shard.replicas.first { $0.isPrimary == isPrimary }?.workerID)
            let address = try #require(try await client.status().workers.first { $0.id == id }?.address)
            return (try #require(cluster.workerAddresses.firstIndex(of: address)), id)
        }

        /// Has a worker lead the first shard again, if another has taken its place while it was away.
        ///
        /// - Returns: whether it does: not if its replica has left service.
        func lead(_ id: String) async throws -> Bool {
            func replica() async throws -> CollectionInfo.Replica {
                let replicas = try await client.describe(FaceWriter.collection).shards[0].replicas
                return try #require(replicas.first { $0.workerID == id })
            }
            let isThere = try await eventually("\(id) is there again", within: .seconds(20)) { () -> Bool? in
                let replica = try await replica()
                if replica.state == .failed { return false }
                return replica.isInSync && replica.state == .serving ? true : nil
            }
            guard isThere, try await !replica().isPrimary else { return isThere }
            _ = try await cluster.mien("shard", "lead", FaceWriter.collection, "0", "--worker", id)
            return try await eventually("\(id) leads", within: .seconds(20)) { () -> Bool? in
                let replica = try await replica()
                if replica.state == .failed { return false }
                return replica.isPrimary && replica.state == .serving ? true : nil
            }
        }

        func awaitCopies() async throws {
            try await eventually("every copy is in sync", within: .seconds(40)) {
                let shards = try await client.describe(FaceWriter.collection).shards
                let isWhole = shards.allSatisfy { shard in
                    shard.replicas.count == Self.copyCount
                        && shard.replicas.allSatisfy { $0.isInSync && $0.state == .serving }
                }
                return isWhole ? () : nil
            }
        }

        /// Everything that was acknowledged is there, nothing else is, and the replicas are sound and equal.
        func finish() async throws {
            var stored = try await FaceWriter.storedFaces(client)
            var faults: [String] = []
            for number in writers.indices { faults += writers[number].check(&stored) }
            #expect(faults.isEmpty, "\(faults.count) faults, first \(faults.prefix(3))")
            #expect(stored.isEmpty, "\(stored.count) faces are listed that nobody wrote")
            let surprises = writers.flatMap(\.surprises)
            #expect(surprises.isEmpty, "\(surprises.prefix(3))")
            let verified = try await cluster.mien("verify", FaceWriter.collection)
            #expect(verified.status == 0, "\(verified)")
            await client.close()
        }
    }
}
