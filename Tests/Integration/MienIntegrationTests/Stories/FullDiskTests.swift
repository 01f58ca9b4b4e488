import Glibc
import MienClient
import Testing

extension Integration {
    /// A worker's disk fills up: writes are refused with a reason, reads go on, and nothing acknowledged is lost.
    @Suite struct FullDiskTests {
        private static let dimension = 1024
        private static let batchRowCount = 100

        @Test(.enabled(if: Stage.mayMount, "no file system may be mounted"), .timeLimit(.minutes(1)))
        func aFullDiskRefusesWritesAndKeepsWhatItHas() async throws {
            try await Stage.play { stage in
                // Workers keep 64 MiB in reserve.
                let disk = try stage.mountMemory("worker-1", mebibytes: 76)
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.start()
                let client = try cluster.client()
                _ = try await client.createCollection(
                    CollectionOptions(name: "people", dimension: Self.dimension, embeddingModel: "m", shardCount: 1)
                )
                var random = SeededRandom(seed: 11)
                var stored: [Face.ID: [Float]] = [:]
                var refusal: MienClientError?
                while refusal == nil, stored.count < 20_000 {
                    let batch = (0..<Self.batchRowCount).map { _ in
                        (Face.ID(high: random.next(), low: random.next()), random.direction(dimension: Self.dimension))
                    }
                    do throws(MienClientError) {
                        try await enrol(batch, client)
                        for (id, embedding) in batch { stored[id] = embedding }
                    } catch {
                        refusal = error
                    }
                }
                print("full disk: \(stored.count) faces were stored before it was full")
                #expect(stored.count >= Self.batchRowCount)
                #expect(refusal?.code == .storageFull, "\(String(describing: refusal))")
                #expect(refusal?.message.contains("free some space") ?? false, "\(String(describing: refusal))")
                #expect(refusal?.message.contains("\(disk)") ?? false, "\(String(describing: refusal))")
                let outcome = "Nothing was done for \(Self.batchRowCount) of \(Self.batchRowCount) rows."
                #expect(refusal?.message.contains(outcome) ?? false, "\(String(describing: refusal))")
                #expect(refusal?.message.contains(cluster.workerAddresses[0]) ?? false)
                try await check(stored, client)

                cluster.workers[0].kill()
                try await cluster.start()
                try await check(stored, client)

                // With more room the same worker goes on.
                #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT), "size=200m") == 0)
                let late = (
                    Face.ID(high: random.next(), low: random.next()), random.direction(dimension: Self.dimension)
                )
                try await enrol([late], client)
                stored[late.0] = late.1
                try await check(stored, client)
                await client.close()
            }
        }

