import Foundation
import MienClient
import Synchronization
import Testing

extension Integration {
    /// Several coordinators on an etcd of three members: either may lose nodes, and searches go on.
    @Suite struct HighAvailabilityTests {
        private static let collection = FaceWriter.collection
        private static let dimension = FaceWriter.dimension
        private static let model = FaceWriter.model
        /// Seconds for which the store is away: as long as a lease of 2 s, so that there is no controller either.
        /// `MIEN_STORE_ABSENCE` makes it longer.
        private static let storeAbsence = StoryLength.named("MIEN_STORE_ABSENCE", or: 3)

        /// What searches came to while something was broken.
        private final class Tally: Sendable {
            let searchCount = Atomic<Int>(0)
            let failures = Mutex<[String]>([])
            let slowest = Mutex(Duration.zero)
        }

        private typealias Sample = (id: Face.ID, embedding: [Float])

        private func enrolFaces(
            _ client: MienClient,
            seed: UInt64,
            copies: Int = 2,
            minimumInSync: Int = 1
        ) async throws -> [Sample] {
            _ = try await client.createCollection(
                CollectionOptions(
                    name: Self.collection,
                    dimension: Self.dimension,
                    embeddingModel: Self.model,
                    shardCount: 4,
                    replicationFactor: copies,
                    minimumInSync: minimumInSync
                )
            )
            var random = SeededRandom(seed: seed)
            let faces = (0..<400).map { _ in
                (Face.ID(high: random.next(), low: random.next()), random.direction(dimension: Self.dimension))
            }
            try await enrol(faces, client)
            return faces
        }

        private func enrol(_ faces: [Sample], _ client: MienClient) async throws {
            _ = try await client.enrol(
                faces.map { NewFace(id: $0.id) },
                embeddings: Embeddings(dimension: Self.dimension, values: faces.flatMap(\.embedding)),
                into: Self.collection,
                model: Self.model
            )
        }

        /// Searches for faces that are there, one after the other, until cancelled.
        private func search(_ faces: [Sample], _ client: MienClient, _ tally: Tally) async {
            var number = 0
            while !Task.isCancelled {
                let face = faces[number % faces.count]
                number += 1
                let begin = ContinuousClock.now
                do {
                    let results = try await client.search(
                        Self.collection,
                        probes: Embeddings(dimension: Self.dimension, values: face.embedding),
                        model: Self.model
                    )
                    if Self.best(results) != face.id {
                        tally.failures.withLock { $0.append("a face that is there was not found") }
                    }
                } catch {
                    if !Task.isCancelled { tally.failures.withLock { $0.append("\(error)") } }
                }
                let time = ContinuousClock.now - begin
                tally.slowest.withLock { $0 = max($0, time) }
                tally.searchCount.add(1, ordering: .relaxed)
                try? await Task.sleep(for: .milliseconds(5))
            }
        }

        /// The best match of the only probe.
        private static func best(_ results: SearchResults) -> Face.ID? {
            guard case .matches(let matches) = results.outcomes.first else { return nil }
            return matches.first?.id
        }

        /// Runs the body while faces are searched and written, and says what came of it.
        ///
        /// - Returns: who wrote, for ``check(_:_:_:_:)``.
        private func underLoad(
            _ cluster: SharedCluster,
            _ faces: [Sample],
            _ what: String,
            retrying: Duration = .seconds(5),
            _ body: () async throws -> Void
        ) async throws -> FaceWriter {
            let tally = Tally()
            let searching = try cluster.client()
            let writing = try cluster.client(retrying: retrying)
            let pause = FaceWriter.Pause()
            let searches = Task { await search(faces, searching, tally) }
            let writes = Task {
                await FaceWriter(seed: SeededRandom.storySeed(what)).writing(to: writing, until: pause)
            }
            let outcome: Result<Void, any Error>
            do {
                outcome = .success(try await body())
            } catch {
                outcome = .failure(error)
            }
            // Long enough to see what comes after.
            try await Task.sleep(for: .milliseconds(500))
            searches.cancel()
            pause.ask()
            await searches.value
            let writer = await writes.value
            await searching.close()
            await writing.close()
            try outcome.get()
            let failures = tally.failures.withLock(\.self)
            let count = tally.searchCount.load(ordering: .relaxed)
            print(
                "high availability: \(what): \(count) searches, \(failures.count) failed, the slowest took "
                    + "\(tally.slowest.withLock(\.self)); \(writer.acknowledgedCount) writes, "
                    + "\(writer.failedCount) failed"
            )
            #expect(failures.isEmpty, "\(failures.prefix(3))")
            #expect(count > 20)
            #expect(writer.acknowledgedCount > 5 && writer.failedCount == 0, "\(writer.failedCount) writes failed")
            #expect(writer.surprises.isEmpty, "\(writer.surprises.prefix(3))")
            return writer
        }

