import ClusterModel
import FaceModel
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

struct WriteRoutingTests {
    @Test func outcomesComeInTheOrderOfTheRows() async throws {
        try await FakeCluster.run(shardCount: 3) { cluster in
            try await cluster.enrolNumbered(10)
            let enrolled = try await cluster.enrolNumbered(20)
            #expect(
                enrolled.outcomes == [EnrolOutcome](repeating: .replaced, count: 10)
                    + [EnrolOutcome](repeating: .accepted, count: 10)
            )
            #expect(enrolled.token.collection == cluster.collection.id)
            #expect(enrolled.token.sequences == [0: 2, 1: 2, 2: 2])
        }
    }

    @Test func facesLieInTheShardOfTheirHash() async throws {
        try await FakeCluster.run(shardCount: 4) { cluster in
            try await cluster.enrolNumbered(50)
            let map = cluster.source.current
            for number in 0..<50 as Range<UInt64> {
                let index = try #require(map.placementIndex(of: FakeCluster.face(number), in: cluster.collection.id))
                let holds = cluster.workers[index].state.withLock {
                    $0.faces[cluster.shards[index]]![FakeCluster.face(number)] != nil
                }
                #expect(holds)
            }
        }
    }

    @Test func badRowsAreRejectedAloneAndTheLastOfTwoCounts() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            var infinite = FakeCluster.embedding(1)
            infinite[0] = .infinity
            let rows = [
                (FakeCluster.face(1), FakeCluster.embedding(1)), (FakeCluster.face(2), infinite),
                (FakeCluster.face(1), FakeCluster.embedding(9).map { $0 * 40 }),
                (FakeCluster.face(3), [Float](repeating: 0, count: FakeCluster.dimension)),
                // The last row of face 4 is bad, so that the one before it counts.
                (FakeCluster.face(4), FakeCluster.embedding(4)), (FakeCluster.face(4), infinite),
            ]
            let enrolled = try await cluster.enrol(rows)
            #expect(
                enrolled.outcomes == [
                    .superseded, .rejected(.notFinite), .accepted, .rejected(.zeroNorm), .accepted,
                    .rejected(.notFinite),
                ]
            )
            let found = try await cluster.router.faces(
                GetFaces(
                    collection: "people",
                    ids: [FakeCluster.face(1)],
                    includesEmbeddings: true,
                    token: enrolled.token
                ),
                deadline: .none,
                on: cluster.eventLoop
            )
            #expect(found.faces.first?.embedding == FakeCluster.embedding(9))
        }
    }

    @Test func rowsWithBadMetadataAreRejectedAlone() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let enrolled = try await cluster.router.enrol(
                EnrolFaces(
                    collection: "people",
                    embeddingModel: FakeCluster.model,
                    key: .random(),
                    rows: [
                        EnrolRow(id: FakeCluster.face(1), metadata: FaceMetadata(quality: 101)),
                        EnrolRow(id: FakeCluster.face(2), metadata: FaceMetadata(quality: 99)),
                    ],
                    embeddings: EmbeddingMatrix(
                        dimension: 64,
                        values: FakeCluster.embedding(1) + FakeCluster.embedding(2)
                    )
                ),
                deadline: .none,
                on: cluster.eventLoop
            )
            #expect(enrolled.outcomes == [.rejected(.invalidMetadata), .accepted])
        }
    }

    @Test func batchesThatCannotBeStoredAreRefusedWhole() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            func refusal(model: String, dimension: Int, faceCount: Int) async -> StatusCode? {
                do throws(WireStatus) {
                    _ = try await cluster.router.enrol(
                        EnrolFaces(
                            collection: "people",
                            embeddingModel: model,
                            key: .random(),
                            rows: (0..<faceCount).map {
                                EnrolRow(id: FakeCluster.face(UInt64($0)), metadata: FaceMetadata())
                            },
                            embeddings: EmbeddingMatrix(
                                dimension: dimension,
                                values: [Float](repeating: 1, count: dimension)
                            )
                        ),
                        deadline: .none,
                        on: cluster.eventLoop
                    )
                    return nil
                } catch {
                    return error.code
                }
            }
            #expect(await refusal(model: "model-b", dimension: 64, faceCount: 1) == .modelMismatch)
            #expect(await refusal(model: FakeCluster.model, dimension: 72, faceCount: 1) == .dimensionMismatch)
            #expect(await refusal(model: FakeCluster.model, dimension: 64, faceCount: 2) == .invalidRequest)
            #expect(await refusal(model: FakeCluster.model, dimension: 64, faceCount: 0) == .invalidRequest)
            #expect(cluster.workers[0].requestCount == 0)
            #expect(await refusal(model: FakeCluster.model, dimension: 64, faceCount: 1) == nil)
        }
    }

    @Test func aWriteThatAShardDidNotAcknowledgeNamesTheRows() async throws {
        try await FakeCluster.run(shardCount: 2, options: RouterOptions(absenceGrace: .milliseconds(100))) { cluster in
            await cluster.stop(1)
            let status = await #expect(throws: WireStatus.self) { try await cluster.enrolNumbered(12) }
            let map = cluster.source.current
            let rows = (0..<12).filter {
                map.placementIndex(of: FakeCluster.face(UInt64($0)), in: cluster.collection.id) == 1
            }
            #expect(status?.code == .unavailable)
            let message = status?.message ?? ""
            #expect(message.contains("1 of 2 shards have acknowledged; shard 1 is missing"), "\(message)")
            #expect(message.contains("Nothing was done for \(rows.count) of 12 rows"), "\(message)")
            // The other shard has done its part.
            #expect(status?.hasNoEffect == false)
            #expect(message.contains("(counted from 0: \(rows.prefix(8).map(String.init).joined(separator: ", "))"))
            #expect(message.contains("idempotency key"))
        }
    }

    @Test func aFullDiskIsToldAndNotRetried() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            cluster.workers[0].setScript(RetryTests.failing(.max, WireStatus(.storageFull, "The disk is full.")))
            let status = await #expect(throws: WireStatus.self) { try await cluster.enrolNumbered(12) }
            #expect(status?.code == .storageFull)
            #expect(cluster.workers[0].requestCount == 1)
            let message = status?.message ?? ""
            let map = cluster.source.current
            let rowCount = (0..<12).count {
                map.placementIndex(of: FakeCluster.face(UInt64($0)), in: cluster.collection.id) == 0
            }
            #expect(message.contains("shard 0 refused the write (worker"), "\(message)")
            #expect(message.contains("The disk is full"), "\(message)")
            let outcome = "Nothing was done for \(rowCount) of 12 rows; the other shards have done theirs."
            #expect(message.contains(outcome), "\(message)")
        }
    }

    @Test func shardsAreToldHowOldAWriteIs() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            cluster.workers[0].setScript(RetryTests.failing(2, WireStatus(.unavailable, "Not now.")))
            try await cluster.enrolNumbered(12)
            let ages = cluster.workers.map { $0.state.withLock(\.ages) }
            // Nobody has tried before, until somebody has.
            #expect(ages[0].count == 3 && ages[0][0] == .zero && ages[0][1] > .zero && ages[0][2] > ages[0][1])
            #expect(ages[1] == [.zero])
            _ = try await cluster.enrol([(FakeCluster.face(1), FakeCluster.embedding(1))], age: .seconds(7))
            #expect(cluster.workers.contains { $0.state.withLock { $0.ages.last.map { $0 >= .seconds(7) } ?? false } })
        }
    }

    @Test func aWriteThatNobodyRemembersMayHaveBeenDone() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            cluster.workers[0].setScript(RetryTests.failing(.max, WireStatus(.keyTooOld, "Nobody remembers.")))
            let status = await #expect(throws: WireStatus.self) { try await cluster.enrolNumbered(12) }
            #expect(status?.code == .keyTooOld)
            #expect(cluster.workers[0].requestCount == 1)
            let message = status?.message ?? ""
            #expect(message.contains("It is not known whether an earlier attempt did anything for"), "\(message)")
        }
    }

    @Test func aRefusalBesideAnUnknownOutcomeDoesNotSayThatTheRestIsDone() async throws {
        try await FakeCluster.run(shardCount: 2, options: RouterOptions(absenceGrace: .milliseconds(100))) { cluster in
            cluster.workers[0].setScript(RetryTests.failing(.max, WireStatus(.storageFull, "The disk is full.")))
            await cluster.stop(1)
            let status = await #expect(throws: WireStatus.self) { try await cluster.enrolNumbered(12) }
            #expect(status?.code == .storageFull)
            #expect(status?.message.hasSuffix("; other shards may have done their part.") == true)
        }
    }

    @Test func deletesAnswerIDByID() async throws {
        try await FakeCluster.run(shardCount: 3) { cluster in
            try await cluster.enrolNumbered(10)
            func delete(_ numbers: [UInt64]) async throws -> FacesDeleted {
                try await cluster.router.delete(
                    DeleteFaces(collection: "people", key: .random(), ids: numbers.map(FakeCluster.face)),
                    deadline: .none,
                    on: cluster.eventLoop
                )
            }
            let deleted = try await delete([3, 99, 5, 3])
            #expect(deleted.outcomes == [.deleted, .absent, .deleted, .absent])
            let answer = try await cluster.search([FakeCluster.embedding(3)], k: 10, token: deleted.token)
            #expect(answer.outcomes[0].ids?.count == 8)
            #expect(answer.outcomes[0].ids?.contains(FakeCluster.face(3)) == false)
            let status = await #expect(throws: WireStatus.self) { try await delete([]) }
            #expect(status?.code == .invalidRequest)
        }
    }

    @Test func aReadWithATokenWaitsUntilTheShardHasReachedIt() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            var token = try await cluster.enrolNumbered(5).token
            token.sequences[0]! += 1
            let ahead = token
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.search([FakeCluster.embedding(1)], token: ahead, deadline: .seconds(4))
            }
            #expect(status?.code == .notYet)
            let write = Task {
                try await Task.sleep(for: .milliseconds(100))
                try await cluster.enrolNumbered(6)
            }
            let answer = try await cluster.search([FakeCluster.embedding(5)], k: 1, token: ahead)
            #expect(answer.outcomes[0].ids == [FakeCluster.face(5)])
            _ = try await write.value
        }
    }

    /// Another coordinator knew of shards that took others' place, and this one does not yet.
    @Test func aTokenOfANewerMapWaitsForThatMap() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let token = try await cluster.enrolNumbered(10).token
            var newer = token
            newer.sequences[5] = 1
            let ahead = newer
            let before = cluster.workers.map(\.requestCount)
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.search([FakeCluster.embedding(1)], token: ahead, deadline: .milliseconds(600))
            }
            #expect(status?.code == .notYet && status?.message.contains("not heard of yet") == true)
            #expect(cluster.workers.map(\.requestCount) == before, "nobody is asked by the older map")

            // The one that it had is gone by now: what was written to it is in those in its place.
            let old = cluster.source.current
            cluster.source.state.withLock { state in
                state.afterRefresh = ShardMap(
                    epoch: Epoch(2),
                    collections: [cluster.collection],
                    placements: old.placements,
                    addresses: old.addresses,
                    retired: [cluster.collection.id: [5]]
                )
            }
            let answer = try await cluster.search([FakeCluster.embedding(5)], k: 1, token: ahead)
            #expect(answer.outcomes[0].ids == [FakeCluster.face(5)])
        }
    }

    /// Another coordinator knew of a collection that got the name of one that was deleted, and this one does not yet.
    @Test func aTokenOfACollectionThatGotTheNameWaitsForItsMap() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let old = try await cluster.enrolNumbered(10).token
            let newer = cluster.namesake(faceCount: 20)
            let id = try #require(newer.collection(named: "people")).id
            let before = cluster.workers.map(\.requestCount)
            func search(_ token: ConsistencyToken) async throws(WireStatus) -> SearchAnswer {
                var request = FakeCluster.request([FakeCluster.embedding(15)], k: 1, token: token)
                if token.collection == id { request.embeddingModel = FakeCluster.otherModel }
                return try await cluster.router.search(
                    request,
                    deadline: .after(.seconds(30)),
                    on: cluster.eventLoop
                )
            }
            let ahead = ConsistencyToken(collection: id, sequences: [0: 1])
            cluster.source.state.withLock { $0.isReadable = false }
            let unknown = await #expect(throws: WireStatus.self) { try await search(ahead) }
            #expect(unknown?.code == .notYet && unknown?.message.contains("not heard of yet") == true)
            // The newest records know of no such collection.
            cluster.source.state.withLock { $0.isReadable = true }
            let foreign = await #expect(throws: WireStatus.self) { try await search(ahead) }
            #expect(foreign?.code == .invalidRequest)
            #expect(cluster.workers.map(\.requestCount) == before, "nobody is asked by the older map")

            cluster.source.state.withLock { $0.afterRefresh = newer }
            #expect(try await search(ahead).outcomes[0].ids == [FakeCluster.face(15)])
            let gone = await #expect(throws: WireStatus.self) { try await search(old) }
            #expect(gone?.code == .invalidRequest)
        }
    }
}
