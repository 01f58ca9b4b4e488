import Foundation
import MienClient
import Testing

extension Integration {
    /// Calls that come whether those before them were answered or not, as those of cameras do.
    @Suite struct OpenLoadTests {
        private static let dimension = 256
        private static let model = "generated-v1"
        private static let collection = "crowd"
        private static let faceCount = 60_000
        private static let probeCount = 64
        /// A connection may have 256 calls under way, which is not what is to bound them here.
        private static let clientCount = 4

        /// Some of the faces that are there, and their embeddings, which are searched for at once.
        private struct Photo {
            var faces: [Face.ID]
            var embeddings: Embeddings
        }

        /// Three times as many as are served: as many as before are answered, not none, and all is well afterwards.
        @Test(.timeLimit(.minutes(3))) func threeTimesWhatIsServedIsServedAsMuch() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 3)
                try await cluster.start()
                let patient = try cluster.client(retrying: .seconds(20), timeout: .seconds(30))
                let photo = try await Self.fill(patient)
                let clients = try (0..<Self.clientCount).map { _ in
                    try cluster.client(retrying: .zero, timeout: .seconds(2))
                }
                let rate = try await Self.servedRate(clients, photo)
                let seconds = 12
                let open = await Self.openLoad(clients, photo, rate: 3 * rate, seconds: seconds)
                // The machine may have had less for it meanwhile.
                let rateAfter = try await Self.servedRate(clients, photo)
                let share = Double(open.answeredCount) / Double(seconds) / min(rate, rateAfter)
                print(
                    "open load: \(rate) searches/s are served, \(rateAfter) afterwards, and of three times as many "
                        + "\(share) times that"
                )
                #expect(open.surprises.isEmpty, "\(open.surprises.count): \(open.surprises.prefix(3))")
                #expect(open.refusedCount > 0)
                #expect(share > 0.4, "it is next to nothing when all are taken")
                #expect(cluster.workers.allSatisfy(\.isRunning) && cluster.coordinator.isRunning)
                let calm = try cluster.client(retrying: .zero, timeout: .seconds(10))
                let least = min(rate, rateAfter)
                let after = await Self.openLoad([calm], photo, rate: least / 5, seconds: 3)
                #expect(after.refusedCount == 0 && after.surprises.isEmpty)
                for client in clients + [patient, calm] { await client.close() }
            }
        }

        /// Writes that wait for the copy that their collection has lost take no place of another collection's.
        @Test(.timeLimit(.minutes(2))) func aCollectionThatWaitsForACopyRefusesNoWritesOfOthers() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 2)
                try await cluster.start()
                let client = try cluster.client(retrying: .zero, timeout: .seconds(2))
                let collection = CollectionOptions(
                    name: Self.collection,
                    dimension: Self.dimension,
                    embeddingModel: Self.model,
                    shardCount: 2,
                    replicationFactor: 2
                )
                _ = try await client.createCollection(collection)
                try cluster.addWorker()
                try await cluster.start()
                // The third worker is the emptiest.
                let other = CollectionOptions(
                    name: "others",
                    dimension: Self.dimension,
                    embeddingModel: Self.model,
                    shardCount: 1
                )
                _ = try await client.createCollection(other)
                // On a connection of its own: one may have 256 calls under way.
                let neighbour = try cluster.client(retrying: .zero, timeout: .seconds(10))
                let before = await Self.openWrites(neighbour, rate: 25, seconds: 2, into: "others")
                #expect(before.refusedCount == 0 && before.surprises.isEmpty, "\(before)")
                cluster.workers[1].kill()
                async let waiting = Self.openWrites(client, rate: 200, seconds: 8, into: Self.collection)
                let others = await Self.openWrites(neighbour, rate: 25, seconds: 8, into: "others")
                let blocked = await waiting
                print(
                    "a copy lost: \(blocked.answeredCount) writes acknowledged, \(blocked.refusedCount) not; "
                        + "\(others.answeredCount) beside them of another collection, \(others.refusedCount) not"
                )
                #expect(others.refusedCount == 0 && others.surprises.isEmpty, "\(others)")
                #expect(blocked.refusedCount > 1000, "or nothing waited")
                await neighbour.close()
                await client.close()
            }
        }

        // MARK: Parts

        private static func openWrites(
            _ client: MienClient,
            rate: Double,
            seconds: Int,
            into collection: String
        ) async -> SearchTally {
            await open(rate: rate, seconds: seconds) { _ in
                var tally = SearchTally()
                let id = Face.ID.random()
                do throws(MienClientError) {
                    _ = try await client.enrol(
                        [NewFace(id: id)],
                        embeddings: Embeddings(
                            dimension: dimension,
                            values: FaceLedger.embedding(id, version: 1, dimension: dimension)
                        ),
                        into: collection,
                        model: model
                    )
                    tally.answeredCount = 1
                } catch {
                    tally.note(error)
                }
                return tally
            }
        }

        /// Calls at a rate, whether those before were answered or not.
        private static func open(
            rate: Double,
            seconds: Int,
            _ call: @escaping @Sendable (Int) async -> SearchTally
        ) async -> SearchTally {
            let began = ContinuousClock.now
            return await withTaskGroup(of: SearchTally.self) { group in
                for number in 0..<Int(Double(seconds) * rate) {
                    group.addTask {
                        try? await Task.sleep(until: began + .seconds(1) * (Double(number) / rate))
                        return await call(number)
                    }
                }
                return await group.reduce(into: SearchTally()) { $0.add($1) }
            }
        }

        private static func fill(_ client: MienClient) async throws -> Photo {
            _ = try await client.createCollection(
                CollectionOptions(name: collection, dimension: dimension, embeddingModel: model, shardCount: 3)
            )
            let batchCount = 2000
            var photo = Photo(faces: [], embeddings: Embeddings(dimension: dimension, values: []))
            for first in stride(from: 0, to: faceCount, by: batchCount) {
                let ids = (0..<batchCount).map { _ in Face.ID.random() }
                let values = ids.flatMap { FaceLedger.embedding($0, version: 1, dimension: dimension) }
                if first == 0 {
                    let probes = Array(values.prefix(probeCount * dimension))
                    photo.faces = Array(ids.prefix(probeCount))
                    photo.embeddings = Embeddings(dimension: dimension, values: probes)
                }
                _ = try await client.enrol(
                    ids.map { NewFace(id: $0) },
                    embeddings: Embeddings(dimension: dimension, values: values),
                    into: collection,
                    model: model
                )
            }
            return photo
        }

        private static func search(_ client: MienClient, _ photo: Photo) async -> SearchTally {
            var tally = SearchTally()
            do throws(MienClientError) {
                let results = try await client.search(
                    collection,
                    probes: photo.embeddings,
                    model: model,
                    options: SearchOptions(matchLimit: 3, effort: .exact, coverage: .full)
                )
                tally.note(results, of: photo.faces)
            } catch {
                tally.note(error)
            }
            return tally
        }

        /// Searches a second that callers get who wait for each answer.
        private static func servedRate(_ clients: [MienClient], _ photo: Photo) async throws -> Double {
            let began = ContinuousClock.now
            let answered = await withTaskGroup(of: Int.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        var count = 0
                        while ContinuousClock.now - began < .seconds(5) {
                            count += await search(clients[number % clients.count], photo).answeredCount
                        }
                        return count
                    }
                }
                return await group.reduce(0, +)
            }
            return try #require(answered > 0 ? Double(answered) / ((ContinuousClock.now - began) / .seconds(1)) : nil)
        }

        private static func openLoad(
            _ clients: [MienClient],
            _ photo: Photo,
            rate: Double,
            seconds: Int
        ) async -> SearchTally {
            await open(rate: rate, seconds: seconds) { await search(clients[$0 % clients.count], photo) }
        }
    }
}