        /// Compares what is there with what was acknowledged, to the writer and of the faces that are searched for.
        private func check(
            _ writer: FaceWriter,
            _ faces: [Sample],
            _ client: MienClient,
            _ when: String
        ) async throws {
            var writer = writer
            var stored = try await FaceWriter.storedFaces(client)
            var missingCount = 0
            for face in faces where stored.removeValue(forKey: face.id) == nil { missingCount += 1 }
            #expect(missingCount == 0, "\(when): so many of the \(faces.count) faces of the beginning are missing")
            let faults = writer.check(&stored)
            #expect(faults.isEmpty, "\(when): \(faults.count) faults, first \(faults.prefix(3))")
            #expect(stored.isEmpty, "\(when): \(stored.count) faces are listed that nobody wrote")
        }

        /// Of each coordinator, then of each worker.
        private static func ownMebibytes(_ cluster: SharedCluster) throws -> [Int] {
            try cluster.nodes.map { try #require($0.process).ownKibibytes / 1024 }
        }

        private func create(_ name: String, _ client: MienClient) async throws(MienClientError) {
            _ = try await client.createCollection(
                CollectionOptions(name: name, dimension: 64, embeddingModel: Self.model, shardCount: 1)
            )
        }

        @Test(.timeLimit(.minutes(3))) func theControllerIsKilledAndAnotherTakesItsPlace() async throws {
            try await Stage.play { stage in
                let cluster = try SharedCluster(stage, coordinators: 2, workers: 2)
                try await cluster.start()
                let client = try cluster.client()
                let faces = try await enrolFaces(client, seed: SeededRandom.storySeed("killed controller"))
                let killed = try #require(try await cluster.controller(asSeenBy: 0))
                let left = 1 - killed
                let writer = try await underLoad(cluster, faces, "the controller is killed") {
                    try await Task.sleep(for: .milliseconds(500))
                    cluster.coordinators[killed].kill()
                    let begin = ContinuousClock.now
                    try await eventually("the lease moves", within: .seconds(20)) {
                        try await cluster.controller(asSeenBy: left) == left ? () : nil
                    }
                    print(
                        "high availability: the lease moved \(ContinuousClock.now - begin) after kill -9 (lease: 2 s)"
                    )
                }
                try await check(writer, faces, client, "after the controller was killed")
                // The new controller gets things done.
                try await create("after", client)
                #expect(try await client.describe("after").shards.allSatisfy { $0.state == .serving })

                // The other one returns somewhere else; workers learn it from the one that they know.
                try await cluster.move(killed)
                try await cluster.awaitWhole(killed)
                #expect(try await cluster.controller(asSeenBy: killed) == left, "who returns does not take it back")
                let moved = try cluster.client(of: killed)
                try await create("by-the-moved-one", moved)
                let status = try await stage.mien("status", "--coordinator", "\(cluster.addresses[killed])")
                #expect(status.status == 0, "\(status)")
                for address in cluster.addresses { #expect(status.output.contains("\(address)"), "\(status)") }
                #expect(status.output.contains("controller"), "\(status)")
                await moved.close()

                // One that is asked to stop hands the lease over at once.
                let begin = ContinuousClock.now
                #expect(try await cluster.coordinators[left].stop() == 0)
                try await eventually("the lease moves", within: .seconds(20)) {
                    try await cluster.controller(asSeenBy: killed) == killed ? () : nil
                }
                print(
                    "high availability: the lease moved \(ContinuousClock.now - begin) after the controller was stopped"
                )
                await client.close()
            }
        }

        /// Nobody is there to have another replica take over, until another coordinator has the lease.
        @Test(.timeLimit(.minutes(3))) func theControllerAndAWorkerDieTogether() async throws {
            try await Stage.play { stage in
                let cluster = try SharedCluster(stage, coordinators: 2, workers: 3)
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(15))
                let seed = SeededRandom.storySeed("two deaths")
                let faces = try await enrolFaces(client, seed: seed, copies: 3, minimumInSync: 2)
                let controller = try #require(try await cluster.controller(asSeenBy: 0))
                let what = "controller and worker die"
                let writer = try await underLoad(cluster, faces, what, retrying: .seconds(15)) {
                    try await Task.sleep(for: .milliseconds(500))
                    cluster.workers[0].kill()
                    cluster.coordinators[controller].kill()
                    let begin = ContinuousClock.now
                    // One face in each shard at least: some of them have lost their primary.
                    try await enrol(Array(faces.prefix(64)), client)
                    print(
                        "high availability: writes of every shard go on \(ContinuousClock.now - begin) after both died"
                    )
                    try await Task.sleep(for: .seconds(3))
                }
                try await cluster.coordinators[controller].start()
                try await cluster.workers[0].start()
                try await cluster.awaitWhole(controller)
                try await eventually("every copy is in sync again", within: .seconds(30)) {
                    try await client.describe(Self.collection).shards.allSatisfy { $0.inSyncCount == 3 } ? () : nil
                }
                try await check(writer, faces, client, "after both died")
                let verified = try await cluster.mien(["verify", Self.collection])
                #expect(verified.status == 0, "\(verified)")
                await client.close()
            }
        }

        @Test(.timeLimit(.minutes(3 + storeAbsence / 60)))
        func withoutAQuorumSearchesAndWritesGoOnAndChangesWait() async throws {
            try await Stage.play { stage in
                let cluster = try SharedCluster(stage, coordinators: 2, workers: 2)
                try await cluster.start()
                let client = try cluster.client()
                let faces = try await enrolFaces(client, seed: SeededRandom.storySeed("lost quorum"))
                let impatient = try cluster.client(retrying: .zero)

                // Members die one after the other: one is bearable.
                cluster.etcd.members[0]?.kill()
                try await eventually("a collection is created with two members", within: .seconds(20)) {
                    do throws(MienClientError) {
                        try await create("with-two", client)
                        return ()
                    } catch  where error.code == .alreadyExists {
                        return ()
                    }
                }
                var mayBeDone = false
                let writer = try await underLoad(cluster, faces, "etcd has no quorum") {
                    let before = try Self.ownMebibytes(cluster)
                    cluster.etcd.members[1]?.freeze()
                    try await Task.sleep(for: .seconds(Self.storeAbsence))
                    let after = try Self.ownMebibytes(cluster)
                    print(
                        "high availability: MiB of coordinators' and workers' own memory before the store was away "
                            + "\(before), after \(Self.storeAbsence) s \(after)"
                    )
                    let failure = await #expect(throws: MienClientError.self) {
                        try await create("never", impatient)
                    }
                    #expect(failure?.code == .unavailable, "\(String(describing: failure))")
                    let message = try #require(failure?.message)
                    #expect(message.contains("metadata"), "\(message)")
                    // What the frozen member has been sent it may yet do, and then the error has said so.
                    mayBeDone = message.contains("not known whether")
                    for address in cluster.addresses {
                        let ready = try await stage.run(
                            ["/usr/bin/curl", "--silent", "--fail", "http://127.0.0.1:\(address.port + 1000)/readyz"]
                        )
                        #expect(ready.status == 0, "who routes stays in service: \(ready)")
                        #expect(ready.output.contains("searches and writes go on"), "\(ready)")
                    }
                    let status = try await stage.mien("status", "--coordinator", "\(cluster.addresses[0])")
                    #expect(status.status == 69, "\(status)")
                    #expect(status.error.contains("metadata store does not answer"), "\(status)")
                }
                // A coordinator that starts now waits, and says why.
                cluster.coordinators[1].kill()
                let waiting = try await stage.start(cluster.coordinators[1].arguments)
                try await eventually("it says what it waits for", within: .seconds(30)) {
                    waiting.error.contains("waiting for the metadata store") ? () : nil
                }
                #expect(waiting.status == nil && !waiting.output.contains("Serving"), "\(waiting.output)")

                cluster.etcd.members[1]?.thaw()
                try await cluster.etcd.start()
                try await eventually("it serves once the store is back", within: .seconds(30)) {
                    waiting.output.contains("Serving:") ? () : nil
                }
                try await eventually("a collection can be created again", within: .seconds(30)) {
                    do throws(MienClientError) {
                        try await create("again", client)
                        return ()
                    } catch  where error.code == .alreadyExists {
                        return ()
                    }
                }
                var names = Set(try await client.collections().map(\.options.name))
                if mayBeDone { names.remove("never") }
                #expect(names == [Self.collection, "with-two", "again"], "what was refused has not been done")
                try await check(writer, faces, client, "after the quorum was lost")
                await impatient.close()
                await client.close()
            }
        }