        /// Two copies, the other one on a small disk: faces are refused where it is needed, else it is done without.
        /// Deletions go on either way, and both are equal again once there is room.
        @Test(
            .enabled(if: Stage.mayMount, "no file system may be mounted"),
            .timeLimit(.minutes(2)),
            arguments: [1, 2]
        )
        func aFullDiskOfOneOfTwoCopies(minimumInSync: Int) async throws {
            try await Stage.play { stage in
                let disk = try stage.mountMemory("worker-1", mebibytes: 76)
                let cluster = try Cluster(stage, workers: 2)
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(8), timeout: .seconds(20))
                let small = try #require(
                    try await client.status().workers.first { $0.address == cluster.workerAddresses[0] }
                ).id
                var name = ""
                for number in 0..<6 where name.isEmpty {
                    let options = CollectionOptions(
                        name: "people-\(number)",
                        dimension: Self.dimension,
                        embeddingModel: "m",
                        shardCount: 1,
                        replicationFactor: 2,
                        minimumInSync: minimumInSync
                    )
                    _ = try await client.createCollection(options)
                    let replicas = try await client.describe(options.name).shards[0].replicas
                    if replicas.contains(where: { $0.workerID == small && !$0.isPrimary }) { name = options.name }
                }
                try #require(!name.isEmpty, "the worker with the small disk leads everything")
                func isInSync() async throws -> Bool {
                    let replicas = try await client.describe(name).shards[0].replicas
                    return replicas.contains { $0.workerID == small && $0.isInSync }
                }
                var random = SeededRandom(seed: 13)
                var stored: [Face.ID] = []
                var refusal: MienClientError?
                var isWithout = false
                while refusal == nil, !isWithout, stored.count < 20_000 {
                    let ids = (0..<Self.batchRowCount).map { _ in Face.ID(high: random.next(), low: random.next()) }
                    do throws(MienClientError) {
                        try await enrol(
                            ids.map { ($0, random.direction(dimension: Self.dimension)) },
                            client,
                            into: name
                        )
                        stored += ids
                    } catch {
                        refusal = error
                    }
                    isWithout = try await !isInSync()
                }
                print("full disk, \(minimumInSync) of 2 copies needed: \(stored.count) faces before it was full")
                if minimumInSync == 2 {
                    #expect(refusal?.code == .storageFull, "\(String(describing: refusal))")
                    let said = refusal?.message ?? ""
                    #expect(said.contains("worker \(small), which has to have every write"), "\(said)")
                    #expect(try await isInSync(), "it is needed")
                } else {
                    #expect(isWithout && refusal == nil, "\(String(describing: refusal))")
                }
                let gone = stored.prefix(250)
                let deleted = try await client.deleteFaces(Array(gone), from: name)
                #expect(deleted.wasPresent.allSatisfy { $0 })
                stored.removeFirst(250)
                #expect(try await listed(name, client) == Set(stored))

                #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT), "size=300m") == 0)
                try await eventually("both are in sync", within: .seconds(40)) { try await isInSync() ? () : nil }
                let late = Face.ID(high: 1, low: 1)
                try await eventually("faces are taken", within: .seconds(20)) {
                    let faces = [(late, random.direction(dimension: Self.dimension))]
                    return (try? await enrol(faces, client, into: name)).map { () }
                }
                #expect(try await listed(name, client) == Set(stored + [late]))
                let verified = try await cluster.mien("verify", name)
                #expect(verified.status == 0, "\(verified)")
                await client.close()
            }
        }

        private func listed(_ collection: String, _ client: MienClient) async throws -> Set<Face.ID> {
            var listed: Set<Face.ID> = []
            for try await page in client.allFaces(in: collection) { listed.formUnion(page.map(\.id)) }
            return listed
        }

        @Test(.enabled(if: Stage.mayMount, "no file system may be mounted"), .timeLimit(.minutes(3)))
        func aFullDiskTakesNoNewCollectionAndItsNodeGoesOn() async throws {
            try await Stage.play { stage in
                let disk = try stage.mountMemory("worker-1", mebibytes: 1)
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.start()
                let client = try cluster.client()
                let hasty = client.with(calls: .init(timeout: .milliseconds(300), retryDuration: .zero))
                // Room for nothing, for a folder, for some of its files: each attempt ends somewhere else.
                for kibibytes in stride(from: 0, through: 96, by: 8) {
                    try stage.fill(disk, leaving: kibibytes << 10)
                    _ = try? await hasty.createCollection(
                        CollectionOptions(
                            name: "people-\(kibibytes)",
                            dimension: 64,
                            embeddingModel: "m",
                            shardCount: 1
                        )
                    )
                    guard cluster.workers[0].isRunning else { break }
                }
                let said = cluster.workers[0].process?.error ?? ""
                try #require(cluster.workers[0].isRunning, "the worker ended: \(said.suffix(400))")
                let created = try await cluster.mien(
                    "collection",
                    "create",
                    "people",
                    "--dimension",
                    "64",
                    "--model",
                    "m",
                    // The coordinator keeps a twentieth of it to answer in, in which a machine may pause.
                    "--timeout",
                    "28"
                )
                #expect(created.status == 69 && created.error.contains("not hosted yet"), "\(created)")
                #expect(created.error.contains("at \(cluster.workerAddresses[0]): "), "\(created)")
                #expect(created.error.contains("free some space"), "\(created)")

                #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT), "size=200m") == 0)
                var random = SeededRandom(seed: 12)
                let face = (Face.ID(high: 1, low: 2), random.direction(dimension: 64))
                try await eventually("the collection takes faces once there is room", within: .seconds(20)) {
                    try await enrol([face], client)
                }
                try await check([face.0: face.1], client)
                await client.close()
            }
        }

        /// Of a process that is all nodes, people hear what its coordinator has to say.
        @Test(.enabled(if: Stage.mayMount, "no file system may be mounted"), .timeLimit(.minutes(1)))
        func aClusterInOneProcessSaysThatItsMetadataCannotBeWritten() async throws {
            try await Stage.play { stage in
                let disk = try stage.mountMemory("dev/coordinator", mebibytes: 1)
                let address = MienClient.Address(host: "127.0.0.1", port: try LoopbackPort.free())
                let node = Node(
                    stage,
                    ["dev", "--data", stage.path("dev"), "--listen", "\(address)", "--workers", "1"]
                )
                try await node.start()
                let sentence = "The metadata store cannot write"
                #expect(try await !node.adminGet("/readyz").contains(sentence))
                #expect(try await ScrapedMetrics(of: [node])["mien_metadata_problem"] == 0)
                let client = try MienClient(
                    addresses: [address],
                    calls: .init(timeout: .milliseconds(500), retryDuration: .zero)
                )
                try stage.fill(disk)
                var count = 0
                try await eventually("that nothing can be changed is told", within: .seconds(30)) {
                    count += 1
                    _ = try? await client.createCollection(
                        CollectionOptions(name: "people-\(count)", dimension: 64, embeddingModel: "m", shardCount: 1)
                    )
                    let isSaid = try await node.adminGet("/readyz").contains(sentence)
                    let told = try await ScrapedMetrics(of: [node])["mien_metadata_problem"]
                    return isSaid && told == 1 ? () : nil
                }
                await client.close()
                #expect(try await node.stop() == 0)
            }
        }

        /// Nobody can write to `/dev/full`, as to a log's disk that is full.
        @Test(.timeLimit(.minutes(1)), arguments: ["json", "text"])
        func aNodeWhoseLogCannotBeWrittenGoesOn(format: String) async throws {
            try await Stage.play { stage in
                let node = [
                    stage.binary, "dev", "--listen", "127.0.0.1:0", "--data", stage.path("data"), "--log-level",
                    "debug", "--set", "log.format=\(format)",
                ]
                let process = try await stage.launch(["/bin/sh", "-c", "exec \"$0\" \"$@\" 2>/dev/full"] + node)
                try await eventually("the node serves", within: .seconds(20)) {
                    if let status = process.status { throw StoryError("it ended with status \(status)") }
                    return process.output.contains("Serving:") ? () : nil
                }
                process.terminate()
                #expect(try await process.end(within: .seconds(15)) == 0)
            }
        }

        private func enrol(
            _ faces: [(Face.ID, [Float])],
            _ client: MienClient,
            into collection: String = "people"
        ) async throws(MienClientError) {
            _ = try await client.enrol(
                faces.map { NewFace(id: $0.0) },
                embeddings: Embeddings(dimension: faces[0].1.count, values: faces.flatMap(\.1)),
                into: collection,
                model: "m"
            )
        }

        private func check(_ stored: [Face.ID: [Float]], _ client: MienClient) async throws {
            var listed: Set<Face.ID> = []
            for try await page in client.allFaces(in: "people") { listed.formUnion(page.map(\.id)) }
            #expect(listed == Set(stored.keys), "\(listed.count) faces are listed of \(stored.count) acknowledged")
            let sample = stored.sorted { $0.key < $1.key }.prefix(20)
            let results = try await client.search(
                "people",
                probes: Embeddings(dimension: sample[0].value.count, values: sample.flatMap(\.value)),
                model: "m",
                options: SearchOptions(matchLimit: 1, effort: .exact)
            )
            for (face, outcome) in zip(sample, results.outcomes) {
                guard case .matches(let matches) = outcome else {
                    Issue.record("a good probe was refused")
                    continue
                }
                #expect(matches.first?.id == face.key)
            }
        }
    }
}