        /// Two members are gone for good, with all that they had: the third goes on alone, by etcd's own step.
        @Test(.timeLimit(.minutes(4))) func theOneMemberThatIsLeftGoesOnAlone() async throws {
            try await Stage.play { stage in
                let cluster = try SharedCluster(stage, coordinators: 2, workers: 2)
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(15))
                let faces = try await enrolFaces(client, seed: SeededRandom.storySeed("one member is left"))
                try await create("before", client)
                // What was agreed on last comes to a member a moment after it counts.
                try await Task.sleep(for: .seconds(1))

                let what = "two members of etcd are lost"
                let writer = try await underLoad(cluster, faces, what, retrying: .seconds(15)) {
                    for number in 0..<2 {
                        cluster.etcd.members[number]?.kill()
                        try FileManager.default.removeItem(atPath: cluster.etcd.folder(of: number))
                    }
                    // As long as the lease.
                    try await Task.sleep(for: .seconds(3))
                    // One that runs may know of more than the member that is left.
                    for coordinator in cluster.coordinators { coordinator.kill() }
                    try await cluster.etcd.startAlone(2)
                    try await eventually("it answers alone", within: .seconds(20)) {
                        try await cluster.etcd.isHealthy(2) ? () : nil
                    }
                    for coordinator in cluster.coordinators { try await coordinator.start() }
                    try await eventually("a collection can be created again", within: .seconds(30)) {
                        do throws(MienClientError) {
                            try await create("after", client)
                            return ()
                        } catch  where error.code == .alreadyExists {
                            return ()
                        }
                    }
                }
                let names = Set(try await client.collections().map(\.options.name))
                #expect(names == [Self.collection, "before", "after"])
                for number in cluster.coordinators.indices { try await cluster.awaitWhole(number) }

                // Records can be changed: where a primary dies another takes over.
                cluster.workers[0].kill()
                try await enrol(Array(faces.prefix(64)), client)
                try await cluster.workers[0].start()
                try await eventually("every copy is in sync again", within: .seconds(30)) {
                    try await client.describe(Self.collection).shards.allSatisfy { $0.inSyncCount == 2 } ? () : nil
                }
                try await check(writer, faces, client, "after two members were lost")
                let coordinator = "\(cluster.addresses[0])"
                let verified = try await stage.mien("verify", Self.collection, "--coordinator", coordinator)
                #expect(verified.status == 0, "\(verified)")
                let status = try await stage.mien("status", "--coordinator", coordinator)
                #expect(status.status == 0, "\(status)")
                await client.close()
            }
        }

        @Test(.timeLimit(.minutes(2))) func anEmbeddedClusterMovesToEtcd() async throws {
            try await Stage.play { stage in
                let etcd = try EtcdCluster(stage)
                try await etcd.start()
                let cluster = try Cluster(stage, workers: 2)
                try await cluster.start()
                let client = try cluster.client()
                let faces = try await enrolFaces(client, seed: SeededRandom.storySeed("migration"))
                let data = stage.path("coordinator")
                let settings = etcd.coordinatorSettings.flatMap { ["--set", $0] }
                let migrate = ["metadata", "migrate", "--data", data] + settings

                let inUse = try await stage.mien(migrate)
                #expect(inUse.status == 74 && inUse.error.contains("in use"), "\(inUse)")
                #expect(try await cluster.coordinator.stop() == 0)
                let elsewhere = try await stage.mien(
                    ["coordinator", "--listen", "127.0.0.1:0", "--data", data] + settings
                )
                #expect(elsewhere.status == 74 && elsewhere.error.contains("mien metadata migrate"), "\(elsewhere)")

                let moved = try await eventually("the records are moved", within: .seconds(20)) {
                    let result = try await stage.mien(migrate)
                    return result.status == 0 ? result : nil
                }
                #expect(moved.output.contains("read back and equal"), "\(moved)")
                let embedded = try await stage.mien("coordinator", "--listen", "127.0.0.1:0", "--data", data)
                #expect(embedded.status == 74 && embedded.error.contains("is in etcd"), "\(embedded)")
                let again = try await stage.mien(migrate)
                #expect(again.status == 74, "\(again)")

                let shared = Node(
                    stage,
                    ["coordinator", "--listen", "\(cluster.address)", "--data", data] + settings
                        + ["--set", "coordinator.worker_timeout=1s"]
                )
                try await shared.start()
                for face in faces.prefix(20) {
                    try await eventually("what was enrolled is found", within: .seconds(10)) {
                        let results = try await client.search(
                            Self.collection,
                            probes: Embeddings(dimension: Self.dimension, values: face.embedding),
                            model: Self.model
                        )
                        return Self.best(results) == face.id ? () : nil
                    }
                }
                // A folder that remembers this cluster is not for another one's records.
                shared.kill()
                let foreign = try await stage.mien(
                    ["coordinator", "--listen", "127.0.0.1:0", "--data", data] + settings
                        + ["--set", "coordinator.etcd.prefix=other/"]
                )
                #expect(foreign.status == 74 && foreign.error.contains("holds no cluster"), "\(foreign)")
                await client.close()
            }
        }
    }
}
